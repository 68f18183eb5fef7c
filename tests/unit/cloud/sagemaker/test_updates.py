"""Changes of endpoints that serve: new configs, other weights, more and fewer instances."""

import asyncio
from typing import Any

import pytest
from tests.unit.cloud.sagemaker.scenario import run, until

from windtunnel.cloud.errors import ConflictError, InvalidError, NotFoundError
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.core import limits

# The fixture's types live in conftest.py, which no module can import.
OpenRooms = Any


def _variant(name: str, model: str, count: int = 1, weight: float = 1.0) -> dict[str, Any]:
    return {
        "variant_name": name,
        "model_name": model,
        "instance_type": "ml.c5.xlarge",
        "initial_instance_count": count,
        "initial_variant_weight": weight,
    }


async def _config(rooms: Any, name: str, *variants: dict[str, Any]) -> None:
    await rooms.call(
        "CreateEndpointConfig", endpoint_config_name=name, production_variants=list(variants)
    )


async def _two_variants(rooms: Any) -> None:
    """Leave an endpoint `e` with the variants a (1 instance, weight 9) and b (1, weight 1)."""
    await rooms.create_model("m")
    await _config(rooms, "c1", _variant("a", "m", weight=9.0), _variant("b", "m"))
    await rooms.call("CreateEndpoint", endpoint_name="e", endpoint_config_name="c1")
    await rooms.wait_status("e", "InService")


async def _update(rooms: Any, config: str, **options: Any) -> None:
    await rooms.call("UpdateEndpoint", endpoint_name="e", endpoint_config_name=config, **options)


async def _rescale(rooms: Any, **desired: dict[str, Any]) -> None:
    await rooms.call(
        "UpdateEndpointWeightsAndCapacities",
        endpoint_name="e",
        desired_weights_and_capacities=[
            {"variant_name": name, **values} for name, values in desired.items()
        ],
    )


