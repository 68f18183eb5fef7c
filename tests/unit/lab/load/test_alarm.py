"""Waking at a moment."""

from time import perf_counter

import gevent
import pytest

from windtunnel.lab.load import alarm as alarms
from windtunnel.lab.load.alarm import Alarm


@pytest.mark.slow
@pytest.mark.parametrize("has_timer_files", [True, False])
def test_nobody_is_woken_early_and_others_run_meanwhile(
    monkeypatch: pytest.MonkeyPatch, *, has_timer_files: bool
) -> None:
    """A request that leaves before it is due has a latency of less than nothing."""
    if has_timer_files and not alarms.HAS_TIMER_FILES:
        pytest.skip("only Linux has timer files")
    monkeypatch.setattr(alarms, "HAS_TIMER_FILES", has_timer_files)
    alarm = Alarm()
    ran: list[float] = []
    gevent.spawn(lambda: ran.append(perf_counter()))
    try:
        for step in range(1, 4):
            due_s = perf_counter() + 0.01 * step
            alarm.wait_until(due_s)
            assert perf_counter() >= due_s - 0.001 * (not has_timer_files)
        # A moment that is over is no reason to wait, nor one never to come back.
        alarm.wait_until(perf_counter() - 1)
    finally:
        alarm.close()

    assert len(ran) == 1
