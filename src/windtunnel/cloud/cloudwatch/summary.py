"""Values of a metric, summed up: all that is kept of them, and all that statistics are made of.

A summary can be added to another of the same metric, in any order: the sum of two minutes is the
summary of all their values.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from windtunnel.cloud.cloudwatch.distribution import Distribution

# Stands for a distribution that nobody can know: a statistic set hides its values.
_UNKNOWN = b""


@dataclass(frozen=True, slots=True)
class Summary:
    """Values: how many, their sum, their least and greatest, and how they are spread."""

    count: float
    sum: float
    low: float
    high: float
    # None when it is not known, or one of the values is negative.
    distribution: Distribution | None = None

    @classmethod
    def of_value(cls, value: float, count: float = 1) -> "Summary":
        """Return the summary of one value that occurred so often."""
        return cls(count, value * count, value, value, _of_equal(value, count))

    @classmethod
    def of_values(cls, values: "array[float]") -> "Summary":
        """Return the summary of some values that occurred once each."""
        low = min(values)
        distribution = Distribution.of_values(values) if low >= 0 else None
        return cls(len(values), sum(values), low, max(values), distribution)

    @classmethod
    def of_counts(cls, values: Sequence[float], counts: Sequence[float]) -> "Summary":
        """Return the summary of some values, each of which occurred so often."""
        low = min(values)
        pairs = list(zip(values, counts, strict=True))
        distribution = Distribution.of_counts(pairs) if low >= 0 else None
        total = sum(value * count for value, count in pairs)
        return cls(sum(counts), total, low, max(values), distribution)

    @classmethod
    def of_set(cls, count: float, total: float, low: float, high: float) -> "Summary":
        """Return the summary that a statistic set gives: its values are known if all are equal."""
        return cls(count, total, low, high, _of_equal(low, count) if low == high else None)

    def plus(self, other: "Summary") -> "Summary":
        """Return the summary of both's values."""
        mine, others = self.distribution, other.distribution
        return Summary(
            self.count + other.count,
            self.sum + other.sum,
            min(self.low, other.low),
            max(self.high, other.high),
            None if mine is None or others is None else mine.plus(others),
        )

    def quantile(self, fraction: float) -> float | None:
        """Return a quantile, to the precision of `distribution.py`; None where none is known."""
        if self.distribution is None:
            return None
        if fraction <= 0 or fraction >= 1:
            return self.low if fraction <= 0 else self.high
        return min(max(self.distribution.quantile(fraction), self.low), self.high)

    def encoded_distribution(self) -> bytes | None:
        """Return the distribution as it is kept; of equal values there is nothing to say."""
        if self.low == self.high:
            return None
        return _UNKNOWN if self.distribution is None else self.distribution.encode()

    @classmethod
    def decode(
        cls, count: float, total: float, low: float, high: float, distribution: bytes | None
    ) -> "Summary":
        """Return the summary that was kept so."""
        if distribution is None:
            return cls.of_set(count, total, low, high)
        known = Distribution.decode(distribution) if distribution != _UNKNOWN else None
        return cls(count, total, low, high, known)


def _of_equal(value: float, count: float) -> Distribution | None:
    return Distribution.of_counts([(value, count)]) if value >= 0 else None
