"""Requests go by weight to variants, and to the least busy address of one."""

from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.router.choice import (
    choose_by_weight,
    choose_holder,
    choose_least_outstanding,
)
from windtunnel.core import limits


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_each_variant_gets_the_share_of_its_weight(weights: list[int]) -> None:
    """A canary at 10% must see 10%, and one at 0 nothing."""
    points = 1000
    counts = [0] * len(weights)
    for number in range(points):
        counts[choose_by_weight(weights, (number + 0.5) / points)] += 1

    total = sum(weights)
    shares = [weight / total if total else 1 / len(weights) for weight in weights]
    for count, share in zip(counts, shares, strict=True):
        assert abs(count - share * points) <= 1


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(0, 1000))
def test_the_least_busy_address_is_chosen(outstanding: list[int], start: int) -> None:
    """A slow instance must not collect a queue while another is idle."""
    assert outstanding[choose_least_outstanding(outstanding, start)] == min(outstanding)


def test_equals_take_turns() -> None:
    """An idle fleet shares the first requests instead of waking one instance only."""
    assert {choose_least_outstanding([0, 0, 0], start) for start in range(3)} == {0, 1, 2}


def test_a_model_is_asked_where_it_is() -> None:
    """Loading takes seconds: an idle instance without the model is no better than a busy one."""
    for start in range(3):
        assert choose_holder([3, 0, 0], [True, False, False], start) == 0
        assert choose_holder([3, 1, 0], [True, True, False], start) == 1
        assert choose_holder([3, 1, 2], [False, False, False], start) == 1


def test_a_model_in_demand_gets_a_second_instance() -> None:
    """One hot model must not leave the rest of the fleet idle."""
    many = limits.MODEL_HOLDER_OUTSTANDING_MAX

    assert choose_holder([many - 1, 0], [True, False], 0) == 0
    assert choose_holder([many, 0], [True, False], 0) == 1
    assert choose_holder([many, many // 2], [True, False], 0) == 0
