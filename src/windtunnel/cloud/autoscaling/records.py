"""What is remembered of scalable targets, their policies, their schedules and what was done.

Records are values. Policies and actions keep the words they were made with, because that is what
describing them answers.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from windtunnel.autoscaling import names
from windtunnel.autoscaling.decider import Bounds, Memory, Suspension
from windtunnel.cloud.store.record import Record

Document = dict[str, Any]
Status = Literal["InProgress", "Successful", "Failed", "Overridden"]

_PLACE: Document = {
    "service_namespace": names.SERVICE_NAMESPACE,
    "scalable_dimension": names.DIMENSION,
}


def joined(resource_id: str, name: str) -> str:
    """Return the key of what belongs to a target: no name has a line break."""
    return f"{resource_id}\n{name}"


@dataclass(frozen=True)
class Target(Record):
    """One scalable target: a variant, its bounds, and what its decider remembers."""

    resource_id: str
    arn: str
    endpoint_name: str
    variant_name: str
    # When that endpoint was created: one of the same name that comes later is another.
    endpoint_created_s: float
    capacity_min: int
    capacity_max: int
    role_arn: str
    created_s: float
    suspended: Mapping[str, bool] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    # The decider's `Memory`; a moment that never was is left out.
    memory: Mapping[str, float | None] = field(default_factory=dict)
    # Bounds were set that the capacity could not follow yet.
    is_owed: bool = False

    @property
    def key(self) -> str:
        """What it is found by."""
        return self.resource_id

    @property
    def bounds(self) -> Bounds:
        """Between how many instances the variant is kept."""
        return Bounds(self.capacity_min, self.capacity_max)

    @property
    def suspension(self) -> Suspension:
        """What of its scaling is suspended."""
        told = self.suspended
        return Suspension(
            scale_in=told.get("dynamic_scaling_in_suspended", False),
            scale_out=told.get("dynamic_scaling_out_suspended", False),
            scheduled=told.get("scheduled_scaling_suspended", False),
        )

    def remembered(self) -> Memory:
        """Return what the decider knows of the past."""
        previous = self.memory.get("previous")
        moments = {
            name: -math.inf if (at_s := self.memory.get(name)) is None else at_s
            for name in ("fulfilled_s", "out_until_s", "in_until_s")
        }
        return Memory(None if previous is None else int(previous), **moments)

    def shown(self) -> Document:
        """Return it as DescribeScalableTargets does."""
        return {
            **_PLACE,
            "resource_id": self.resource_id,
            "min_capacity": self.capacity_min,
            "max_capacity": self.capacity_max,
            "role_arn": self.role_arn,
            "creation_time": self.created_s,
            "suspended_state": {
                name: self.suspended.get(name, False)
                for name in (
                    "dynamic_scaling_in_suspended",
                    "dynamic_scaling_out_suspended",
                    "scheduled_scaling_suspended",
                )
            },
            "scalable_target_arn": self.arn,
        }


def kept(memory: Memory) -> dict[str, float | None]:
    """Return a decider's memory as a target keeps it: JSON has no infinity."""
    return {
        name: None if value is None or math.isinf(value) else value
        for name, value in asdict(memory).items()
    }


@dataclass(frozen=True)
class Policy(Record):
    """One scaling policy of a target."""

    name: str
    resource_id: str
    arn: str
    kind: Literal["TargetTrackingScaling", "StepScaling"]
    configuration: Document
    created_s: float
    # The names of the alarms that it owns: high and, unless it never scales in, low.
    alarms: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What it is found by."""
        return joined(self.resource_id, self.name)

    def shown(self, alarms: list[Document]) -> Document:
        """Return it as DescribeScalingPolicies does."""
        member = (
            "target_tracking_scaling_policy_configuration"
            if self.kind == "TargetTrackingScaling"
            else "step_scaling_policy_configuration"
        )
        return {
            **_PLACE,
            "policy_arn": self.arn,
            "policy_name": self.name,
            "resource_id": self.resource_id,
            "policy_type": self.kind,
            member: self.configuration,
            "alarms": alarms,
            "creation_time": self.created_s,
        }

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """Return what `to_document` wrote."""
        return cls(**{**document, "alarms": tuple(document["alarms"])})


@dataclass(frozen=True)
class Action(Record):
    """One scheduled action of a target."""

    name: str
    resource_id: str
    arn: str
    schedule: str
    created_s: float
    timezone: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    capacity_min: int | None = None
    capacity_max: int | None = None

    @property
    def key(self) -> str:
        """What it is found by."""
        return joined(self.resource_id, self.name)

    def shown(self) -> Document:
        """Return it as DescribeScheduledActions does."""
        return {
            **_PLACE,
            "scheduled_action_name": self.name,
            "scheduled_action_arn": self.arn,
            "schedule": self.schedule,
            "timezone": self.timezone,
            "resource_id": self.resource_id,
            "start_time": self.start_s,
            "end_time": self.end_s,
            "scalable_target_action": {
                "min_capacity": self.capacity_min,
                "max_capacity": self.capacity_max,
            },
            "creation_time": self.created_s,
        }


@dataclass(frozen=True)
class Activity(Record):
    """Something that was done for a target, is under way, or was not done and why."""

    key: str
    id: str
    resource_id: str
    description: str
    cause: str
    started_s: float
    status: Status
    ended_s: float | None = None
    message: str | None = None
    details: str | None = None
    # NotScaledReasons as AWS shows them; empty for what was done.
    not_scaled: tuple[Document, ...] = ()
    # The decider's decision, while it is under way.
    decision: Document | None = None

    def shown(self) -> Document:
        """Return it as DescribeScalingActivities does."""
        return {
            **_PLACE,
            "activity_id": self.id,
            "resource_id": self.resource_id,
            "description": self.description,
            "cause": self.cause,
            "start_time": self.started_s,
            "end_time": self.ended_s,
            "status_code": self.status,
            "status_message": self.message,
            "details": self.details,
            "not_scaled_reasons": list(self.not_scaled) or None,
        }

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """Return what `to_document` wrote."""
        return cls(**{**document, "not_scaled": tuple(document["not_scaled"])})
