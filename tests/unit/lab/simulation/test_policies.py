"""Policies as boto3 takes them."""

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from windtunnel.autoscaling.decider import Bounds, Suspension
from windtunnel.core.errors import UsageError
from windtunnel.lab.simulation import policies

# Reading botocore's models takes a moment.
pytestmark = pytest.mark.slow

_PREDEFINED = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
_CONFIGURATION: dict[str, Any] = {
    "TargetValue": 70,
    "PredefinedMetricSpecification": _PREDEFINED,
    "ScaleOutCooldown": 60,
}
_PUT: dict[str, Any] = {
    "PolicyName": "follow",
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/unet/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": _CONFIGURATION,
}
_STEPS: dict[str, Any] = {
    "PolicyName": "steps",
    "StepScalingPolicyConfiguration": {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 2}],
        "Cooldown": 120,
    },
}
_ALARM: dict[str, Any] = {
    "AlarmName": "busy",
    "AlarmActions": ["arn:aws:autoscaling:us-east-1:1:scalingPolicy:x:policyName/steps"],
    "Namespace": "AWS/SageMaker",
    "MetricName": "InvocationsPerInstance",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 2,
    "DatapointsToAlarm": 1,
    "Threshold": 50,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
}


def _read(tmp_path: Path, words: object, **given: Any) -> policies.Asked:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(words))
    options = {"capacity_min": None, "capacity_max": 4, "resource_id": None, **given}
    return policies.read(path, **options)


@pytest.mark.parametrize(
    "words",
    [
        _CONFIGURATION,
        _PUT,
        {"ScalingPolicies": [{**_PUT, "PolicyARN": "arn", "CreationTime": 1.0, "Alarms": []}]},
    ],
    ids=["a configuration", "put_scaling_policy", "what describe_scaling_policies answers"],
)
def test_a_policy_is_read_in_each_form_that_users_have_it_in(
    tmp_path: Path, words: dict[str, Any]
) -> None:
    """The file that goes to AWS is the file that is simulated."""
    asked = _read(tmp_path, words)
    (policy,) = asked.setup.tracking

    assert (policy.target, policy.out_cooldown_s, policy.in_cooldown_s) == (70, 60, 300)
    assert policy.metric == "SageMakerVariantInvocationsPerInstance"
    assert asked.setup.bounds == Bounds(1, 4)


def test_what_comes_back_is_what_boto3_takes(tmp_path: Path) -> None:
    """The result is to be put, not to be edited first."""
    words = _read(tmp_path, _CONFIGURATION, resource_id="endpoint/a/variant/b").words()
    model = botocore.session.get_session().get_service_model("application-autoscaling")
    for part, shape in (
        (words["ScalableTarget"], "RegisterScalableTargetRequest"),
        (words["ScalingPolicies"][0], "PutScalingPolicyRequest"),
    ):
        assert not ParamValidator().validate(part, model.shape_for(shape)).has_errors()
        assert part["ResourceId"] == "endpoint/a/variant/b"
    assert words["ScalingPolicies"][0]["PolicyName"] == "mine"


def test_a_sweeps_policy_says_its_own_values_to_boto3(tmp_path: Path) -> None:
    """What is recommended is what was simulated."""
    asked = _read(tmp_path, _PUT).tracked(35.0, 0, 900)
    told = asked.words()["ScalingPolicies"][0]["TargetTrackingScalingPolicyConfiguration"]
    (policy,) = asked.setup.tracking

    assert (policy.target, policy.out_cooldown_s, policy.in_cooldown_s) == (35, 0, 900)
    assert (told["TargetValue"], told["ScaleOutCooldown"], told["ScaleInCooldown"]) == (35, 0, 900)
    assert asked.setup.name == "target 35, cooldowns 0/900 s"


def test_a_whole_target_is_read_with_steps_alarms_and_schedules(tmp_path: Path) -> None:
    """Some teams have all of it on one variant."""
    asked = _read(
        tmp_path,
        {
            "ScalableTarget": {
                "MinCapacity": 2,
                "MaxCapacity": 9,
                "SuspendedState": {"DynamicScalingInSuspended": True},
            },
            "ScalingPolicies": [_PUT, _STEPS],
            "MetricAlarms": [_ALARM],
            "ScheduledActions": [
                {
                    "ScheduledActionName": "morning",
                    "Schedule": "cron(0 6 ? * MON-FRI *)",
                    "Timezone": "Europe/Berlin",
                    "ScalableTargetAction": {"MinCapacity": 4},
                }
            ],
        },
        capacity_max=None,
    )
    (step, watch), = asked.setup.stepping  # fmt: skip

    assert asked.setup.bounds == Bounds(2, 9)
    assert asked.setup.suspension == Suspension(scale_in=True)
    assert (step.cooldown_s, step.steps[0].adjustment) == (120, 2)
    assert (watch.rule.datapoints_to_alarm, watch.rule.evaluation_periods) == (1, 2)
    assert asked.setup.actions[0].capacity_min == 4
    assert set(asked.words()) == {
        "ScalableTarget",
        "ScalingPolicies",
        "ScheduledActions",
        "MetricAlarms",
    }


