"""What Application Auto Scaling says of what is not there or makes no sense.

Sources: moto (no target, no policy, a resource of another kind), aws-cdk#29065
(which predefined metrics a dimension takes), answers that course notes quote (burstable types),
terraform-provider-aws#41179 (two policies on a metric).
Where none was found the words are ours.
"""

from windtunnel.autoscaling.names import DIMENSION, SERVICE_NAMESPACE
from windtunnel.cloud.errors import InvalidError, NotFoundError


def _place(resource_id: str) -> str:
    return (
        f"service namespace: {SERVICE_NAMESPACE}, resource ID: {resource_id}, "
        f"scalable dimension: {DIMENSION}"
    )


def no_target(resource_id: str) -> NotFoundError:
    """Return the answer for a resource that is no scalable target."""
    return NotFoundError(f"No scalable target registered for {_place(resource_id)}")


def target_not_found(resource_id: str) -> NotFoundError:
    """Return what DeregisterScalableTarget answers for one."""
    return NotFoundError(f"No scalable target found for {_place(resource_id)}")


def no_policy(resource_id: str, name: str) -> NotFoundError:
    """Return the answer for a policy that does not exist."""
    return NotFoundError(f"No scaling policy found for {_place(resource_id)}, policy name: {name}")


# What an alarm's history tells of an action without a policy; the words are ours.
NO_POLICY_FOR_ACTION = "No scaling policy found"


def same_metric() -> InvalidError:
    """Return the answer for a second target-tracking policy on a metric."""
    return InvalidError(
        "Only one TargetTrackingScaling policy for a given metric specification is allowed."
    )


def no_action(resource_id: str, name: str) -> NotFoundError:
    """Return the answer for a scheduled action that does not exist."""
    return NotFoundError(
        f"No scheduled action found for {_place(resource_id)}, scheduled action name: {name}"
    )


def unsupported_resource() -> InvalidError:
    """Return the answer for a resource ID that is no variant's."""
    return InvalidError("Unsupported service namespace, resource type or scalable dimension")


def burstable(instance_type: str) -> InvalidError:
    """Return the answer for a variant on a type that is not scaled."""
    return InvalidError(
        f"You cannot register a variant with {instance_type} instance type as a scalable target. "
        "This is because the burstable performance of these instances can lead to unpredictable "
        "behavior with Auto Scaling."
    )


def unsupported_metric(supported: tuple[str, ...]) -> InvalidError:
    """Return the answer for a predefined metric of another dimension."""
    return InvalidError(
        f"Scalable dimension {DIMENSION} only supports the following predefined metric types: "
        f"{', '.join(supported)}"
    )
