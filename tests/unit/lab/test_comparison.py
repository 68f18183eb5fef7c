"""Telling a difference from chance."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.lab import comparison
from windtunnel.lab.comparison import Change, Sampled
from windtunnel.lab.load.closed_schedule import ClosedSchedule
from windtunnel.lab.load.open_schedule import open_schedule


def _run(seed: int, *, service_s: float = 0.05, users: int = 4, length_s: float = 30.0) -> Sampled:
    """Return what `users` closed users see of one server with exponential service times.

    Users queue, so latencies of neighbours are correlated, as they are on a real endpoint.
    """
    rng = np.random.default_rng(seed)
    free_s = 0.0
    due = [(0.0, user) for user in range(users)]
    rows = []
    while due:
        due_s, user = min(due)
        due.remove((due_s, user))
        if due_s >= length_s:
            continue
        free_s = max(free_s, due_s) + rng.exponential(service_s)
        rows.append((due_s, free_s))
        due.append((free_s, user))
    table = np.array(rows)
    ended_s = table[:, 1]
    return Sampled(
        start_s=0.0,
        end_s=length_s,
        ended_s=ended_s[ended_s < length_s],
        due_s=table[:, 0],
        latency_s=table[:, 1] - table[:, 0],
    )


def _verdicts(changes: list[Change]) -> dict[str, str]:
    return {change.name: change.verdict for change in changes}


@pytest.mark.slow
def test_runs_of_the_same_thing_are_rarely_told_apart() -> None:
    """A tool that finds a difference between equal things sells noise as tuning."""
    found = [_verdicts(comparison.compare(_run(seed), _run(seed + 1000))) for seed in range(40)]

    # At 95% confidence 2 of 40 are expected to look different, more than 6 hardly ever (binomial:
    # 1 in 300). Of 100 pairs, 92 to 97 were called equal on 2026-11-22; with blocks as short as
    # one request, 84.
    for name in ("throughput", "p50", "p90", "p95"):
        equal = [verdicts for verdicts in found if verdicts[name] == "no real difference"]
        assert len(equal) >= 34, name


@pytest.mark.slow
def test_a_gate_is_rarely_wrong_about_runs_of_the_same_thing() -> None:
    """It runs on every commit, and five figures give five chances of a false alarm each time."""
    changes = [
        comparison.compare(_run(seed), _run(seed + 1000), confidence=0.99) for seed in range(40)
    ]

    # At 99% one in 200 a figure, were they independent and 30 blocks enough: with 40 runs 1 alarm
    # is expected, more than 5 hardly ever.
    alarms = [found for found in changes if "worse" in _verdicts(found).values()]
    assert len(alarms) <= 5


def _failing(moments_s: list[float], *, count: int = 4000) -> Sampled:
    """Return 30 s of requests, those due at some moments failed."""
    due_s = np.linspace(0, 30, count, endpoint=False)
    return Sampled(0.0, 30.0, due_s, due_s, np.full(count, 0.05), np.array(moments_s))


@pytest.mark.parametrize(
    ("moments_s", "verdict"),
    [
        ([], "no real difference"),
        # One bad request of 4,000.
        ([12.0], "no real difference"),
        # One bad moment: it may come again, or not.
        ([12.0 + number / 1000 for number in range(40)], "no real difference"),
        # All the time.
        (list(np.linspace(0.1, 29.9, 40)), "worse"),
        # All the time, and less than one in a thousand.
        (list(np.linspace(0.1, 29.9, 3)), "no real difference"),
    ],
)
def test_failures_count_when_they_are_more_than_an_accident(
    moments_s: list[float], verdict: str
) -> None:
    """One refused request must not turn a build red; one in a hundred, all the time, must."""
    assert comparison.compare_failures(_failing([]), _failing(moments_s)).verdict == verdict


def test_fewer_failures_are_better() -> None:
    """One sign error and a repaired endpoint fails its build."""
    many = _failing(list(np.linspace(0.1, 29.9, 40)))

    assert comparison.compare_failures(many, _failing([])).verdict == "better"


def test_a_server_that_is_a_third_faster_is_seen_to_be() -> None:
    """This is what a tuning session is for."""
    found = _verdicts(comparison.compare(_run(1), _run(2, service_s=0.0375)))

    assert found["throughput"] == found["p50"] == found["p95"] == "better"


def test_a_change_for_the_worse_is_called_that() -> None:
    """More throughput is better and more latency is worse; one sign error swaps the advice."""
    found = _verdicts(comparison.compare(_run(1), _run(2, service_s=0.08)))

    assert found["throughput"] == found["p50"] == "worse"


def test_the_interval_holds_the_ratio_and_names_both_values() -> None:
    """A reader sees the two numbers, the change, and how sure it is, and they must agree."""
    (change, *_) = comparison.compare(_run(1), _run(2, service_s=0.0375))

    assert change.low < change.ratio < change.high
    assert change.ratio == pytest.approx(change.after / change.before)


def test_percentiles_of_few_requests_are_not_compared() -> None:
    """The p99 of fifty requests is its slowest one; its change is an anecdote."""
    found = _verdicts(comparison.compare(_run(1, length_s=3.0), _run(2, length_s=3.0)))

    assert found["p99"] == "too few requests to say"


def test_the_same_two_runs_always_compare_the_same() -> None:
    """A verdict that changes when asked again is none."""
    assert comparison.compare(_run(1), _run(2)) == comparison.compare(_run(1), _run(2))


def test_a_run_without_good_answers_compares_with_nothing() -> None:
    """It has no latency, and dividing by its throughput is meaningless."""
    empty = np.array([])
    nothing = Sampled(0.0, 30.0, empty, empty, empty)

    assert comparison.compare(nothing, _run(1)) == []


@settings(max_examples=25)
@given(factor=st.floats(0.2, 5.0))
def test_a_pure_change_of_scale_is_found_exactly(*, factor: float) -> None:
    """Percentiles of resamples are read from narrow classes; they must not bend the ratio."""
    before = _run(1, length_s=10.0)
    after = Sampled(
        before.start_s,
        before.end_s,
        before.ended_s,
        before.due_s,
        before.latency_s * factor,
    )
    changes = {change.name: change for change in comparison.compare(before, after)}

    assert changes["p50"].ratio == pytest.approx(factor)
    assert changes["p50"].low <= factor * 1.005
    assert changes["p50"].high >= factor * 0.995
    assert changes["throughput"].verdict == "no real difference"


def _asked(environment: dict[str, str], users: int = 4) -> dict[str, object]:
    return {
        "plan": {
            "schedule": dataclasses.asdict(ClosedSchedule(users, users, 0.0, 30.0)),
            "payloads": [{"bytes": 10, "sha256": "00112233", "content_type": "application/json"}],
            "processes": 1,
        },
        "target": {"cloud": "local"},
        "endpoint": {
            "variants": [
                {
                    "name": "AllTraffic",
                    "instance_type": "ml.c5.large",
                    "instance_count": 1,
                    "image": "i",
                    "environment": environment,
                }
            ]
        },
    }


def test_what_was_asked_differently_is_listed_and_nothing_else() -> None:
    """A gain belongs to a setting only if nothing else changed with it."""
    found = comparison.differences(
        _asked({"OMP_NUM_THREADS": "1", "SAME": "x"}),
        _asked({"SAGEMAKER_TFS_INSTANCE_COUNT": "2", "SAME": "x"}, users=8),
    )

    assert found == [
        ("users", "4 users", "8 users"),
        ("OMP_NUM_THREADS", "1", "-"),
        ("SAGEMAKER_TFS_INSTANCE_COUNT", "-", "2"),
    ]


def test_another_rate_is_told_apart_from_another_number_of_users() -> None:
    """Twice the load explains a slower answer before any setting does."""
    closed, faster = _asked({}), _asked({})
    schedule = open_schedule(
        rate_per_s=20.0,
        stages=None,
        trace=None,
        arrivals="poisson",
        seed=3,
        warmup_s=None,
        duration_s=10.0,
        processes=1,
    )
    faster["plan"]["schedule"] = dataclasses.asdict(schedule)  # type: ignore[index]

    assert comparison.differences(closed, faster) == [
        ("users", "4 users", "-"),
        ("arrivals", "-", "20 requests a second, poisson"),
    ]
