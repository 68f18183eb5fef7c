"""Which periods alarms look at, and what state follows.

A thin loop's work: it reads what CloudWatch kept of the periods that have ended and tells the pure
alarms of it, in order. Rules:
- A period is looked at when it has ended, was given a moment to settle (what is sampled at its end
  has to be saved) and can be seen (`--startup aws`: metrics are late).
- What arrived late for an older period of the range is told again.
- The first look takes the whole range: an alarm that is new, or left by a cloud before, has its
  state from what the metric was. For a restart that means: the state that was kept stays until a
  period has ended since; periods in which no cloud ran are missing data.
"""

from collections.abc import Iterable, Mapping, Sequence

from windtunnel.autoscaling.alarm import Alarm, is_sample_enough
from windtunnel.cloud.cloudwatch.alarms.records import AlarmRecord
from windtunnel.cloud.cloudwatch.metric import Metric
from windtunnel.cloud.cloudwatch.service import CloudWatch, PeriodSpan
from windtunnel.cloud.cloudwatch.statistics import Statistic
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.cloud.tempo import Tempo

# From a period's end until its samples are saved: the sampler wakes up at its end.
SETTLE_S = 0.5
_PERCENT = 100
# Alarms that are looked at before others of the gateway's loop get their turn: a millisecond.
_LOOKED_TOGETHER = 100


class Watched:
    """One alarm while this cloud runs: its record's rule, played."""

    __slots__ = ("alarm", "metric", "needs_enough", "statistic", "unit")

    def __init__(self, record: AlarmRecord, tempo: Tempo) -> None:
        self.alarm = Alarm(record.rule(tempo), record.state)
        self.metric: Metric = record.metric
        self.statistic: Statistic = record.statistic
        self.unit: str | None = record.request.get("unit")
        low = record.request.get("evaluate_low_sample_count_percentile")
        # Of a percentile that means nothing with few samples: which one; else None.
        self.needs_enough: float | None = None
        if low == "ignore":
            self.needs_enough = float(record.statistic_name[1:]) / _PERCENT

    def is_due(self, seen_until_s: float) -> bool:
        """Say whether a period has ended that was not looked at."""
        period = self.alarm.period
        return period is None or self.alarm.rule.ended_by(seen_until_s) > period

    def span(self, seen_until_s: float) -> PeriodSpan:
        """Return the periods that the next look covers."""
        rule = self.alarm.rule
        last = rule.ended_by(seen_until_s)
        return PeriodSpan(
            self.metric,
            rule.period_s,
            last - self.alarm.range_length + 1,
            last,
            self.unit,
            self.statistic.needs_distribution,
        )

    def look(self, last: int, found: Mapping[int, Summary]) -> None:
        """Tell the alarm of what its metric came to, up to a period."""
        alarm = self.alarm
        begin = last - alarm.range_length + 1
        known = alarm.period
        if known is None:
            points = [(period, self._value(found.get(period))) for period in range(begin, last)]
            alarm.restore(points, alarm.state)
            known = last - 1
        for period, summary in found.items():
            if begin <= period <= known:
                value = self.statistic.of(summary)
                if value is not None and value != alarm.value_of(period):
                    alarm.observe(period, value)
        for period in range(max(begin, known + 1), last + 1):
            state = alarm.state
            alarm.observe(period, self._value(found.get(period)))
            if self._means_too_little(found.get(period)):
                # "The alarm's state is not changed" where the percentile means too little.
                alarm.state = state

    def _value(self, summary: Summary | None) -> float | None:
        return None if summary is None else self.statistic.of(summary)

    def _means_too_little(self, summary: Summary | None) -> bool:
        if self.needs_enough is None or summary is None:
            return False
        return not is_sample_enough(self.needs_enough, summary.count)


async def look(
    watched: Iterable[Watched], cloudwatch: CloudWatch, now_s: float
) -> Sequence[Watched]:
    """Look at every alarm that is due; return those that were looked at.

    Alarms on the same periods of a metric, as a policy's two often are, read them once.
    """
    seen_until_s = now_s - SETTLE_S - cloudwatch.visible_after_s
    due = [each for each in watched if each.is_due(seen_until_s)]
    for first in range(0, len(due), _LOOKED_TOGETHER):
        await _look(due[first : first + _LOOKED_TOGETHER], cloudwatch, seen_until_s)
    return due


async def _look(due: Sequence[Watched], cloudwatch: CloudWatch, seen_until_s: float) -> None:
    spans: dict[tuple[Metric, int, str | None, bool], PeriodSpan] = {}
    keys = []
    for each in due:
        span = each.span(seen_until_s)
        key = (span.metric, span.period_s, span.unit, span.needs_distribution)
        keys.append(key)
        other = spans.get(key)
        if other is None or span.first < other.first:
            spans[key] = span
    answers = await cloudwatch.read_periods(list(spans.values()))
    by_key = dict(zip(spans, answers, strict=True))
    for each, key in zip(due, keys, strict=True):
        each.look(spans[key].last, by_key[key])
