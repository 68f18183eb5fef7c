"""When a scheduled action is due: `at(…)`, `rate(…)` and AWS's six-field `cron(…)`.

Pure. Fields and wildcards are those of EventBridge's page on cron expressions, which Application
Auto Scaling's page on recurring schedules refers to: Sunday is day 1. (An example on the latter
reads `2` as Tuesday; names leave no doubt.) A time zone's clock is followed through both changes
of the year: a time that does not exist on a day is skipped, one that comes twice counts once, the
first time (EventBridge Scheduler's page on time zones).
"""

import calendar
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from windtunnel.core.errors import UsageError

_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_YEARS = (1970, 2199)
_UNITS_S = {"minute": 60, "hour": 3600, "day": 86400}
_AT = re.compile(r"at\((\d{4}-\d{2}-\d{2})T(\d{1,2}):(\d{2})(?::(\d{2}))?\)")
_RATE = re.compile(r"rate\(([1-9]\d{0,8}) (minute|hour|day)(s?)\)")
_CRON = re.compile(r"cron\((.*)\)")
_FIELDS = 6


class InvalidScheduleError(UsageError):
    """A schedule that means nothing; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class At:
    """One moment."""

    at_s: float

    def next_s(self, after_s: float) -> float | None:
        """Return the moment, if it is still to come."""
        return self.at_s if self.at_s > after_s else None


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so often, counted from the action's start."""

    every_s: int
    from_s: float

    def next_s(self, after_s: float) -> float | None:
        """Return the next multiple after a moment; the first is one interval after the start."""
        count = max((after_s - self.from_s) // self.every_s + 1, 1)
        return self.from_s + count * self.every_s


@dataclass(frozen=True, slots=True)
class Cron:
    """Whenever the clock of a zone shows one of some times."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days_of_month: str
    months: tuple[int, ...]
    days_of_week: str
    years: tuple[int, ...]
    zone: ZoneInfo

    def next_s(self, after_s: float) -> float | None:
        """Return the first time after a moment, None if there is none any more."""
        # A day early: the zone's clock may show yesterday where it jumped.
        begin = datetime.fromtimestamp(after_s, self.zone).date() - timedelta(days=1)
        for day in self._days(begin):
            for hour in self.hours:
                for minute in self.minutes:
                    moment = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                    at_s = moment.timestamp()
                    if at_s > after_s and self._exists(moment, at_s):
                        return at_s
        return None

    def _exists(self, moment: datetime, at_s: float) -> bool:
        shown = datetime.fromtimestamp(at_s, self.zone)
        return (shown.hour, shown.minute) == (moment.hour, moment.minute)

    def _days(self, begin: date) -> Iterator[date]:
        for year in self.years:
            if year < begin.year:
                continue
            for month in self.months:
                if (year, month) < (begin.year, begin.month):
                    continue
                for day in self._days_of(year, month):
                    if (found := date(year, month, day)) >= begin:
                        yield found

    def _days_of(self, year: int, month: int) -> list[int]:
        length = calendar.monthrange(year, month)[1]
        if self.days_of_week != "?":
            return _by_week(self.days_of_week, year, month, length)
        return _by_month(self.days_of_month, year, month, length)


Schedule = At | Rate | Cron


@dataclass(frozen=True, slots=True)
class ScheduledAction:
    """New bounds at set times; one of them at least is given."""

    name: str
    schedule: Schedule
    capacity_min: int | None = None
    capacity_max: int | None = None
    start_s: float | None = None
    end_s: float | None = None

    def next_s(self, after_s: float) -> float | None:
        """Return when it is due next, strictly after a moment; None if never again.

        Of what recurs the start itself is a time to act, and nothing is after the end.
        """
        start_s = self.start_s
        if start_s is not None and not isinstance(self.schedule, At) and after_s < start_s:
            found: float | None = start_s
        else:
            found = self.schedule.next_s(after_s)
        if found is None or (self.end_s is not None and found > self.end_s):
            return None
        return found


class Agenda:
    """Scheduled actions, and when each falls due next after a moment.

    A time is worked out when the one before it has come, not at every look: that takes a hundred
    times as long as to see that nothing is due.
    """

    def __init__(self, actions: Iterable[ScheduledAction], after_s: float) -> None:
        times = [(action.next_s(after_s), action) for action in actions]
        self._next = [(at_s, action) for at_s, action in times if at_s is not None]
        self._earliest_s = self._find_earliest_s()

    def take(self, until_s: float) -> list[tuple[float, ScheduledAction]]:
        """Return which actions fell due up to a moment and when, in order, and go on to the next.

        Each once: an action that came due several times while nobody looked would set the same
        bounds again.
        """
        if until_s < self._earliest_s:
            return []
        found = [pair for pair in self._next if pair[0] <= until_s]
        later = [pair for pair in self._next if pair[0] > until_s]
        for _, action in found:
            at_s = action.next_s(until_s)
            if at_s is not None:
                later.append((at_s, action))
        self._next = later
        self._earliest_s = self._find_earliest_s()
        return sorted(found, key=lambda pair: pair[0])

    def _find_earliest_s(self) -> float:
        return min((at_s for at_s, _ in self._next), default=math.inf)


def parse(text: str, zone: str = "UTC", *, from_s: float = 0.0) -> Schedule:
    """Return the schedule that an expression names; a rate counts from `from_s`."""
    try:
        clock = ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidScheduleError(f"There is no time zone {zone!r}.") from error
    text = text.strip()
    if match := _AT.fullmatch(text):
        return _at(match, clock)
    if match := _RATE.fullmatch(text):
        value, unit, plural = int(match[1]), match[2], match[3]
        if (value == 1) == bool(plural):
            raise InvalidScheduleError(
                f"The schedule {text!r} has the wrong number: write rate(1 {unit}) or "
                f"rate(2 {unit}s)."
            )
        return Rate(value * _UNITS_S[unit], from_s)
    if match := _CRON.fullmatch(text):
        return _cron(text, match[1].split(), clock)
    raise InvalidScheduleError(
        f"The schedule {text!r} is none: write at(yyyy-mm-ddThh:mm:ss), rate(value unit) or "
        "cron(minutes hours day-of-month month day-of-week year)."
    )


def _at(match: re.Match[str], clock: ZoneInfo) -> At:
    day, hour, minute, second = match[1], match[2], match[3], match[4] or "00"
    try:
        moment = datetime.fromisoformat(f"{day}T{hour:0>2}:{minute}:{second}")
    except ValueError as error:
        raise InvalidScheduleError(f"The schedule {match[0]!r} names no moment.") from error
    return At(moment.replace(tzinfo=clock).astimezone(UTC).timestamp())


def _cron(text: str, fields: list[str], clock: ZoneInfo) -> Cron:
    if len(fields) != _FIELDS:
        extra = " Seconds as a seventh are not offered." if len(fields) == _FIELDS + 1 else ""
        raise InvalidScheduleError(
            f"The schedule {text!r} has {len(fields)} fields, not {_FIELDS}: minutes, hours, day "
            f"of month, month, day of week, year.{extra}"
        )
    minutes, hours, days_of_month, months, days_of_week, years = (each.upper() for each in fields)
    # EventBridge's page: beside a value or a * in one of them there must be a ? in the other.
    if "?" not in (days_of_month, days_of_week):
        raise InvalidScheduleError(
            f"The schedule {text!r} names a day of the month and a day of the week: write ? for "
            "one of them, also where the other is *."
        )
    if days_of_month == days_of_week == "?":
        raise InvalidScheduleError(f"The schedule {text!r} has ? for both days: name one.")
    cron = Cron(
        _numbers(minutes, 0, 59),
        _numbers(hours, 0, 23),
        days_of_month,
        _numbers(months, 1, 12, _MONTHS),
        days_of_week,
        _numbers(years, *_YEARS),
        clock,
    )
    # Whatever is wrong with the days is found now, not when they come.
    _by_week(days_of_week, 2024, 1, 31)
    _by_month(days_of_month, 2024, 1, 31)
    return cron


def _numbers(
    text: str, low: int, high: int, names: dict[str, int] | None = None
) -> tuple[int, ...]:
    """Return what a field's commas, ranges and steps name, in order."""
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            begin, end = low, high
        else:
            begin = _number(first, text, names)
            end = _number(last, text, names) if dash else (high if slash else begin)
        every = _number(step, text) if slash else 1
        if every == 0 or not (low <= begin <= high and low <= end <= high):
            raise InvalidScheduleError(f"The field {text!r} is not within {low} to {high}.")
        if end < begin:
            # FRI-MON goes round.
            found.update(range(begin, high + 1, every))
            begin = low
        found.update(range(begin, end + 1, every))
    return tuple(sorted(found))


def _number(text: str, field: str, names: dict[str, int] | None = None) -> int:
    if names and text in names:
        return names[text]
    if not text.isascii() or not text.isdigit():
        raise InvalidScheduleError(f"The field {field!r} cannot be read at {text!r}.")
    return int(text)


def _by_month(text: str, year: int, month: int, length: int) -> list[int]:
    if text in {"?", "*"}:
        return list(range(1, length + 1))
    if text == "L":
        return [length]
    if text.endswith("W"):
        day = length if text == "LW" else _number(text[:-1], text)
        if not 1 <= day <= 31:  # noqa: PLR2004 - a day of a month
            raise InvalidScheduleError(f"The field {text!r} names no day of a month.")
        return [_nearest_weekday(year, month, day, length)] if day <= length else []
    return [day for day in _numbers(text, 1, 31) if day <= length]


def _nearest_weekday(year: int, month: int, day: int, length: int) -> int:
    weekday = calendar.weekday(year, month, day)
    if weekday == calendar.SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == calendar.SUNDAY:
        return day + 1 if day < length else day - 2
    return day


def _by_week(text: str, year: int, month: int, length: int) -> list[int]:
    if text in {"?", "*"}:
        return list(range(1, length + 1))
    if "#" in text:
        day, _, count = text.partition("#")
        wanted, nth = _numbers(day, 1, 7, _DAYS), _number(count, text)
        if not 1 <= nth <= 5:  # noqa: PLR2004 - weeks of a month
            raise InvalidScheduleError(f"The field {text!r} names no week of a month.")
        found = [each for each in range(1, length + 1) if _day(year, month, each) in wanted]
        return found[nth - 1 : nth]
    if text == "L":
        text = "SAT"
    elif text.endswith("L"):
        wanted = _numbers(text[:-1], 1, 7, _DAYS)
        return [each for each in range(length - 6, length + 1) if _day(year, month, each) in wanted]
    wanted = _numbers(text, 1, 7, _DAYS)
    return [each for each in range(1, length + 1) if _day(year, month, each) in wanted]


def _day(year: int, month: int, day: int) -> int:
    """Return a day's number in the week as AWS counts: Sunday is 1."""
    return (calendar.weekday(year, month, day) + 1) % 7 + 1
