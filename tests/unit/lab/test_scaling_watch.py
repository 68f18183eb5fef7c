"""What is asked of AWS about an endpoint's scaling, and what is made of the answers."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.serving.harness import wait_until

from windtunnel.lab.endpoint import Endpoint, Variant
from windtunnel.lab.scaling_watch import ScalingWatch, activities_since, alarm_since
from windtunnel.lab.target import Target

if TYPE_CHECKING:
    from tests.unit.lab.conftest import Asked, FakeAws

_START_S = 1_795_000_000.0
_VARIANT = Variant("AllTraffic", "ml.c5.large", 1, "m", "image", "s3://b/m", {})
_ENDPOINT = Endpoint("unet", "arn", "InService", "first", (_VARIANT,))
_PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/unet/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
_TARGET = {**_PLACE, "MinCapacity": 1, "MaxCapacity": 4, "RoleARN": "arn", "CreationTime": 0}
_FOLLOW = {
    **_PLACE,
    "PolicyARN": "arn",
    "PolicyName": "follow",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.0, "ScaleOutCooldown": 60},
    "CreationTime": 0,
}
_BURST = {
    **_FOLLOW,
    "PolicyName": "burst",
    "PolicyType": "StepScaling",
    "TargetTrackingScalingPolicyConfiguration": None,
    "StepScalingPolicyConfiguration": {"Cooldown": 30},
}
del _BURST["TargetTrackingScalingPolicyConfiguration"]


def _told(at_s: float, desired: int, **more: object) -> dict[str, Any]:
    return {
        "ActivityId": f"{at_s}",
        **_PLACE,
        "Description": f"Setting desired instance count to {desired}.",
        "Cause": "monitor alarm TargetTracking-x in state ALARM triggered policy follow",
        "StartTime": datetime.fromtimestamp(_START_S + at_s, UTC),
        "EndTime": datetime.fromtimestamp(_START_S + at_s + 1, UTC),
        "StatusCode": "Successful",
        **more,
    }


def test_activities_are_moments_of_the_run_with_the_cooldowns_of_their_policies() -> None:
    """On a warped clock a cooldown of a minute lasts two seconds, and is drawn so."""
    burst = {"Cause": "monitor alarm mine in state ALARM triggered policy burst"}
    bound = {"Cause": "minimum capacity was set to 3"}

    found = activities_since(
        [_told(30, 3, **bound), _told(20, 4, **burst), _told(10, 2)],
        [_FOLLOW, _BURST],
        _START_S,
        30.0,
    )

    assert [(each.at_s, each.previous, each.desired) for each in found] == [
        (10.0, None, 2),
        (20.0, 2, 4),
        (30.0, 4, 3),
    ]
    # 300 s where a policy does not say, as on AWS.
    lengths = [(each.out_cooldown_s, each.in_cooldown_s) for each in found]
    assert lengths == [(2.0, 10.0), (1.0, 1.0), (0.0, 0.0)]


def test_what_was_over_before_the_run_only_says_what_was_there() -> None:
    """An account keeps six weeks of activities; the run was under few of them."""
    old = [_told(-5000, 3), _told(-4000, 2), _told(-3000, 9, StatusCode="Failed"), _told(5, 1)]
    other = _told(6, 1, Description="Setting min capacity to 1")

    (found,) = activities_since([*old, other], [_FOLLOW], _START_S, 1.0)

    assert (found.at_s, found.previous, found.desired) == (5.0, 2, 1)


def test_a_cooldown_that_reaches_into_the_run_is_kept() -> None:
    """It is why nothing happened in the first minutes."""
    (found,) = activities_since([_told(-200, 2)], [_FOLLOW], _START_S, 1.0)

    assert found.at_s == -200.0


def test_the_first_activity_ever_began_from_what_the_run_found() -> None:
    """A new endpoint has no past, and the direction must be known all the same."""
    (found,) = activities_since([_told(5, 4)], [_FOLLOW], _START_S, 1.0, at_first=1)

    assert (found.previous, found.is_out) == (1, True)


def _turn(at_s: float, summary: str) -> dict[str, Any]:
    return {"Timestamp": datetime.fromtimestamp(_START_S + at_s, UTC), "HistorySummary": summary}


def test_an_alarms_state_at_the_start_is_what_its_first_turn_came_from() -> None:
    """DescribeAlarms tells how it stands after the run; the picture begins before."""
    alarm = {
        "AlarmName": "high",
        "MetricName": "InvocationsPerInstance",
        "Threshold": 12.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "StateValue": "OK",
    }
    items = [
        _turn(9, "Alarm updated from ALARM to OK"),
        _turn(4, "Alarm updated from INSUFFICIENT_DATA to ALARM"),
        _turn(5, "something that nobody foresaw"),
    ]

    found = alarm_since(alarm, items, _START_S)

    assert found.before == "INSUFFICIENT_DATA"
    assert found.turns == ((4.0, "ALARM"), (9.0, "OK"))
    assert alarm_since(alarm, [], _START_S).before == "OK"


# boto3 takes a quarter of a second to read each service's model.
@pytest.mark.slow
def test_an_endpoint_that_nothing_scales_is_not_asked_about(aws: "FakeAws", target: Target) -> None:
    """Most runs: not one call more than to find that out."""
    with ScalingWatch(target, _ENDPOINT) as watch:
        pass

    assert watch.told(_START_S) is None
    assert aws.actions() == ["DescribeScalableTargets"]


@pytest.mark.slow
def test_that_nothing_can_be_asked_never_stops_a_run(aws: "FakeAws", target: Target) -> None:
    """A role that invokes may not read all this; its run is worth as much."""
    from tests.unit.lab.conftest import Refusal

    def gate(asked: "Asked") -> None:
        if asked.action != "DescribeScalableTargets":
            raise Refusal(f"You may not {asked.action}.", "AccessDeniedException")

    aws.scalable_targets = [_TARGET]
    aws.gate = gate
    with ScalingWatch(target, _ENDPOINT) as watch:
        pass
    record = watch.told(_START_S)

    assert record is not None
    (variant,) = record.variants
    assert (variant.samples, variant.activities, variant.alarms) == ((), (), ())
    assert len(record.problems) == 3
    for action in ("DescribeEndpoint", "DescribeScalingPolicies", "DescribeScalingActivities"):
        assert any(action in problem for problem in record.problems)


@pytest.mark.slow
def test_instances_are_counted_at_the_start_and_at_the_end(aws: "FakeAws", target: Target) -> None:
    """However short a run is, where it began and where it ended is known."""
    aws.scalable_targets = [_TARGET]
    aws.configs["first"] = {
        "ProductionVariants": [{"VariantName": "AllTraffic", "InitialInstanceCount": 1}]
    }
    aws.endpoints["unet"] = {
        "EndpointName": "unet",
        "EndpointConfigName": "first",
        "described": 0,
    }

    def gate(_asked: "Asked") -> None:
        if aws.actions().count("DescribeEndpoint") > 1:
            aws.instance_counts["AllTraffic"] = 3

    aws.gate = gate
    with ScalingWatch(target, _ENDPOINT) as watch:
        wait_until(lambda: "DescribeEndpoint" in aws.actions(), "the first look")
    record = watch.told(_START_S)

    assert record is not None
    assert [each.current for each in record.variants[0].samples] == [1, 3]
