"""Which windows a question about a metric covers, and which figures can be asked of them.

Pure. Windows follow from the start of the question, rounded as CloudWatch says (GetMetricStatistics
and GetMetricData, `StartTime`), each a period long, start included, end not; so the timestamps of
both operations depend on the start that was asked for (an answer of AWS's in boto/boto3#3457). A
window without samples has no data point.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from windtunnel.cloud.cloudwatch.summary import Summary

_MINUTE_S = 60
_FIVE_MINUTES_S = 300
_HOUR_S = 3600
_DAY_S = 24 * 3600
# Shorter periods than a minute that CloudWatch knows.
_HIGH_RESOLUTION_PERIODS_S = frozenset((1, 5, 10, 20, 30))
_PERCENTILE = re.compile(r"p(\d{1,3}(?:\.\d{1,10})?)")
# Trimmed and winsorised means, ranks, counts and sums, in both of their forms.
_OTHER_EXTENDED = re.compile(
    r"IQM|(?:tm|wm|tc|ts)\d{1,2}(?:\.\d{1,10})?|(?:TM|WM|TC|TS|PR)\([\d.:%]+\)"
)
_PERCENT = 100


@dataclass(frozen=True)
class Statistic:
    """One figure that can be asked of a window; None where the window cannot tell."""

    name: str
    of: Callable[[Summary], float | None]
    needs_distribution: bool = False


SIMPLE: Mapping[str, Statistic] = {
    each.name: each
    for each in (
        Statistic("SampleCount", lambda window: window.count),
        Statistic("Average", lambda window: window.sum / window.count),
        Statistic("Sum", lambda window: window.sum),
        Statistic("Minimum", lambda window: window.low),
        Statistic("Maximum", lambda window: window.high),
    )
}


class UnknownStatisticError(Exception):
    """There is no statistic of this name; `is_aws` when AWS has it, and this cloud does not."""

    def __init__(self, name: str, *, is_aws: bool) -> None:
        super().__init__(name)
        self.name = name
        self.is_aws = is_aws


def percentile(name: str) -> Statistic:
    """Return the percentile that is called p99 or p99.9."""
    match = _PERCENTILE.fullmatch(name)
    percents = float(match.group(1)) if match is not None else _PERCENT + 1
    if percents > _PERCENT:
        raise UnknownStatisticError(name, is_aws=_OTHER_EXTENDED.fullmatch(name) is not None)
    return Statistic(name, lambda window: window.quantile(percents / _PERCENT), True)


def statistic(name: str) -> Statistic:
    """Return the statistic of a name, a simple one or a percentile."""
    return SIMPLE.get(name) or percentile(name)


def is_period(period_s: int) -> bool:
    """Say whether CloudWatch knows a period: 1, 5, 10, 20, 30 or a multiple of 60 seconds."""
    return period_s in _HIGH_RESOLUTION_PERIODS_S or (period_s > 0 and period_s % _MINUTE_S == 0)


def rounded_start_s(start_s: float, period_s: int, now_s: float) -> int:
    """Return where the first window begins: the older the question, the coarser the rounding."""
    age_s = now_s - start_s
    step_s = _MINUTE_S
    if period_s < _MINUTE_S:
        step_s = period_s
    elif age_s > 63 * _DAY_S:
        step_s = _HOUR_S
    elif age_s >= 15 * _DAY_S:
        step_s = _FIVE_MINUTES_S
    return int(start_s // step_s * step_s)
