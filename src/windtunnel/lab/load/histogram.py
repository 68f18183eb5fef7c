"""Durations in classes a thousandth wide: what many processes measured, added up exactly.

As an HDR histogram does it (Gil Tene): each power of two is cut into 1,024 classes of equal width,
so that any duration is known to three significant digits whatever its size, and two histograms
merge by adding counts. For what is shown while a run goes on; what a run came to is worked out from
every request itself.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from windtunnel.lab.measurement import Floats

# 2**10 classes in a power of two: the widest is 1/1,024 of its lower edge.
_BITS = 10
_CLASSES = 1 << _BITS
# Frexp's exponent of a nanosecond is -29; counted from here classes of durations are positive.
_EXPONENT_MIN = -64


class Histogram:
    """How many durations (seconds) fell into which class."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: Counter[int] = Counter(counts or {})

    @property
    def count(self) -> int:
        """How many durations there are."""
        return self.counts.total()

    def add(self, values_s: Floats) -> None:
        """Take durations."""
        if len(values_s):
            mantissa, exponent = np.frexp(np.maximum(values_s, 1e-9))
            classes = (exponent.astype(np.int64) - _EXPONENT_MIN) << _BITS
            classes += ((mantissa - 0.5) * (2 * _CLASSES)).astype(np.int64)
            found, counts = np.unique(classes, return_counts=True)
            for number, count in zip(found.tolist(), counts.tolist(), strict=True):
                self.counts[number] += count

    def merge(self, other: "Histogram") -> None:
        """Take all of another's durations."""
        self.counts.update(other.counts)

    def percentile(self, share: float) -> float | None:
        """Return the middle of the class of the smallest one that a `share` does not exceed."""
        if not self.counts:
            return None
        numbers = np.array(sorted(self.counts), dtype=np.int64)
        counts = np.cumsum([self.counts[number] for number in numbers.tolist()])
        rank = max(1, int(np.ceil(round(share * float(counts[-1]), 6))))
        number = int(numbers[int(np.searchsorted(counts, rank))])
        exponent, part = (number >> _BITS) + _EXPONENT_MIN, number & (_CLASSES - 1)
        return float(np.ldexp(0.5 + (part + 0.5) / (2 * _CLASSES), exponent))

    def to_json(self) -> list[list[int]]:
        """Return this for a message between processes."""
        return [list(self.counts), list(self.counts.values())]

    @classmethod
    def from_json(cls, words: Sequence[Sequence[int]]) -> "Histogram":
        """Return what `to_json` made."""
        return cls(dict(zip(*words, strict=True)))


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """Return one histogram of all."""
    whole = Histogram()
    for each in histograms:
        whole.merge(each)
    return whole
