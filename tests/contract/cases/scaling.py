"""Application Auto Scaling's operations, each on an endpoint of its case's name."""

from collections.abc import Callable
from typing import Any

from tests.contract.samples import Cases

_DIMENSION = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
_TRACKING = {
    "TargetValue": 70.0,
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    },
    "ScaleInCooldown": 500,
    "ScaleOutCooldown": 30,
}


def _target_of(name: str) -> str:
    return f"endpoint/{name}/variant/AllTraffic"


def _scaled_then(
    operation: str, *, bare: bool = False, **request: Any
) -> Callable[[Any, str], Any]:
    """Return a call on the endpoint of a name, with a target, a policy and a scheduled action.

    In a request {resource} is the target's, {arn} its own name; `bare` leaves out the dimension.
    """

    def call(client: Any, name: str) -> Any:
        target = {**_DIMENSION, "ResourceId": _target_of(name)}
        made = client.register_scalable_target(
            **target, MinCapacity=1, MaxCapacity=4, Tags={"made-by": "contract"}
        )
        client.put_scaling_policy(
            **target,
            PolicyName="follow",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=_TRACKING,
        )
        client.put_scheduled_action(
            **target,
            ScheduledActionName="morning",
            Schedule="cron(0 8 * * ? *)",
            Timezone="Europe/Berlin",
            ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 4},
        )
        told = {
            key: value.format(resource=_target_of(name), arn=made["ScalableTargetARN"])
            if isinstance(value, str)
            else value
            for key, value in request.items()
        }
        return getattr(client, operation)(**({} if bare else _DIMENSION), **told)

    return call


CASES: Cases = {
    ("application-autoscaling", "RegisterScalableTarget"): _scaled_then(
        "register_scalable_target",
        ResourceId="{resource}",
        MaxCapacity=3,
        SuspendedState={"DynamicScalingInSuspended": True},
    ),
    ("application-autoscaling", "DescribeScalableTargets"): _scaled_then(
        "describe_scalable_targets"
    ),
    ("application-autoscaling", "DeregisterScalableTarget"): _scaled_then(
        "deregister_scalable_target", ResourceId="{resource}"
    ),
    ("application-autoscaling", "PutScalingPolicy"): _scaled_then(
        "put_scaling_policy",
        ResourceId="{resource}",
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "PercentChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 20}],
            "MinAdjustmentMagnitude": 1,
            "Cooldown": 60,
        },
    ),
    ("application-autoscaling", "DescribeScalingPolicies"): _scaled_then(
        "describe_scaling_policies", ResourceId="{resource}"
    ),
    ("application-autoscaling", "DeleteScalingPolicy"): _scaled_then(
        "delete_scaling_policy", ResourceId="{resource}", PolicyName="follow"
    ),
    ("application-autoscaling", "PutScheduledAction"): _scaled_then(
        "put_scheduled_action",
        ResourceId="{resource}",
        ScheduledActionName="night",
        Schedule="rate(1 day)",
        ScalableTargetAction={"MaxCapacity": 2},
    ),
    ("application-autoscaling", "DescribeScheduledActions"): _scaled_then(
        "describe_scheduled_actions"
    ),
    ("application-autoscaling", "DeleteScheduledAction"): _scaled_then(
        "delete_scheduled_action", ResourceId="{resource}", ScheduledActionName="morning"
    ),
    ("application-autoscaling", "DescribeScalingActivities"): _scaled_then(
        "describe_scaling_activities", ResourceId="{resource}", IncludeNotScaledActivities=True
    ),
    ("application-autoscaling", "ListTagsForResource"): _scaled_then(
        "list_tags_for_resource", bare=True, ResourceARN="{arn}"
    ),
    ("application-autoscaling", "TagResource"): _scaled_then(
        "tag_resource", bare=True, ResourceARN="{arn}", Tags={"more": "tags"}
    ),
    ("application-autoscaling", "UntagResource"): _scaled_then(
        "untag_resource", bare=True, ResourceARN="{arn}", TagKeys=["made-by"]
    ),
}
