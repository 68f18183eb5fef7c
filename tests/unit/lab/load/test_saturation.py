"""When a run is stopped for its endpoint's sake."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.lab.load.conductor import Tick
from windtunnel.lab.load.saturation import SaturationWatch, find_saturation, patience_s


def _queue(rate_rps: float, capacity_rps: float, seconds: int) -> list[int]:
    """Return how many requests are out at the end of each second, of a single queue."""
    grows_rps = max(0.0, rate_rps - capacity_rps)
    return [round(1 + second * grows_rps) for second in range(1, seconds + 1)]


def _stopped_after(out: list[int], rate_rps: float, patience: float = 2.0) -> int | None:
    for count in range(1, len(out) + 1):
        if find_saturation(out[:count], rate_rps, patience):
            return count
    return None


@pytest.mark.parametrize(
    ("rate_rps", "seconds"),
    [
        # Waits grow by half a second each second: from 4 s on they are too long, and seen four
        # times at 7.
        (100, 7),
        (1000, 6),
        (55, 25),
        (52, None),
        (40, None),
    ],
)
def test_a_drowned_endpoint_is_found_out_the_sooner_the_more_it_drowns(
    rate_rps: float, seconds: int | None
) -> None:
    """Ten minutes above capacity cost ten minutes, and an hour until the queue is empty again."""
    assert _stopped_after(_queue(rate_rps, 50, 30), rate_rps) == seconds


@given(st.lists(st.integers(0, 200), min_size=4, max_size=60))
def test_a_wait_within_patience_never_stops_a_run(out: list[int]) -> None:
    """A run that was stopped says `saturated`: noise must not."""
    assert _stopped_after(out, rate_rps=100, patience=2.0) is None


def test_a_stall_that_ends_does_not_stop_a_run() -> None:
    """A restarted worker is part of what is measured."""
    out = [1, 1, 50, 100, 150, 200, 250, 180, 90, 10, 1, 1]

    assert _stopped_after(out, rate_rps=50) is None


def test_a_long_queue_that_stands_does_not_stop_a_run() -> None:
    """An endpoint that batches for seconds is slow, not drowning: the objectives judge that."""
    assert _stopped_after([250, 251, 249, 250, 252, 250, 251, 250], rate_rps=50) is None


def test_the_reason_says_how_long_a_request_waits() -> None:
    """`stopped` alone sends people looking for a fault in the tool."""
    assert find_saturation([210, 230, 250, 270], 50, 2.0) == (
        "stopped early, the endpoint does not keep up: 270 requests were out and became more every "
        "second, which is a wait of 5.4 s and growing"
    )


def test_patience_follows_what_is_allowed_and_what_is_normal() -> None:
    """A model that takes 10 s alone is not saturated because requests take 10 s."""
    assert patience_s([], 0.02) == 2.0
    assert patience_s([0.15, 5.0], 0.02) == 20.0
    assert patience_s([0.15], 10.0) == 40.0


def _tick(worker: int, at_s: float, users: int, dropped: int = 0) -> Tick:
    return Tick(worker=worker, at_s=at_s, users=users, requests=10, failures=0, dropped=dropped)


def test_what_is_out_is_counted_over_all_processes() -> None:
    """A half of the queue looks like half of the wait."""
    out = _queue(100, 50, 20)
    one, two = SaturationWatch(100, 1, 2.0), SaturationWatch(100, 2, 2.0)
    stops: list[list[int]] = [[], []]
    for second, count in enumerate(out, start=1):
        if one(_tick(0, second, count)):
            stops[0].append(second)
        half = count // 2
        two(_tick(0, second, half))
        if two(_tick(1, second, count - half)):
            stops[1].append(second)

    assert stops[0] == stops[1]
    assert stops[0][0] == 7
    assert all(after == before + 1 for before, after in pairwise(stops[0]))


def test_dropped_arrivals_end_a_run_at_once() -> None:
    """It is invalid anyway: all that more of it brings is a longer queue."""
    watch = SaturationWatch(100, 1, 2.0)

    assert watch(_tick(0, 1.0, 10)) is None
    assert "dropped" in (watch(_tick(0, 2.0, 10, dropped=3)) or "")
    assert watch.stopped_because is not None
