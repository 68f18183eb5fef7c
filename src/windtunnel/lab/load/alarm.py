"""Waking a greenlet at a moment of `perf_counter`, to some ten microseconds.

gevent's own timers are a millisecond coarse. Linux's timer files are not, and wait in the same
place as the sockets; elsewhere gevent's have to do.
"""

import ctypes
import functools
import os
import sys
from time import perf_counter

import gevent

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = 0o4000
_TFD_CLOEXEC = 0o2000000
_TFD_TIMER_ABSTIME = 1
_READABLE = 1
HAS_TIMER_FILES = sys.platform == "linux"


def timer_file() -> int:
    """Return the descriptor of a timer that is not set."""
    descriptor: int = _libc().timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create failed")
    return descriptor


def set_timer(descriptor: int, first_s: float, period_s: float = 0.0) -> None:
    """Make a timer file readable at `first_s`, and every `period_s` after if that is not 0."""
    # Python's perf_counter is CLOCK_MONOTONIC on Linux: the timer's own clock.
    # struct itimerspec: the period, then the first moment, each in seconds and nanoseconds.
    timespecs = (ctypes.c_long * 4)(*_timespec(period_s), *_timespec(first_s))
    if _libc().timerfd_settime(descriptor, _TFD_TIMER_ABSTIME, ctypes.byref(timespecs), None) < 0:
        raise OSError(ctypes.get_errno(), "timerfd_settime failed")


class Alarm:
    """Waits for one moment after the other; for one greenlet."""

    def __init__(self) -> None:
        self._descriptor = timer_file() if HAS_TIMER_FILES else -1
        self._hub = gevent.get_hub()
        self._watcher = self._hub.loop.io(self._descriptor, _READABLE) if HAS_TIMER_FILES else None

    def wait_until(self, at_s: float) -> None:
        """Let others run until a moment; where it is over, until what they wait for was looked at.

        `gevent.sleep(0)` would come back before sockets are looked at.
        """
        if self._watcher is None:
            gevent.sleep(max(0.0, at_s - perf_counter()))
            return
        set_timer(self._descriptor, at_s)
        self._hub.wait(self._watcher)
        os.read(self._descriptor, 8)

    def close(self) -> None:
        """Give the timer back."""
        if self._watcher is not None:
            self._watcher.close()
            os.close(self._descriptor)


def _timespec(value_s: float) -> tuple[int, int]:
    whole = int(value_s)
    return whole, int((value_s - whole) * 1e9)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
