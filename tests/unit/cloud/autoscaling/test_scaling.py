"""What policies and schedules do with an endpoint, minute by minute."""

from typing import Any

import pytest

# The fixture's types live in conftest.py, which no module can import.
Play = Any


def _counts(played: Any) -> list[int]:
    return list(played.sagemaker.asked)


def test_three_busy_minutes_add_instances_and_fifteen_calm_ones_take_them(play: Play) -> None:
    """This is what a policy is put for."""
    played = play()
    played.register()
    played.track(60.0)
    played.minutes(2, 230)
    assert _counts(played) == []
    played.minutes(1, 230)
    assert _counts(played) == [4]
    played.minutes(14, 60)
    assert _counts(played) == [4]
    played.minutes(1, 60)

    assert _counts(played) == [4, 1]
    played.round()
    scale_in, scale_out = played.activities()
    assert scale_out["description"] == "Setting desired instance count to 4."
    assert scale_out["cause"].startswith("monitor alarm TargetTracking-endpoint/e/variant/v-Alarm")
    assert scale_out["cause"].endswith(" in state ALARM triggered policy p")
    assert scale_out["status_code"] == "Successful"
    assert scale_out["status_message"] == (
        "Successfully set desired instance count to 4. Change successfully fulfilled by sagemaker."
    )
    assert scale_in["description"] == "Setting desired instance count to 1."


def test_alarms_tell_their_states_and_their_past(play: Play) -> None:
    """Whoever asks why an endpoint scaled looks at its alarms first."""
    played = play()
    played.register()
    alarms = played.track(60.0)["alarms"]
    assert played.states() == {"high": "INSUFFICIENT_DATA", "low": "INSUFFICIENT_DATA"}
    played.minutes(3, 230)
    assert played.states() == {"high": "ALARM", "low": "OK"}
    high = alarms[0]["alarm_name"]
    (shown,) = played.ask("DescribeAlarms", alarm_names=[high])["metric_alarms"]
    items = played.ask("DescribeAlarmHistory", alarm_name=high)["alarm_history_items"]

    assert shown["state_reason"].startswith("Threshold Crossed: 3 out of the last 3 datapoints [")
    assert [each["history_summary"] for each in items][-1] == f'Alarm "{high}" created'
    assert "Alarm updated from INSUFFICIENT_DATA to ALARM" in [
        each["history_summary"] for each in items
    ]
    assert items[0]["history_summary"].startswith(
        "Successfully executed action arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:"
    )


@pytest.mark.parametrize("minutes", [1, 15, 40])
def test_a_metric_that_never_arrives_changes_nothing(play: Play, minutes: int) -> None:
    """A broken metric must not take an endpoint's instances away."""
    played = play()
    played.sagemaker.make(count=3)
    played.register()
    played.track()
    played.minutes(minutes, None)

    assert _counts(played) == []
    assert played.states() == {"high": "INSUFFICIENT_DATA", "low": "INSUFFICIENT_DATA"}


def test_an_idle_endpoint_with_a_minimum_of_0_keeps_one_instance(play: Play) -> None:
    """SageMaker takes no real-time variant to zero, whatever the target allows."""
    played = play()
    played.sagemaker.make(count=3)
    played.register(0, 4)
    played.track()
    played.minutes(15, 0)

    assert _counts(played) == [1]


def test_new_bounds_hold_at_once(play: Play) -> None:
    """A maximum is lowered because of what it costs, not for when an alarm goes off."""
    played = play()
    played.register(2, 4)
    played.round()
    played.register(1, 1)
    played.round()
    played.round()

    assert _counts(played) == [2, 1]
    assert [each["cause"] for each in played.activities()] == [
        "maximum capacity was set to 1",
        "minimum capacity was set to 2",
    ]


def test_bounds_that_are_set_during_a_change_hold_after_it(play: Play) -> None:
    """SageMaker takes no second change meanwhile, and the owner's word must not be lost."""
    played = play()
    played.sagemaker.is_prompt = False
    played.register(2, 4)
    played.round()
    played.register(3, 4)
    played.round()
    assert _counts(played) == [2]
    played.sagemaker.settle()
    played.round()

    assert _counts(played) == [2, 3]


def test_an_alarm_at_the_maximum_is_told_of_once_and_only_where_asked(play: Play) -> None:
    """Else a busy night fills the list of activities."""
    played = play()
    played.register(1, 1)
    played.track(10.0)
    played.minutes(6, 500)
    told = played.activities(include_not_scaled_activities=True)

    assert played.activities() == []
    assert [each["status_code"] for each in told] == ["Failed"]
    assert told[0]["description"] == "Attempting to scale due to alarm triggered"
    assert told[0]["not_scaled_reasons"][0]["code"] == "AlreadyAtMaxCapacity"
    assert told[0]["not_scaled_reasons"][0]["max_capacity"] == 1


