"""What is said of scaling policies before a run."""

from typing import TYPE_CHECKING, Any

import pytest

from windtunnel.lab import scaling
from windtunnel.lab.endpoint import Endpoint, Variant
from windtunnel.lab.target import Target

if TYPE_CHECKING:
    from tests.unit.lab.conftest import Asked, FakeAws

# boto3 takes a quarter of a second to read each service's model.
pytestmark = pytest.mark.slow

_RESOURCE = "endpoint/unet/variant/AllTraffic"
_VARIANT = Variant("AllTraffic", "ml.c5.large", 1, "m", "image", "s3://b/m", {})
_ENDPOINT = Endpoint("unet", "arn", "InService", "first", (_VARIANT,))
_TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": _RESOURCE,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    "MinCapacity": 1,
    "MaxCapacity": 4,
    "RoleARN": "arn",
    "CreationTime": 0,
}


def _policy(name: str, **more: object) -> dict[str, Any]:
    return {
        "PolicyARN": "arn",
        "PolicyName": name,
        "ServiceNamespace": "sagemaker",
        "ResourceId": _RESOURCE,
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "CreationTime": 0,
        **more,
    }


def _tracking(name: str, specification: dict[str, Any]) -> dict[str, Any]:
    return _policy(
        name,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={"TargetValue": 70.0, **specification},
    )


_FOLLOW = _tracking(
    "follow",
    {
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        }
    },
)


def test_a_policy_that_will_change_the_endpoint_is_told_with_what_it_aims_at(
    aws: "FakeAws", target: Target
) -> None:
    """One instance at the start, four at the end: the percentiles are of neither."""
    aws.scalable_targets = [_TARGET, {**_TARGET, "ResourceId": "endpoint/other/variant/AllTraffic"}]
    aws.scaling_policies = [_FOLLOW]

    assert scaling.notes(target, _ENDPOINT) == [
        "a scaling policy may change variant AllTraffic between 1 and 4 instances during the run: "
        "follow (keeps SageMakerVariantInvocationsPerInstance at 70); its numbers then average "
        "over different fleets, and its cost follows"
    ]


def test_every_kind_of_policy_has_a_name_and_what_is_known_of_it(
    aws: "FakeAws", target: Target
) -> None:
    """People have several; the one that fires is the one they forgot."""
    aws.scalable_targets = [_TARGET]
    own = {"CustomizedMetricSpecification": {"MetricName": "Queue"}}
    aws.scaling_policies = [
        _tracking("own", own),
        _tracking("formula", {"CustomizedMetricSpecification": {"Metrics": []}}),
        _policy("burst", PolicyType="StepScaling", StepScalingPolicyConfiguration={}),
        _policy("daily", PolicyType="PredictiveScaling"),
    ]

    (note,) = scaling.notes(target, _ENDPOINT)

    assert note.startswith("scaling policies may change variant AllTraffic")
    assert (
        ": own (keeps Queue at 70), formula (keeps a formula at 70), burst (steps), "
        "daily (a forecast); "
    ) in note


@pytest.mark.parametrize(
    "scalable",
    [
        None,
        [],
        [{**_TARGET, "MaxCapacity": 1}],
        [
            {
                **_TARGET,
                "SuspendedState": {
                    "DynamicScalingInSuspended": True,
                    "DynamicScalingOutSuspended": True,
                },
            }
        ],
    ],
    ids=["no such service", "nothing set", "no room", "suspended"],
)
def test_where_nothing_will_change_nothing_is_said(
    aws: "FakeAws", target: Target, scalable: list[dict[str, Any]] | None
) -> None:
    """A note on every run is a note that nobody reads."""
    aws.scalable_targets = scalable
    aws.scaling_policies = [_FOLLOW]

    assert scaling.notes(target, _ENDPOINT) == []


def test_whoever_may_not_ask_is_told_that_it_is_not_known(aws: "FakeAws", target: Target) -> None:
    """Few roles that invoke may read scaling policies; silence would read as none."""
    from tests.unit.lab.conftest import Refusal

    def gate(asked: "Asked") -> None:
        if asked.action == "DescribeScalableTargets":
            raise Refusal("You may not look at this.", "AccessDeniedException")

    aws.gate = gate

    (note,) = scaling.notes(target, _ENDPOINT)

    assert note.startswith("whether a scaling policy changes the endpoint during the run could not")
    assert "You may not look at this" in note
