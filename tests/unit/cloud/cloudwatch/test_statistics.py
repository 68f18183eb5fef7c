"""Periods, roundings and the names of statistics."""

import pytest

from windtunnel.cloud.cloudwatch.statistics import (
    UnknownStatisticError,
    is_period,
    percentile,
    rounded_start_s,
    statistic,
)
from windtunnel.cloud.cloudwatch.summary import Summary

_BASE_S = 1_700_000_040  # a whole minute
_DAY_S = 24 * 3600


@pytest.mark.parametrize("period_s", [1, 5, 10, 20, 30, 60, 120, 3600])
def test_periods_that_cloudwatch_knows(period_s: int) -> None:
    """They are listed on GetMetricStatistics' page."""
    assert is_period(period_s)


@pytest.mark.parametrize("period_s", [-60, 0, 2, 15, 59, 61, 90])
def test_periods_that_cloudwatch_refuses(period_s: int) -> None:
    """A period of 15 s would not divide a minute as users expect."""
    assert not is_period(period_s)


@pytest.mark.parametrize(
    ("offset_s", "period_s", "age_s", "expected_s"),
    [
        (34.5, 60, 0, 0),  # 12:32:34 is rounded down to 12:32:00
        (34.5, 300, 0, 0),  # to the minute, whatever the period
        (63.0, 300, 0, 60),
        (34.5, 1, 0, 34),
        (34.5, 10, 0, 30),
        (34.5, 20, 0, 20),
        (299.0, 60, 20 * _DAY_S, 0),  # between 15 and 63 days: five minutes
        (3599.0, 60, 80 * _DAY_S, 0),  # over 63 days: an hour
    ],
)
def test_the_start_is_rounded_as_cloudwatch_says(
    offset_s: float, period_s: int, age_s: float, expected_s: int
) -> None:
    """Windows of two questions a second apart must be the same windows."""
    hour_s = _BASE_S - _BASE_S % 3600
    start_s = hour_s + offset_s

    assert rounded_start_s(start_s, period_s, start_s + age_s) == hour_s + expected_s


@pytest.mark.parametrize("name", ["p0", "p0.0", "p50", "p99.9", "p99.9999999999", "p100"])
def test_percentiles_have_decimals(name: str) -> None:
    """p99.9 is what many objectives are written in."""
    assert percentile(name).of(Summary.of_value(7)) == 7


@pytest.mark.parametrize("name", ["p101", "p-1", "p", "P99", "99", "average", "p99.", "pp9", ""])
def test_what_is_no_statistic_is_not_taken_for_one(name: str) -> None:
    """A misspelt statistic must not answer something else."""
    with pytest.raises(UnknownStatisticError) as caught:
        statistic(name)
    assert not caught.value.is_aws


@pytest.mark.parametrize(
    "name", ["tm90", "TM(10%:90%)", "wm98", "tc50", "ts99.5", "PR(:300)", "IQM"]
)
def test_statistics_that_aws_has_beyond_these_are_told_apart(name: str) -> None:
    """Whoever asks for a trimmed mean learns that it is not here, not that he cannot spell."""
    with pytest.raises(UnknownStatisticError) as caught:
        statistic(name)
    assert caught.value.is_aws
