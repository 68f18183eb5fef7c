"""When a run may be believed."""

import dataclasses

import pytest

from windtunnel.lab import validity
from windtunnel.lab.validity import Conduct

_GOOD = Conduct(
    lag_s_p99=0.0001,
    latency_s_median=0.1,
    users_wanted=4,
    users_reached=4,
    workers_lost=0,
    dropped_count=0,
    is_interrupted=False,
    is_cut_short=False,
    request_count=1000,
    loop_lag_s_p99=0.0001,
    cpu_share_max=0.1,
    ramp_overlap_s=0.0,
    other_work_share=0.0,
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
        ({"workers_lost": 1}, "1 load process was lost"),
        ({"workers_lost": 2}, "2 load processes were lost"),
        ({"dropped_count": 3}, "3 requests were never answered"),
        ({"users_reached": 3}, "only 3 of 4 users"),
        ({"is_cut_short": True}, "no room"),
        ({"request_count": 0}, "no request"),
        (
            {"is_interrupted": True, "users_reached": 1, "dropped_count": 4, "workers_lost": 1},
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