def _but(**changes: object) -> dict[str, Any]:
    return {**_CONFIGURATION, **changes}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "not a JSON object"),
        (_but(TargetValue="70"), "Invalid type for parameter"),
        (_but(Target=1), "Unknown parameter"),
        (_but(TargetValue=0), "more than 0"),
        (_but(ScaleInCooldown=-1), "negative"),
        (_but(CustomizedMetricSpecification={}), "either a predefined or a customized"),
        (
            _but(
                PredefinedMetricSpecification={"PredefinedMetricType": "ALBRequestCountPerTarget"}
            ),
            "ALBRequestCountPerTarget cannot be worked out",
        ),
        ({**_PUT, "ScalableDimension": "ecs:service:DesiredCount"}, "only sagemaker:variant"),
        ({"ScalingPolicies": []}, "no scaling policy"),
        ({"ScalingPolicies": [_PUT], "Resources": {}}, "Resources, which means nothing"),
        ({"ScalingPolicies": [_STEPS]}, "no alarm triggers steps"),
        (_STEPS["StepScalingPolicyConfiguration"], "no alarm triggers mine: name one in Metric"),
        ({"ScalingPolicies": [_PUT], "MetricAlarms": ["busy"]}, "not a JSON object"),
        ({"ScalingPolicies": [_PUT], "MetricAlarms": [{"Alarm": "busy"}]}, "Missing required"),
        ({"ScalingPolicies": [_PUT, {**_PUT, "PolicyName": "b"}]}, "different metrics"),
        (
            {
                "ScalingPolicies": [_PUT],
                "ScheduledActions": [
                    {
                        "ScheduledActionName": "x",
                        "Schedule": "cron(whenever)",
                        "ScalableTargetAction": {"MinCapacity": 4},
                    }
                ],
            },
            "has 1 fields",
        ),
        (
            {"ScalingPolicies": [_STEPS], "MetricAlarms": [{**_ALARM, "MetricName": "Backlog"}]},
            "AWS/SageMaker/Backlog/Sum cannot be worked out",
        ),
        (
            {"ScalingPolicies": [_STEPS], "MetricAlarms": [{**_ALARM, "DatapointsToAlarm": 3}]},
            "3 of 2 data points",
        ),
    ],
)
def test_what_cannot_be_put_or_simulated_is_refused_in_a_sentence(
    tmp_path: Path, words: object, sentence: str
) -> None:
    """An hour of simulation of something else would be believed."""
    with pytest.raises(UsageError, match=sentence):
        _read(tmp_path, words)


def test_bounds_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    """And a maximum is needed: without one there is nothing to hold on to."""
    with pytest.raises(UsageError, match="the minimum is 5 and the maximum 4"):
        _read(tmp_path, _PUT, capacity_min=5)
    with pytest.raises(UsageError, match="give --max"):
        _read(tmp_path, _PUT, capacity_max=None)
    with pytest.raises(UsageError, match="one instance at least"):
        _read(tmp_path, _PUT, capacity_min=0, capacity_max=0)


def _dimensions(endpoint: str, variant: str) -> list[dict[str, str]]:
    return [
        {"Name": "EndpointName", "Value": endpoint},
        {"Name": "VariantName", "Value": variant},
    ]


def _stepped(action: str, **more: object) -> dict[str, Any]:
    alarm = {**_ALARM, "AlarmActions": [action], "Dimensions": _dimensions("unet", "v1")}
    return {"ScalingPolicies": [{**_STEPS, **more}], "MetricAlarms": [alarm]}


def _arn(region: str, resource_id: str) -> str:
    return (
        f"arn:aws:autoscaling:{region}:1:scalingPolicy:x:resource/sagemaker/{resource_id}:"
        "policyName/steps"
    )


@pytest.mark.parametrize("more", [{}, {"ResourceId": "endpoint/unet/variant/v1"}])
def test_alarms_move_to_the_endpoint_with_their_policies(
    tmp_path: Path, more: dict[str, str]
) -> None:
    """Else one endpoint would be scaled by another one's traffic."""
    words = _stepped("steps", **more)
    stays = _read(tmp_path, words).words()
    moved = _read(tmp_path, words, resource_id="endpoint/foo/variant/v2").words()

    assert stays["ScalableTarget"]["ResourceId"] == "endpoint/unet/variant/v1"
    assert stays["MetricAlarms"][0]["Dimensions"] == _dimensions("unet", "v1")
    assert moved["ScalingPolicies"][0]["ResourceId"] == "endpoint/foo/variant/v2"
    assert moved["MetricAlarms"][0]["Dimensions"] == _dimensions("foo", "v2")


