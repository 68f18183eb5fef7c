"""How much of this machine other people's work took while something was measured.

All processor time that was used, less what the measurement's own processes used: this process with
its children, and the local cloud with its. What is left was somebody else's, and a number taken
beside it will not be seen again. Looks at processor times only, never into a process.
"""

import contextlib
import os
import time
from collections.abc import Iterable

import psutil


class Surroundings:
    """A look at the machine, from when it is made."""

    def __init__(self, root_pids: Iterable[int]) -> None:
        self._roots = list(root_pids)
        self._began_s = time.monotonic()
        self._busy_s = _busy_s()
        self._own_s = self._used_s()

    @property
    def elapsed_s(self) -> float:
        """How long this has been looking."""
        return time.monotonic() - self._began_s

    def other_share(self) -> float:
        """Return the share of all processors that others used since."""
        span_s = self.elapsed_s * (os.cpu_count() or 1)
        used_s = self._used_s()
        # A process that ended took its time with it, unless its parent waited for it.
        own_s = sum(max(0.0, used_s[pid] - self._own_s.get(pid, 0.0)) for pid in used_s)
        other_s = _busy_s() - self._busy_s - own_s
        return min(1.0, max(0.0, other_s / span_s)) if span_s > 0 else 0.0

    def _used_s(self) -> dict[int, float]:
        """Return what each process below the roots has used, its finished children included."""
        used: dict[int, float] = {}
        for root in self._roots:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(root)
                for each in (process, *process.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):
                        times = each.cpu_times()
                        used[each.pid] = (
                            times.user + times.system + times.children_user + times.children_system
                        )
        return used


def _busy_s() -> float:
    """Return the time that this machine's processors were used since it started."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Guests' time is counted in user and nice already.
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times)) - idle - guests
