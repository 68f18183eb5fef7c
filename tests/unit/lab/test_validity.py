"""When a run may be believed."""

import dataclasses
from typing import Any

import pytest

from windtunnel.lab import validity
from windtunnel.lab.validity import Conduct, Silence

_GOOD = Conduct(
    lag_s_p99=0.0001,
    latency_s_median=0.1,
    users_wanted=4,
    users_reached=4,
    lost=(),
    dropped_count=0,
    is_interrupted=False,
    is_cut_short=False,
    request_count=1000,
    loop_lag_s_p99=0.0001,
    cpu_share_max=0.1,
    ramp_overlap_s=0.0,
    other_work_share=0.0,
    silence=None,
)


def test_a_run_that_went_as_planned_is_valid() -> None:
    """Reasons must not appear out of nowhere."""
    assert validity.reasons(_GOOD) == []
    assert validity.warnings(_GOOD) == []


@pytest.mark.parametrize(
    ("median_s", "lag_s", "is_valid"),
    [
        (0.1, 0.0049, True),
        (0.1, 0.0051, False),
        (0.001, 0.00099, True),
        (0.001, 0.0011, False),
        (None, 0.0011, False),
    ],
)
def test_a_generator_may_be_late_by_a_millisecond_or_a_twentieth_of_the_median(
    *, median_s: float | None, lag_s: float, is_valid: bool
) -> None:
    """Beyond that the run measured the generator, and exit status 3 must say so."""
    conduct = dataclasses.replace(_GOOD, latency_s_median=median_s, lag_s_p99=lag_s)

    assert (validity.reasons(conduct) == []) is is_valid


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"lost": ("process 7 on b was lost",)}, "process 7 on b was lost"),
        ({"dropped_count": 3}, "3 requests were never answered"),
        ({"users_reached": 3}, "only 3 of 4 users"),
        ({"arrivals_dropped": 1}, "1 arrival was dropped: all connections"),
        ({"arrivals_missed": 2}, "2 arrivals were never sent"),
        ({"is_cut_short": True}, "no room"),
        ({"clock_moved_s": 7.0}, "moved by 7 s during the run"),
        ({"stopped_because": "5% of 5xx", "is_interrupted": True}, "5% of 5xx"),
        ({"request_count": 0}, "no request"),
        (
            {"silence": Silence(since_s=2.1, measured_s=5.0, is_answering_badly=False)},
            "the endpoint stopped answering 2.1 s into the 5 s that were measured",
        ),
        (
            {"silence": Silence(since_s=-0.5, measured_s=5.0, is_answering_badly=True)},
            "the endpoint stopped answering well 500 ms before the 5 s that were measured",
        ),
        (
            {"is_interrupted": True, "users_reached": 1, "dropped_count": 4},
            "interrupted",
        ),
    ],
)
def test_what_makes_a_run_invalid_is_said(change: dict[str, object], word: str) -> None:
    """`INVALID` without a reason cannot be mended."""
    conduct = dataclasses.replace(_GOOD, **change)  # type: ignore[arg-type]
    reasons = validity.reasons(conduct)

    assert len(reasons) == 1
    assert word in reasons[0]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"loop_lag_s_p99": 0.006}, "woke up to 6 ms late"),
        ({"cpu_share_max": 0.95}, "95% of its core"),
        ({"ramp_overlap_s": 3.0}, "first 3 s"),
        ({"other_work_share": 0.4}, "other work took 40%"),
    ],
)
def test_what_makes_a_run_doubtful_is_a_warning(change: dict[str, object], word: str) -> None:
    """Doubts belong beside the numbers; they do not make them void."""
    conduct = dataclasses.replace(_GOOD, **change)  # type: ignore[arg-type]

    assert validity.reasons(conduct) == []
    assert word in validity.warnings(conduct)[0]


_GONE: dict[str, Any] = {
    "start_s": 1.0,
    "end_s": 6.0,
    "good_s_last": 3.0,
    "bad_s_last": 5.9,
    "is_last_bad_answered": False,
    "hung_count": 0,
    "service_s_p99": 0.01,
}


@pytest.mark.parametrize(
    ("change", "is_silent"),
    [
        ({}, True),
        # Nothing failed since, but requests hang.
        ({"bad_s_last": 2.0, "hung_count": 3}, True),
        ({"bad_s_last": None, "hung_count": 3}, True),
        # It went away before anything was measured.
        ({"good_s_last": 0.5}, True),
        # It never answered well: that is the outcome of the run, not a flaw in it.
        ({"good_s_last": None}, False),
        # Nothing failed since: nothing was asked.
        ({"bad_s_last": 2.9}, False),
        ({"bad_s_last": None}, False),
        # A second, a tenth of the window or three service times without an answer may be chance.
        ({"good_s_last": 4.99}, True),
        ({"good_s_last": 5.01}, False),
        ({"end_s": 101.0, "good_s_last": 90.9, "bad_s_last": 100.0}, True),
        ({"end_s": 101.0, "good_s_last": 91.1, "bad_s_last": 100.0}, False),
        ({"service_s_p99": 0.99}, True),
        ({"service_s_p99": 1.0}, False),
        # It was late, but it came.
        ({"good_s_last": 30.0, "bad_s_last": 40.0}, False),
    ],
)
def test_an_endpoint_fell_silent_when_only_failures_follow_its_last_good_answer(
    change: dict[str, Any], *, is_silent: bool
) -> None:
    """Requests a second over five seconds mean nothing when there were two with an endpoint."""
    assert (validity.find_silence(**{**_GONE, **change}) is not None) is is_silent


def test_a_silence_counts_from_the_last_good_answer() -> None:
    """The reader looks into the endpoint's logs at that moment."""
    assert validity.find_silence(**_GONE) == Silence(
        since_s=2.0, measured_s=5.0, is_answering_badly=False
    )
    assert validity.find_silence(**_GONE | {"is_last_bad_answered": True}) == Silence(
        since_s=2.0, measured_s=5.0, is_answering_badly=True
    )
