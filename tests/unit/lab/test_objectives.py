"""Objectives: how they are written, and when a run proves them."""

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
    [
        *("p95", "p95=150", "p100=1s", "p0=1s", "p95=0ms", "95=1s", "max=1s"),
        *("errors=1", "errors=0%", "errors=100%", "errors=0.000000001%"),
        # As a float, this share is 1.
        "p99.99999999999999999=1s",
    ],
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


def test_a_million_requests_are_judged_at_once() -> None:
    """Long runs must not pay for the sum over all their requests."""
    assert objectives.decide(1_000_000, 49_000, 0.95) == "held"
    assert objectives.decide(1_000_000, 50_000, 0.95) == "undecided"
    assert objectives.decide(1_000_000, 51_000, 0.95) == "missed"
    assert objectives.decide(36_000_000, 35_500, 0.999) == "held"
    assert objectives.decide(36_000_000, 36_500, 0.999) == "missed"


def test_a_handful_of_requests_prove_nothing_either_way() -> None:
    """Ten good requests say little about one in twenty."""
    objective = parse_objective("p95=150ms")

    verdict = objectives.judge(objective, count=10, over=0, measured=0.1)

    assert verdict.outcome == "undecided"
    assert verdict.reason == (
        "measured 100 ms, 0 of 10 over 150 ms: too few requests to say, 80 more would do "
        "(90 in all); confidence 40.12%"
    )
    assert verdict.requests_needed == 90


def test_no_requests_at_all_decide_nothing() -> None:
    """A run that measured nothing has held nothing."""
    verdict = objectives.judge(parse_objective("errors=1%"), count=0, over=0, measured=None)

    assert (verdict.outcome, verdict.reason) == ("undecided", "no requests")


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


@settings(max_examples=50)
@given(
    share=st.sampled_from([0.5, 0.9, 0.95, 0.99]),
    count=st.integers(1, 500),
    bad=st.floats(0.0, 1.0),
)
def test_an_undecided_run_says_how_long_it_would_have_to_be(
    *, share: float, count: int, bad: float
) -> None:
    """`Too few` without a number sends people guessing, and a wrong number in circles."""
    over = int(bad * count * min(1.0, 4 * (1 - share)))
    verdict = objectives.judge(Objective("p=1s", share, 1.0), count=count, over=over, measured=0.5)

    needed = verdict.requests_needed
    if verdict.outcome != "undecided":
        assert needed is None
    elif needed is None:
        assert verdict.reason.count("too close to the limit to say") == 1
        assert over / count == pytest.approx(1 - share, rel=0.01)
    else:
        assert needed > count
        assert f"{needed - count:,} more would" in verdict.reason
        looks_held = over <= count * (1 - share)
        bad_then = -(-over * needed // count) if looks_held else over * needed // count
        assert objectives.decide(needed, bad_then, share) == ("held" if looks_held else "missed")


def test_a_run_just_beside_the_limit_is_told_at_once_what_it_would_take() -> None:
    """The closer to the limit the more requests; the search must not take as long as the run."""
    verdict = objectives.judge(Objective("p95=1s", 0.95, 1.0), count=100_000, over=4990, measured=1)

    assert verdict.outcome == "undecided"
    assert verdict.requests_needed is not None
    # By the normal approximation: (2.33 standard deviations ÷ the distance of the shares)².
    assert verdict.requests_needed == pytest.approx(5.41 * 0.05 * 0.95 / 0.0001**2, rel=0.02)


def test_a_missed_objective_is_as_sure_as_a_held_one() -> None:
    """A build that fails by bad luck one time in two is switched off within a week."""
    # 5.2% over p95's limit: the percentile is over it, and a good endpoint looks so 4 times in 10.
    close = objectives.judge(parse_objective("p95=1s"), count=1000, over=52, measured=1.01)
    far = objectives.judge(parse_objective("p95=1s"), count=1000, over=80, measured=1.5)

    assert (close.outcome, far.outcome) == ("undecided", "missed")
    assert "looks missed, but too few requests to say" in close.reason
    assert far.confidence >= 0.99 > close.confidence


@pytest.mark.parametrize(("count", "over"), [(100, 0), (459, 0), (10**6, 0), (1000, 1000)])
def test_a_verdict_says_how_sure_it_is_and_is_never_certain(count: int, over: int) -> None:
    """A hundred percent is what no sample gives."""
    verdict = objectives.judge(parse_objective("p99=1s"), count=count, over=over, measured=None)

    exact = 1 - 0.99**count if over == 0 else 1 - 0.01**count
    assert exact - 2e-6 <= verdict.confidence <= min(exact, 0.999999)
    assert verdict.to_json()["confidence"] == verdict.confidence
    assert verdict.to_json()["confidence_wanted"] == 0.99
    assert (verdict.outcome == "undecided") == (verdict.confidence < 0.99)


def test_failed_requests_are_over_any_limit_and_said_to_be_failed() -> None:
    """`20 over 1 s` sends people after slowness when the endpoint refused them."""
    verdict = objectives.judge(
        parse_objective("p90=1s"), count=1000, over=20, measured=0.2, failed=15
    )

    assert verdict.reason == (
        "measured 200 ms, 20 of 1,000 over 1 s (15 of them failed); confidence 99.99%"
    )


def test_an_invalid_runs_numbers_are_no_verdict() -> None:
    """A generator that fell behind may have spared the endpoint: `held` would be about itself."""
    verdict = objectives.judge(parse_objective("p90=1s"), count=1000, over=20, measured=0.2)

    assert verdict.outcome == "held"
    assert verdict.voided().outcome == "void"
    assert verdict.voided().reason == (
        "measured 200 ms, 20 of 1,000 over 1 s; no verdict, because the run is invalid"
    )
