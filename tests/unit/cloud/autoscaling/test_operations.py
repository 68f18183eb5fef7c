"""Application Auto Scaling's operations: what they keep, and what they refuse in which words."""

from typing import Any

import pytest

from windtunnel.cloud.cloudwatch.errors import TokenError
from windtunnel.cloud.errors import InvalidError, NotFoundError

# The fixture's types live in conftest.py, which no module can import.
Play = Any


def test_a_target_is_shown_as_it_was_registered(play: Play) -> None:
    """Scripts read back what they wrote."""
    played = play()
    arn = played.register(1, 4, tags={"team": "a"})["scalable_target_arn"]
    (shown,) = played.ask("DescribeScalableTargets")["scalable_targets"]

    assert arn == shown["scalable_target_arn"]
    assert (shown["min_capacity"], shown["max_capacity"]) == (1, 4)
    assert not any(shown["suspended_state"].values())
    assert shown["role_arn"].endswith("AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint")
    assert played.ask("ListTagsForResource", resource_arn=arn) == {"tags": {"team": "a"}}


def test_registering_again_changes_what_is_named_alone(play: Play) -> None:
    """AWS: any parameters that are not specified are not changed by the request."""
    played = play()
    first = played.register(suspended_state={"scheduled_scaling_suspended": True})
    played.scale("RegisterScalableTarget", max_capacity=8)
    second = played.scale(
        "RegisterScalableTarget", suspended_state={"dynamic_scaling_in_suspended": True}
    )
    (shown,) = played.ask("DescribeScalableTargets")["scalable_targets"]

    assert first == second
    assert (shown["min_capacity"], shown["max_capacity"]) == (1, 8)
    assert shown["suspended_state"] == {
        "dynamic_scaling_in_suspended": True,
        "dynamic_scaling_out_suspended": False,
        "scheduled_scaling_suspended": True,
    }


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"min_capacity": 5, "max_capacity": 4}, "Maximum capacity cannot be less than minimum"),
        ({"min_capacity": -1, "max_capacity": 4}, "Minimum capacity must be greater than or equal"),
        ({"min_capacity": 1}, "MinCapacity and MaxCapacity must be specified"),
        (
            {"resource_id": "endpoint/nobody/variant/v", "min_capacity": 1, "max_capacity": 2},
            'Could not find endpoint "nobody".',
        ),
        (
            {"resource_id": "endpoint/e/variant/x", "min_capacity": 1, "max_capacity": 2},
            'Endpoint "e" has no variant x: its variants are v.',
        ),
        (
            {"resource_id": "table/e", "min_capacity": 1, "max_capacity": 2},
            "Unsupported service namespace, resource type or scalable dimension",
        ),
        (
            {"resource_id": "endpoint/t2/variant/v", "min_capacity": 1, "max_capacity": 2},
            "You cannot register a variant with ml.t2.medium instance type as a scalable target.",
        ),
    ],
)
def test_a_target_that_cannot_be_is_refused(
    play: Play, request_: dict[str, Any], words: str
) -> None:
    """Each refusal says which of the words is wrong."""
    played = play()
    played.sagemaker.make("t2", instance_type="ml.t2.medium")
    request = {"resource_id": "endpoint/e/variant/v", **request_}
    with pytest.raises(InvalidError) as caught:
        played.ask("RegisterScalableTarget", **request)

    assert caught.value.message.startswith(words)
    assert played.ask("DescribeScalableTargets")["scalable_targets"] == []


def test_bounds_that_contradict_the_old_ones_are_refused(play: Play) -> None:
    """A minimum alone may pass the maximum that is there."""
    played = play()
    played.register(1, 4)
    with pytest.raises(InvalidError, match="cannot be less than minimum"):
        played.scale("RegisterScalableTarget", min_capacity=5)


