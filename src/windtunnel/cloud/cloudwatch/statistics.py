"""Which windows a question about a metric covers, and what each of them holds.

Pure: buckets and times in, data points out. Windows follow from the start of the question, rounded
as CloudWatch says (GetMetricStatistics, `StartTime`), each a period long, start included, end not;
a window without samples has no data point.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from windtunnel.cloud.cloudwatch.samples import Bucket

_MINUTE_S = 60
_FIVE_MINUTES_S = 300
_HOUR_S = 3600
_DAY_S = 24 * 3600
# Shorter periods than a minute that CloudWatch knows.
_HIGH_RESOLUTION_PERIODS_S = frozenset((1, 5, 10, 20, 30))


@dataclass
class Datapoint:
    """One window with samples."""

    timestamp_s: float
    sample_count: float
    sum: float
    minimum: float
    maximum: float

    @property
    def average(self) -> float:
        """The mean of the samples."""
        return self.sum / self.sample_count


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


def datapoints(buckets: Iterable[Bucket], start_s: int, period_s: int) -> list[Datapoint]:
    """Return a data point for each window that has samples, in order of time.

    `buckets` are in order of time, none before `start_s`.
    """
    points: list[Datapoint] = []
    for bucket in buckets:
        window_s = bucket.start_s - (bucket.start_s - start_s) % period_s
        if not points or points[-1].timestamp_s != window_s:
            points.append(
                Datapoint(window_s, bucket.sample_count, bucket.sum, bucket.minimum, bucket.maximum)
            )
            continue
        point = points[-1]
        point.sample_count += bucket.sample_count
        point.sum += bucket.sum
        point.minimum = min(point.minimum, bucket.minimum)
        point.maximum = max(point.maximum, bucket.maximum)
    return points
