"""What else changes an endpoint while it is measured: the scaling policies on its variants.

They are read from Application Auto Scaling. That it cannot be asked (no leave, no answer) must not
stop a run, and a cloud without that service scales nothing.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from windtunnel.core.errors import WindtunnelError
from windtunnel.lab import refusals
from windtunnel.lab.endpoint import Endpoint
from windtunnel.lab.target import Target

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
# What an activity that changes a variant's instances describes itself as.
DESIRED = re.compile(r"Setting desired instance count to (\d+)\.")


def notes(target: Target, endpoint: Endpoint) -> list[str]:
    """Return what to know of an endpoint's scaling policies before a run."""
    try:
        with refusals.explained("its scaling policies"):
            return list(_read(target, endpoint))
    except WindtunnelError as error:
        what = "whether a scaling policy changes the endpoint during the run"
        return [f"{what} could not be asked: {str(error).rstrip('.')}"]


def _read(target: Target, endpoint: Endpoint) -> Iterator[str]:
    client = target.application_autoscaling()
    for name, scalable in targets_of(client, endpoint).items():
        policies = policies_of(client, scalable)
        if policies and _may_change(scalable):
            yield sentence(name, scalable, policies)


def targets_of(
    client: Any,  # noqa: ANN401 - boto3's own types for it are no dependency of ours
    endpoint: Endpoint,
) -> dict[str, Mapping[str, Any]]:
    """Return the scalable targets by their variants; none where there is no such service."""
    variants = {f"endpoint/{endpoint.name}/variant/{each.name}": each for each in endpoint.variants}
    pages = client.get_paginator("describe_scalable_targets").paginate(
        ServiceNamespace=NAMESPACE, ScalableDimension=DIMENSION, ResourceIds=list(variants)
    )
    try:
        found = [scalable for page in pages for scalable in page["ScalableTargets"]]
    except ClientError as error:
        if refusals.is_unsupported(error):
            return {}
        raise
    return {variants[scalable["ResourceId"]].name: scalable for scalable in found}


def policies_of(
    client: Any,  # noqa: ANN401 - see above
    scalable: Mapping[str, Any],
) -> list[Mapping[str, Any]]:
    """Return the policies of a scalable target."""
    pages = client.get_paginator("describe_scaling_policies").paginate(**which(scalable))
    return [policy for page in pages for policy in page["ScalingPolicies"]]


def which(scalable: Mapping[str, Any]) -> dict[str, str]:
    """Return the words by which Application Auto Scaling is asked of a target."""
    names = ("ServiceNamespace", "ResourceId", "ScalableDimension")
    return {name: scalable[name] for name in names}


def _may_change(scalable: Mapping[str, Any]) -> bool:
    suspended = scalable.get("SuspendedState", {})
    is_suspended = suspended.get("DynamicScalingInSuspended") and suspended.get(
        "DynamicScalingOutSuspended"
    )
    return scalable["MaxCapacity"] > scalable["MinCapacity"] and not is_suspended


def sentence(
    variant_name: str, scalable: Mapping[str, Any], policies: list[Mapping[str, Any]]
) -> str:
    """Return what the policies of one variant may do to a run."""
    many = len(policies) > 1
    return (
        f"{'scaling policies' if many else 'a scaling policy'} may change variant {variant_name} "
        f"between {scalable['MinCapacity']} and {scalable['MaxCapacity']} instances during the "
        f"run: {', '.join(_policy(policy) for policy in policies)}; its numbers then average over "
        "different fleets, and its cost follows"
    )


def _policy(policy: Mapping[str, Any]) -> str:
    """Return a policy's name, and what it aims at where it has a target."""
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
    if tracking is None:
        kind = {"StepScaling": "steps", "PredictiveScaling": "a forecast"}
        return f"{policy['PolicyName']} ({kind.get(policy['PolicyType'], policy['PolicyType'])})"
    predefined = tracking.get("PredefinedMetricSpecification", {})
    own = tracking.get("CustomizedMetricSpecification", {})
    metric = predefined.get("PredefinedMetricType") or own.get("MetricName") or "a formula"
    return f"{policy['PolicyName']} (keeps {metric} at {tracking['TargetValue']:g})"