def test_a_policy_before_its_target_is_refused_in_awss_words(play: Play) -> None:
    """Terraform and the CDK wait for this error."""
    with pytest.raises(NotFoundError) as caught:
        play().track()

    assert caught.value.message == (
        "No scalable target registered for service namespace: sagemaker, resource ID: "
        "endpoint/e/variant/v, scalable dimension: sagemaker:variant:DesiredInstanceCount"
    )


def test_a_policy_put_twice_keeps_its_arn_and_gets_new_alarms(play: Play) -> None:
    """The alarms of its old target must not go off any more."""
    played = play()
    played.register()
    first = played.track(60.0)
    second = played.track(70.0)
    (shown,) = played.ask("DescribeScalingPolicies")["scaling_policies"]
    alarms = played.ask("DescribeAlarms")["metric_alarms"]

    assert first["policy_arn"] == second["policy_arn"] == shown["policy_arn"]
    assert {each["alarm_name"] for each in alarms} == {
        each["alarm_name"] for each in second["alarms"]
    }
    assert not {each["alarm_name"] for each in first["alarms"]} & {
        each["alarm_name"] for each in second["alarms"]
    }
    assert sorted(each["threshold"] for each in alarms) == [63.0, 70.0]
    assert shown["alarms"] == second["alarms"]


def test_a_policys_alarms_are_aws_own(play: Play) -> None:
    """Tools find them by their names and tell them by their descriptions."""
    played = play()
    played.register()
    policy = played.track(60.0)
    high, low = played.ask("DescribeAlarms")["metric_alarms"]

    assert high["alarm_name"].startswith("TargetTracking-endpoint/e/variant/v-AlarmHigh-")
    assert low["alarm_name"].startswith("TargetTracking-endpoint/e/variant/v-AlarmLow-")
    assert high["alarm_actions"][0].startswith(f"{policy['policy_arn']}:createdBy/")
    assert high["alarm_description"] == (
        f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {high['alarm_actions'][0]}."
    )
    assert (high["evaluation_periods"], low["evaluation_periods"]) == (3, 15)
    assert (high["threshold"], low["threshold"]) == (60.0, 54.0)
    assert high["treat_missing_data"] == "missing"
    assert (high["metric_name"], high["statistic"]) == ("InvocationsPerInstance", "Sum")


def test_high_resolution_goes_out_by_ten_seconds_and_in_by_the_minute(play: Play) -> None:
    """That is what the metric is chosen for."""
    played = play()
    played.register()
    kind = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    played.track(5.0, predefined_metric_specification={"predefined_metric_type": kind})
    high, low = played.ask("DescribeAlarms")["metric_alarms"]

    assert (high["period"], low["period"]) == (10, 60)
    assert high["metric_name"] == "ConcurrentRequestsPerModel"


_OWN = {"metric_name": "Queue", "namespace": "Own", "statistic": "Average"}


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"target_value": 0.0}, "TargetValue must be a finite number above 0"),
        ({"target_value": float("nan")}, "TargetValue must be a finite number above 0"),
        ({"scale_in_cooldown": -1}, "ScaleInCooldown must be greater than or equal to 0"),
        ({"customized_metric_specification": _OWN}, "Exactly one of PredefinedMetric"),
        (
            {"predefined_metric_specification": {"predefined_metric_type": "ECSServiceAverage"}},
            "Scalable dimension sagemaker:variant:DesiredInstanceCount only supports the following "
            "predefined metric types: SageMakerVariantInvocationsPerInstance, ",
        ),
        (
            {
                "predefined_metric_specification": None,
                "customized_metric_specification": {"namespace": "Own", "statistic": "Sum"},
            },
            "CustomizedMetricSpecification must have a MetricName.",
        ),
    ],
)
def test_a_tracking_policy_that_cannot_be_is_refused(
    play: Play, configuration: dict[str, Any], words: str
) -> None:
    """And nothing of it stays: no alarm without a policy."""
    played = play()
    played.register()
    target = configuration.pop("target_value", 60.0)
    with pytest.raises(InvalidError) as caught:
        played.track(target, **configuration)

    assert caught.value.message.startswith(words)
    assert played.ask("DescribeAlarms")["metric_alarms"] == []
    assert played.ask("DescribeScalingPolicies")["scaling_policies"] == []


