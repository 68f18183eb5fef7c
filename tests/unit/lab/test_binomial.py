"""The binomial sum that every verdict hangs on."""

from decimal import Decimal, localcontext
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.lab.binomial import binomial_at_most


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

    found = binomial_at_most(successes, count, per_mille / 1000)

    assert found == pytest.approx(float(exact), rel=1e-12, abs=1e-15)


@settings(max_examples=30)
@given(
    count=st.integers(100, 3000),
    share=st.floats(0.0, 1.0),
    per_mille=st.integers(1, 999),
)
def test_the_tail_keeps_its_digits_however_small_it_is(
    *, count: int, share: float, per_mille: int
) -> None:
    """A confidence of many nines is one minus this tail: it must not be rounding noise."""
    successes = int(share * count * per_mille / 1000)
    p = Fraction(per_mille, 1000)
    below = per_mille**successes * (1000 - per_mille) ** (count - successes)
    term, total = comb(count, successes) * below, 0
    for hits in range(successes, -1, -1):
        total += term
        # Whole at every step: the binomial coefficient and the power change together.
        term = term * hits * (1000 - per_mille) // ((count - hits + 1) * per_mille)
    exact = Fraction(total, 1000**count)

    found = binomial_at_most(successes, count, float(p))

    if exact > Fraction(1, 10**300):
        assert found == pytest.approx(float(exact), rel=1e-10)
    else:
        assert found <= 1e-299


@pytest.mark.parametrize(
    ("successes", "probability"),
    [(35_000, "0.001"), (35_559, "0.001"), (36_600, "0.001"), (3, "0.0000001")],
)
def test_36_million_trials_are_summed_to_ten_digits(successes: int, probability: str) -> None:
    """An hour at 10,000 requests/s; decimals of fifty digits are the oracle."""
    count = 36_000_000
    with localcontext() as context:
        context.prec = 50
        p = Decimal(probability)
        term = (1 - p) ** count
        total = term
        for hits in range(1, successes + 1):
            term = term * (count - hits + 1) * p / (hits * (1 - p))
            total += term

    found = binomial_at_most(successes, count, float(probability))

    assert found == pytest.approx(float(total), rel=1e-9)
