"""The load processes of a run, as their head knows them."""

import pytest
from tests.unit.lab import plans

from windtunnel.lab.load.closed_schedule import Shape, closed_schedule, shaped_schedule
from windtunnel.lab.load.crew import Crew, Worker
from windtunnel.lab.load.open_schedule import open_schedule
from windtunnel.lab.load.plan import Schedule


def _closed(users: int) -> Schedule:
    return closed_schedule(users=users, spawn_rate_per_s=None, warmup_s=None, duration_s=1)


def _open() -> Schedule:
    return open_schedule(
        rate_per_s=10,
        stages=None,
        trace=None,
        arrivals="constant",
        seed=0,
        warmup_s=0.0,
        duration_s=1,
        processes=1,
    )


def _worker(number: int) -> Worker:
    return Worker(f"w{number}", f"host-{number}", 100 + number)


def _crew(processes: int, schedule: Schedule | None = None) -> Crew:
    crew = Crew(plans.plan(schedule or _closed(processes), processes=processes))
    for number in range(processes):
        crew.join(_worker(number))
    return crew


def test_a_run_begins_when_all_are_there_and_not_before() -> None:
    """A run that begins without its third host makes two thirds of the load that was asked for."""
    crew = Crew(plans.plan(_closed(3), processes=3))
    complete = []
    for coming, number in ((True, 0), (True, 1), (False, 0), (True, 2), (True, 3)):
        if coming:
            crew.join(_worker(number))
        else:
            crew.leave(f"w{number}")
        complete.append(crew.is_complete)

    assert complete == [False, False, False, False, True]
    crew.begin()
    assert [(worker.name, worker.number) for worker in crew.ready.values()] == [
        ("w1", 0),
        ("w2", 1),
        ("w3", 2),
    ]


def test_who_says_twice_that_it_is_ready_is_counted_once() -> None:
    """Else a run begins with a place that nobody fills."""
    crew = Crew(plans.plan(_closed(2), processes=2))
    crew.join(_worker(0))
    crew.join(_worker(0))

    assert not crew.is_complete
    assert crew.leave("w0") is not None
    assert crew.leave("w0") is None


@pytest.mark.parametrize(
    ("version", "ready", "has_begun", "why"),
    [
        ("1", 0, False, None),
        ("2", 0, False, "it runs Windtunnel 2, the master 1"),
        ("1", 2, False, "the 2 workers that the master waits for are there"),
        ("1", 2, True, "the run has begun without it"),
        ("1", 1, True, "the run has begun without it"),
    ],
)
def test_a_worker_that_cannot_take_part_is_told_why(
    version: str, ready: int, why: str | None, *, has_begun: bool
) -> None:
    """Whoever starts a pod too many, or an old one, reads it in that pod's log."""
    crew = Crew(plans.plan(_closed(2), processes=2))
    for number in range(ready):
        crew.join(_worker(number))
    if has_begun:
        crew.begin()

    assert crew.refusal(version, "1") == why


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        (_closed(7), ["2 of 7 users", "2 of 7 users", "2 of 7 users", "1 of 7 users"]),
        (_open(), ["1/4 of the load"] * 4),
        (
            shaped_schedule(Shape("/s.py", "", ""), warmup_s=None, duration_s=1),
            ["1/4 of the load"] * 4,
        ),
    ],
)
def test_a_loss_says_who_when_and_how_much_of_the_load_went(
    schedule: Schedule, shares: list[str]
) -> None:
    """The others were given their own shares and do not take over what is lost."""
    crew = _crew(4, schedule)
    crew.begin()
    assert (crew.losses(), crew.is_any_lost) == ([], False)

    for at_s, worker in enumerate(crew.ready.values(), start=1):
        worker.heard_after_s, worker.is_lost = float(at_s), True

    assert crew.is_any_lost
    assert crew.losses() == [
        f"process {100 + number} on host-{number} was lost, last heard of {number + 1} s into the "
        f"run, and with it {shares[number]}"
        for number in range(4)
    ]


def test_the_loss_of_the_only_worker_is_the_loss_of_all() -> None:
    """`1/1 of the load` is nothing that a person would say."""
    crew = _crew(1, _open())
    crew.begin()
    # Lost between the word to begin and the start.
    crew.ready["w0"].heard_after_s, crew.ready["w0"].is_lost = -0.2, True

    assert crew.losses() == [
        "process 100 on host-0 was lost, last heard of 0 ms into the run, and with it all of the "
        "load"
    ]


def test_who_is_through_or_lost_works_no_more() -> None:
    """A run ends when nobody works any more; it must not wait for the dead."""
    crew = _crew(3)
    crew.begin()
    crew.ready["w0"].outcome = {}
    crew.ready["w1"].is_lost = True

    assert [worker.name for worker in crew.working()] == ["w2"]


def test_of_several_looks_at_a_clock_the_quickest_counts() -> None:
    """One slow message, and a clock that is right would seem to be half a second off."""
    worker = _worker(0)
    # On the way there it took 900 ms, on the way back 100: the middle is 400 ms wrong.
    worker.look_at_clock(10.0, 11.0, 10.9)
    assert worker.ahead_s == pytest.approx(0.4)

    worker.look_at_clock(20.0, 20.002, 20.001)
    worker.look_at_clock(30.0, 30.8, 30.0)

    assert worker.ahead_s == pytest.approx(0.0)
    assert worker.answered_in_s == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("ahead_s", "sentence"),
    [
        (0.9, None),
        (-0.9, None),
        (30.0, "The clock of process 101 on host-1 is 30 s ahead of this machine's"),
        (-3600.0, "The clock of process 101 on host-1 is 1 h behind this machine's"),
    ],
)
def test_a_clock_that_is_far_off_is_named(ahead_s: float, sentence: str | None) -> None:
    """It would begin at another time than the others, and sign what AWS refuses."""
    crew = _crew(2)
    crew.ready["w0"].look_at_clock(5.0, 5.002, 5.001)
    assert (
        crew.unread() == "process 101 on host-1 did not say what its clock shows. Nothing was sent."
    )
    crew.ready["w1"].look_at_clock(5.0, 5.002, 5.001 + ahead_s)

    found = crew.astray()

    assert crew.unread() is None
    if sentence is None:
        assert found is None
    else:
        assert found is not None
        assert found.startswith(sentence)
        assert found.endswith("Nothing was sent.")
