"""How Application Auto Scaling tells of what it did, and of what it did not do.

Pure. The wording is AWS's, word for word: from its pages "Scaling activities for Application Auto
Scaling" and "Manage scheduled scaling", and from activities of SageMaker variants that users
published. `subject` is what is set: `desired instance count` for a variant.
"""

from dataclasses import dataclass
from typing import Literal

VARIANT_SUBJECT = "desired instance count"
NOT_SCALED_DESCRIPTION = "Attempting to scale due to alarm triggered"
NotScaledCode = Literal[
    "AutoScalingAnticipatedFlapping",
    "TargetServicePutResourceAsUnscalable",
    "AlreadyAtMaxCapacity",
    "AlreadyAtMinCapacity",
    "AlreadyAtDesiredCapacity",
]


@dataclass(frozen=True, slots=True)
class NotScaledReason:
    """Why nothing was done: a code of AWS's, with the capacities that it is shown with."""

    code: NotScaledCode
    capacity_max: int | None = None
    capacity_min: int | None = None
    capacity: int | None = None


def alarm_cause(alarm: str, policy: str) -> str:
    """Return the Cause of what an alarm made a policy do."""
    return f"monitor alarm {alarm} in state ALARM triggered policy {policy}"


def bound_cause(bound: Literal["minimum", "maximum"], capacity: int) -> str:
    """Return the Cause of a change that a new bound made necessary."""
    return f"{bound} capacity was set to {capacity}"


def schedule_cause(action: str) -> str:
    """Return the Cause of the new bounds that a scheduled action set."""
    return f"scheduled action name {action} was triggered"


def description(capacity: int, subject: str = VARIANT_SUBJECT) -> str:
    """Return the Description of a change of capacity."""
    return f"Setting {subject} to {capacity}."


def success(capacity: int, subject: str = VARIANT_SUBJECT, service: str = "sagemaker") -> str:
    """Return the StatusMessage of a change that was made."""
    return f"Successfully set {subject} to {capacity}. Change successfully fulfilled by {service}."


def failure(capacity: int, reason: str, subject: str = VARIANT_SUBJECT) -> str:
    """Return the StatusMessage of a change that could not be made."""
    return f"Failed to set {subject} to {capacity}. Reason: {reason}"


def bounds_description(capacity_min: int | None, capacity_max: int | None) -> str:
    """Return the Description of what a scheduled action sets."""
    return f"Setting {_bounds(capacity_min, capacity_max)}"


def bounds_success(capacity_min: int | None, capacity_max: int | None) -> str:
    """Return the StatusMessage of a scheduled action."""
    return f"Successfully set {_bounds(capacity_min, capacity_max)}"


def _bounds(capacity_min: int | None, capacity_max: int | None) -> str:
    named = (("min", capacity_min), ("max", capacity_max))
    return " and ".join(f"{name} capacity to {value}" for name, value in named if value is not None)
