"""Step scaling: by how much capacity changes, by how far a metric is beyond its alarm's threshold.

Pure. From Application Auto Scaling's page on step scaling policies, whose worked example is a test.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from windtunnel.core.errors import UsageError

AdjustmentType = Literal["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"]
Aggregation = Literal["Average", "Minimum", "Maximum"]
# Of one policy (Application Auto Scaling endpoints and quotas).
STEP_COUNT_MAX = 20
COOLDOWN_S = 300.0


class InvalidStepsError(UsageError):
    """Steps that contradict each other or leave a gap; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of the distance from the threshold, and what is done there; None is no bound."""

    adjustment: int
    low: float | None = None
    high: float | None = None

    def holds(self, distance: float, *, is_above: bool) -> bool:
        """Say whether a distance is in this step.

        Above the threshold the lower bound belongs to a step and the upper one does not; below it
        is the other way round.
        """
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if is_above:
            return low <= distance < high
        return low < distance <= high


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """A policy that an alarm triggers; see `check_steps` for what its steps must be."""

    name: str
    adjustment_type: AdjustmentType
    steps: tuple[Step, ...]
    cooldown_s: float = COOLDOWN_S
    magnitude_min: int | None = None
    aggregation: Aggregation = "Average"

    def __post_init__(self) -> None:
        check_steps(self)

    def aggregated(self, values: Sequence[float]) -> float:
        """Return the one value that stands for the alarm's most recent data points."""
        if self.aggregation == "Minimum":
            return min(values)
        if self.aggregation == "Maximum":
            return max(values)
        return sum(values) / len(values)

    def step_at(self, distance: float, *, is_upward: bool) -> Step | None:
        """Return the step for a distance from the threshold, None where none is for it."""
        is_above = distance > 0 or (distance == 0 and is_upward)
        return next((each for each in self.steps if each.holds(distance, is_above=is_above)), None)

    def wanted_capacity(self, capacity: int, step: Step) -> int:
        """Return the capacity that a step makes of one; it may lie outside of all bounds."""
        if self.adjustment_type == "ExactCapacity":
            return step.adjustment
        if self.adjustment_type == "ChangeInCapacity":
            return capacity + step.adjustment
        return capacity + percent_change(capacity, step.adjustment, self.magnitude_min or 0)


def percent_change(capacity: int, percent: int, magnitude_min: int = 0) -> int:
    """Return by how many instances a percentage changes a capacity.

    Beyond 1 it is rounded towards 0, below 1 away from it. MinAdjustmentMagnitude holds for what
    changes anything at all.
    """
    change = capacity * percent / 100
    if change == 0:
        return 0
    whole = math.trunc(change) or (1 if change > 0 else -1)
    if abs(whole) < magnitude_min:
        whole = magnitude_min if change > 0 else -magnitude_min
    return whole


def check_steps(policy: StepPolicy) -> None:
    """Refuse steps that AWS refuses, each with what is wrong with them."""
    steps = policy.steps
    if not steps:
        raise InvalidStepsError("At least one step adjustment is required.")
    if len(steps) > STEP_COUNT_MAX:
        raise InvalidStepsError(
            f"A policy has at most {STEP_COUNT_MAX} step adjustments, not {len(steps)}."
        )
    if policy.magnitude_min is not None and policy.adjustment_type != "PercentChangeInCapacity":
        raise InvalidStepsError(
            "MinAdjustmentMagnitude means something with PercentChangeInCapacity only."
        )
    for step in steps:
        _check_step(step, policy.adjustment_type)
    _check_open(steps)
    ordered = sorted(steps, key=lambda step: -math.inf if step.low is None else step.low)
    for first, second in itertools.pairwise(ordered):
        assert second.low is not None, "only the first has no lower bound"
        if first.high is None or first.high > second.low:
            raise InvalidStepsError("Step adjustment intervals can't overlap.")
        if first.high < second.low:
            raise InvalidStepsError("Step adjustment intervals can't have a gap between them.")


def _check_open(steps: Sequence[Step]) -> None:
    """Refuse more than one open end on a side, and none where a side is stepped on at all."""
    for side, bounds, sign in (
        ("lower", [step.low for step in steps], -1),
        ("upper", [step.high for step in steps], 1),
    ):
        count = bounds.count(None)
        if count > 1:
            raise InvalidStepsError(
                f"At most one step adjustment can have an unspecified {side} bound."
            )
        if count == 0 and any(bound and bound * sign > 0 for bound in bounds):
            raise InvalidStepsError(
                f"There must be a step adjustment with an unspecified {side} bound when one has a "
                f"{'negative' if side == 'lower' else 'positive'} {side} bound."
            )


def _check_step(step: Step, adjustment_type: AdjustmentType) -> None:
    bounds = [bound for bound in (step.low, step.high) if bound is not None]
    if not bounds:
        raise InvalidStepsError("The upper and lower bound can't both be unspecified in one step.")
    if not all(math.isfinite(bound) for bound in bounds):
        raise InvalidStepsError("The bounds of a step adjustment are finite numbers.")
    if len(bounds) == 2 and bounds[0] >= bounds[1]:  # noqa: PLR2004 - both of them
        raise InvalidStepsError("The upper bound of a step must be greater than its lower bound.")
    if adjustment_type == "ExactCapacity" and step.adjustment < 0:
        raise InvalidStepsError("For ExactCapacity the scaling adjustment can't be negative.")
