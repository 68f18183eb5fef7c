"""In which state a CloudWatch alarm is, one period after the other.

Pure. A period is told by its number: `period_of(moment)` is how many periods lie before the one a
moment is in, counted from the epoch, so that all alarms of a length see the same periods. Only
periods that have ended may be told: half a minute's sum is not a small sum.

Rules, from CloudWatch's page on alarms (AlarmThatSendsEmail, "Evaluating an alarm" and "How alarm
state is evaluated when data is missing"):
- The alarm looks at an evaluation range somewhat longer than its evaluation periods, takes the
  newest existing data points of it, and fills up with what TreatMissingData says only where those
  are too few.
- What arrives late for a period counts at the next look, as long as the period is in the range.
- Not a number, and infinity, is no data point: PutMetricData refuses both. A negative value is one.
- A period longer than a minute is looked at once it has ended (`observe`), or every minute, as
  CloudWatch does, whose periods then end at that minute (`look`): the data points of published
  alarms show it. Of a minute and of 10 seconds both are the same.
- A clock that jumps forward leaves missing periods; what is observed of a time before the range
  changes nothing. Where a clock was set back, `look` begins anew from what the metric has by then.

All that is kept of a range is two integers whose lowest bit is the newest period: which periods
have a data point, and which of those breach. A look is a shift, a mask and a count of bits.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
TreatMissing = Literal["missing", "ignore", "breaching", "notBreaching"]
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
# How many periods more than the evaluation periods a look covers. CloudWatch's examples take 5 for
# 3 and say that the exact number depends on the period; elsewhere this is a guess.
RANGE_BEYOND = 2
# Of a percentile there should be ten samples beyond it (AlarmThatSendsEmail, "Percentile-based
# CloudWatch alarms and low data samples").
_SAMPLES_BEYOND = 10


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """When an alarm is in which state: PutMetricAlarm's words."""

    name: str
    threshold: float
    comparison: str
    evaluation_periods: int
    datapoints_to_alarm: int
    period_s: int = 60
    treat_missing: TreatMissing = "missing"

    def __post_init__(self) -> None:
        assert self.comparison in COMPARISONS
        assert 0 < self.datapoints_to_alarm <= self.evaluation_periods
        assert self.period_s > 0

    @property
    def is_upward(self) -> bool:
        """Whether a value breaches by being high."""
        return self.comparison.startswith("Greater")

    def period_of(self, moment_s: float) -> int:
        """Return the number of the period that a moment lies in."""
        return int(moment_s // self.period_s)

    def ended_by(self, now_s: float) -> int:
        """Return the number of the last period that has ended."""
        return int(now_s // self.period_s) - 1


class Alarm:
    """One alarm: its rule, what it saw, and its state."""

    __slots__ = (
        "_all",
        "_breaches",
        "_breaching",
        "_newest",
        "_periods",
        "_present",
        "_range",
        "_said",
        "_values",
        "_wanted",
        "period",
        "rule",
        "state",
    )

    def __init__(self, rule: AlarmRule, state: State = "INSUFFICIENT_DATA") -> None:
        self.rule = rule
        self.state: State = state
        # The newest period it was told of; None: of none yet. A whole number, but after `look`.
        self.period: float | None = None
        length = rule.evaluation_periods + RANGE_BEYOND
        self._range = (1 << length) - 1
        self._periods = (1 << rule.evaluation_periods) - 1
        self._wanted = rule.datapoints_to_alarm
        self._all = rule.datapoints_to_alarm == rule.evaluation_periods
        self._breaches = COMPARISONS[rule.comparison]
        self._present = 0
        self._breaching = 0
        # By period, those of the range; None and what is not finite is not kept.
        self._values: dict[float, float] = {}
        self._newest: float | None = None
        # What somebody said that it saw, until the next look.
        self._said: tuple[float, ...] = ()

    def say(self, state: State, values: Iterable[float] = ()) -> None:
        """Put it in a state until the next look, with data points that are said to have led there.

        SetAlarmState's StateReasonData has them, and policies go by them (botocore's model).
        """
        self.state = state
        self._said = tuple(value for value in values if value - value == 0)

    @property
    def newest(self) -> float | None:
        """The data point of the newest period, None where there is none."""
        return self._said[-1] if self._said else self._newest

    @property
    def newest_start_s(self) -> float | None:
        """When the newest period began; None where none was seen, or somebody said what was."""
        return None if self._said or self.period is None else self.period * self.rule.period_s

    @property
    def has_real_breach(self) -> bool:
        """Whether as many real data points breach as the rule asks for, none of them filled in."""
        if self._said:
            return any(map(self.is_breached_by, self._said))
        return (self._breaching & self._range).bit_count() >= self._wanted

    def is_breached_by(self, value: float) -> bool:
        """Whether a value is beyond the threshold."""
        return self._breaches(value, self.rule.threshold)

    def breaching(self) -> list[float]:
        """Return the data points for which it is in ALARM, oldest first."""
        seen = self._said or [value for _, value in self._recent_pairs()]
        return [value for value in seen if self.is_breached_by(value)]

    def _recent_pairs(self) -> list[tuple[float, float]]:
        return sorted(self._values.items())[-self.rule.evaluation_periods :]

    def recent_starts_s(self) -> list[tuple[float, float]]:
        """Return the same with the moment at which each one's period began."""
        length_s = self.rule.period_s
        return [(round(period * length_s, 3), value) for period, value in self._recent_pairs()]

    @property
    def range_length(self) -> int:
        """How many periods a look covers."""
        return self.rule.evaluation_periods + RANGE_BEYOND

    def observe(self, period: int, value: float | None) -> State:
        """Take a period's data point, or that there is none, and return the state that follows."""
        last = self.period
        self._said = ()
        if last is None or period != last + 1:
            return self._jump(period, value)
        self.period = period
        values = self._values
        values.pop(period - self.rule.evaluation_periods - RANGE_BEYOND, None)
        present = (self._present << 1) & self._range
        breaching = (self._breaching << 1) & self._range
        # Not a number less itself is none, infinity too.
        if value is None or value - value != 0:
            self._newest = None
        else:
            self._newest = values[period] = value
            present |= 1
            if self._breaches(value, self.rule.threshold):
                breaching |= 1
        self._present = present
        self._breaching = breaching
        periods = self._periods
        if present & periods != periods:
            self.state = self._state_with_gaps()
        elif self._all:
            self.state = "ALARM" if breaching & periods == periods else "OK"
        else:
            enough = (breaching & periods).bit_count() >= self._wanted
            self.state = "ALARM" if enough else "OK"
        return self.state

    def look(self, newest_start_s: float, values: Sequence[float | None]) -> State:
        """Take a whole evaluation range, newest last, and return the state that follows.

        For periods longer than a minute CloudWatch looks every minute at those that end then, so
        that they begin anywhere: all of the range is another one each time.
        """
        newest = newest_start_s / self.rule.period_s
        self._values.clear()
        self._said = ()
        self._present = self._breaching = 0
        self._newest = None
        length = self.rule.evaluation_periods + RANGE_BEYOND
        chosen = values[-length:]
        for back, value in enumerate(reversed(chosen)):
            if value is None or value - value != 0:
                continue
            self._present |= 1 << back
            if self._breaches(value, self.rule.threshold):
                self._breaching |= 1 << back
            self._values[newest - back] = value
            if back == 0:
                self._newest = value
        self.period = newest
        self.state = self._state_with_gaps()
        return self.state

    def restore(self, points: Sequence[tuple[int, float | None]], state: State) -> None:
        """Take up the state an alarm was left in, with what the metric says of its range now.

        The points may begin before the range and have gaps. The state stays as it was left until
        the next period is observed: no action is taken for what happened while nobody looked.
        """
        for period, value in points:
            self.observe(period, value)
        self.state = state

    def _jump(self, period: int, value: float | None) -> State:
        last = self.period
        is_real = value is not None and value - value == 0
        if last is None or period > last:
            step = int(period - last) if last is not None else 0
            length = self.rule.evaluation_periods + RANGE_BEYOND
            # Further than the range nothing is left of it, however far the clock jumped.
            step = min(step, length + 1)
            self.period = period
            self._present = (self._present << step) & self._range
            self._breaching = (self._breaching << step) & self._range
            oldest = period - length + 1
            self._values = {each: kept for each, kept in self._values.items() if each >= oldest}
            self._newest = value if is_real else None
        elif last - period > self.rule.evaluation_periods + RANGE_BEYOND - 1:
            return self.state
        elif not is_real:
            # What was there is not taken back by an empty second answer.
            return self.state
        if is_real:
            assert value is not None
            assert self.period is not None
            bit = 1 << int(self.period - period)
            self._present |= bit
            self._breaching &= ~bit
            if self._breaches(value, self.rule.threshold):
                self._breaching |= bit
            self._values[period] = value
            if period == self.period:
                self._newest = value
        self.state = self._state_with_gaps()
        return self.state

    def _state_with_gaps(self) -> State:
        """Return the state as CloudWatch's page on missing data says."""
        rule = self.rule
        present, breaching = self._present, self._breaching
        count = present.bit_count()
        surplus = count - rule.evaluation_periods
        for _ in range(surplus):
            # The newest existing ones decide: drop the oldest.
            oldest = 1 << (present.bit_length() - 1)
            present &= ~oldest
            breaching &= ~oldest
        found = breaching.bit_count()
        if found >= self._wanted:
            return "ALARM"
        if surplus >= 0:
            return "OK"
        treat = rule.treat_missing
        if treat == "breaching":
            return "ALARM" if found - surplus >= self._wanted else "OK"
        if treat == "notBreaching" or found < count:
            return "OK"
        if treat == "ignore":
            return self.state
        # All there is breaches, and it is too little. It is enough once the oldest of it is as old
        # as the data points it would take: what came since could only be breaching or missing.
        return "ALARM" if breaching.bit_length() >= self._wanted else "INSUFFICIENT_DATA"


def is_sample_enough(percentile: float, sample_count: float) -> bool:
    """Say whether a percentile (0 to 1) of so many samples means something.

    Where EvaluateLowSampleCountPercentile is `ignore` and it does not, the alarm is not looked at.
    """
    beyond = min(percentile, 1 - percentile)
    return beyond <= 0 or sample_count >= _SAMPLES_BEYOND / beyond
