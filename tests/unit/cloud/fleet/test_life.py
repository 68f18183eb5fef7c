"""An instance's life, as stories on paper."""

import itertools

import pytest

from windtunnel.cloud.fleet.life import Event, Life, Phase, backoff_s, step
from windtunnel.core import limits

A, S, E = Event.ANSWERED, Event.SILENT, Event.ENDED
R, T, D = Event.REFUSED, Event.OVERDUE, Event.DUE


def live(*events: Event, interval_s: float = 1.0) -> Life:
    """Return what a new instance's life is after some events, one each interval."""
    life = Life()
    for number, event in enumerate(events):
        life = step(life, event, now_s=number * interval_s)
    return life


@pytest.mark.parametrize(
    ("events", "phase"),
    [
        ([], Phase.STARTING),
        ([S, S, S, S, S, S, S], Phase.STARTING),
        ([S, A], Phase.HEALTHY),
        ([R], Phase.FAILED),
        ([T], Phase.FAILED),
        ([E], Phase.DOWN),
        ([E, D], Phase.STARTING),
        ([E, D, A], Phase.HEALTHY),
        ([E, D, E, D, E], Phase.FAILED),
        ([E, D, R], Phase.FAILED),
        ([A, E], Phase.DOWN),
        ([A, R], Phase.DOWN),
        ([A, E, D, R], Phase.DOWN),
        ([A, E, D, T], Phase.DOWN),
        # Once healthy, never given up.
        ([A] + [E, D] * 50, Phase.STARTING),
        ([A] + [S] * (limits.PING_FAILURE_COUNT_MAX - 1), Phase.HEALTHY),
        ([A] + [S] * limits.PING_FAILURE_COUNT_MAX, Phase.DOWN),
        ([A] + [S, S, S, S, S, A] * 5, Phase.HEALTHY),
        # What comes late changes nothing.
        ([A, T, D], Phase.HEALTHY),
        ([E, A, S, E, R, T], Phase.DOWN),
        ([R, A, S, E, T, D], Phase.FAILED),
    ],
)
def test_a_life_goes_as_the_table_says(events: list[Event], phase: Phase) -> None:
    """A bad model fails at once, a crash is mended, and a good instance is never given up."""
    assert live(*events).phase is phase


def test_back_off_doubles_up_to_its_limit() -> None:
    """A crashing container is not started five times a second for ever."""
    pauses = [backoff_s(count) for count in range(1, 12)]

    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert all(b == min(2 * a, 30.0) for a, b in itertools.pairwise(pauses))
    assert backoff_s(10**6) == limits.RESTART_BACKOFF_MAX_S


def test_crashes_in_a_row_count_even_when_healthy_in_between() -> None:
    """A container that lives a second each time is not restarted without pause."""
    life = live(A, *[E, D, A] * 4)

    assert life.crash_count == 4


@pytest.mark.parametrize("last", [E, A])
def test_a_time_of_health_forgives_the_crashes_before(last: Event) -> None:
    """One crash a day is mended at once, every day."""
    life = live(A, E, D, A, last, interval_s=limits.RESTART_FORGIVE_S)

    assert life.crash_count == (1 if last is E else 0)


def test_silence_that_lasted_is_a_crash_like_any_other() -> None:
    """A hung container is killed and restarted with the same back-off."""
    life = live(A, *[S] * limits.PING_FAILURE_COUNT_MAX)

    assert (life.crash_count, life.silence_count) == (1, 0)
