"""Capacities and weights of the variants of an endpoint that serves."""

from typing import Any

import pytest
from tests.unit.cloud.sagemaker.scenario import (
    capacities,
    rescale,
    run,
    two_variants,
    until,
)

from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.core import limits

# The fixture's types live in conftest.py, which no module can import.
OpenRooms = Any


def test_instances_are_added_one_by_one_and_taken_away(open_rooms: OpenRooms) -> None:
    """Each new instance takes requests as soon as it can: load does not wait for the last one."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)
            rooms.fleet.hold()
            await rescale(rooms, a={"desired_instance_count": 3})
            await until(lambda: len(rooms.fleet.specs) == 4)
            rooms.fleet.allow()
            await until(lambda: len(rooms.router.instance_ids("e")) == 3)
            during = await rooms.call("DescribeEndpoint", endpoint_name="e")
            rooms.fleet.allow()
            grown = await rooms.wait_status("e", "InService")
            await rescale(rooms, a={"desired_instance_count": 1})
            shrunk = await rooms.wait_status("e", "InService")
            await until(lambda: len(rooms.fleet.running) == 2)

            assert during["endpoint_status"] == "Updating"
            assert capacities(during) == {"a": (2, 3), "b": (1, 1)}
            assert "pending_deployment_summary" not in during
            assert capacities(grown) == {"a": (3, 3), "b": (1, 1)}
            assert capacities(shrunk) == {"a": (1, 1), "b": (1, 1)}
            assert len(rooms.router.instance_ids("e")) == 2

    run(scenario())


def test_weights_move_requests_and_nothing_else(open_rooms: OpenRooms) -> None:
    """Traffic is shifted to a new model without starting anything."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)
            await rescale(rooms, a={"desired_weight": 0.0}, b={"desired_weight": 2.5})
            described = await rooms.wait_status("e", "InService")

            assert [each.weight for each in rooms.router.routes["e"]] == [0.0, 2.5]
            assert [each["current_weight"] for each in described["production_variants"]] == [
                0.0,
                2.5,
            ]
            assert len(rooms.fleet.specs) == 2

    run(scenario())


def test_capacity_that_does_not_come_is_rolled_back(open_rooms: OpenRooms) -> None:
    """The endpoint goes on as it was, and passes through RollingBack as on AWS."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)
            before = rooms.router.instance_ids("e")
            rooms.fleet.hold()
            await rescale(rooms, a={"desired_instance_count": 3, "desired_weight": 1.0})
            await until(lambda: len(rooms.fleet.specs) == 4)
            rooms.fleet.allow()
            await until(lambda: len(rooms.fleet.instances) == 3)
            rooms.fleet.refusals.append("no memory is left.")
            rooms.fleet.allow()
            described = await rooms.wait_status("e", "InService")
            await until(lambda: len(rooms.fleet.running) == 2)

            assert described["failure_reason"].endswith("no memory is left.")
            assert capacities(described) == {"a": (1, 1), "b": (1, 1)}
            assert described["production_variants"][0]["current_weight"] == 9.0
            assert rooms.router.instance_ids("e") == before
            statuses = [line for line in rooms.journal if line.startswith("commit endpoint e")]
            assert statuses[-3:] == [
                "commit endpoint e Updating",
                "commit endpoint e RollingBack",
                "commit endpoint e InService",
            ]

    run(scenario())


def test_what_is_ill_leaves_first(open_rooms: OpenRooms) -> None:
    """Scaling in must not end the one instance that answers."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("e", instance_count=2)
            await rooms.wait_status("e", "InService")
            ill, well = rooms.fleet.instances
            ill.turn(is_healthy=False)
            await rescale(rooms, AllTraffic={"desired_instance_count": 1})
            described = await rooms.wait_status("e", "InService")
            await until(lambda: ill.is_stopped)

            assert capacities(described) == {"AllTraffic": (1, 1)}
            assert rooms.router.instance_ids("e") == [well.id]

    run(scenario())


def test_requests_can_be_moved_off_a_variant_that_is_lost(open_rooms: OpenRooms) -> None:
    """What is missing for another reason is not this change's to wait for, or to fail on."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)

        def prepare(fleet: Any) -> None:
            fleet.hold(2)
            fleet.refusals.append("lost")

        async with open_rooms(prepare) as rooms:
            await rooms.wait_status("e", "InService")
            (serving,) = [each.name for each in rooms.router.routes["e"] if each.instances]
            (lost,) = {"a", "b"} - {serving}
            await rescale(rooms, **{lost: {"desired_weight": 0.0}})
            described = await rooms.wait_status("e", "InService")
            weights = {each.name: each.weight for each in rooms.router.routes["e"]}

            assert described["failure_reason"] is None
            assert weights[lost] == 0.0
            assert weights[serving] > 0

    run(scenario())


@pytest.mark.parametrize(
    ("desired", "error", "words"),
    [
        ({"none": {"desired_weight": 1.0}}, InvalidError, "has no variant none.*are a, b"),
        ({"a": {"desired_instance_count": 0}}, InvalidError, "must be at least 1"),
        (
            {"a": {"desired_instance_count": limits.ENDPOINT_INSTANCE_COUNT_MAX}},
            LimitExceededError,
            "instances: 65 were asked for",
        ),
    ],
)
def test_a_change_that_cannot_be_is_refused_and_changes_nothing(
    open_rooms: OpenRooms, desired: dict[str, Any], error: type[Exception], words: str
) -> None:
    """A typing error must not put the endpoint into Updating."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)
            with pytest.raises(error, match=words):
                await rescale(rooms, **desired)
            assert await rooms.status("e") == "InService"

    run(scenario())
