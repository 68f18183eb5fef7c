"""Which periods alarms look at, and what state follows.

A thin loop's work: it reads what CloudWatch kept of the periods that have ended and shows the pure
alarms their whole range. Rules:
- A period is looked at when it has ended, was given a moment to settle (what is sampled at its end
  has to be saved) and can be seen (`--startup aws`: metrics are late). Periods of more than a
  minute are looked at every minute, those that end then, as CloudWatch does.
- The whole range is read each time, so that what arrived late counts, and a clock that was set back
  begins anew.
- An alarm that is new has its state from what the metric was. One that a cloud before left keeps
  its state until a period has ended since; periods in which no cloud ran are missing data.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence

from windtunnel.autoscaling.alarm import Alarm, is_sample_enough
from windtunnel.cloud.cloudwatch.alarms.mathematics import queries_of
from windtunnel.cloud.cloudwatch.alarms.records import AlarmRecord
from windtunnel.cloud.cloudwatch.metric import Metric
from windtunnel.cloud.cloudwatch.service import CloudWatch, PeriodSpan
from windtunnel.cloud.cloudwatch.statistics import SIMPLE, Statistic
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.cloud.errors import CloudError
from windtunnel.cloud.tempo import Tempo

log = logging.getLogger(__name__)

# From a period's end until its samples are saved: the sampler wakes up at its end.
SETTLE_S = 0.5
_MINUTE_S = 60
_PERCENT = 100
# Alarms that are looked at before others of the gateway's loop get their turn: a millisecond.
_LOOKED_TOGETHER = 100


class Watched:
    """One alarm while this cloud runs: its record's rule, played."""

    __slots__ = (
        "_looked",
        "_step_s",
        "alarm",
        "metric",
        "needs_enough",
        "queries",
        "statistic",
        "unit",
    )

    def __init__(self, record: AlarmRecord, tempo: Tempo) -> None:
        self.alarm = Alarm(record.rule(tempo), record.state)
        # None where it watches an expression, which the queries are.
        self.metric: Metric | None = record.metric
        self.queries = queries_of(record.metrics, tempo) if record.metrics else []
        self.statistic: Statistic = SIMPLE["Sum"] if record.metrics else record.statistic
        self.unit: str | None = record.request.get("unit")
        low = record.request.get("evaluate_low_sample_count_percentile")
        # Of a percentile that means nothing with few samples: which one; else None.
        self.needs_enough: float | None = None
        if low == "ignore":
            self.needs_enough = float(record.statistic_name[1:]) / _PERCENT
        self._step_s = min(self.alarm.rule.period_s, tempo.period_s(_MINUTE_S))
        # The number of the last look's step, counted from the epoch.
        self._looked: int | None = None

    def wait_for_next(self, seen_until_s: float) -> None:
        """Take what can be seen now as looked at."""
        self._looked = self._step(seen_until_s)

    def is_due(self, seen_until_s: float) -> bool:
        """Say whether a period has ended that was not looked at; or the clock was set back."""
        return self._step(seen_until_s) != self._looked

    def span(self, seen_until_s: float) -> PeriodSpan:
        """Return the periods that the next look covers."""
        start_s, end_s = self.range_s(seen_until_s)
        assert self.metric is not None, "expressions are read one by one"
        return PeriodSpan(
            self.metric,
            self.alarm.rule.period_s,
            start_s,
            end_s,
            self.unit,
            self.statistic.needs_distribution,
        )

    def look(self, end_s: int, found: Mapping[int, Summary]) -> None:
        """Show the alarm what its metric came to, by the periods' beginnings, up to a moment."""
        of = self.statistic.of
        state = self.alarm.state
        self.look_at(end_s, {at_s: of(summary) for at_s, summary in found.items()})
        newest = found.get(end_s - self.alarm.rule.period_s)
        if newest is not None and self._means_too_little(newest):
            # "The alarm's state is not changed" where the percentile means too little.
            self.alarm.state = state

    def look_at(self, end_s: int, found: Mapping[int, float | None]) -> None:
        """Show the alarm the values of its periods, likewise."""
        alarm, period_s = self.alarm, self.alarm.rule.period_s
        begin_s = end_s - alarm.range_length * period_s
        alarm.look(end_s - period_s, [found.get(at_s) for at_s in range(begin_s, end_s, period_s)])
        self._looked = end_s // self._step_s

    def range_s(self, seen_until_s: float) -> tuple[int, int]:
        """Return from when to when the next look goes."""
        end_s = self._step(seen_until_s) * self._step_s
        return end_s - self.alarm.range_length * self.alarm.rule.period_s, end_s

    def _step(self, seen_until_s: float) -> int:
        return int(seen_until_s // self._step_s)

    def _means_too_little(self, summary: Summary) -> bool:
        if self.needs_enough is None:
            return False
        return not is_sample_enough(self.needs_enough, summary.count)


def seen_until_s(cloudwatch: CloudWatch, now_s: float) -> float:
    """Return up to when what was measured can be seen."""
    return now_s - SETTLE_S - cloudwatch.visible_after_s


async def look(
    watched: Iterable[Watched], cloudwatch: CloudWatch, now_s: float
) -> Sequence[Watched]:
    """Look at every alarm that is due; return those that were looked at."""
    until_s = seen_until_s(cloudwatch, now_s)
    due = [each for each in watched if each.is_due(until_s)]
    for first in range(0, len(due), _LOOKED_TOGETHER):
        await _look(due[first : first + _LOOKED_TOGETHER], cloudwatch, until_s)
    return due


async def _look(due: Sequence[Watched], cloudwatch: CloudWatch, until_s: float) -> None:
    """Look at some alarms; those on the same metric, as a policy's two often are, read it once."""
    spans: dict[PeriodSpan, PeriodSpan] = {}
    keys = []
    for each in due:
        if each.queries:
            await _look_at_expression(each, cloudwatch, until_s)
    due = [each for each in due if not each.queries]
    for each in due:
        span = each.span(until_s)
        key = span._replace(start_s=0)
        keys.append(key)
        other = spans.get(key)
        if other is None or span.start_s < other.start_s:
            spans[key] = span
    answers = await cloudwatch.read_periods(list(spans.values()))
    by_key = dict(zip(spans, answers, strict=True))
    for each, key in zip(due, keys, strict=True):
        each.look(key.end_s, by_key[key])


async def _look_at_expression(each: Watched, cloudwatch: CloudWatch, until_s: float) -> None:
    """Look at one alarm on metric math; what cannot be worked out now is missing data."""
    start_s, end_s = each.range_s(until_s)
    points: Mapping[int, float] = {}
    try:
        results = await cloudwatch.evaluate(each.queries, start_s, end_s)
        points = results[0].series.points if len(results) == 1 else {}
    except CloudError as error:
        log.warning("The alarm %s: %s", each.alarm.rule.name, error.message)
    each.look_at(end_s, points)
