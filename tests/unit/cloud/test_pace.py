"""How long things take, and how often they may be asked for."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.aws.api_rates import Rate
from windtunnel.cloud.pace import INSTANT, Bucket, Pace, as_on_aws

_RATE = Rate(per_s=2, burst=4)


def _calls(rate: Rate, moments_s: list[float]) -> int:
    """Return how many calls at these moments get through, starting with a full bucket."""
    bucket = Bucket.full(rate, moments_s[0])
    passed = 0
    for moment_s in moments_s:
        after = bucket.take(rate, moment_s)
        if after is not None:
            bucket, passed = after, passed + 1
    return passed


def test_an_instant_cloud_waits_for_nothing() -> None:
    """The default must not cost a second, or nobody would develop against it."""
    assert INSTANT.start_s(random.Random(1)) == 0.0  # noqa: S311
    assert (INSTANT.metric_delay_s, INSTANT.log_delay_s) == (0.0, 0.0)
    assert INSTANT.rate_of("sagemaker", "ListEndpoints") is None


@given(st.integers())
def test_a_start_on_aws_takes_minutes_and_no_two_take_the_same(seed: int) -> None:
    """A script that works only when an endpoint is there at once fails on AWS."""
    chance = random.Random(seed)  # noqa: S311
    pace = as_on_aws(chance)
    starts = [pace.start_s(chance) for _ in range(3)]

    assert all(134 <= start_s <= 525 for start_s in starts)
    assert len(set(starts)) == 3
    assert 120 <= pace.metric_delay_s <= 180
    assert pace.rate_of("sagemaker", "ListEndpoints") is not None


@pytest.mark.parametrize(
    ("pace", "words"),
    [
        (INSTANT, "as fast as they can here"),
        (Pace(start_range_s=(134.0, 525.0), metric_delay_s=150.0), "134 to 525 s to start"),
    ],
)
def test_a_cloud_says_how_it_keeps_time(pace: Pace, words: str) -> None:
    """Whoever waits for five minutes wants to have been told so."""
    assert words in pace.sentence()


def test_a_burst_passes_and_what_is_over_it_does_not() -> None:
    """A script that creates a handful of things works; one that creates a hundred is throttled."""
    assert _calls(_RATE, [0.0] * 10) == 4


def test_a_bucket_refills_at_its_rate_and_no_further_than_full() -> None:
    """Who waits may go on; who waits for an hour has saved nothing up."""
    assert _calls(_RATE, [0.0] * 4 + [0.5] * 4) == 5
    assert _calls(_RATE, [0.0] * 4 + [3600.0] * 10) == 8


@given(
    per_s=st.floats(0.1, 100),
    burst=st.floats(1, 100),
    gaps_s=st.lists(st.floats(0, 10), min_size=1, max_size=100),
)
def test_no_more_calls_pass_than_burst_and_rate_allow(
    per_s: float, burst: float, gaps_s: list[float]
) -> None:
    """Whatever the pattern of calls, the bound holds that AWS's page states."""
    moments_s = [sum(gaps_s[: position + 1]) for position in range(len(gaps_s))]
    passed = _calls(Rate(per_s, burst), moments_s)

    assert passed <= burst + per_s * (moments_s[-1] - moments_s[0]) + 1e-6


def test_a_clock_that_stands_still_gives_no_tokens() -> None:
    """Tokens come from time alone."""
    bucket = Bucket(tokens=0.5, at_s=10.0)

    assert bucket.take(_RATE, 10.0) is None
    assert bucket.take(_RATE, 9.0) is None
    assert bucket.take(_RATE, 10.25) == Bucket(tokens=0.0, at_s=10.25)
