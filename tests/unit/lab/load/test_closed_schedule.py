"""Closed loops in words: how many users there are when, in which process, and how they wait."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.core.errors import UsageError
from windtunnel.lab.load.closed_schedule import (
    ClosedSchedule,
    Shape,
    UserStage,
    closed_schedule,
    parse_think,
    parse_user_stages,
    ramping_schedule,
    shaped_schedule,
    share,
)
from windtunnel.lab.load.plan import schedule_from_json


def _constant(users: int, rate: float | None = None) -> ClosedSchedule:
    return closed_schedule(users=users, spawn_rate_per_s=rate, warmup_s=None, duration_s=60)


@pytest.mark.parametrize(
    ("schedule", "moments"),
    [
        (_constant(5), {0.0: 5, 1.0: 5, 60.0: 5}),
        # Whole users, every second: Locust's own way.
        (_constant(5, 2), {0.0: 2, 0.99: 2, 1.0: 4, 2.0: 5, 60.0: 5}),
        (_constant(3, 0.5), {0.0: 1, 1.9: 1, 2.0: 2, 4.0: 3, 60.0: 3}),
        (
            ramping_schedule("2s:4,2s:0", warmup_s=None),
            {0.0: 0, 1.0: 2, 2.0: 4, 3.0: 2, 3.99: 0, 4.0: 0, 9.0: 0},
        ),
        (
            ramping_schedule("0s:50,1m:50,0s:10,1m:10", warmup_s=None),
            {0.0: 50, 59.9: 50, 60.0: 10, 119.0: 10},
        ),
    ],
)
def test_there_are_as_many_users_as_the_words_say(
    schedule: ClosedSchedule, moments: dict[float, int]
) -> None:
    """The number at a moment is the load at that moment."""
    assert {at_s: schedule.users_at(at_s) for at_s in moments} == moments


def test_constant_users_are_all_there_when_the_ramp_is_said_to_be_over() -> None:
    """Counting starts on its word."""
    for users, rate in ((240, 10.0), (7, 3.0), (5, 0.5), (1, 0.1), (3, 100.0)):
        schedule = _constant(users, rate)

        assert schedule.users_at(math.ceil(schedule.ramp_s)) == users
        assert schedule.ramp_s < 1 or schedule.users_at(schedule.ramp_s - 1) < users


@given(users=st.integers(0, 10_000), processes=st.integers(1, 64))
def test_processes_share_users_without_one_too_many_or_too_few(users: int, processes: int) -> None:
    """User k is in process k mod P: at any moment the parts are the whole."""
    shares = [share(users, number, processes) for number in range(processes)]

    assert sum(shares) == users
    assert shares == [
        sum(1 for user in range(users) if user % processes == number) for number in range(processes)
    ]


@given(
    stages=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 1000)), min_size=1, max_size=5),
    at_s=st.integers(0, 500),
)
def test_stages_never_leave_the_way_between_their_targets(
    stages: list[tuple[int, int]], at_s: int
) -> None:
    """A stage that overshoots, or jumps back, is a load that nobody asked for."""
    made = tuple(UserStage(float(duration_s), users) for duration_s, users in stages)
    schedule = ClosedSchedule(1, 1.0, 0.0, 1.0, stages=made)

    low, high = made[-1].users, made[-1].users
    before, begun_s = 0, 0
    for duration_s, users in stages:
        if begun_s <= at_s < begun_s + duration_s:
            low, high = sorted((before, users))
        before, begun_s = users, begun_s + duration_s
    assert low <= schedule.users_at(float(at_s)) <= high


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (0.0, 0.0)),
        ("0s", (0.0, 0.0)),
        ("2", (2.0, 2.0)),
        ("1m30s", (90.0, 90.0)),
        ("500ms-2s", (0.5, 2.0)),
        ("1s-1s", (1.0, 1.0)),
    ],
)
def test_think_times_are_read(text: str | None, expected: tuple[float, float]) -> None:
    """One value, or two between which it is chosen by chance."""
    assert parse_think(text) == expected


@pytest.mark.parametrize("text", ["", "2s-1s", "1s-", "-1s", "1-2-3", "soon", "1s-11m", "1h"])
def test_think_times_that_mean_nothing_are_refused(text: str) -> None:
    """A pause that is guessed at is another load."""
    with pytest.raises(UsageError):
        parse_think(text)


@pytest.mark.parametrize(
    "text", ["", "30s", "30s:", ":5", "30s:-5", "30s:5.5", "30s:5,,1m:2", "x:1"]
)
def test_stages_that_mean_nothing_are_refused(text: str) -> None:
    """The message shows how they are written."""
    with pytest.raises(UsageError, match=r"30s:50|length of time"):
        parse_user_stages(text)


def test_stages_without_users_or_without_time_that_counts_are_refused() -> None:
    """They would measure nothing, after minutes of it."""
    with pytest.raises(UsageError, match="never have a user"):
        ramping_schedule("1m:0,1m:0", warmup_s=None)
    with pytest.raises(UsageError, match="leaves nothing to count"):
        ramping_schedule("10s:5", warmup_s=10.0)
    with pytest.raises(UsageError, match="longer than nothing"):
        shaped_schedule(Shape("/s.py", "", ""), warmup_s=None, duration_s=0)


@pytest.mark.parametrize(
    ("schedule", "sentence"),
    [
        (
            closed_schedule(
                users=4, spawn_rate_per_s=2, warmup_s=None, duration_s=10, think="500ms-2s"
            ),
            "4 users, started at 2 a second; each sends the next request 500 ms to 2 s after the "
            "last one is answered; 2 s of warm-up that is not counted, then 10 s",
        ),
        (
            closed_schedule(users=1, spawn_rate_per_s=None, warmup_s=0, duration_s=1, think="1s"),
            "1 user, who sends the next request 1 s after the last one is answered; for 1 s",
        ),
        (
            ramping_schedule("0s:50,1m:1200", warmup_s=10.0),
            "users from 0 to 50 at once, to 1,200 in 1 m; each sends the next request when the "
            "last one is answered; 10 s of warm-up that is not counted, then 50 s",
        ),
        (
            shaped_schedule(Shape("/s.py", "Wave", ""), warmup_s=None, duration_s=60),
            "as many users as Wave in /s.py says; each sends the next request when the last one "
            "is answered; for 1 m",
        ),
    ],
)
def test_a_schedule_is_a_sentence_and_survives_its_way_to_a_worker(
    schedule: ClosedSchedule, sentence: str
) -> None:
    """What a person checks is what every process does."""
    words = json.loads(json.dumps(dataclasses.asdict(schedule)))

    assert schedule.sentence() == sentence
    assert schedule_from_json(words) == schedule


def test_a_comparison_names_the_users_in_a_few_words() -> None:
    """Two runs side by side must show at a glance that they were asked differently."""
    shaped = shaped_schedule(Shape("/s.py", "", ""), warmup_s=None, duration_s=60)
    staged = ramping_schedule("1m:5,0s:2", warmup_s=None)

    assert _constant(1).in_short() == "1 user"
    assert _constant(1000).in_short() == "1,000 users"
    assert staged.in_short() == "users to 5 in 1 m, to 2 at once"
    assert shaped.in_short() == "users of /s.py"
