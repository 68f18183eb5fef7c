"""Endpoints when the cloud ends and starts again."""

import asyncio
import contextlib
from typing import Any

import pytest
from tests.unit.cloud.sagemaker.scenario import PATIENCE_S, run, until

from windtunnel.cloud.errors import NotFoundError
from windtunnel.cloud.fleet.instance import Stage, StartFailedError
from windtunnel.core import limits

# The fixture's types live in conftest.py, which no module can import.
OpenRooms = Any


async def _serve(open_rooms: OpenRooms, instance_count: int) -> None:
    """Leave an endpoint in service behind."""
    async with open_rooms() as rooms:
        await rooms.create_endpoint("e", instance_count=instance_count)
        await rooms.wait_status("e", "InService")


def _hold(fleet: Any) -> None:
    fleet.hold()


def test_an_endpoint_is_in_service_again_when_an_instance_answers(open_rooms: OpenRooms) -> None:
    """Until then it says SystemUpdating: a waiter must not be told what is not so."""

    async def scenario() -> None:
        await _serve(open_rooms, 2)
        async with open_rooms(_hold) as rooms:
            await until(lambda: len(rooms.fleet.specs) == 2)
            waiting = await rooms.call("DescribeEndpoint", endpoint_name="e")
            nobody = rooms.router.instance_ids("e")
            rooms.fleet.allow()
            serving = await rooms.wait_status("e", "InService")
            one = rooms.router.instance_ids("e")
            rooms.fleet.allow()
            await until(lambda: len(rooms.router.instance_ids("e")) == 2)
            whole = await rooms.call("DescribeEndpoint", endpoint_name="e")

            assert waiting["endpoint_status"] == "SystemUpdating"
            assert waiting["production_variants"][0]["current_instance_count"] == 0
            # The endpoint exists: requests are told to come again, not that it is not found.
            assert nobody == []
            assert len(one) == 1
            assert serving["production_variants"][0]["current_instance_count"] == 1
            assert whole["production_variants"][0]["current_instance_count"] == 2
            assert rooms.journal[0] == "commit endpoint e SystemUpdating"

    run(scenario())


def test_an_endpoint_is_back_when_each_of_its_variants_answers(open_rooms: OpenRooms) -> None:
    """In service while half of the requests are refused would be a lie."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_model("m")
            variants = [
                {
                    "variant_name": name,
                    "model_name": "m",
                    "instance_type": "ml.c5.large",
                    "initial_instance_count": 2,
                }
                for name in "ab"
            ]
            await rooms.call(
                "CreateEndpointConfig", endpoint_config_name="c", production_variants=variants
            )
            await rooms.call("CreateEndpoint", endpoint_name="e", endpoint_config_name="c")
            await rooms.wait_status("e", "InService")
        async with open_rooms(_hold) as rooms:
            await until(lambda: len(rooms.fleet.specs) == 4)
            rooms.fleet.allow(2)
            await until(lambda: len(rooms.router.instance_ids("e")) == 2)
            names = {each.spec.variant_name for each in rooms.fleet.instances}
            too_early = await rooms.status("e")
            rooms.fleet.allow()
            await rooms.wait_status("e", "InService")

            assert (names, too_early) == ({"a"}, "SystemUpdating")
            assert len(rooms.router.instance_ids("e")) == 3

    run(scenario())


@pytest.mark.parametrize(
    ("stage", "start"),
    [
        ("admission", "no room"),
        ("download", 'Failed to download model data for container "container_1" from URL: "s3://'),
        ("extraction", 'Failed to extract model data archive for container "container_1" from'),
        ("container", "The primary container for production variant AllTraffic did not pass"),
    ],
)
def test_a_failure_is_told_by_how_far_the_start_came(
    open_rooms: OpenRooms, stage: Stage, start: str
) -> None:
    """Who is sent to the logs of a container that never ran looks in the wrong place."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            rooms.fleet.refusals.append(StartFailedError("no room", stage))
            await rooms.create_endpoint("e")
            failed = await rooms.wait_status("e", "Failed")

        assert failed["failure_reason"].startswith(start)
        assert failed["failure_reason"].endswith("no room")

    run(scenario())


