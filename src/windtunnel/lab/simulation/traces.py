"""A file of recorded traffic as requests per period, which is all a scaling policy sees of it.

The files are those that `windtunnel load --trace` replays: `period,count`, or one moment a line;
time is in seconds or as a date in both, and either may be gzipped. A row out of order is refused,
because nobody can say what was meant; minutes that are missing count as minutes without requests,
and are told of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from windtunnel.autoscaling.timeline import Demand, Floats
from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.load.trace import (
    HEADER,
    SECONDS_MAX,
    bytes_of,
    counted_periods,
    is_number,
    moment_s,
    text_of,
)

_MINUTE_S = 60
# The shortest period of a metric that SageMaker publishes.
_SHORT_S = 10


@dataclass(frozen=True)
class ReadTrace:
    """A trace, and what of it was not taken as it stands."""

    demand: Demand
    notes: tuple[str, ...] = ()


def read(path: Path) -> ReadTrace:
    """Return what a file says, or what of it cannot be read."""
    lines = text_of(bytes_of(path), str(path)).splitlines()
    if lines and [word.strip() for word in lines[0].split(",")] == HEADER:
        return _counts(lines, path)
    return _moments(lines, path)


def _counts(lines: Sequence[str], path: Path) -> ReadTrace:
    periods = counted_periods(lines, path, partial(_bad, path))
    starts = np.array([each.start_s for each in periods])
    values = np.array([each.requests for each in periods])
    row_s = float(np.diff(starts).min())
    notes = _gaps(starts, row_s)
    if row_s > _MINUTE_S:
        spread = (
            f"its periods are {row_s:g} s long: each is spread evenly over its minutes, which "
            "hides every burst within"
        )
        notes = (*notes, spread)
    elif row_s < _MINUTE_S and is_number(periods[0].name):
        # 0, 1, 2 may have been meant as minutes.
        notes = (*notes, f"its times are taken as seconds: each of its periods is {row_s:g} s long")
    period_s = _SHORT_S if row_s <= _SHORT_S else _MINUTE_S
    return ReadTrace(_binned(starts, values, row_s, period_s, path), notes)


def _gaps(starts: Floats, row_s: float) -> tuple[str, ...]:
    steps = np.diff(starts)
    # A clock that is a little off makes no gap.
    gaps = np.flatnonzero(steps > 1.5 * row_s)
    if not len(gaps):
        return ()
    missing = round(float((steps[gaps] - row_s).sum() / row_s))
    first = datetime.fromtimestamp(starts[gaps[0]] + row_s, UTC)
    what = "1 period is" if missing == 1 else f"{missing:,} periods are"
    where = f"{what} missing in it, the first at {first:%Y-%m-%d %H:%M:%S}"
    return (f"{where}: they count as without requests",)


def _moments(lines: Sequence[str], path: Path) -> ReadTrace:
    due_s: list[float] = []
    for number, line in enumerate(lines, start=1):
        if not (text := line.strip()):
            continue
        # To Python 00:01:00,201 is a time, with 201 thousandths of a second.
        if "," in text:
            raise _bad(
                path,
                number,
                "has a second column: put the line `period,count` first if it is a count, and "
                "write fractions of a second with a dot",
            )
        try:
            moment = _moment(text)
        except ValueError:
            raise _bad(
                path,
                number,
                "is neither a number of seconds nor a date, and the file does not start with "
                "`period,count`",
            ) from None
        if not 0 <= moment < SECONDS_MAX:
            raise _bad(path, number, "is not a moment from 0 s to the year 3000")
        if due_s and moment < due_s[-1]:
            raise _bad(path, number, "lies before the one above it: sort the rows by time")
        due_s.append(moment)
    if not due_s:
        raise UsageError(f"The trace {path} is empty.")
    moments = np.array(due_s)
    return ReadTrace(_binned(moments, np.ones(len(moments)), 0.0, _SHORT_S, path))


def _moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return moment_s(text)


def _binned(starts: Floats, counts: Floats, row_s: float, period_s: int, path: Path) -> Demand:
    """Return the requests of each period, from the whole minute in which the first one begins."""
    begin_s = float(starts[0] // _MINUTE_S * _MINUTE_S)
    length = int(np.ceil((starts[-1] + max(row_s, 1e-9) - begin_s) / period_s))
    length = -(-length * period_s // _MINUTE_S) * _MINUTE_S // period_s
    if length > limits.SIMULATED_PERIODS_MAX:
        raise UsageError(
            f"The trace {path} is longer than {limits.SIMULATED_PERIODS_MAX:,} periods of "
            f"{period_s} s: cut it to what is to be simulated."
        )
    # A row that is longer than a period is a row for each of its periods.
    parts = max(1, round(row_s / period_s))
    offsets = np.arange(parts) * period_s
    moments = (starts[:, None] + offsets[None, :]).ravel()
    index = ((moments - begin_s) // period_s).astype(int)
    totals = np.bincount(index, np.repeat(counts / parts, parts), minlength=length)
    return Demand(begin_s, period_s, totals.astype(float))


def _bad(path: Path, number: int, what: str) -> UsageError:
    return UsageError(f"The trace {path} cannot be simulated: line {number} {what}.")
