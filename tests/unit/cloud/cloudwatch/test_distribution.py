"""Percentiles to the precision that is promised, and sums of distributions that lose nothing."""

from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.cloudwatch.distribution import Distribution
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.core import limits

_PRECISION = 1e-3
_VALUES = st.lists(
    st.one_of(
        st.floats(0, 1e12, allow_nan=False),
        st.integers(0, 5).map(float),
        st.floats(1000, 1010),
    ),
    min_size=1,
    max_size=200,
)


@given(_VALUES, st.floats(0, 100))
def test_a_percentile_is_within_a_thousandth_of_numpys(values: list[float], percent: float) -> None:
    """A p99 that is read off here is the p99 that a user computes from the same requests."""
    summary = Summary.of_values(array("d", values))
    found = summary.quantile(percent / 100)
    expected = np.quantile(values, percent / 100, method="inverted_cdf")
    # A rank that is whole but for a rounding may be its neighbour's.
    near = [np.quantile(values, min(1, percent / 100 + 1e-9), method="inverted_cdf"), expected]

    assert found is not None
    assert any(found == pytest.approx(each, rel=_PRECISION, abs=1e-300) for each in near)


@given(_VALUES, _VALUES)
def test_the_sum_of_two_is_the_summary_of_all_values(
    first: list[float], second: list[float]
) -> None:
    """An hour's percentile is that of all its requests, not an average of minutes."""
    apart = Summary.of_values(array("d", first)).plus(Summary.of_values(array("d", second)))
    together = Summary.of_values(array("d", first + second))

    assert apart.count == together.count
    assert apart.sum == pytest.approx(together.sum)
    assert (apart.low, apart.high) == (together.low, together.high)
    assert apart.distribution is not None
    assert together.distribution is not None
    assert apart.distribution.bins == together.distribution.bins


@given(_VALUES)
def test_what_is_kept_can_be_read_back(values: list[float]) -> None:
    """A percentile is the same before and after a restart."""
    summary = Summary.of_values(array("d", values))
    again = Summary.decode(
        summary.count, summary.sum, summary.low, summary.high, summary.encoded_distribution()
    )

    assert again.distribution is not None
    assert summary.distribution is not None
    assert again.distribution.bins == summary.distribution.bins


def test_a_distribution_is_bounded_and_keeps_its_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric with a million different values must not fill the memory."""
    monkeypatch.setattr(limits, "METRIC_BIN_COUNT_MAX", 100)
    values = [1.01**power for power in range(2000)]
    distribution = Distribution.of_counts((value, 2) for value in values)

    assert len(distribution.bins) <= 100
    assert sum(distribution.bins.values()) == 4000
    assert distribution.level > 0
    # Coarser, and still in the right place: 2,000 values over 29 powers of two in 100 bins.
    assert distribution.quantile(0.5) == pytest.approx(values[1000], rel=0.5)
    # Bins of different widths still add up.
    both = distribution.plus(Distribution.of_counts([(1.0, 1)]))
    assert sum(both.bins.values()) == 4001


def test_values_that_people_would_name_are_named_so() -> None:
    """A p50 of 250 ms is shown as 250000 µs, not as 249984."""
    distribution = Distribution.of_counts([(250_000.0, 3), (3.0, 1), (0.0, 1)])

    assert [distribution.quantile(each) for each in (0.1, 0.4, 0.9)] == [0.0, 3.0, 250_000.0]


def test_a_set_of_statistics_has_percentiles_only_where_they_are_certain() -> None:
    """CloudWatch's rule: when all values of the set are equal (GetMetricStatistics)."""
    assert Summary.of_set(3, 6, 1, 3).quantile(0.5) is None
    assert Summary.of_set(3, 6, 2, 2).quantile(0.5) == 2
    assert Summary.of_set(3, 6, 1, 3).plus(Summary.of_value(1)).quantile(0.5) is None


def test_negative_values_have_no_percentiles() -> None:
    """CloudWatch's rule, on the same page."""
    assert Summary.of_value(-1.0).quantile(0.5) is None
    assert Summary.of_counts([-1.0, 5.0], [1, 1]).quantile(0.5) is None
    assert Summary.of_value(5.0).plus(Summary.of_value(-1.0)).quantile(0.5) is None