def test_an_endpoint_keeps_what_it_runs_when_its_model_and_config_are_gone(
    open_rooms: OpenRooms,
) -> None:
    """AWS lets them be deleted; the endpoint goes on, also after a restart."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("e")
            await rooms.wait_status("e", "InService")
            await rooms.call("DeleteEndpointConfig", endpoint_config_name="e-config")
            await rooms.call("DeleteModel", model_name="e-config-model")
            before = rooms.fleet.specs
        async with open_rooms() as rooms:
            described = await rooms.wait_status("e", "InService")

            assert described["endpoint_config_name"] == "e-config"
            assert rooms.fleet.specs == before

    run(scenario())


def test_creating_is_taken_up_again(open_rooms: OpenRooms) -> None:
    """A creation that was acknowledged is carried out, over a restart if need be."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            rooms.fleet.hold()
            await rooms.create_endpoint("e")
            await until(lambda: rooms.fleet.specs)
        assert rooms.fleet.cancelled_count == 1
        async with open_rooms(_hold) as rooms:
            assert await rooms.status("e") == "Creating"
            assert rooms.router.routes == {}
            rooms.fleet.allow()
            await rooms.wait_status("e", "InService")

    run(scenario())


def test_deleting_is_finished(open_rooms: OpenRooms) -> None:
    """A deletion that was acknowledged does not come back to life."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("e")
            await rooms.wait_status("e", "InService")
            rooms.router.idle.clear()
            await rooms.call("DeleteEndpoint", endpoint_name="e")
        async with open_rooms() as rooms:
            seen = set()
            async with asyncio.timeout(PATIENCE_S):
                with contextlib.suppress(NotFoundError):
                    while True:
                        seen.add(await rooms.status("e"))
                        await asyncio.sleep(0.001)
            assert seen <= {"Deleting"}
            assert rooms.fleet.specs == []

    run(scenario())


def test_a_failed_endpoint_stays_failed_and_says_why(open_rooms: OpenRooms) -> None:
    """A restart does not try what did not work."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            rooms.fleet.refusals.append("no such file")
            await rooms.create_endpoint("e")
            before = await rooms.wait_status("e", "Failed")
        async with open_rooms() as rooms:
            assert await rooms.call("DescribeEndpoint", endpoint_name="e") == before
            assert rooms.fleet.specs == []

    run(scenario())


def test_an_endpoint_of_which_nothing_comes_back_is_failed(open_rooms: OpenRooms) -> None:
    """Its archive may be gone: waiting for ever would say nothing."""

    async def scenario() -> None:
        await _serve(open_rooms, 2)
        async with open_rooms(lambda fleet: fleet.refusals.extend(["gone", "gone"])) as rooms:
            failed = await rooms.wait_status("e", "Failed")

            assert failed["failure_reason"].endswith("gone")
            assert rooms.router.routes == {}

    run(scenario())


def test_an_instance_that_does_not_come_back_is_tried_again(
    open_rooms: OpenRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint serves with what it has, and is whole in the end."""
    monkeypatch.setattr(limits, "RESTART_BACKOFF_FIRST_S", 0.001)

    async def scenario() -> None:
        await _serve(open_rooms, 2)
        async with open_rooms(lambda fleet: fleet.refusals.extend(["busy"])) as rooms:
            await rooms.wait_status("e", "InService")
            await until(lambda: len(rooms.router.instance_ids("e")) == 2)

            assert len(rooms.fleet.specs) == 3

    run(scenario())


def test_a_deletion_does_not_wait_for_instances_that_are_still_starting(
    open_rooms: OpenRooms,
) -> None:
    """One hanging instance must not keep the whole endpoint."""

    async def scenario() -> None:
        await _serve(open_rooms, 2)
        async with open_rooms(_hold) as rooms:
            rooms.fleet.allow()
            await rooms.wait_status("e", "InService")
            await rooms.call("DeleteEndpoint", endpoint_name="e")
            await until(lambda: "commit endpoint e deleted" in rooms.journal)

            assert rooms.fleet.cancelled_count == 1
            assert rooms.fleet.running == []

    run(scenario())


def test_answers_wait_until_the_store_was_read(open_rooms: OpenRooms) -> None:
    """A request in the first moment must not be told that its endpoint does not exist."""

    async def scenario() -> None:
        await _serve(open_rooms, 1)
        async with open_rooms() as rooms:
            rooms.sagemaker._is_ready.clear()
            asked = asyncio.ensure_future(rooms.status("e"))
            await asyncio.sleep(0)
            assert not asked.done()
            rooms.sagemaker._is_ready.set()
            assert await asked in ("SystemUpdating", "InService")

    run(scenario())
