"""Which payload goes with which request."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.lab.load import mix

_WEIGHTS = st.lists(st.floats(0.001, 1000), min_size=2, max_size=8)


@given(weights=_WEIGHTS, seed=st.integers(0, 2**32), processes=st.integers(1, 7))
def test_processes_draw_exactly_the_one_sequence_between_them(
    weights: list[float], seed: int, processes: int
) -> None:
    """A run with more processes must send the same requests, or two runs cannot be compared."""
    # More than is drawn at once, so that the parts meet across a seam, too.
    count = 9000 // processes
    one = list(itertools.islice(mix.share(weights, seed, 0, 1), count * processes))
    parts = [
        list(itertools.islice(mix.share(weights, seed, number, processes), count))
        for number in range(processes)
    ]

    assert [draw for draws in zip(*parts, strict=True) for draw in draws] == one


def test_payloads_come_in_their_weights() -> None:
    """`FILE:3` is sent three times as often, whatever the weights add up to."""
    drawn = Counter(itertools.islice(mix.share([3.0, 1.0, 0.5], 0, 0, 1), 45_000))

    assert set(drawn) == {0, 1, 2}
    # Three standard deviations are 1% of the largest and 4% of the smallest.
    assert drawn[0] == pytest.approx(30_000, rel=0.02)
    assert drawn[1] == pytest.approx(10_000, rel=0.03)
    assert drawn[2] == pytest.approx(5_000, rel=0.05)


def test_another_seed_draws_otherwise() -> None:
    """Chance that is the same every time is no chance."""
    first, second = (
        list(itertools.islice(mix.share([1.0, 1.0], seed, 0, 1), 100)) for seed in (1, 2)
    )

    assert first != second


def test_one_payload_is_not_drawn() -> None:
    """Most runs have one; they pay nothing for the choice."""
    assert isinstance(mix.share([2.5], 0, 0, 1), itertools.repeat)
    assert next(mix.share([2.5], 0, 3, 4)) == 0
