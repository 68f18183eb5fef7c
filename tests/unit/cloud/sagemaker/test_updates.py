"""Updates of endpoints that serve: another config takes the place of the one there is."""

import asyncio
from typing import Any

import pytest
from tests.unit.cloud.sagemaker.scenario import (
    capacities,
    make_config,
    rescale,
    run,
    two_variants,
    until,
    update,
    variant,
)

from windtunnel.cloud.errors import ConflictError, InvalidError, NotFoundError
from windtunnel.core import limits

# The fixture's types live in conftest.py, which no module can import.
OpenRooms = Any


def test_variants_share_requests_by_their_weights(open_rooms: OpenRooms) -> None:
    """An A/B test is several variants of one endpoint."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)
            routes = rooms.router.routes["e"]
            described = await rooms.call("DescribeEndpoint", endpoint_name="e")

        assert [(each.name, each.weight, len(each.instances)) for each in routes] == [
            ("a", 9.0, 1),
            ("b", 1.0, 1),
        ]
        assert [each["current_weight"] for each in described["production_variants"]] == [9.0, 1.0]

    run(scenario())


def test_a_variant_that_scales_keeps_its_instance_type(open_rooms: OpenRooms) -> None:
    """AWS: "If you are trying to update the endpoint by calling UpdateEndpoint, the call fails"."""

    async def scaled(_: Any) -> frozenset[str]:
        return frozenset({"a"})

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)
            rooms.sagemaker.ask_before_updates(scaled)
            await rooms.create_model("other")
            larger = {"instance_type": "ml.m5.xlarge"}
            await make_config(rooms, "a2", {**variant("a", "m"), **larger}, variant("b", "m"))
            await make_config(rooms, "b2", variant("a", "other"), {**variant("b", "m"), **larger})
            with pytest.raises(InvalidError) as caught:
                await update(rooms, "a2")
            assert await rooms.status("e") == "InService"
            await update(rooms, "b2")
            described = await rooms.wait_status("e", "InService")

        assert caught.value.message == (
            'The variant(s) "[a]" must be deregistered as scalable targets with AWS Auto Scaling '
            "before they can have their instance type updated."
        )
        assert described["endpoint_config_name"] == "b2"

    run(scenario())


def test_a_random_variant_is_routed_so(open_rooms: OpenRooms) -> None:
    """A routing strategy that stops at the config would be compared in vain."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_model("m")
            await make_config(
                rooms,
                "c",
                {**variant("a", "m"), "routing_config": {"routing_strategy": "RANDOM"}},
                variant("b", "m"),
            )
            await rooms.call("CreateEndpoint", endpoint_name="e", endpoint_config_name="c")
            await rooms.wait_status("e", "InService")

            assert [each.is_random for each in rooms.router.routes["e"]] == [True, False]

    run(scenario())