def _capacities(described: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {
        each["variant_name"]: (each["current_instance_count"], each["desired_instance_count"])
        for each in described["production_variants"]
    }


def test_variants_share_requests_by_their_weights(open_rooms: OpenRooms) -> None:
    """An A/B test is several variants of one endpoint."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await _two_variants(rooms)
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
            await _two_variants(rooms)
            rooms.sagemaker.ask_before_updates(scaled)
            await rooms.create_model("other")
            larger = {"instance_type": "ml.m5.xlarge"}
            await _config(rooms, "a2", {**_variant("a", "m"), **larger}, _variant("b", "m"))
            await _config(rooms, "b2", _variant("a", "other"), {**_variant("b", "m"), **larger})
            with pytest.raises(InvalidError) as caught:
                await _update(rooms, "a2")
            assert await rooms.status("e") == "InService"
            await _update(rooms, "b2")
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
            await _config(
                rooms,
                "c",
                {**_variant("a", "m"), "routing_config": {"routing_strategy": "RANDOM"}},
                _variant("b", "m"),
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
            await _update(rooms, "new")
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
        assert _capacities(during) == {"AllTraffic": (2, 2)}
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
            await _update(rooms, "new")
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
            await _update(rooms, "new")
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
            await _two_variants(rooms)
            await _rescale(rooms, a={"desired_instance_count": 3})
            await rooms.wait_status("e", "InService")
            await _config(
                rooms, "c2", _variant("a", "m", count=2, weight=5.0), _variant("new", "m")
            )
            await _update(rooms, "c2", **options)
            described = await rooms.wait_status("e", "InService")

        a, new = described["production_variants"]
        assert (a["current_instance_count"], a["current_weight"]) == expected
        assert (new["variant_name"], new["current_instance_count"]) == ("new", 1)

    run(scenario())


def test_instances_are_added_one_by_one_and_taken_away(open_rooms: OpenRooms) -> None:
    """Each new instance takes requests as soon as it can: load does not wait for the last one."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await _two_variants(rooms)
            rooms.fleet.hold()
            await _rescale(rooms, a={"desired_instance_count": 3})
            await until(lambda: len(rooms.fleet.specs) == 4)
            rooms.fleet.allow()
            await until(lambda: len(rooms.router.instance_ids("e")) == 3)
            during = await rooms.call("DescribeEndpoint", endpoint_name="e")
            rooms.fleet.allow()
            grown = await rooms.wait_status("e", "InService")
            await _rescale(rooms, a={"desired_instance_count": 1})
            shrunk = await rooms.wait_status("e", "InService")
            await until(lambda: len(rooms.fleet.running) == 2)

            assert during["endpoint_status"] == "Updating"
            assert _capacities(during) == {"a": (2, 3), "b": (1, 1)}
            assert "pending_deployment_summary" not in during
            assert _capacities(grown) == {"a": (3, 3), "b": (1, 1)}
            assert _capacities(shrunk) == {"a": (1, 1), "b": (1, 1)}
            assert len(rooms.router.instance_ids("e")) == 2

    run(scenario())


def test_weights_move_requests_and_nothing_else(open_rooms: OpenRooms) -> None:
    """Traffic is shifted to a new model without starting anything."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await _two_variants(rooms)
            await _rescale(rooms, a={"desired_weight": 0.0}, b={"desired_weight": 2.5})
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
            await _two_variants(rooms)
            before = rooms.router.instance_ids("e")
            rooms.fleet.hold()
            await _rescale(rooms, a={"desired_instance_count": 3, "desired_weight": 1.0})
            await until(lambda: len(rooms.fleet.specs) == 4)
            rooms.fleet.allow()
            await until(lambda: len(rooms.fleet.instances) == 3)
            rooms.fleet.refusals.append("no memory is left.")
            rooms.fleet.allow()
            described = await rooms.wait_status("e", "InService")
            await until(lambda: len(rooms.fleet.running) == 2)

            assert described["failure_reason"].endswith("no memory is left.")
            assert _capacities(described) == {"a": (1, 1), "b": (1, 1)}
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
            await _rescale(rooms, AllTraffic={"desired_instance_count": 1})
            described = await rooms.wait_status("e", "InService")
            await until(lambda: ill.is_stopped)

            assert _capacities(described) == {"AllTraffic": (1, 1)}
            assert rooms.router.instance_ids("e") == [well.id]

    run(scenario())


def test_requests_can_be_moved_off_a_variant_that_is_lost(open_rooms: OpenRooms) -> None:
    """What is missing for another reason is not this change's to wait for, or to fail on."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await _two_variants(rooms)

        def prepare(fleet: Any) -> None:
            fleet.hold(2)
            fleet.refusals.append("lost")

        async with open_rooms(prepare) as rooms:
            await rooms.wait_status("e", "InService")
            (serving,) = [each.name for each in rooms.router.routes["e"] if each.instances]
            (lost,) = {"a", "b"} - {serving}
            await _rescale(rooms, **{lost: {"desired_weight": 0.0}})
            described = await rooms.wait_status("e", "InService")
            weights = {each.name: each.weight for each in rooms.router.routes["e"]}

            assert described["failure_reason"] is None
            assert weights[lost] == 0.0
            assert weights[serving] > 0

    run(scenario())


def test_a_failed_update_keeps_what_still_serves(open_rooms: OpenRooms) -> None:
    """An endpoint that limps after a restart is not taken away by an update that did not work."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await _two_variants(rooms)
            await _config(rooms, "c2", _variant("a", "m"))

        def prepare(fleet: Any) -> None:
            fleet.hold(2)
            fleet.refusals.append("lost")

        async with open_rooms(prepare) as rooms:
            await rooms.wait_status("e", "InService")
            before = rooms.router.instance_ids("e")
            await until(lambda: len(rooms.fleet.specs) == 3)
            await _update(rooms, "c2")
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
            await _update(rooms, "new")
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
            await _update(rooms, "new")
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
            await _two_variants(rooms)
            await _config(rooms, "c2", _variant("a", "m"))
            rooms.fleet.hold()
            outcomes = await asyncio.gather(
                *(_update(rooms, "c2") for _ in range(3)),
                _rescale(rooms, a={"desired_weight": 1.0}),
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
            await _two_variants(rooms)
            with pytest.raises(error, match=words):
                await _rescale(rooms, **desired)
            assert await rooms.status("e") == "InService"

    run(scenario())


def test_an_update_needs_both_configs(open_rooms: OpenRooms) -> None:
    """AWS finds the new one missing, and the old one too (terraform-provider-aws#40048)."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await _two_variants(rooms)
            with pytest.raises(NotFoundError, match='configuration ".*endpoint-config/none"'):
                await _update(rooms, "none")
            await _config(rooms, "c2", _variant("a", "m"))
            await rooms.call("DeleteEndpointConfig", endpoint_config_name="c1")
            with pytest.raises(NotFoundError, match='configuration ".*endpoint-config/c1"'):
                await _update(rooms, "c2")

            assert await rooms.status("e") == "InService"

    run(scenario())


def test_an_update_is_taken_up_again_after_a_restart(open_rooms: OpenRooms) -> None:
    """What was acknowledged is carried out, and what served serves meanwhile."""

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await _two_variants(rooms)
            await _config(rooms, "c2", _variant("a", "m", count=2))
            rooms.fleet.hold()
            await _update(rooms, "c2")
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
            assert _capacities(after) == {"a": (2, 2)}

    run(scenario())


def test_lost_instances_do_not_hold_up_an_update(
    open_rooms: OpenRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet that limps after a restart is just the one that somebody wants to replace."""
    monkeypatch.setattr(limits, "RESTART_BACKOFF_FIRST_S", 0.001)

    async def scenario() -> None:
        async with open_rooms() as rooms:
            await _two_variants(rooms)

        def prepare(fleet: Any) -> None:
            fleet.hold(2)
            fleet.refusals.append("busy")

        async with open_rooms(prepare) as rooms:
            await rooms.wait_status("e", "InService")
            await until(lambda: len(rooms.fleet.specs) == 3)
            await rooms.create_model("m2")
            await _config(rooms, "c2", _variant("a", "m2"))
            await _update(rooms, "c2")
            await until(lambda: len(rooms.fleet.specs) == 4)
            rooms.fleet.allow(5)
            after = await rooms.wait_status("e", "InService")

            assert _capacities(after) == {"a": (1, 1)}
            assert rooms.fleet.cancelled_count == 1

    run(scenario())