def test_what_watches_another_endpoint_goes_on_to_do_so(tmp_path: Path) -> None:
    """A policy may follow the endpoint before its own."""
    words = _stepped("steps", ResourceId="endpoint/own/variant/v1")
    moved = _read(tmp_path, words, resource_id="endpoint/foo/variant/v2").words()

    assert moved["MetricAlarms"][0]["Dimensions"] == _dimensions("unet", "v1")


@pytest.mark.parametrize(
    ("watched", "expected"), [("unet", ("foo", "v2")), ("other", ("other", "AllTraffic"))]
)
def test_a_metric_of_ones_own_moves_if_it_was_the_old_endpoints(
    tmp_path: Path, watched: str, expected: tuple[str, str]
) -> None:
    """Likewise."""
    metric = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "InvocationsPerInstance",
        "Statistic": "Sum",
        "Dimensions": _dimensions(watched, "AllTraffic"),
    }
    told = {"TargetValue": 70, "CustomizedMetricSpecification": metric}
    words = {**_PUT, "TargetTrackingScalingPolicyConfiguration": told}
    asked = _read(tmp_path, words, resource_id="endpoint/foo/variant/v2").tracked(30, 0, 0)
    (policy,) = asked.words()["ScalingPolicies"]
    put = policy["TargetTrackingScalingPolicyConfiguration"]

    assert put["TargetValue"] == 30
    assert put["CustomizedMetricSpecification"]["Dimensions"] == _dimensions(*expected)


def test_an_alarms_action_is_an_arn_or_says_what_it_must_be_made_of(tmp_path: Path) -> None:
    """PutMetricAlarm takes no name, and PutScalingPolicy alone knows the ARN."""
    own = _arn("us-east-1", "endpoint/unet/variant/v1")
    blank = _arn("REGION", "endpoint/unet/variant/v1").replace(":1:", ":ACCOUNT:")
    blank = blank.replace(":x:", ":UUID:")
    foo = blank.replace("unet/variant/v1", "foo/variant/v2")

    def actions(action: str, resource_id: str | None = None) -> list[str]:
        asked = _read(tmp_path, _stepped(action), resource_id=resource_id)
        # What is written is read again as the same.
        again = _read(tmp_path, asked.words())
        assert again.words() == asked.words()
        assert again.setup.stepping == asked.setup.stepping
        found: list[str] = asked.words()["MetricAlarms"][0]["AlarmActions"]
        return found

    assert actions("steps") == [blank]
    assert actions(own) == [own]
    # Of the old endpoint's policy: it would scale that one.
    assert actions(own, "endpoint/foo/variant/v2") == [foo]
    assert actions("steps", "endpoint/foo/variant/v2") == [foo]


def test_an_alarm_is_read_as_describe_alarms_answers_it(tmp_path: Path) -> None:
    """What the answer has beyond PutMetricAlarm's words is left out."""
    words = _stepped("steps")
    words["MetricAlarms"][0] |= {"StateValue": "OK", "AlarmArn": "arn"}

    assert not {"StateValue", "AlarmArn"} & set(_read(tmp_path, words).words()["MetricAlarms"][0])


def test_a_policy_is_called_as_it_calls_itself_else_as_its_file(tmp_path: Path) -> None:
    """A person knows it by that name."""
    assert _read(tmp_path, _PUT).setup.name == "follow"
    assert _read(tmp_path, _CONFIGURATION).setup.name == "mine"
    assert (
        _read(tmp_path, {"ScalingPolicies": [_PUT, _STEPS], "MetricAlarms": [_ALARM]}).setup.name
        == "mine"
    )


def test_policies_of_one_name_are_told_apart_by_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lines that both say `policy` help nobody."""
    monkeypatch.chdir(tmp_path)
    for name, words in (("a", _CONFIGURATION), ("b", _CONFIGURATION), ("c", _PUT)):
        Path(name).mkdir()
        Path(name, "policy.json").write_text(json.dumps(words))
    asked = [policies.read(Path(name, "policy.json"), 1, 4, None) for name in ("a", "b", "c", "b")]

    assert [each.setup.name for each in policies.told_apart(asked)] == [
        "a/policy",
        "b/policy",
        "follow",
        "b/policy (2)",
    ]
