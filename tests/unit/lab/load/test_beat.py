"""How late the generator's own loop runs."""

import time
from time import perf_counter

import gevent
import pytest

from windtunnel.lab.load.beat import PERIOD_S, Beat


@pytest.mark.slow
@pytest.mark.parametrize("runs_on", ["_run_on_timer_file", "_run_on_sleep"])
def test_a_loop_that_was_blocked_is_late_by_as_much(runs_on: str) -> None:
    """While one user's answer is being handled, all others wait; that wait must show."""
    beat = Beat()
    start_s = perf_counter()
    greenlet = gevent.spawn(getattr(beat, runs_on))
    gevent.sleep(3 * PERIOD_S)

    time.sleep(0.2)
    gevent.sleep(3 * PERIOD_S)
    greenlet.kill()

    # Every beat that was due in the blocked time is kept, each as late as it was.
    late = [value for value in beat.late_s if value > 2 * PERIOD_S]
    assert len(late) >= 0.2 / PERIOD_S - 4
    assert max(late) > 0.15
    assert beat.late_s_p99(start_s, perf_counter()) > 0.15


def test_beats_outside_the_window_do_not_count() -> None:
    """Being late while users are still being started says nothing about the measurement."""
    beat = Beat()
    for due_s, late_s in ((1.0, 0.5), (2.0, 0.001), (3.0, 0.002), (4.0, 0.5)):
        beat.due_s.append(due_s)
        beat.late_s.append(late_s)

    assert beat.late_s_p99(2.0, 4.0) == 0.002
    assert beat.late_s_p99(9.0, 10.0) == 0.0
