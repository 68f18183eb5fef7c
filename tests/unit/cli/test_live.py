"""What is shown while a run goes on."""

import numpy as np
import pytest

from windtunnel.cli.live import LiveView
from windtunnel.lab.load.arrivals import EvenArrivals, RateProfile, Stage
from windtunnel.lab.load.closed_schedule import closed_schedule
from windtunnel.lab.load.conductor import Tick
from windtunnel.lab.load.histogram import Histogram

_SCHEDULE = closed_schedule(users=4, spawn_rate_per_s=None, warmup_s=2, duration_s=18)


def _histogram(values_s: list[float]) -> Histogram:
    histogram = Histogram()
    histogram.add(np.array(values_s))
    return histogram


def _tick(
    worker: int,
    at_s: float,
    *,
    users: int = 2,
    requests: int = 10,
    failures: int = 0,
    dropped: int = 0,
) -> Tick:
    return Tick(
        worker=worker,
        at_s=at_s,
        users=users,
        requests=requests,
        failures=failures,
        latency=_histogram([0.05] * 9 + [0.2]),
        lag=_histogram([0.0005]),
        errors={"refused": failures} if failures else {},
        dropped=dropped,
    )


def test_without_a_terminal_there_is_a_line_every_five_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A CI log of one line a second hides everything else in it."""
    with LiveView(_SCHEDULE, processes=1) as live:
        for second in range(1, 21):
            live.tick(_tick(0, float(second)))

    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "6", "11", "16"]
    assert "warm-up" in lines[0]
    assert "counting" in lines[1]


def test_a_line_is_the_sum_of_all_workers(capsys: pytest.CaptureFixture[str]) -> None:
    """Half of the load, shown as the whole, sends people looking for the other half."""
    with LiveView(_SCHEDULE, processes=2) as live:
        live.tick(_tick(0, 1.0))
        assert capsys.readouterr().err == ""
        live.tick(_tick(1, 1.1, requests=30, failures=3))

    (line,) = capsys.readouterr().err.splitlines()
    assert "4 users" in line
    assert "40 requests/s" in line
    assert "p50 50 ms" in line
    assert "p95 200 ms" in line
    assert "p99 200 ms" in line
    assert "left 500 µs late" in line or "left 0.5 ms late" in line
    assert "3 errors (3 refused)" in line


def test_an_open_loop_shows_the_rate_that_was_wanted_beside_the_one_that_was_reached(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An endpoint that falls behind is seen while there is time to stop."""
    arrivals = EvenArrivals(RateProfile([Stage(10.0, 0.0, 100.0)]))
    with LiveView(_SCHEDULE, processes=2, arrivals=arrivals) as live:
        # Told before the run's start: it would look as if nothing came.
        live.tick(_tick(0, 0.001, requests=0))
        live.tick(_tick(1, 0.001, requests=0))
        live.tick(_tick(0, 6.0, requests=20, dropped=4))
        live.tick(_tick(1, 6.0, requests=25, users=3))

    (line,) = capsys.readouterr().err.splitlines()
    assert "45 of 55 requests/s, 5 out, 4 dropped" in line


def test_after_the_end_it_says_how_many_requests_are_waited_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`56 s of 20` looks like a tool that cannot stop; a hanging endpoint is the reason."""
    with LiveView(_SCHEDULE, processes=2) as live:
        live.tick(_tick(0, 20.1, users=3))
        live.tick(_tick(1, 20.2, users=2, failures=4))
        # From here on the first process is done, and silent.
        for second in range(21, 27):
            live.tick(_tick(1, second + 0.2, users=1))

    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "  20 s are over: waiting for 3 requests to be answered  0 errors",
        "  20 s are over: waiting for 1 request to be answered  4 errors",
    ]