def test_nothing_is_decided_while_the_endpoint_is_changed(play: Play) -> None:
    """AWS says TargetServicePutResourceAsUnscalable, and tries again with the next data point."""
    played = play()
    played.register()
    played.track(60.0)
    played.sagemaker.is_prompt = False
    played.minutes(3, 110)
    played.minutes(2, 400)
    told = played.activities(include_not_scaled_activities=True)
    assert _counts(played) == [2]
    assert [each["status_code"] for each in told] == ["Failed", "InProgress"]
    assert told[0]["not_scaled_reasons"][0]["code"] == "TargetServicePutResourceAsUnscalable"
    played.sagemaker.settle()
    played.round()

    assert played.activities()[0]["status_code"] == "Successful"


def test_a_change_that_fails_says_why(play: Play) -> None:
    """Too little memory for another instance is what its owner has to know."""
    played = play()
    played.register()
    played.track(60.0)
    played.sagemaker.is_prompt = False
    played.minutes(3, 230)
    played.sagemaker.settle(failure="There is no memory for it.")
    played.round()
    (activity,) = played.activities()

    assert activity["status_code"] == "Failed"
    assert activity["status_message"] == (
        "Failed to set desired instance count to 4. Reason: There is no memory for it."
    )


def test_a_maximum_beyond_what_runs_here_fails_when_it_is_wanted(play: Play) -> None:
    """As on AWS, where an account's quota is found then."""
    played = play()
    played.register(1, 1000)
    played.track(1.0)
    played.minutes(3, 500)
    played.round()

    assert _counts(played) == []
    assert played.activities()[0]["status_code"] == "Failed"
    assert "runs up to 64 instances: 500" in played.activities()[0]["status_message"]


def test_suspended_scaling_does_nothing_until_it_is_resumed(play: Play) -> None:
    """Who investigates an incident suspends scaling first."""
    played = play()
    played.register(suspended_state={"dynamic_scaling_out_suspended": True})
    played.track(60.0)
    played.minutes(5, 230)
    assert _counts(played) == []
    played.register(suspended_state={"dynamic_scaling_out_suspended": False})
    played.minutes(1, 230)

    assert _counts(played) == [4]


def test_a_policy_without_scale_in_owns_one_alarm_and_takes_nothing(play: Play) -> None:
    """DisableScaleIn is for endpoints that somebody else scales in."""
    played = play()
    played.sagemaker.make(count=3)
    played.register()
    alarms = played.track(60.0, disable_scale_in=True)["alarms"]
    played.minutes(20, 0)

    assert len(alarms) == 1
    assert _counts(played) == []


def test_cooldowns_begin_when_the_change_is_complete(play: Play) -> None:
    """Else a slow start would use them up."""
    played = play()
    played.sagemaker.make(count=4)
    played.register()
    played.track(60.0, scale_in_cooldown=600)
    played.minutes(15, 150)
    assert _counts(played) == [3]
    played.round()
    played.minutes(9, 60)
    assert _counts(played) == [3]
    played.minutes(2, 60)

    assert _counts(played) == [3, 1]


@pytest.mark.parametrize("what", ["deleting", "gone", "replaced"])
def test_a_target_goes_with_its_endpoint(play: Play, what: str) -> None:
    """A policy must not wait for the next endpoint of that name."""
    played = play()
    played.register()
    played.track()
    played.clock.advance(1.0)
    if what == "deleting":
        played.sagemaker.delete()
    elif what == "gone":
        del played.sagemaker.endpoints["e"]
    else:
        played.sagemaker.make()
    played.round()

    assert played.ask("DescribeScalableTargets")["scalable_targets"] == []
    assert played.ask("DescribeScalingPolicies")["scaling_policies"] == []
    assert played.ask("DescribeAlarms")["metric_alarms"] == []


def test_what_is_under_way_is_told_of_after_deregistration(play: Play) -> None:
    """The instances are on their way, whatever became of the target."""
    played = play()
    played.register()
    played.track(60.0)
    played.sagemaker.is_prompt = False
    played.minutes(3, 230)
    played.scale("DeregisterScalableTarget")
    played.sagemaker.settle()
    played.round()

    assert played.sagemaker.count() == 4
    assert played.activities()[0]["status_code"] == "Successful"


