"""Objectives: how they are written, and when a run proves them."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.core.errors import UsageError
from windtunnel.lab import objectives
from windtunnel.lab.objectives import Objective, parse_objective


@pytest.mark.parametrize(
    ("text", "share", "limit_s"),
    [
        ("p95=150ms", 0.95, 0.15),
        ("p99.9=2s", 0.999, 2.0),
        ("p50=1m", 0.5, 60.0),
        ("errors=0.1%", 0.999, None),
    ],
)
def test_an_objective_is_read(text: str, share: float, limit_s: float | None) -> None:
    """The words on the command line are the contract a run is held to."""
    objective = parse_objective(text)

    assert objective.share == pytest.approx(share)
    assert objective.limit_s == (None if limit_s is None else pytest.approx(limit_s))


@pytest.mark.parametrize(
    "text",
    ["p95", "p95=150", "p100=1s", "p0=1s", "p95=0ms", "95=1s", "errors=1", "errors=0%", "max=1s"],
)
def test_an_objective_that_means_nothing_is_refused(text: str) -> None:
    """A misread objective passes or fails builds for the wrong reason."""
    with pytest.raises(UsageError):
        parse_objective(text)


@pytest.mark.parametrize(
    ("share", "over", "count"),
    [
        # p90, p95 and p99 with 0, 1 and 10 over the limit: MLPerf Inference's early stopping,
        # LoadGen's `loadgen/early_stopping.cc` at confidence 0.99 and tolerance 0.
        (0.90, 0, 44),
        (0.90, 1, 64),
        (0.90, 10, 197),
        (0.95, 0, 90),
        (0.95, 1, 130),
        (0.95, 10, 398),
        (0.99, 0, 459),
        (0.99, 1, 662),
        (0.99, 10, 2010),
    ],
)
def test_as_many_requests_are_needed_as_mlperf_asks_for(
    share: float, over: int, count: int
) -> None:
    """The counts are what submitters of MLPerf results are held to, so they can be trusted."""
    assert objectives.requests_needed(share, over) == count
    assert objectives.decide(count, over, share) == "held"
    assert objectives.decide(count - 1, over, share) == "undecided"


@settings(deadline=None)
@given(
    count=st.integers(1, 60),
    successes=st.integers(-1, 61),
    per_mille=st.integers(1, 999),
)
def test_the_binomial_sum_is_exact(*, count: int, successes: int, per_mille: int) -> None:
    """The verdict hangs on this number; exact fractions are the oracle."""
    p = Fraction(per_mille, 1000)
    exact = sum(
        comb(count, hits) * p**hits * (1 - p) ** (count - hits)
        for hits in range(min(successes, count) + 1)
    )

    found = objectives.binomial_at_most(successes, count, per_mille / 1000)

    assert found == pytest.approx(float(exact), rel=1e-9, abs=1e-12)


def test_a_million_requests_are_judged_at_once() -> None:
    """Long runs must not pay for the sum over all their requests."""
    assert objectives.decide(1_000_000, 49_000, 0.95) == "held"
    assert objectives.decide(1_000_000, 50_000, 0.95) == "undecided"
    assert objectives.decide(1_000_000, 51_000, 0.95) == "missed"


def test_a_handful_of_requests_prove_nothing_either_way() -> None:
    """Ten good requests say little about one in twenty."""
    objective = parse_objective("p95=150ms")

    verdict = objectives.judge(objective, count=10, over=0, measured=0.1)

    assert verdict.outcome == "undecided"
    assert verdict.reason == (
        "measured 100 ms, 0 of 10 over 150 ms: too few requests to say, 90 would do"
    )


def test_no_requests_at_all_decide_nothing() -> None:
    """A run that measured nothing has held nothing."""
    verdict = objectives.judge(parse_objective("errors=1%"), count=0, over=0, measured=None)

    assert (verdict.outcome, verdict.reason) == ("undecided", "no requests")


@settings(deadline=None)
@given(
    share=st.sampled_from([0.5, 0.9, 0.95, 0.99]),
    count=st.integers(1, 5000),
    over=st.integers(0, 5000),
)
def test_one_more_bad_request_never_makes_a_verdict_better(
    *, share: float, count: int, over: int
) -> None:
    """Otherwise breaking a request would be a way to pass."""
    rank = {"held": 0, "undecided": 1, "missed": 2}
    over = min(over, count - 1)

    assert (
        rank[objectives.decide(count, over, share)]
        <= rank[objectives.decide(count, over + 1, share)]
    )


def test_an_undecided_run_says_how_long_it_would_have_to_be() -> None:
    """`Too few` without a number sends people guessing."""
    verdict = objectives.judge(Objective("p99=1s", 0.99, 1.0), count=400, over=2, measured=0.5)

    assert verdict.outcome == "undecided"
    assert "would do" in verdict.reason
    # 0.5% over the limit: MLPerf's own growth with the count of bad requests.
    needed = int(verdict.reason.split(", ")[-1].split(" ")[0].replace(",", ""))
    assert objectives.decide(needed, -(-2 * needed // 400), 0.99) == "held"
