"""Endpoints through their lives, among fakes of the fleet and the router."""

import asyncio
from typing import Any

import pytest
from tests.unit.cloud.sagemaker.scenario import PATIENCE_S, run, until

from windtunnel.cloud.errors import ConflictError, NotFoundError, UnavailableError
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.core import limits

# The fixture's types live in conftest.py, which no module can import.
OpenRooms = Any
_ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e"


async def _gone(rooms: Any, name: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await rooms.status(name)
            except NotFoundError:
                return
            await asyncio.sleep(0.001)


def test_an_endpoint_is_creating_until_every_instance_answers(open_rooms: OpenRooms) -> None:
    """InService is a promise: all that was asked for is there."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            rooms.fleet.hold()
            await rooms.create_endpoint("e", instance_count=3)
            await until(lambda: len(rooms.fleet.specs) == 3)
            rooms.fleet.allow(2)
            await until(lambda: len(rooms.fleet.instances) == 2)
            creating = await rooms.call("DescribeEndpoint", endpoint_name="e")
            assert rooms.router.routes == {}
            rooms.clock.advance(5)
            rooms.fleet.allow()
            serving = await rooms.wait_status("e", "InService")

            (variant,) = creating["production_variants"]
            assert creating["endpoint_status"] == "Creating"
            assert (variant["current_instance_count"], variant["desired_instance_count"]) == (2, 3)
            assert variant["variant_status"][0]["status"] == "Creating"
            pending = creating["pending_deployment_summary"]
            assert pending["endpoint_config_name"] == "e-config"
            (variant,) = serving["production_variants"]
            assert variant["current_instance_count"] == 3
            assert "pending_deployment_summary" not in serving
            assert serving["last_modified_time"] == serving["creation_time"] + 5
            assert len(rooms.router.instance_ids("e")) == 3

    run(scenario())


def test_the_fleet_is_told_everything_that_the_model_and_the_config_say(
    open_rooms: OpenRooms,
) -> None:
    """A setting that does not reach the instance would be tuned in vain."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_model("m")
            await rooms.call(
                "CreateEndpointConfig",
                endpoint_config_name="c",
                production_variants=[
                    {
                        "variant_name": "AllTraffic",
                        "model_name": "m",
                        "instance_type": "ml.m5.large",
                        "initial_instance_count": 1,
                        "container_startup_health_check_timeout_in_seconds": 77,
                    }
                ],
            )
            await rooms.call("CreateEndpoint", endpoint_name="e", endpoint_config_name="c")
            await rooms.wait_status("e", "InService")
            (spec,) = rooms.fleet.specs

        assert spec.endpoint_name == "e"
        assert spec.variant_name == "AllTraffic"
        assert spec.instance_type == "ml.m5.large"
        assert spec.image.endswith("tensorflow-inference:2.19-cpu")
        assert spec.environment == {"SAGEMAKER_TFS_INSTANCE_COUNT": "2"}
        assert spec.model_data_url == "s3://bucket/model.tar.gz"
        assert spec.startup_timeout_s == 77

    run(scenario())


def test_being_in_service_is_committed_before_anybody_can_see_it(open_rooms: OpenRooms) -> None:
    """After kill -9 an endpoint that a client saw in service must not be creating again."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("e")
            await rooms.wait_status("e", "InService")

        assert rooms.journal[-3:] == [
            "commit endpoint e Creating",
            "commit endpoint e InService",
            "publish e 1",
        ]

    run(scenario())


def test_one_instance_that_does_not_come_up_fails_the_endpoint(open_rooms: OpenRooms) -> None:
    """The reason is AWS's sentence and then ours; what had started is ended."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            rooms.fleet.hold()
            await rooms.create_endpoint("e", instance_count=3)
            await until(lambda: len(rooms.fleet.specs) == 3)
            rooms.fleet.allow()
            await until(lambda: len(rooms.fleet.instances) == 1)
            rooms.fleet.refusals.append("model.tar.gz is not a gzip archive.")
            rooms.fleet.allow()
            failed = await rooms.wait_status("e", "Failed")

            assert failed["failure_reason"] == (
                "The primary container for production variant AllTraffic did not pass the ping "
                "health check. Please check CloudWatch logs for this endpoint. model.tar.gz is "
                "not a gzip archive."
            )
            assert failed["production_variants"][0]["current_instance_count"] == 0
            assert rooms.fleet.running == []
            assert rooms.fleet.cancelled_count == 1
            assert rooms.router.routes == {}

    run(scenario())


def test_a_reason_fits_awss_length(open_rooms: OpenRooms) -> None:
    """A container may say a megabyte before it dies."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            rooms.fleet.refusals.append("x" * 5000)
            await rooms.create_endpoint("e")
            failed = await rooms.wait_status("e", "Failed")

        assert len(failed["failure_reason"]) == 1024

    run(scenario())


def test_a_bug_in_starting_fails_the_endpoint_too(
    open_rooms: OpenRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that stays in Creating for ever can never be deleted."""

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        async with open_rooms() as rooms:
            monkeypatch.setattr(rooms.fleet, "start", broken)
            await rooms.create_endpoint("e")
            failed = await rooms.wait_status("e", "Failed")
            await rooms.call("DeleteEndpoint", endpoint_name="e")
            await _gone(rooms, "e")

        assert "Windtunnel failed inside" in failed["failure_reason"]

    run(scenario())


def test_an_instance_that_falls_ill_gets_no_requests_until_it_is_well(
    open_rooms: OpenRooms,
) -> None:
    """Health decides where requests go, at once."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("e", instance_count=2)
            await rooms.wait_status("e", "InService")
            ill, well = rooms.fleet.instances
            ill.turn(is_healthy=False)
            during = await rooms.call("DescribeEndpoint", endpoint_name="e")
            routed = rooms.router.instance_ids("e")
            ill.turn(is_healthy=True)

            assert routed == [well.id]
            assert during["endpoint_status"] == "InService"
            assert during["production_variants"][0]["current_instance_count"] == 1
            assert set(rooms.router.instance_ids("e")) == {ill.id, well.id}

    run(scenario())


def test_deleting_lets_requests_end_before_the_instances(open_rooms: OpenRooms) -> None:
    """Nobody's request is cut off by a deletion; meanwhile the endpoint says Deleting."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("e", instance_count=2)
            await rooms.wait_status("e", "InService")
            rooms.router.idle.clear()
            rooms.journal.clear()
            await rooms.call("DeleteEndpoint", endpoint_name="e")
            status = await rooms.status("e")
            await until(lambda: "withdraw e" in rooms.journal)
            assert len(rooms.fleet.running) == 2
            with pytest.raises(ConflictError, match="Cannot update in-progress endpoint"):
                await rooms.call("DeleteEndpoint", endpoint_name="e")
            rooms.router.idle.set()
            await _gone(rooms, "e")

            assert status == "Deleting"
            assert rooms.journal == [
                "commit endpoint e Deleting",
                "withdraw e",
                "idle e",
                "stop i-00000000",
                "stop i-00000001",
                "commit endpoint e deleted",
            ]
            await rooms.call("CreateEndpoint", endpoint_name="e", endpoint_config_name="e-config")
            await rooms.wait_status("e", "InService")

    run(scenario())


def test_an_endpoint_in_progress_cannot_be_deleted(open_rooms: OpenRooms) -> None:
    """AWS's refusal, and its words."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            rooms.fleet.hold()
            await rooms.create_endpoint("e")
            with pytest.raises(ConflictError) as caught:
                await rooms.call("DeleteEndpoint", endpoint_name="e")

        assert str(caught.value) == f'Cannot update in-progress endpoint "{_ARN}".'

    run(scenario())


def test_a_failed_endpoint_can_be_deleted(open_rooms: OpenRooms) -> None:
    """It is all that can be done with one."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            rooms.fleet.refusals.append("no")
            await rooms.create_endpoint("e")
            await rooms.wait_status("e", "Failed")
            await rooms.call("DeleteEndpoint", endpoint_name="e")
            await _gone(rooms, "e")

    run(scenario())


def test_a_name_is_taken_in_whatever_case_and_kept_as_it_was_given(open_rooms: OpenRooms) -> None:
    """Said on botocore's page: case-insensitive to create, case kept."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("E")
            with pytest.raises(ConflictError) as caught:
                await rooms.call(
                    "CreateEndpoint", endpoint_name="e", endpoint_config_name="E-config"
                )
            described = await rooms.wait_status("E", "InService")

            assert str(caught.value) == f'Cannot create already existing endpoint "{_ARN}".'
            assert described["endpoint_name"] == "E"
            assert list(rooms.router.routes) == ["E"]

    run(scenario())


def test_an_endpoint_needs_its_config_and_its_models(open_rooms: OpenRooms) -> None:
    """What it runs is read when it is created."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            with pytest.raises(NotFoundError, match="Could not find endpoint configuration"):
                await rooms.call("CreateEndpoint", endpoint_name="e", endpoint_config_name="none")
            await rooms.create_config("c")
            await rooms.call("DeleteModel", model_name="c-model")
            with pytest.raises(NotFoundError, match='Could not find model ".*model/c-model"'):
                await rooms.call("CreateEndpoint", endpoint_name="e", endpoint_config_name="c")

    run(scenario())


def test_more_instances_than_there_can_be_are_refused_before_any_starts(
    open_rooms: OpenRooms,
) -> None:
    """A count with a zero too many must not take the machine down."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            count = limits.ENDPOINT_INSTANCE_COUNT_MAX + 1
            with pytest.raises(LimitExceededError, match=f"{count} were asked for"):
                await rooms.create_endpoint("e", instance_count=count)
            assert rooms.fleet.specs == []

    run(scenario())


def test_a_disk_that_is_full_for_a_while_delays_a_transition_and_loses_none(
    open_rooms: OpenRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """InService is said when it is durable, not before."""
    monkeypatch.setattr(limits, "RESTART_BACKOFF_FIRST_S", 0.001)

    async def scenario() -> None:
        async with open_rooms() as rooms:
            rooms.fleet.hold()
            await rooms.create_endpoint("e")
            rooms.store.failures.extend([UnavailableError("database or disk is full")] * 100_000)
            rooms.fleet.allow()
            await until(lambda: len(rooms.store.failures) < 99_998)
            assert await rooms.status("e") == "Creating"
            assert rooms.router.routes == {}
            rooms.store.failures.clear()
            await rooms.wait_status("e", "InService")

            rooms.store.failures.append(UnavailableError("database or disk is full"))
            with pytest.raises(UnavailableError):
                await rooms.call("DeleteEndpoint", endpoint_name="e")
            # What was refused did not happen.
            assert await rooms.status("e") == "InService"
            assert rooms.router.instance_ids("e") != []

    run(scenario())
