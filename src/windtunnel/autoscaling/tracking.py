"""Target tracking: the two alarms a policy owns, and the capacity that brings a metric to target.

Pure. AWS documents neither how many data points its alarms want nor its arithmetic; what is known
of both is in one table and two functions, with who saw it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from windtunnel.autoscaling.alarm import AlarmRule

# "Usually more than 10% lower" than the target (Application Auto Scaling's page on target tracking,
# "Supporting application availability during high utilization periods"). Seen: a target of 50 has
# a low alarm at 45 (dumped alarms of an ECS service, threshold 45 LessThanThreshold).
LOW_SHARE = 0.9
# The default of both cooldowns for SageMaker variants (TargetTrackingScalingPolicyConfiguration).
COOLDOWN_S = 300.0
# What rounding in binary may add to a quotient that is whole: 3 x 100 / 100 is 3 instances, not 4.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Window:
    """How many periods of what length must breach, all of them."""

    periods: int
    period_s: int


@dataclass(frozen=True, slots=True)
class Windows:
    """What makes both alarms of a metric go off, and who says so."""

    high: Window
    low: Window
    source: str


STANDARD = Windows(
    Window(3, 60),
    Window(15, 60),
    "aws/copilot-cli#4233 (3 data points in 3 minutes, 15 in 15) and dumped alarms of ECS services",
)
HIGH_RESOLUTION = Windows(
    Window(3, 10),
    Window(15, 60),
    "SageMaker's page on auto scaling policies: metrics every 10 s, and in as slowly as with "
    "standard metrics; the counts themselves are a guess, those of the standard alarms",
)
# By metric, where it is not as STANDARD. The names are PredefinedMetricType's, or
# `Namespace/MetricName/Statistic` of a customized one.
WINDOWS: Mapping[str, Windows] = {
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": HIGH_RESOLUTION,
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution": HIGH_RESOLUTION,
    "AWS/ApplicationELB/TargetResponseTime/Average": Windows(
        Window(3, 60),
        Window(9, 60),
        "aws-cloudformation/cloudformation-coverage-roadmap#2353: 9 data points within 15 minutes, "
        "taken as 9 of 9",
    ),
}


def windows_of(metric: str) -> Windows:
    """Return how the alarms of a metric count.

    One report has 3 of 3 for both alarms of a customized metric (terraform-provider-aws#42553), a
    dozen have 15 for the low one: a scale-in that comes too early harms, one that is late costs.
    """
    return WINDOWS.get(metric, STANDARD)


@dataclass(frozen=True, slots=True)
class TrackingPolicy:
    """A policy that keeps a metric at a value."""

    name: str
    metric: str
    target: float
    out_cooldown_s: float = COOLDOWN_S
    in_cooldown_s: float = COOLDOWN_S
    is_in_disabled: bool = False

    def __post_init__(self) -> None:
        assert self.target > 0
        assert self.out_cooldown_s >= 0
        assert self.in_cooldown_s >= 0

    def high_rule(self, resource_id: str, uuid: str) -> AlarmRule:
        """Return the alarm on too much load, under AWS's name for it."""
        window = windows_of(self.metric).high
        return AlarmRule(
            name=f"TargetTracking-{resource_id}-AlarmHigh-{uuid}",
            threshold=self.target,
            comparison="GreaterThanThreshold",
            evaluation_periods=window.periods,
            datapoints_to_alarm=window.periods,
            period_s=window.period_s,
        )

    def low_rule(self, resource_id: str, uuid: str) -> AlarmRule | None:
        """Return the alarm on too little load; with scale-in disabled there is none."""
        if self.is_in_disabled:
            return None
        window = windows_of(self.metric).low
        return AlarmRule(
            name=f"TargetTracking-{resource_id}-AlarmLow-{uuid}",
            threshold=_rounded(self.target * LOW_SHARE),
            comparison="LessThanThreshold",
            evaluation_periods=window.periods,
            datapoints_to_alarm=window.periods,
            period_s=window.period_s,
        )


def wanted_capacity(capacity: int, value: float, target: float) -> int:
    """Return how many instances bring a metric to its target, when so many have it at a value.

    capacity x value is the whole load, as far as the metric falls as capacity rises; divided by the
    target and rounded up, in both directions: "always acts conservatively by rounding up or down"
    so as not to add too little or remove too much. That it is proportional is AWS's word; the
    formula is the industry's (Kubernetes' HPA has the same), and fits what is seen: 1 to 4 at once.
    """
    assert target > 0
    if value <= 0:
        return 0
    quotient = capacity * value / target
    if quotient > _CAPACITY_MAX:
        return _CAPACITY_MAX
    return math.ceil(quotient - _ROUNDING * quotient)


# No quotient is larger than what an integer of the API holds; a metric of 1e300 is no reason to
# compute with it.
_CAPACITY_MAX = 2**31 - 1


def is_flapping(capacity: int, value: float, target: float) -> bool:
    """Say whether one instance less would bring the metric above its target again.

    Then nothing is removed (AutoScalingAnticipatedFlapping). It follows from the formula: rounded
    up, it asks for no less than there are.
    """
    return wanted_capacity(capacity, value, target) >= capacity


def _rounded(value: float) -> float:
    """Return a threshold without the dust of binary fractions: 0.9 x 70 is 63."""
    return float(f"{value:.12g}")