def _track_own(played: Any, name: str, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = played.track(
        5.0,
        name,
        predefined_metric_specification=None,
        customized_metric_specification={**_OWN, **more},
    )
    return answer


def test_two_policies_may_not_follow_one_metric(play: Play) -> None:
    """AWS refuses the second, and so it would be missed only after the deployment."""
    refusal = "Only one TargetTrackingScaling policy for a given metric specification is allowed."
    played = play()
    played.register()
    played.track(60.0, "one")
    one, other = {"name": "a", "value": "1"}, {"name": "b", "value": "2"}
    _track_own(played, "own", dimensions=[one, other])
    with pytest.raises(InvalidError) as caught:
        played.track(70.0, "two")
    with pytest.raises(InvalidError) as caught_too:
        _track_own(played, "two", dimensions=[other, one], unit="Count")
    with pytest.raises(InvalidError) as caught_moving:
        played.track(60.0, "own")
    shown = played.ask("DescribeScalingPolicies")["scaling_policies"]

    assert caught.value.message == refusal
    assert caught_too.value.message == refusal
    assert caught_moving.value.message == refusal
    assert [each["policy_name"] for each in shown] == ["one", "own"]
    assert len(played.ask("DescribeAlarms")["metric_alarms"]) == 4


@pytest.mark.parametrize(
    "more",
    [
        {"dimensions": [{"name": "a", "value": "1"}]},
        {"statistic": "Sum"},
        {"namespace": "Another"},
        {"metric_name": "Depth"},
    ],
)
def test_policies_on_different_metrics_are_taken(play: Play, more: dict[str, Any]) -> None:
    """A target may follow its queue and its invocations; other targets are no concern of it."""
    played = play()
    played.register()
    played.track(60.0)
    _track_own(played, "own")
    _track_own(played, "another", **more)
    _track_own(played, "own")

    assert len(played.ask("DescribeScalingPolicies")["scaling_policies"]) == 3


def test_which_variants_scale_is_known_of_each_endpoint(play: Play) -> None:
    """What UpdateEndpoint asks; an endpoint of the same name that came later is another."""
    played = play()
    before = played.run(played.scaling.scaled_variants(played.sagemaker.endpoints["e"]))
    played.register()
    then = played.run(played.scaling.scaled_variants(played.sagemaker.endpoints["e"]))
    played.clock.advance(1.0)
    played.sagemaker.make()
    later = played.run(played.scaling.scaled_variants(played.sagemaker.endpoints["e"]))

    assert (before, then, later) == (frozenset(), {"v"}, frozenset())


def test_a_customized_metric_is_watched_as_it_is_named(play: Play) -> None:
    """Queues and GPUs are what predefined metrics do not know."""
    played = play()
    played.register()
    own = {**_OWN, "dimensions": [{"name": "Name", "value": "q"}]}
    played.track(5.0, predefined_metric_specification=None, customized_metric_specification=own)
    high, _ = played.ask("DescribeAlarms")["metric_alarms"]

    assert (high["namespace"], high["metric_name"], high["statistic"]) == (
        "Own",
        "Queue",
        "Average",
    )
    assert high["dimensions"] == own["dimensions"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"policy_type": "StepScaling"}, "StepScalingPolicyConfiguration must be specified"),
        (
            {
                "policy_type": "StepScaling",
                "step_scaling_policy_configuration": {
                    "adjustment_type": "ChangeInCapacity",
                    "step_adjustments": [
                        {"metric_interval_lower_bound": 0.0, "scaling_adjustment": 1},
                        {"metric_interval_lower_bound": 5.0, "scaling_adjustment": 2},
                    ],
                },
            },
            "At most one step adjustment can have an unspecified upper bound.",
        ),
        (
            {
                "policy_type": "TargetTrackingScaling",
                "step_scaling_policy_configuration": {"adjustment_type": "ExactCapacity"},
            },
            "A policy of type TargetTrackingScaling takes no StepScalingPolicyConfiguration.",
        ),
    ],
)
def test_a_step_policy_that_cannot_be_is_refused(
    play: Play, words: dict[str, Any], message: str
) -> None:
    """A gap between steps is found when it is put, not when it is needed."""
    played = play()
    played.register()
    with pytest.raises(InvalidError) as caught:
        played.scale("PutScalingPolicy", policy_name="s", **words)

    assert caught.value.message.startswith(message)


