"""Time, as a value that is handed in.

Deciders take `now_s` and never read a clock. The loops that call them get their time here, so
that a test can hand in a `ManualClock` and play a week in a millisecond.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What a loop may ask of time."""

    def now_s(self) -> float:
        """Return seconds since the Unix epoch: what users and AWS read."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never step backwards: what durations are measured with."""
        ...


class SystemClock:
    """The machine's own time."""

    def now_s(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()

    def monotonic_s(self) -> float:
        """Return seconds on the machine's monotonic clock."""
        return time.monotonic()


class ManualClock:
    """A time that moves only when told: for tests and simulation."""

    def __init__(self, now_s: float = 1_700_000_000.0) -> None:
        self._now_s = now_s

    def now_s(self) -> float:
        """Return the epoch seconds this clock was moved to."""
        return self._now_s

    def monotonic_s(self) -> float:
        """Return the same value: a manual clock never steps backwards."""
        return self._now_s

    def advance(self, duration_s: float) -> None:
        """Move forward by `duration_s` seconds."""
        assert duration_s >= 0
        self._now_s += duration_s
