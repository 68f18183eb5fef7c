"""A tracking policy's alarms and arithmetic."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.autoscaling.tracking import (
    STANDARD,
    WINDOWS,
    TrackingPolicy,
    is_flapping,
    wanted_capacity,
    windows_of,
)

_METRIC = "SageMakerVariantInvocationsPerInstance"
_RESOURCE = "endpoint/unet/variant/AllTraffic"


def test_a_policy_owns_the_two_alarms_that_are_seen_on_aws() -> None:
    """3 of 3 minutes above the target, 15 of 15 below nine tenths of it, under AWS's names."""
    policy = TrackingPolicy("follow", _METRIC, 10)
    high, low = policy.high_rule(_RESOURCE, "u1"), policy.low_rule(_RESOURCE, "u2")

    assert low is not None
    assert high.name == "TargetTracking-endpoint/unet/variant/AllTraffic-AlarmHigh-u1"
    assert low.name == "TargetTracking-endpoint/unet/variant/AllTraffic-AlarmLow-u2"
    assert (high.threshold, low.threshold) == (10, 9)
    assert (high.comparison, low.comparison) == ("GreaterThanThreshold", "LessThanThreshold")
    assert (high.evaluation_periods, high.datapoints_to_alarm, high.period_s) == (3, 3, 60)
    assert (low.evaluation_periods, low.datapoints_to_alarm, low.period_s) == (15, 15, 60)
    assert high.treat_missing == low.treat_missing == "missing"


def test_with_scale_in_disabled_there_is_no_low_alarm() -> None:
    """An alarm that does nothing would only frighten."""
    policy = TrackingPolicy("follow", _METRIC, 10, is_in_disabled=True)

    assert policy.low_rule(_RESOURCE, "u") is None


def test_high_resolution_metrics_go_out_after_ten_second_periods_and_in_as_slowly_as_others() -> (
    None
):
    """What high resolution is bought for is the way out."""
    name = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    policy = TrackingPolicy("quick", name, 5)
    high, low = policy.high_rule(_RESOURCE, "u"), policy.low_rule(_RESOURCE, "u")

    assert low is not None
    assert high.period_s == 10
    assert low.evaluation_periods * low.period_s == 900


def test_every_row_of_the_table_says_who_saw_it() -> None:
    """AWS documents none of these counts; a number without a witness is a rumour."""
    for windows in (STANDARD, *WINDOWS.values()):
        assert len(windows.source) > 20

    assert windows_of("whatever else") is STANDARD


@pytest.mark.parametrize(
    ("target", "low"), [(70, 63), (10, 9), (50, 45), (0.7, 0.63), (1e9, 9e8), (33.3, 29.97)]
)
def test_the_low_threshold_is_nine_tenths_to_the_digit(target: float, low: float) -> None:
    """63.00000000000001 in DescribeAlarms would be nobody's threshold."""
    rule = TrackingPolicy("follow", _METRIC, target).low_rule(_RESOURCE, "u")

    assert rule is not None
    assert rule.threshold == low


@pytest.mark.parametrize(
    ("capacity", "value", "target", "wanted"),
    [
        (1, 130, 5, 26),  # the lab that saw 1 to its maximum of 4 in one jump
        (3, 100, 100, 3),
        (3, 100.0001, 100, 4),
        (10, 70, 70, 10),
        (7, 0.1 + 0.2, 0.3, 7),  # the dust of binary fractions adds no instance
        (4, 0, 70, 0),
        (4, -12, 70, 0),
        (4, 1e300, 1e-3, 2**31 - 1),
    ],
)
def test_capacity_is_in_proportion_to_the_metric_and_rounded_up(
    capacity: int, value: float, target: float, wanted: int
) -> None:
    """Too little capacity is what a policy is there to prevent."""
    assert wanted_capacity(capacity, value, target) == wanted


@given(
    st.integers(1, 10_000),
    st.floats(1e-6, 1e6, allow_nan=False),
    st.floats(1e-3, 1e6, allow_nan=False),
)
def test_the_wanted_capacity_brings_the_metric_to_its_target_and_one_less_would_not(
    capacity: int, value: float, target: float
) -> None:
    """Rounded up and no further, whatever the numbers."""
    wanted = wanted_capacity(capacity, value, target)
    load = capacity * value

    assert wanted * target >= load * (1 - 1e-8) or wanted == 2**31 - 1
    assert wanted == 0 or (wanted - 1) * target < load


def test_a_scale_in_that_would_come_straight_back_is_foreseen() -> None:
    """Two instances at 62 of 70: one alone would have 124."""
    assert is_flapping(2, 62, 70)
    assert not is_flapping(2, 35, 70)
    assert not is_flapping(2, math.nextafter(35, 0), 70)
