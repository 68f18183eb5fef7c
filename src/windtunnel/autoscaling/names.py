"""What Application Auto Scaling calls the things it makes, and how a variant is named to it.

Pure. The forms are those of published answers and dumped alarms; the resource's is in botocore's
model of `application-autoscaling` (ResourceId, ScalableDimension).
"""

import re

SERVICE_NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_RESOURCE = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")


def resource_id(endpoint: str, variant: str) -> str:
    """Return how a variant is named."""
    return f"endpoint/{endpoint}/variant/{variant}"


def parse_resource_id(text: str) -> tuple[str, str] | None:
    """Return the endpoint and the variant that are named, None where none is."""
    match = _RESOURCE.fullmatch(text)
    return None if match is None else (match[1], match[2])


def policy_arn(region: str, account: str, uuid: str, resource: str, name: str) -> str:
    """Return a scaling policy's ARN; it stays the same, however often the policy is put."""
    return (
        f"arn:aws:autoscaling:{region}:{account}:scalingPolicy:{uuid}:"
        f"resource/{SERVICE_NAMESPACE}/{resource}:policyName/{name}"
    )


def scheduled_action_arn(region: str, account: str, uuid: str, resource: str, name: str) -> str:
    """Return a scheduled action's ARN."""
    return (
        f"arn:aws:autoscaling:{region}:{account}:scheduledAction:{uuid}:"
        f"resource/{SERVICE_NAMESPACE}/{resource}:scheduledActionName/{name}"
    )


def alarm_action(policy: str, uuid: str) -> str:
    """Return what a target-tracking alarm has as its action: the policy, and who made the alarm."""
    return f"{policy}:createdBy/{uuid}"


def alarm_description(policy: str, uuid: str) -> str:
    """Return the description of a target-tracking policy's alarms."""
    return f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {alarm_action(policy, uuid)}."
