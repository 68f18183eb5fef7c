"""How late a load process's own event loop runs, measured by a beat of its own.

A closed user cannot see its own generator's slowness: an answer that waits in the kernel while the
loop is busy with other users just looks like a slow answer. A beat that is due every 10 ms whatever
else happens shows what anything else that is due in this process has to wait. gevent's own timers
are a millisecond coarse, which is the very delay to be found, so on Linux the kernel's timer file
is used.
"""

import math
import os
import struct
from array import array
from time import perf_counter

import gevent

from windtunnel.lab.load import alarm

# 100 beats a second cost a thousandth of a core and give 1,000 samples in ten seconds.
PERIOD_S = 0.01
_READABLE = 1


class Beat:
    """Beats until it is killed; keeps when each beat was due and how late it came."""

    def __init__(self) -> None:
        self.due_s = array("d")
        self.late_s = array("d")

    def late_s_p99(self, start_s: float, end_s: float) -> float:
        """Return the 99th percentile of the lateness of beats due in a time window."""
        late = sorted(
            late_s
            for due_s, late_s in zip(self.due_s, self.late_s, strict=True)
            if start_s <= due_s < end_s
        )
        return late[math.ceil(0.99 * len(late)) - 1] if late else 0.0

    def run(self) -> None:
        """Beat for ever; to be run in a greenlet of its own."""
        if alarm.HAS_TIMER_FILES:
            self._run_on_timer_file()
        else:
            self._run_on_sleep()

    def _record(self, first_due_s: float, count: int) -> float:
        """Keep `count` beats that are noticed now; return when the next one is due."""
        now_s = perf_counter()
        for number in range(count):
            due_s = first_due_s + number * PERIOD_S
            self.due_s.append(due_s)
            self.late_s.append(now_s - due_s)
        return first_due_s + count * PERIOD_S

    def _run_on_sleep(self) -> None:
        due_s = perf_counter() + PERIOD_S
        while True:
            gevent.sleep(max(0.0, due_s - perf_counter()))
            behind = int((perf_counter() - due_s) / PERIOD_S)
            due_s = self._record(due_s, behind + 1)

    def _run_on_timer_file(self) -> None:
        hub = gevent.get_hub()
        due_s = perf_counter() + PERIOD_S
        descriptor = alarm.timer_file()
        alarm.set_timer(descriptor, due_s, PERIOD_S)
        watcher = hub.loop.io(descriptor, _READABLE)
        try:
            while True:
                hub.wait(watcher)
                (count,) = struct.unpack("Q", os.read(descriptor, 8))
                due_s = self._record(due_s, count)
        finally:
            watcher.close()
            os.close(descriptor)