def test_a_restart_changes_nothing_of_what_was_decided(play: Play) -> None:
    """Whoever restarts a cloud must find cooldowns, states and what was under way as they were."""
    played = play()
    played.register()
    played.track(60.0, scale_in_cooldown=1200)
    played.sagemaker.is_prompt = False
    played.minutes(3, 230)
    before = played.states()
    played.restart()
    assert played.states() == before
    played.sagemaker.settle()
    played.round()
    assert played.activities()[0]["status_code"] == "Successful"
    played.sagemaker.is_prompt = True
    played.minutes(14, 120)
    played.restart()
    # No new instances for the same busy minutes, and a scale-in from where it was.
    played.minutes(1, 120)

    assert _counts(played) == [4, 2]


def test_minutes_in_which_no_cloud_ran_are_missing_data(play: Play) -> None:
    """A cloud that was down for an hour knows nothing of that hour."""
    played = play()
    played.sagemaker.make(count=3)
    played.register()
    played.track(60.0)
    played.minutes(10, 0)
    played.restart()
    played.clock.advance(3600)
    played.minutes(14, 0)
    assert _counts(played) == []
    played.minutes(1, 0)

    assert _counts(played) == [1]


def test_a_clock_that_jumps_changes_nothing_by_itself(play: Play) -> None:
    """A laptop that slept has a gap, not a calm night."""
    played = play()
    played.sagemaker.make(count=3)
    played.register()
    played.track(60.0)
    played.minutes(5, 170)
    played.clock.advance(86_400)
    played.minutes(3, 170)

    assert _counts(played) == []


def test_what_arrives_late_counts(play: Play) -> None:
    """A minute's last requests may be saved after it was looked at."""
    played = play()
    played.register()
    played.track(60.0)
    played.minutes(1, 230)
    played.minutes(1, None)
    played.measure(230.0, age_s=30)
    played.minutes(1, 230)

    assert _counts(played) == [4]


def test_warped_minutes_are_shorter_and_their_counts_are_not_multiplied(play: Play) -> None:
    """A scene of 18 minutes plays in less than two, and says so."""
    played = play(warp=10)
    played.register()
    played.track(60.0)
    played.minutes(3, 230, length_s=6.0)
    assert _counts(played) == [4]
    played.minutes(15, 0, length_s=6.0)

    assert _counts(played) == [4, 1]
    assert "(clock x10)" in played.activities()[0]["details"]
    shown = played.ask("DescribeAlarms")["metric_alarms"][0]
    assert shown["period"] == 60
    assert '"period": 60' in shown["state_reason_data"]
    assert '"clock": "x10"' in shown["state_reason_data"]


def _steps(played: Any, adjustment: int, name: str = "s", **more: Any) -> str:
    steps = [{"metric_interval_lower_bound": 0.0, "scaling_adjustment": adjustment}]
    if adjustment < 0:
        steps = [{"metric_interval_upper_bound": 0.0, "scaling_adjustment": adjustment}]
    answer = played.scale(
        "PutScalingPolicy",
        policy_name=name,
        policy_type="StepScaling",
        step_scaling_policy_configuration={
            "adjustment_type": "ChangeInCapacity",
            "step_adjustments": steps,
            **more,
        },
    )
    return str(answer["policy_arn"])


def _alarm(played: Any, arn: str, **more: Any) -> None:
    played.ask(
        "PutMetricAlarm",
        **{
            "alarm_name": "busy",
            "alarm_actions": [arn],
            "namespace": "AWS/SageMaker",
            "metric_name": "InvocationsPerInstance",
            "dimensions": [
                {"name": "EndpointName", "value": "e"},
                {"name": "VariantName", "value": "v"},
            ],
            "statistic": "Sum",
            "period": 60,
            "evaluation_periods": 2,
            "threshold": 100.0,
            "comparison_operator": "GreaterThanOrEqualToThreshold",
            **more,
        },
    )


def test_a_step_policy_is_triggered_by_an_alarm_that_names_it(play: Play) -> None:
    """A step policy owns no alarm: its owner makes one, and it shows in the policy."""
    played = play()
    played.register()
    arn = _steps(played, 2, cooldown=120)
    _alarm(played, arn)
    (shown,) = played.ask("DescribeScalingPolicies")["scaling_policies"]
    played.minutes(2, 150)
    assert _counts(played) == [3]
    played.round()

    assert [each["alarm_name"] for each in shown["alarms"]] == ["busy"]
    assert played.activities()[0]["cause"] == (
        "monitor alarm busy in state ALARM triggered policy s"
    )