def test_deleting_what_is_not_there_is_said_in_awss_words(play: Play) -> None:
    """Clean-up scripts tell by it that they are done."""
    played = play()
    place = (
        "for service namespace: sagemaker, resource ID: endpoint/e/variant/v, scalable dimension: "
        "sagemaker:variant:DesiredInstanceCount"
    )
    for operation, words, message in (
        ("DeregisterScalableTarget", {}, f"No scalable target found {place}"),
        (
            "DeleteScalingPolicy",
            {"policy_name": "p"},
            f"No scaling policy found {place}, policy name: p",
        ),
        (
            "DeleteScheduledAction",
            {"scheduled_action_name": "a"},
            f"No scheduled action found {place}, scheduled action name: a",
        ),
    ):
        with pytest.raises(NotFoundError) as caught:
            played.scale(operation, **words)
        assert caught.value.message == message


def test_deregistering_takes_policies_alarms_and_schedules_with_it(play: Play) -> None:
    """Nothing must go off for a target that is none any more."""
    played = play()
    played.register()
    played.track()
    played.scale(
        "PutScheduledAction",
        scheduled_action_name="a",
        schedule="rate(1 hour)",
        scalable_target_action={"min_capacity": 2},
    )
    played.scale("DeregisterScalableTarget")

    assert played.ask("DescribeScalableTargets")["scalable_targets"] == []
    assert played.ask("DescribeScalingPolicies")["scaling_policies"] == []
    assert played.ask("DescribeScheduledActions")["scheduled_actions"] == []
    assert played.ask("DescribeAlarms")["metric_alarms"] == []


def test_deleting_a_policy_takes_its_alarms_with_it(play: Play) -> None:
    """AWS: deleting a target tracking policy deletes the alarms that were made for it."""
    played = play()
    played.register()
    played.track(name="one")
    kept = _track_own(played, "two", metric_name="Queue")["alarms"]
    played.scale("DeleteScalingPolicy", policy_name="one")

    assert {each["alarm_name"] for each in played.ask("DescribeAlarms")["metric_alarms"]} == {
        each["alarm_name"] for each in kept
    }


def test_what_was_acknowledged_outlives_the_cloud(play: Play) -> None:
    """Targets, policies, schedules, tags and alarms are in the store before they are answered."""
    played = play()
    played.register(tags={"a": "b"})
    played.track()
    played.scale(
        "PutScheduledAction",
        scheduled_action_name="a",
        schedule="cron(0 8 ? * MON-FRI *)",
        timezone="Europe/Berlin",
        scalable_target_action={"min_capacity": 2},
    )
    asked = (
        "DescribeScalableTargets",
        "DescribeScalingPolicies",
        "DescribeScheduledActions",
        "DescribeAlarms",
        "DescribeAlarmHistory",
    )
    before = [played.ask(operation) for operation in asked]
    played.restart()

    assert [played.ask(operation) for operation in asked] == before


