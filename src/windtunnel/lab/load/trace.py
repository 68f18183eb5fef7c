"""Arrivals as they once were: a file of counts a period, or of the moments themselves.

    period,count                     or, one a line, seconds from the start:
    1998-04-30 21:30:00,2            0.0
    1998-04-30 21:31:00,11           0.25

A period is called by the date at which it begins or by a number of seconds, counted from the epoch
or from anywhere: all of a file's alike. Either kind of file may be gzipped. One that cannot be read
whole is refused: half of a trace is another one. Its words, and its hash, are kept with the run;
the file itself is read again where it is replayed.
"""

import csv
import gzip
import hashlib
import io
import math
import reprlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.load.arrivals import ListedArrivals, RateProfile, Stage

HEADER = ["period", "count"]
# The year 3000. Who writes milliseconds since the epoch writes more.
SECONDS_MAX = 32_503_680_000
_GZIP_MAGIC = b"\x1f\x8b"
_COMPACT_DATE = len("20240131")


@dataclass(frozen=True)
class Trace:
    """Which file is replayed, from where on, and how it is changed."""

    path: str
    sha256: str
    # How many arrivals come for each of the file's.
    scale: float
    # How many times as fast as in the file time passes.
    speed: float
    # The first period, or the start of its name; None: the file's own first.
    first_period: str | None

    def read(self) -> RateProfile | ListedArrivals:
        """Return what the file says, or what of it cannot be read."""
        data = bytes_of(Path(self.path))
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise UsageError(f"The trace {self.path} changed since it was checked.")
        lines = text_of(data, self.path).splitlines()
        if lines and [word.strip() for word in lines[0].split(",")] == HEADER:
            return self._profile(lines)
        return self._listed(lines)

    def _profile(self, lines: Sequence[str]) -> RateProfile:
        periods = counted_periods(lines, self.path, self._bad)
        names, starts_s, counts = zip(*periods, strict=True)
        period_s = float(np.diff(starts_s).min())
        first = self._first(names)
        return RateProfile(
            list(self._stages(starts_s[first:], counts[first:], period_s)),
        )

    def _stages(
        self, starts_s: Sequence[float], counts: Sequence[float], period_s: float
    ) -> list[Stage]:
        """Return each period as a stage, and times without any as stages of nothing."""
        stages = []
        end_s = starts_s[0]
        for start_s, count in zip(starts_s, counts, strict=True):
            if start_s > end_s:
                stages.append(Stage((start_s - end_s) / self.speed, 0.0, 0.0))
            rate = count * self.scale * self.speed / period_s
            stages.append(Stage(period_s / self.speed, rate, rate))
            end_s = start_s + period_s
        return stages

    def _first(self, names: Sequence[str]) -> int:
        if self.first_period is None:
            return 0
        for number, name in enumerate(names):
            if name.startswith(self.first_period):
                return number
        raise UsageError(
            f"--trace-from {self.first_period}: the trace goes from {names[0]} to {names[-1]}."
        )

    def _listed(self, lines: Sequence[str]) -> ListedArrivals:
        if self.scale != 1 or self.first_period is not None:
            raise UsageError(
                f"The trace {self.path} lists moments, not counts a period: --trace-scale and "
                "--trace-from mean nothing there."
            )
        due_s: list[float] = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                moment_s = float(line)
            except ValueError:
                raise self._bad(
                    number,
                    "is not a number of seconds, and the file does not start with `period,count`",
                ) from None
            if not (math.isfinite(moment_s) and moment_s >= 0):
                raise self._bad(number, "is not a moment of the run")
            if due_s and moment_s < due_s[-1]:
                raise self._bad(number, "lies before the one above it")
            due_s.append(moment_s)
        if not due_s:
            raise UsageError(f"The trace {self.path} is empty.")
        return ListedArrivals(np.array(due_s) / self.speed)

    def _bad(self, number: int, what: str) -> UsageError:
        return UsageError(f"The trace {self.path} cannot be replayed: line {number} {what}.")