def test_an_alarm_whose_actions_are_off_scales_nothing(play: Play) -> None:
    """It goes off and is looked at; that is what it was switched off for."""
    played = play()
    played.register()
    _alarm(played, _steps(played, 2))
    played.ask("DisableAlarmActions", alarm_names=["busy"])
    played.minutes(4, 150)
    assert _counts(played) == []
    played.ask("EnableAlarmActions", alarm_names=["busy"])
    played.minutes(1, 150)

    assert _counts(played) == [3]


def test_a_state_that_is_set_by_hand_triggers_the_policy(play: Play) -> None:
    """That is how a policy is tried out; the next look puts the state right."""
    played = play()
    played.register()
    _alarm(played, _steps(played, 1), threshold=1.0, evaluation_periods=1)
    played.minutes(1, 0.5)
    played.ask("SetAlarmState", alarm_name="busy", state_value="ALARM", state_reason="a try")
    played.round()
    assert played.ask("DescribeAlarms")["metric_alarms"][0]["state_reason"] == "a try"
    played.minutes(1, 0.5)

    assert played.ask("DescribeAlarms")["metric_alarms"][0]["state_value"] == "OK"


def test_an_alarm_whose_policy_is_gone_says_that_its_action_failed(play: Play) -> None:
    """Policies are deleted and their alarms forgotten; the history is where one looks then."""
    played = play()
    played.register()
    gone = _steps(played, 1, name="gone")
    _alarm(played, gone, alarm_actions=[gone, _steps(played, 1, name="there")])
    played.scale("DeleteScalingPolicy", policy_name="gone")
    played.ask("SetAlarmState", alarm_name="busy", state_value="ALARM", state_reason="a try")
    items = played.ask("DescribeAlarmHistory", alarm_name="busy", history_item_type="Action")
    told = [each["history_summary"] for each in items["alarm_history_items"]]

    assert sorted(each.split(" arn:")[0] for each in told) == [
        "Failed to execute action",
        "Successfully executed action",
    ]
    (failed,) = (each for each in told if each.startswith("Failed"))
    assert failed == (f'Failed to execute action {gone}. Received error: "No scaling policy found"')


def test_a_deleted_alarm_of_a_policy_makes_it_inert(play: Play) -> None:
    """AWS warns of it; here it shows as there."""
    played = play()
    played.register()
    high = played.track(60.0)["alarms"][0]["alarm_name"]
    played.ask("DeleteAlarms", alarm_names=[high])
    played.minutes(5, 500)

    assert _counts(played) == []


def test_scheduled_actions_set_bounds_when_they_are_due(play: Play) -> None:
    """Capacity is there before the day begins."""
    played = play()
    played.register(1, 4)
    for name, schedule, bounds in (
        ("morning", "at(2023-11-14T23:05:00)", {"min_capacity": 3, "max_capacity": 6}),
        ("evening", "cron(10 23 * * ? *)", {"min_capacity": 1, "max_capacity": 2}),
    ):
        played.scale(
            "PutScheduledAction",
            scheduled_action_name=name,
            schedule=schedule,
            scalable_target_action=bounds,
        )
    played.minutes(4, None)
    assert _counts(played) == []
    played.minutes(1, None)
    assert _counts(played) == [3]
    played.minutes(5, None)
    (shown,) = played.ask("DescribeScalableTargets")["scalable_targets"]

    assert _counts(played) == [3, 2]
    assert (shown["min_capacity"], shown["max_capacity"]) == (1, 2)
    assert [(each["description"], each["cause"]) for each in played.activities()][2:] == [
        ("Setting desired instance count to 3.", "minimum capacity was set to 3"),
        (
            "Setting min capacity to 3 and max capacity to 6",
            "scheduled action name morning was triggered",
        ),
    ]


def test_suspended_schedules_are_skipped_for_good(play: Play) -> None:
    """On resuming, AWS does not make up for them."""
    played = play()
    played.register(suspended_state={"scheduled_scaling_suspended": True})
    played.scale(
        "PutScheduledAction",
        scheduled_action_name="a",
        schedule="at(2023-11-14T23:02:00)",
        scalable_target_action={"min_capacity": 3},
    )
    played.minutes(3, None)
    played.register(suspended_state={"scheduled_scaling_suspended": False})
    played.minutes(3, None)

    assert _counts(played) == []


def test_rates_pass_at_the_clouds_tempo(play: Play) -> None:
    """A schedule that takes an hour on AWS takes six minutes in a cloud of `clock x10`."""
    played = play(warp=10)
    played.register()
    played.scale(
        "PutScheduledAction",
        scheduled_action_name="a",
        schedule="rate(10 minutes)",
        scalable_target_action={"min_capacity": 2},
    )
    played.minutes(9, None, length_s=6.0)
    assert _counts(played) == []
    played.minutes(1, None, length_s=6.0)

    assert _counts(played) == [2]