def test_pages_hold_what_was_asked_for_and_tokens_belong_to_them(play: Play) -> None:
    """Fifty policies come in five answers, each once."""
    played = play()
    played.register()
    for number in range(12):
        _track_own(played, f"p{number:02}", metric_name=f"M{number}")
    first = played.ask("DescribeScalingPolicies")
    second = played.ask("DescribeScalingPolicies", next_token=first["next_token"])
    names = [each["policy_name"] for each in first["scaling_policies"] + second["scaling_policies"]]

    assert names == [f"p{number:02}" for number in range(12)]
    assert second["next_token"] is None
    with pytest.raises(TokenError):
        played.ask("DescribeScalingPolicies", next_token="bm9uZQ==")
    with pytest.raises(InvalidError, match="Value '11' at 'maxResults' failed"):
        played.ask("DescribeScalingPolicies", max_results=11)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "Schedule must be specified"),
        ({"schedule": "every day"}, "The schedule 'every day' is none"),
        ({"schedule": "cron(0 8 * * * *)", "timezone": "Mars"}, "There is no time zone 'Mars'"),
        ({"schedule": "rate(1 hour)", "scalable_target_action": {}}, "ScalableTargetAction must"),
        (
            {"schedule": "rate(1 hour)", "start_time": 20.0, "end_time": 10.0},
            "StartTime must be before EndTime.",
        ),
        (
            {
                "schedule": "rate(1 hour)",
                "scalable_target_action": {"min_capacity": 3, "max_capacity": 2},
            },
            "Maximum capacity cannot be less than minimum capacity",
        ),
    ],
)
def test_a_scheduled_action_that_cannot_be_is_refused(
    play: Play, words: dict[str, Any], message: str
) -> None:
    """A schedule that never comes is found when it is put."""
    played = play()
    played.register()
    request = {"scalable_target_action": {"min_capacity": 2}, **words}
    with pytest.raises(InvalidError) as caught:
        played.scale("PutScheduledAction", scheduled_action_name="a", **request)

    assert caught.value.message.startswith(message)


def test_tags_come_and_go(play: Play) -> None:
    """Costs are told apart by them."""
    played = play()
    arn = played.register()["scalable_target_arn"]
    played.ask("TagResource", resource_arn=arn, tags={"a": "1", "b": "2"})
    played.ask("UntagResource", resource_arn=arn, tag_keys=["a", "none"])

    assert played.ask("ListTagsForResource", resource_arn=arn) == {"tags": {"b": "2"}}
    with pytest.raises(NotFoundError):
        played.ask("ListTagsForResource", resource_arn=arn + "x")


def test_a_policy_may_follow_an_expression(play: Play) -> None:
    """Requests a second for each instance are a metric divided by another."""
    played = play()
    played.register()
    metrics = [
        {
            "id": name,
            "metric_stat": {
                "metric": {
                    "namespace": "AWS/SageMaker",
                    "metric_name": "InvocationsPerInstance",
                    "dimensions": [
                        {"name": "EndpointName", "value": "e"},
                        {"name": "VariantName", "value": "v"},
                    ],
                },
                "stat": "Sum",
            },
            "return_data": False,
        }
        for name in ("a", "b")
    ]
    metrics.append({"id": "c", "expression": "(a + b) / 2", "return_data": True})
    played.track(
        60.0,
        predefined_metric_specification=None,
        customized_metric_specification={"metrics": metrics},
    )
    (shown,) = played.ask("DescribeScalingPolicies")["scaling_policies"]
    played.minutes(3, 230)

    configuration = shown["target_tracking_scaling_policy_configuration"]
    assert configuration["customized_metric_specification"] == {"metrics": metrics}
    assert played.sagemaker.asked == [4]
    with pytest.raises(InvalidError, match="Exactly one element of the metrics list"):
        played.track(
            60.0,
            predefined_metric_specification=None,
            customized_metric_specification={"metrics": metrics[:2]},
        )
    with pytest.raises(InvalidError, match="either Metrics or a MetricName, not both"):
        played.track(
            60.0,
            predefined_metric_specification=None,
            customized_metric_specification={"metrics": metrics, "metric_name": "M"},
        )