def test_the_old_fleet_serves_until_the_new_one_is_whole(open_rooms: OpenRooms) -> None:
    """An update without an outage is what UpdateEndpoint is for."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("e", instance_count=2)
            await rooms.wait_status("e", "InService")
            old = rooms.router.instance_ids("e")
            await rooms.create_config("new", instance_count=2)
            rooms.fleet.hold()
            rooms.journal.clear()
            await update(rooms, "new")
            await until(lambda: len(rooms.fleet.specs) == 4)
            rooms.fleet.allow()
            await until(lambda: len(rooms.fleet.instances) == 3)
            during = await rooms.call("DescribeEndpoint", endpoint_name="e")
            assert rooms.router.instance_ids("e") == old
            rooms.router.idle.clear()
            rooms.fleet.allow()
            after = await rooms.wait_status("e", "InService")
            new = rooms.router.instance_ids("e")
            # What is in flight to the old fleet is not cut off.
            assert len(rooms.fleet.running) == 4
            rooms.router.idle.set()
            await until(lambda: len(rooms.fleet.running) == 2)

        assert (during["endpoint_status"], during["endpoint_config_name"]) == (
            "Updating",
            "e-config",
        )
        pending = during["pending_deployment_summary"]
        assert pending["endpoint_config_name"] == "new"
        assert pending["production_variants"][0]["current_instance_count"] == 1
        assert capacities(during) == {"AllTraffic": (2, 2)}
        assert after["endpoint_config_name"] == "new"
        assert "pending_deployment_summary" not in after
        assert len(new) == 2
        assert not set(new) & set(old)
        assert rooms.journal[:3] == [
            "commit endpoint e Updating",
            "commit endpoint e InService",
            "publish e 2",
        ]

    run(scenario())


def test_an_update_that_fails_leaves_the_old_fleet_and_says_why(open_rooms: OpenRooms) -> None:
    """A bad model must cost nobody a request; AWS says so in FailureReason."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("e", instance_count=1)
            await rooms.wait_status("e", "InService")
            old = rooms.router.instance_ids("e")
            await rooms.create_config("new", instance_count=3)
            rooms.fleet.hold()
            await update(rooms, "new")
            await until(lambda: len(rooms.fleet.specs) == 4)
            rooms.fleet.allow()
            await until(lambda: len(rooms.fleet.instances) == 2)
            rooms.fleet.refusals.append("the archive is damaged.")
            rooms.fleet.allow()
            failed = await rooms.wait_status("e", "InService")
            await until(lambda: len(rooms.fleet.running) == 1)
            routed = rooms.router.instance_ids("e")
            # A change that succeeds has nothing more to explain.
            rooms.fleet.allow(10)
            await update(rooms, "new")
            mended = await rooms.wait_status("e", "InService")

        assert failed["endpoint_config_name"] == "e-config"
        assert failed["failure_reason"].endswith("the archive is damaged.")
        assert routed == old
        assert mended["endpoint_config_name"] == "new"
        assert mended["failure_reason"] is None

    run(scenario())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (2, 5.0)),
        ({"retain_all_variant_properties": False}, (2, 5.0)),
        ({"retain_all_variant_properties": True}, (3, 9.0)),
        (
            {
                "retain_all_variant_properties": True,
                "exclude_retained_variant_properties": [
                    {"variant_property_type": "DesiredInstanceCount"}
                ],
            },
            (2, 9.0),
        ),
        (
            {
                "retain_all_variant_properties": True,
                "exclude_retained_variant_properties": [{"variant_property_type": "DesiredWeight"}],
            },
            (3, 5.0),
        ),
    ],
)
def test_variant_properties_are_retained_as_asked(
    open_rooms: OpenRooms, options: dict[str, Any], expected: tuple[int, float]
) -> None:
    """An endpoint that was scaled out must not fall back to one instance by an update."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)
            await rescale(rooms, a={"desired_instance_count": 3})
            await rooms.wait_status("e", "InService")
            await make_config(
                rooms, "c2", variant("a", "m", count=2, weight=5.0), variant("new", "m")
            )
            await update(rooms, "c2", **options)
            described = await rooms.wait_status("e", "InService")

        a, new = described["production_variants"]
        assert (a["current_instance_count"], a["current_weight"]) == expected
        assert (new["variant_name"], new["current_instance_count"]) == ("new", 1)

    run(scenario())


def test_a_failed_update_keeps_what_still_serves(open_rooms: OpenRooms) -> None:
    """An endpoint that limps after a restart is not taken away by an update that did not work."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)
            await make_config(rooms, "c2", variant("a", "m"))

        def prepare(fleet: Any) -> None:
            fleet.hold(2)
            fleet.refusals.append("lost")

        async with open_rooms(prepare) as rooms:
            await rooms.wait_status("e", "InService")
            before = rooms.router.instance_ids("e")
            await until(lambda: len(rooms.fleet.specs) == 3)
            await update(rooms, "c2")
            await until(lambda: len(rooms.fleet.specs) == 4)
            rooms.fleet.refusals.append("new")
            rooms.fleet.allow()
            after = await rooms.wait_status("e", "InService")

            assert len(before) == 1
            assert after["endpoint_config_name"] == "c1"
            assert after["failure_reason"].endswith("new")
            assert before[0] in rooms.router.instance_ids("e")

    run(scenario())


def test_a_newcomer_that_falls_ill_is_waited_for(open_rooms: OpenRooms) -> None:
    """Requests move when all of the new fleet answers, not when each of it once did."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("e")
            await rooms.wait_status("e", "InService")
            old = rooms.router.instance_ids("e")
            await rooms.create_config("new", instance_count=2)
            rooms.fleet.hold(1)
            await update(rooms, "new")
            await until(lambda: len(rooms.fleet.instances) == 2)
            early = rooms.fleet.instances[1]
            early.turn(is_healthy=False)
            rooms.fleet.allow()
            await until(lambda: len(rooms.fleet.instances) == 3)
            await asyncio.sleep(3 * limits.PING_INTERVAL_STARTING_S)
            during = (await rooms.status("e"), rooms.router.instance_ids("e"))
            early.turn(is_healthy=True)
            await rooms.wait_status("e", "InService")

            assert during == ("Updating", old)
            assert len(rooms.router.instance_ids("e")) == 2

    run(scenario())


def test_an_update_whose_old_fleet_is_lost_too_fails_the_endpoint(open_rooms: OpenRooms) -> None:
    """In service means that somebody answers."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await rooms.create_endpoint("e")
            await rooms.wait_status("e", "InService")
            await rooms.create_config("new")
            rooms.fleet.hold()
            await update(rooms, "new")
            await until(lambda: len(rooms.fleet.specs) == 2)
        async with open_rooms(lambda fleet: fleet.refusals.extend(["old", "new"])) as rooms:
            failed = await rooms.wait_status("e", "Failed")
            await rooms.call("DeleteEndpoint", endpoint_name="e")

            assert failed["failure_reason"].endswith("new")
            assert failed["endpoint_config_name"] == "e-config"
            assert rooms.router.routes == {}

    run(scenario())


