"""What others do to an endpoint or its alarms, and what scaling makes of it."""

import json
from dataclasses import replace
from typing import Any

from windtunnel.cloud.sagemaker.lifecycle import Event
from windtunnel.cloud.sagemaker.records import Change

# The fixture's types live in conftest.py, which no module can import.
Play = Any


def _updated(played: Any, count: int, *, name: str = "v") -> None:
    """Have an update of the endpoint to another config done."""
    endpoint = played.sagemaker.endpoints["e"]
    variant = replace(endpoint.variants[0], name=name, instance_count=count)
    played.sagemaker.endpoints["e"] = replace(endpoint, config_name="d", variants=(variant,))


def test_an_update_below_the_minimum_is_brought_back(play: Play) -> None:
    """A deployment's InitialInstanceCount must not be what a busy endpoint is left with."""
    played = play()
    played.sagemaker.make(count=3)
    played.register(2, 4)
    played.round()
    _updated(played, 1)
    played.round()

    assert played.sagemaker.asked == [2]
    assert played.activities()[0]["cause"] == "minimum capacity was set to 2"


def test_an_update_within_the_bounds_is_left_alone(play: Play) -> None:
    """It was the owner's choice."""
    played = play()
    played.sagemaker.make(count=3)
    played.register(2, 4)
    played.round()
    _updated(played, 2)
    played.round()
    played.round()

    assert played.sagemaker.asked == []


def test_a_variant_that_an_update_took_away_takes_its_target_along(play: Play) -> None:
    """What cannot scale any more must not be listed as if it did."""
    played = play()
    played.register()
    played.track()
    played.round()
    _updated(played, 1, name="w")
    played.round()

    found = played.ask("DescribeScalableTargets", service_namespace="sagemaker")
    assert found["scalable_targets"] == []
    assert played.states() == {}


def test_an_alarm_that_is_set_off_by_hand_with_data_scales(play: Play) -> None:
    """It is how a policy is tried: botocore says that policies go by StateReasonData."""
    played = play()
    played.register()
    answer = played.scale(
        "PutScalingPolicy",
        policy_name="out",
        policy_type="StepScaling",
        step_scaling_policy_configuration={
            "adjustment_type": "ChangeInCapacity",
            "step_adjustments": [
                {"metric_interval_lower_bound": 0, "metric_interval_upper_bound": 3,
                 "scaling_adjustment": 1},
                {"metric_interval_lower_bound": 3, "scaling_adjustment": 2},
            ],
        },
    )  # fmt: skip
    played.ask(
        "PutMetricAlarm",
        alarm_name="by-hand",
        alarm_actions=[answer["policy_arn"]],
        namespace="X",
        metric_name="y",
        statistic="Average",
        period=60,
        evaluation_periods=1,
        threshold=5.0,
        comparison_operator="GreaterThanThreshold",
    )
    played.round()
    played.ask(
        "SetAlarmState",
        alarm_name="by-hand",
        state_value="ALARM",
        state_reason="a try",
        state_reason_data=json.dumps({"version": "1.0", "recentDatapoints": [9.0]}),
    )
    played.round()

    assert played.sagemaker.asked == [3]
    assert "by-hand in state ALARM triggered policy out" in played.activities()[0]["cause"]


def test_an_alarm_is_set_off_by_hand_between_a_restart_and_its_first_look(play: Play) -> None:
    """What is said to have been seen is about the instances there are, not those before."""
    played = play()
    played.register()
    high = played.track(60.0)["alarms"][0]["alarm_name"]
    played.minutes(3, 100)
    assert played.sagemaker.asked == [2]
    played.round()
    played.restart()
    # A number of so many digits is JSON, and no data point.
    data = json.dumps({"recentDatapoints": [10**400, 120.0]})
    words = {"alarm_name": high, "state_reason": "a try", "state_reason_data": data}
    played.ask("SetAlarmState", state_value="ALARM", **words)
    played.round()

    assert played.sagemaker.asked == [2, 4]


def test_an_update_that_a_restart_finds_under_way_is_followed_too(play: Play) -> None:
    """Its end is seen by a cloud that did not see its beginning."""
    played = play()
    played.sagemaker.make(count=3)
    played.register(2, 4)
    played.round()
    endpoint = played.sagemaker.endpoints["e"]
    change = Change("deployment", "d", endpoint.variants, 0.0)
    updating = endpoint.after(Event.UPDATE_REQUESTED, 0.0, change=change)
    played.sagemaker.endpoints["e"] = updating
    played.restart()
    played.round()
    played.sagemaker.endpoints["e"] = endpoint
    _updated(played, 1)
    played.round()

    assert played.sagemaker.asked == [2]