def open_trace(path: Path, *, scale: float, speed: float, first_period: str | None) -> Trace:
    """Return the words of a trace whose file is there; what is in it is read by `Trace.read`."""
    for name, value in (("--trace-scale", scale), ("--trace-speed", speed)):
        if not (math.isfinite(value) and value > 0):
            raise UsageError(f"{name} must be more than 0.")
    digest = hashlib.sha256(bytes_of(path)).hexdigest()
    return Trace(str(path.absolute()), digest, scale, speed, first_period)


def moment_s(name: str) -> float:
    """Return a period's start; without a zone it is taken as UTC, whose days are all as long."""
    moment = datetime.fromisoformat(name)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def is_number(name: str) -> bool:
    """Say whether a period is called by a number of seconds: 20240131 is a day."""
    try:
        float(name)
    except ValueError:
        return False
    if len(name) != _COMPACT_DATE:
        return True
    try:
        datetime.fromisoformat(name)
    except ValueError:
        return True
    return False


def bytes_of(path: Path) -> bytes:
    """Return what a trace's file holds, or why it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(limits.LOAD_TRACE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"The trace {path} cannot be read: {error.strerror or error}.") from error
    _check_size(data, str(path))
    return data


def text_of(data: bytes, path: str) -> str:
    """Return a trace's text, unpacked if it is packed."""
    try:
        if data.startswith(_GZIP_MAGIC):
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(limits.LOAD_TRACE_BYTES_MAX + 1)
            _check_size(data, path)
        # Excel's "CSV UTF-8" begins with a mark that nobody sees.
        return data.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"The trace {path} cannot be unpacked: {error}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"The trace {path} is not text.") from error


def _check_size(data: bytes, path: str) -> None:
    if len(data) > limits.LOAD_TRACE_BYTES_MAX:
        raise UsageError(
            f"The trace {path} is larger than {limits.LOAD_TRACE_BYTES_MAX:,} bytes: "
            "cut it to what is to be replayed."
        )


class CountedPeriod(NamedTuple):
    """A row of a trace that counts: a period as it is called, when it begins, what came in it."""

    name: str
    start_s: float
    requests: float


def counted_periods(
    lines: Sequence[str], path: Path | str, bad: Callable[[int, str], UsageError]
) -> list[CountedPeriod]:
    """Return the rows below `period,count`; of the first that is none, `bad` makes the error."""
    periods: list[CountedPeriod] = []
    for number, row in enumerate(csv.reader(lines[1:]), start=2):
        if not row:
            continue
        try:
            name, text = row
        except ValueError:
            raise bad(number, "is not a time and a count") from None
        # The first row says for all how time is written: in the midst of seconds, 20240131 is one.
        is_numbered = is_number(periods[0].name if periods else name)
        start_s = _numbered_s(name) if is_numbered else _dated_s(name)
        if start_s is None:
            what = "number of seconds from 0 to the year 3000" if is_numbered else "date"
            raise bad(number, f"has a time that is no {what}: {reprlib.repr(name)}")
        requests = _number(text)
        if requests is None or requests < 0:
            raise bad(number, f"has a count that is no number of 0 or more: {reprlib.repr(text)}")
        if periods and start_s <= periods[-1].start_s:
            raise bad(number, "does not come after the one before it: sort the rows by time")
        periods.append(CountedPeriod(name, start_s, requests))
    if len(periods) < 2:  # noqa: PLR2004 - the length of a period is the step between two
        raise UsageError(f"The trace {path} needs two periods at least.")
    return periods


def _numbered_s(name: str) -> float | None:
    found = _number(name)
    return found if found is not None and 0 <= found < SECONDS_MAX else None


def _dated_s(name: str) -> float | None:
    try:
        return moment_s(name)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    """Return what a text says, None where it is no number or not a finite one."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