def test_one_change_at_a_time(open_rooms: OpenRooms) -> None:
    """Two pipelines that deploy at once: one wins, the other is told, in AWS's words."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)
            await make_config(rooms, "c2", variant("a", "m"))
            rooms.fleet.hold()
            outcomes = await asyncio.gather(
                *(update(rooms, "c2") for _ in range(3)),
                rescale(rooms, a={"desired_weight": 1.0}),
                return_exceptions=True,
            )
            with pytest.raises(ConflictError, match="Cannot update in-progress endpoint"):
                await rooms.call("DeleteEndpoint", endpoint_name="e")
            rooms.fleet.allow(10)
            described = await rooms.wait_status("e", "InService")

        assert [type(each) for each in outcomes] == [type(None), *[ConflictError] * 3]
        assert str(outcomes[1]) == (
            'Cannot update in-progress endpoint "arn:aws:sagemaker:us-east-1:000000000000:'
            'endpoint/e".'
        )
        assert described["endpoint_config_name"] == "c2"

    run(scenario())


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("UpdateEndpoint", {"endpoint_config_name": "e-config"}),
        (
            "UpdateEndpointWeightsAndCapacities",
            {
                "desired_weights_and_capacities": [
                    {"variant_name": "AllTraffic", "desired_weight": 1.0}
                ]
            },
        ),
    ],
)
def test_a_failed_endpoint_cannot_be_updated(
    open_rooms: OpenRooms, operation: str, request_: dict[str, Any]
) -> None:
    """DeleteEndpoint is all that AWS allows for one."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            rooms.fleet.refusals.append("no")
            await rooms.create_endpoint("e")
            await rooms.wait_status("e", "Failed")
            with pytest.raises(ConflictError, match="can only be deleted"):
                await rooms.call(operation, endpoint_name="e", **request_)

    run(scenario())


def test_an_update_needs_both_configs(open_rooms: OpenRooms) -> None:
    """AWS finds the new one missing, and the old one too (terraform-provider-aws#40048)."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)
            with pytest.raises(NotFoundError, match='configuration ".*endpoint-config/none"'):
                await update(rooms, "none")
            await make_config(rooms, "c2", variant("a", "m"))
            await rooms.call("DeleteEndpointConfig", endpoint_config_name="c1")
            with pytest.raises(NotFoundError, match='configuration ".*endpoint-config/c1"'):
                await update(rooms, "c2")

            assert await rooms.status("e") == "InService"

    run(scenario())


def test_an_update_is_taken_up_again_after_a_restart(open_rooms: OpenRooms) -> None:
    """What was acknowledged is carried out, and what served serves meanwhile."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)
            await make_config(rooms, "c2", variant("a", "m", count=2))
            rooms.fleet.hold()
            await update(rooms, "c2")
            await until(lambda: len(rooms.fleet.specs) == 4)
        async with open_rooms(lambda fleet: fleet.hold()) as rooms:
            assert await rooms.status("e") == "Updating"
            await until(lambda: len(rooms.fleet.specs) == 2)
            rooms.fleet.allow(2)
            await until(lambda: len(rooms.router.instance_ids("e")) == 2)
            await until(lambda: len(rooms.fleet.specs) == 4)
            during = await rooms.call("DescribeEndpoint", endpoint_name="e")
            rooms.fleet.allow(2)
            after = await rooms.wait_status("e", "InService")

            assert during["endpoint_config_name"] == "c1"
            assert after["endpoint_config_name"] == "c2"
            assert capacities(after) == {"a": (2, 2)}

    run(scenario())


def test_lost_instances_do_not_hold_up_an_update(
    open_rooms: OpenRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet that limps after a restart is just the one that somebody wants to replace."""
    monkeypatch.setattr(limits, "RESTART_BACKOFF_FIRST_S", 0.001)

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await two_variants(rooms)

        def prepare(fleet: Any) -> None:
            fleet.hold(2)
            fleet.refusals.append("busy")

        async with open_rooms(prepare) as rooms:
            await rooms.wait_status("e", "InService")
            await until(lambda: len(rooms.fleet.specs) == 3)
            await rooms.create_model("m2")
            await make_config(rooms, "c2", variant("a", "m2"))
            await update(rooms, "c2")
            await until(lambda: len(rooms.fleet.specs) == 4)
            rooms.fleet.allow(5)
            after = await rooms.wait_status("e", "InService")

            assert capacities(after) == {"a": (1, 1)}
            assert rooms.fleet.cancelled_count == 1

    run(scenario())
