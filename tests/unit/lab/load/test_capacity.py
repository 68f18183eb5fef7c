"""Where a search for capacity goes, on endpoints that are known."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.lab.load.capacity import (
    PRECISION,
    Done,
    Next,
    Outcome,
    Probe,
    bracket_of,
    decide,
    start_rate,
)

# 17 climbs or 16 descents, 8 halvings of the widest bracket that a descent leaves, 4 confirmations;
# each up to three times. A search ends at a third fault in a row, so that most are made once.
_PROBES_MAX = 3 * (17 + 8 + 4)

Endpoint = Callable[[float], Outcome]


def _search(endpoint: Endpoint, start_rps: float = 10.0) -> tuple[list[Probe], Done]:
    """Return all probes of a search, and what it came to."""
    probes: list[Probe] = []
    while isinstance(following := decide(probes, start_rps), Next):
        assert len(probes) < _PROBES_MAX
        outcome = endpoint(following.rate_rps)
        probes.append(Probe(following.rate_rps, outcome, None, following.is_confirmation))
    return probes, following


def _exact(capacity_rps: float, beyond: Outcome = "missed") -> Endpoint:
    return lambda rate_rps: "held" if rate_rps <= capacity_rps else beyond


@given(
    capacity_rps=st.floats(0.5, 50_000.0),
    start_rps=st.floats(1.0, 1_000.0),
    beyond=st.sampled_from(["missed", "undecided", "saturated"]),
)
def test_an_exact_endpoints_capacity_is_found_within_the_precision(
    capacity_rps: float, start_rps: float, beyond: Outcome
) -> None:
    """What is bought by this number must be neither a tenth too much nor too little."""
    probes, done = _search(_exact(capacity_rps, beyond), start_rps)

    # Five descents from where nothing but the rate can be at fault are given up; so is the way
    # up after sixteen doublings.
    if done.rate_rps is None:
        assert capacity_rps < start_rps / 2**3.9
        return
    if done.bracket.upper_rps is None:
        assert capacity_rps > start_rps * 2**15
        return
    assert done.rate_rps <= capacity_rps < done.bracket.upper_rps
    assert done.bracket.upper_rps <= done.rate_rps * (1 + PRECISION)
    assert done.bracket.lower_rps == done.rate_rps
    assert done.bracket.limited_by == ("saturation" if beyond == "saturated" else "objectives")
    assert probes[-1] == Probe(done.rate_rps, "held", None, is_confirmation=True)


@given(
    st.lists(
        st.sampled_from(["held", "missed", "undecided", "saturated", "generator"]),
        min_size=_PROBES_MAX,
        max_size=_PROBES_MAX,
    ),
    st.floats(0.01, 100_000.0),
)
def test_every_search_ends_and_its_bracket_is_what_was_seen(
    outcomes: list[Outcome], start_rps: float
) -> None:
    """Whatever an endpoint does, a search in a pipeline must not go on for ever, nor make it up."""
    answers = iter(outcomes)

    probes, done = _search(lambda _rate_rps: next(answers), start_rps)

    held = {probe.rate_rps for probe in probes if probe.outcome == "held"}
    failed = {probe.rate_rps for probe in probes if probe.outcome not in {"held", "generator"}}
    lower_rps, upper_rps = done.bracket.lower_rps, done.bracket.upper_rps
    assert all(probe.rate_rps > 0 for probe in probes)
    assert lower_rps is None or lower_rps in held
    assert upper_rps is None or upper_rps in failed
    if lower_rps is not None and upper_rps is not None:
        assert lower_rps < upper_rps
    if done.rate_rps is not None:
        assert Probe(done.rate_rps, "held", None, is_confirmation=True) in probes


def test_the_way_up_is_by_doubling_then_by_halving_then_a_confirmation() -> None:
    """The steps are shown as they come: a person should see a plan in them."""
    probes, done = _search(_exact(48.0), start_rps=24.0)

    assert [probe.rate_rps for probe in probes] == [24, 48, 96, 67.9, 57.1, 52.4, 50.2, 48]
    assert [probe.is_confirmation for probe in probes] == [False] * 7 + [True]
    assert done.rate_rps == 48


def test_how_many_runs_are_likely_to_come_is_said_before_each() -> None:
    """`Is it worth waiting?` is asked after the first step, not after the last."""
    probes: list[Probe] = []
    left = []
    endpoint = _exact(48.0)
    while isinstance(following := decide(probes, 24.0), Next):
        left.append(following.likely_left)
        rate_rps = following.rate_rps
        probes.append(Probe(rate_rps, endpoint(rate_rps), None, following.is_confirmation))

    # Every further doubling is one more than was likely.
    assert left == [6, 5, 5, 4, 3, 2, 1, 0]


def test_a_start_far_too_high_comes_down_to_what_came_through() -> None:
    """Whoever types 10,000 for a model that does 50 should not wait for ten drowned runs."""
    probes: list[Probe] = []
    while isinstance(following := decide(probes, 10_000.0), Next):
        rate_rps = following.rate_rps
        achieved_rps, outcome = min(rate_rps, 50.0), _exact(50.0, "saturated")(rate_rps)
        probes.append(Probe(rate_rps, outcome, achieved_rps, following.is_confirmation))

    assert [probe.rate_rps for probe in probes][:5] == [10_000, 625, 50, 100, 70.7]
    assert following.rate_rps == 50
    assert following.bracket.upper_rps is not None
    assert following.bracket.upper_rps < 53


def test_an_endpoint_that_holds_nothing_is_given_up_after_a_few_descents() -> None:
    """An objective below the service time is missed at any rate: lower ones take ever longer."""
    probes, done = _search(_exact(0.0), start_rps=32.0)

    assert [probe.rate_rps for probe in probes] == [32, 16, 8, 4, 2]
    assert done == Done(None, bracket_of(probes))
    assert done.bracket.limited_by == "objectives"


def test_a_generator_at_its_limit_is_not_the_endpoints() -> None:
    """`The endpoint does 80/s` would be a lie where only the load generator could do no more."""
    probes, done = _search(_exact(80.0, "generator"), start_rps=10.0)

    assert [probe.rate_rps for probe in probes] == [10, 20, 40, 80, 160, 160, 160, 80]
    assert done.rate_rps == 80
    assert done.bracket.upper_rps is None
    assert done.bracket.limited_by == "generator"


def test_a_generator_that_was_late_once_is_given_another_try() -> None:
    """On a busy machine one run in three is invalid; a search of ten would hardly ever end well."""
    rng = random.Random(1)  # noqa: S311
    exact = _exact(48.0)

    probes, done = _search(
        lambda rate_rps: "generator" if rng.random() < 0.3 else exact(rate_rps), start_rps=24.0
    )

    assert any(probe.outcome == "generator" for probe in probes)
    assert done.rate_rps == 48


def test_a_generator_that_is_never_fit_leaves_no_rate() -> None:
    """Nothing was found out about the endpoint, and nothing is said of it."""
    _, done = _search(lambda _rate_rps: "generator")

    assert (done.rate_rps, done.bracket.lower_rps, done.bracket.upper_rps) == (None, None, None)
    assert done.bracket.limited_by == "generator"


def test_a_rate_that_held_once_by_luck_is_not_the_answer() -> None:
    """Of ten runs near the limit one looks good: bought by it, the endpoint is too small."""

    def endpoint(rate_rps: float) -> Outcome:
        luck = seen.count(rate_rps) == 0 and rate_rps <= 56
        seen.append(rate_rps)
        return "held" if luck or rate_rps <= 52 else "missed"

    seen: list[float] = []
    probes, done = _search(endpoint, start_rps=20.0)

    failed = [probe for probe in probes if probe.is_confirmation and probe.outcome == "missed"]
    assert failed
    assert done.rate_rps is not None
    assert done.rate_rps <= 52
    assert done.bracket.upper_rps == failed[-1].rate_rps


def test_where_no_confirmation_holds_no_rate_is_claimed() -> None:
    """Better no answer than one that did not stand up to being tried twice."""
    seen: set[float] = set()

    def endpoint(rate_rps: float) -> Outcome:
        is_new = rate_rps not in seen
        seen.add(rate_rps)
        return "held" if is_new and rate_rps <= 40 and len(seen) < 8 else "missed"

    probes, done = _search(endpoint, start_rps=20.0)

    assert sum(probe.is_confirmation for probe in probes) == 4
    assert done.rate_rps is None
    assert done.bracket.upper_rps == probes[-1].rate_rps


@pytest.mark.parametrize(("noise", "runs"), [(0.05, 200), (0.2, 200)])
def test_a_noisy_endpoints_capacity_is_rarely_overrated(noise: float, runs: int) -> None:
    """Real endpoints keep a rate near their limit only sometimes; that is no reason to buy less."""
    rng = random.Random(7)  # noqa: S311

    def endpoint(rate_rps: float) -> Outcome:
        return "held" if rate_rps <= 50 * rng.gauss(1.0, noise) else "missed"

    rates = [_search(endpoint)[1].rate_rps or 0.0 for _ in range(runs)]

    over = sum(rate_rps > 50 * (1 + PRECISION + 1.65 * noise) for rate_rps in rates)
    assert over / runs < 0.05
    assert sorted(rates)[runs // 2] == pytest.approx(50, rel=2 * noise + PRECISION)


def test_the_start_is_a_single_server_half_busy() -> None:
    """From 1/s up an endpoint that does 1,000 takes ten runs until anything is learnt."""
    assert start_rate(0.0207) == 24
    assert start_rate(10.0) == 0.05
