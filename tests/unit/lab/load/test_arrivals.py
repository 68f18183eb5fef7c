"""When requests are due: rates, chance, and the split over processes."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.lab.load import arrivals
from windtunnel.lab.load.arrivals import (
    Arrivals,
    EvenArrivals,
    ListedArrivals,
    PoissonArrivals,
    RateProfile,
    Stage,
)

_RATES = st.one_of(st.just(0.0), st.floats(0.1, 2000.0))
_STAGES = st.lists(
    st.builds(Stage, st.one_of(st.just(0.0), st.floats(0.01, 3.0)), _RATES, _RATES),
    min_size=1,
    max_size=5,
).filter(lambda stages: any(stage.duration_s for stage in stages))


def _all(found: Arrivals) -> list[float]:
    return [float(moment_s) for chunk in found.chunks() for moment_s in chunk]


def _kinds(profile: RateProfile, seed: int) -> Iterator[Arrivals]:
    yield EvenArrivals(profile)
    yield PoissonArrivals(profile, seed)
    yield ListedArrivals(np.array(_all(EvenArrivals(profile))))


@settings(max_examples=60)
@given(stages=_STAGES, seed=st.integers(0, 9), processes=st.integers(1, 9))
def test_the_shares_of_all_processes_are_the_whole(
    *, stages: list[Stage], seed: int, processes: int
) -> None:
    """A request that two processes send, or none, makes another load of the same name."""
    for found in _kinds(RateProfile(stages), seed):
        whole = _all(found)
        shares = [list(arrivals.share(found, number, processes)) for number in range(processes)]

        assert all(shares[i % processes][i // processes] == at_s for i, at_s in enumerate(whole))
        assert sum(map(len, shares)) == len(whole)


@settings(max_examples=60)
@given(stages=_STAGES, seed=st.integers(0, 9))
def test_arrivals_are_in_order_and_within_the_run(*, stages: list[Stage], seed: int) -> None:
    """A sender waits for one after the other; one out of order would make all others late."""
    profile = RateProfile(stages)
    for found in _kinds(profile, seed):
        whole = _all(found)

        assert all(0 <= first <= second for first, second in itertools.pairwise(whole))
        assert all(0 <= at_s <= profile.length_s for at_s in whole)


@settings(max_examples=100)
@given(rate=st.floats(0.01, 5000.0), length_s=st.floats(0.01, 2.0))
def test_at_a_constant_rate_arrival_i_is_due_at_i_over_the_rate(
    *, rate: float, length_s: float
) -> None:
    """It is what DESIGN and every other tool promise of a constant rate."""
    whole = _all(EvenArrivals(RateProfile([Stage(length_s, rate, rate)])))

    assert whole == [i / rate for i in range(len(whole))]
    assert len(whole) == math.ceil(rate * length_s)


@settings(max_examples=60)
@given(stages=_STAGES)
def test_an_even_arrival_is_due_when_the_rate_adds_up_to_its_number(*, stages: list[Stage]) -> None:
    """A ramp that sends too many early is steeper than the one that was asked for."""
    profile = RateProfile(stages)
    for i, at_s in enumerate(_all(EvenArrivals(profile))):
        assert profile.count_before(at_s) == pytest.approx(i, abs=1e-5)


def test_a_ramp_gets_denser_as_its_rate_grows() -> None:
    """Worked by hand: from 0 to 8 a second in 4 s, n(t) = t², so arrival i is due at √i."""
    whole = _all(EvenArrivals(RateProfile([Stage(4.0, 0.0, 8.0)])))

    assert whole == pytest.approx([math.sqrt(i) for i in range(16)])


def test_nothing_is_due_while_the_rate_is_nothing() -> None:
    """A night without traffic is replayed as one."""
    stages = [Stage(60.0, 0.0, 0.0), Stage(60.0, 3 / 60, 3 / 60), Stage(60.0, 0.0, 0.0)]

    assert _all(EvenArrivals(RateProfile(stages))) == pytest.approx([60.0, 80.0, 100.0])


def test_a_jump_takes_no_time() -> None:
    """k6's way to start at a rate; it must not divide by nothing."""
    stages = [Stage(0.0, 0.0, 10.0), Stage(1.0, 10.0, 10.0)]

    assert _all(EvenArrivals(RateProfile(stages))) == pytest.approx([i / 10 for i in range(10)])


def test_poisson_arrivals_are_as_many_and_as_uneven_as_they_should_be() -> None:
    """Evenly spread requests never queue; that they do by chance is what one comes for."""
    rate, length_s = 200.0, 1000.0
    whole = np.array(_all(PoissonArrivals(RateProfile([Stage(length_s, rate, rate)]), seed=1)))
    gaps_s = np.diff(whole)
    a_second = np.bincount(whole.astype(int))

    # Five standard deviations of each, for a seed that is fixed.
    assert abs(len(whole) - rate * length_s) < 5 * math.sqrt(rate * length_s)
    assert gaps_s.std() == pytest.approx(gaps_s.mean(), rel=0.02)
    assert a_second.var() == pytest.approx(rate, rel=5 * math.sqrt(2 / length_s))


def test_a_seed_is_one_run_and_another_is_another() -> None:
    """Two settings are compared under the same arrivals, and a result can be had again."""
    profile = RateProfile([Stage(10.0, 0.0, 100.0)])
    first, again, other = (_all(PoissonArrivals(profile, seed)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_poisson_arrivals_follow_a_rate_that_changes() -> None:
    """Chance on top of a ramp, not instead of it."""
    profile = RateProfile([Stage(100.0, 0.0, 1000.0)])
    whole = np.array(_all(PoissonArrivals(profile, seed=3)))

    first_half = int((whole < 50.0).sum())
    assert first_half / len(whole) == pytest.approx(0.25, abs=0.01)


@settings(max_examples=60)
@given(
    stages=_STAGES,
    seed=st.integers(0, 9),
    start_s=st.floats(0.0, 5.0),
    length_s=st.floats(0.0, 5.0),
)
def test_a_window_holds_those_that_are_due_in_it(
    *, stages: list[Stage], seed: int, start_s: float, length_s: float
) -> None:
    """What was sent is held against it, so that none is lost unseen."""
    for found in _kinds(RateProfile(stages), seed):
        expected = sum(1 for at_s in _all(found) if start_s <= at_s < start_s + length_s)

        assert arrivals.count(found, start_s, start_s + length_s) == expected
