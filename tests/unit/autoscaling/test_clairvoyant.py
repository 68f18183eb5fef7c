"""The yardstick: the cheapest plan of somebody who knows the trace."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.autoscaling.circumstances import Circumstances, Range
from windtunnel.autoscaling.clairvoyant import plan
from windtunnel.autoscaling.decider import Bounds
from windtunnel.autoscaling.signals import INVOCATIONS_PER_INSTANCE
from windtunnel.autoscaling.simulator import simulate
from windtunnel.autoscaling.timeline import Demand, Setup
from windtunnel.autoscaling.tracking import TrackingPolicy


def _around(start_up_s: float, removal_s: float = 0) -> Circumstances:
    return Circumstances(
        1.0, Range(0, 0, "-"), Range(start_up_s, start_up_s, "-"), Range(removal_s, removal_s, "-")
    )


def _demand(counts: list[float]) -> Demand:
    return Demand(0.0, 60, np.array(counts, dtype=float))


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    """Stopping and starting costs a start-up: three minutes here."""
    short = plan(_demand([120, 60, 60, 120]), _around(180), Bounds(1, 9), 0)
    long = plan(_demand([120, 60, 60, 60, 60, 120]), _around(180), Bounds(1, 9), 0)

    assert short.serving.tolist() == [2, 2, 2, 2]
    assert long.serving.tolist() == [2, 1, 1, 1, 1, 2]
    assert long.instance_hours == pytest.approx((8 + 3) / 60)


def test_what_may_be_missed_is_missed_where_it_saves_most() -> None:
    """One request a minute is not worth an instance; thirty of them are."""
    counts = [61.0] * 10 + [90.0] * 10
    exact = plan(_demand(counts), _around(0), Bounds(1, 9), 0)
    frugal = plan(_demand(counts), _around(0), Bounds(1, 9), 10)

    assert exact.serving.tolist() == [2] * 20
    assert frugal.serving.tolist() == [1] * 10 + [2] * 10
    assert frugal.over == 10


def test_bounds_hold_for_a_clairvoyant_too() -> None:
    """It knows the trace; it has no more instances."""
    found = plan(_demand([600.0] * 3 + [0.0] * 60), _around(0), Bounds(2, 4), 0)

    assert found.serving.max() == 4
    assert found.serving.min() == 2
    assert found.over == 3 * 360


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from([0, 30, 60, 90, 130, 180]), min_size=1, max_size=6), st.integers(0, 4)
)
def test_no_plan_at_all_is_cheaper_without_a_miss(counts: list[int], start_up: int) -> None:
    """Held against every possible plan of up to three instances."""
    demand = _demand([float(count) for count in counts])
    found = plan(demand, _around(60.0 * start_up), Bounds(1, 3), 0)
    cheapest = min(
        sum(each) + start_up * sum(max(b - a, 0) for a, b in itertools.pairwise(each))
        for each in itertools.product((1, 2, 3), repeat=len(counts))
        if all(count <= 60 * n for count, n in zip(counts, each, strict=True))
    )

    assert found.over == 0
    assert found.instance_hours == pytest.approx(cheapest / 60)


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from([0, 30, 60, 90, 130, 180]), min_size=1, max_size=5),
    st.integers(0, 3),
    st.integers(0, 200),
)
def test_no_plan_with_as_few_misses_costs_less_than_the_least(
    counts: list[int], start_up: int, over_max: int
) -> None:
    """Prices leave gaps between their plans, and a policy may lie in one."""
    demand = _demand([float(count) for count in counts])
    found = plan(demand, _around(60.0 * start_up), Bounds(1, 3), over_max)
    cheapest = min(
        sum(each) + start_up * sum(max(b - a, 0) for a, b in itertools.pairwise(each))
        for each in itertools.product((1, 2, 3), repeat=len(counts))
        if sum(max(count - 60 * n, 0) for count, n in zip(counts, each, strict=True)) <= over_max
    )

    assert found.over <= over_max * (1 + 1e-9)
    assert found.least_hours <= cheapest / 60 + 1e-9
    assert cheapest / 60 <= found.instance_hours + 1e-9


def test_no_policy_beats_it_at_equal_misses() -> None:
    """Or it would be no yardstick."""
    random = np.random.default_rng(5)
    counts = np.repeat(random.uniform(10, 900, 40), 15).round()
    demand = Demand(0.0, 60, counts)
    around = Circumstances(1.0, seed=3)
    for target in (30, 45, 55, 70):
        policy = TrackingPolicy("p", INVOCATIONS_PER_INSTANCE, target)
        bounds = Bounds(1, 40)
        outcome = simulate(Setup("p", bounds, (policy,)), demand, around).outcome()
        found = plan(demand, around, bounds, outcome.over)

        assert found.over <= outcome.over * (1 + 1e-9)
        assert found.least_hours <= found.instance_hours
        assert found.least_hours <= outcome.instance_hours
