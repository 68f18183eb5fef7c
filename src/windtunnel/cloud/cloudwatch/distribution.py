"""How values are spread: a sparse log-linear histogram that can be added to another.

Precision: a quantile is at most one part in a thousand away from a value that was really there
(three significant digits), for as long as a window's values fall into METRIC_BIN_COUNT_MAX bins.
Beyond that neighbouring bins are joined, and the precision halves each time: 8,192 bins hold
latencies over eight powers of two, each step of them used, before the first halving.

A double's own bits are the scale: its exponent and the first ten bits of its fraction are the
number of its bin (1,024 bins to each power of two), so that finding it is one shift, and bins are
in the order of their values. Only for values that are not negative: CloudWatch has no percentiles
of others.
"""

import struct
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping

from windtunnel.core import limits

# Of the 52 bits of a double's fraction these are left away.
_SHIFT = 42
_DOUBLE = struct.Struct("<d")
_BITS = struct.Struct("<Q")
_HEAD = struct.Struct("<BI")
# Fast; what it gains is nearly all that a slower one would.
_COMPRESSION = 1
# More digits than these cannot be needed to name a value of a bin.
_DIGITS_MAX = 5


class Distribution:
    """Counts by bin; `level` is how often bins were joined in pairs."""

    __slots__ = ("bins", "level")

    def __init__(self, bins: Mapping[int, float], level: int = 0) -> None:
        self.bins = dict(bins)
        self.level = level
        self._bound()

    @classmethod
    def of_values(cls, values: "array[float]") -> "Distribution":
        """Return the distribution of values that occurred once each; none is below zero."""
        return cls(Counter(bits >> _SHIFT for bits in memoryview(values).cast("B").cast("Q")))

    @classmethod
    def of_counts(cls, counts: Iterable[tuple[float, float]]) -> "Distribution":
        """Return the distribution of values and how often each occurred; none is below zero."""
        bins: dict[int, float] = {}
        for value, count in counts:
            number = _bin_of(value)
            bins[number] = bins.get(number, 0) + count
        return cls(bins)

    def plus(self, other: "Distribution") -> "Distribution":
        """Return the distribution of both's values."""
        level = max(self.level, other.level)
        bins = dict(self.joined(level))
        for number, count in other.joined(level).items():
            bins[number] = bins.get(number, 0) + count
        return Distribution(bins, level)

    def joined(self, level: int) -> Mapping[int, float]:
        """Return the bins as they are at a level: this one or a coarser one."""
        shift = level - self.level
        if not shift:
            return self.bins
        bins: dict[int, float] = {}
        for number, count in self.bins.items():
            bins[number >> shift] = bins.get(number >> shift, 0) + count
        return bins

    def quantile(self, fraction: float) -> float:
        """Return a value at which, counted from below, a fraction of all values is reached."""
        rank = fraction * sum(self.bins.values())
        passed = 0.0
        number = 0
        for number in sorted(self.bins):
            passed += self.bins[number]
            # Sums of counts that are no whole numbers may miss the rank by a rounding.
            if passed >= rank * (1 - 1e-12):
                break
        return self._value_in(number)

    def encode(self) -> bytes:
        """Return it as bytes."""
        numbers = sorted(self.bins)
        steps = array("I", [now - last for last, now in zip([0, *numbers], numbers, strict=False)])
        counts = array("d", [self.bins[number] for number in numbers])
        body = steps.tobytes() + counts.tobytes()
        return _HEAD.pack(self.level, len(numbers)) + zlib.compress(body, _COMPRESSION)

    @classmethod
    def decode(cls, encoded: bytes) -> "Distribution":
        """Return what `encode` wrote."""
        level, size = _HEAD.unpack_from(encoded)
        body = zlib.decompress(encoded[_HEAD.size :])
        steps, counts = array("I"), array("d")
        split = size * steps.itemsize
        steps.frombytes(body[:split])
        counts.frombytes(body[split:])
        bins, number = {}, 0
        for step, count in zip(steps, counts, strict=True):
            number += step
            bins[number] = count
        return cls(bins, level)

    def _bound(self) -> None:
        while len(self.bins) > limits.METRIC_BIN_COUNT_MAX:
            self.bins = dict(self.joined(self.level + 1))
            self.level += 1

    def _value_in(self, number: int) -> float:
        """Return the number of fewest digits in a bin: what people would call these values."""
        if not number:
            return 0.0
        low, high = self._edge(number), self._edge(number + 1)
        middle = (low + high) / 2
        for digits in range(1, _DIGITS_MAX):
            short = float(f"{middle:.{digits}g}")
            if low <= short < high:
                return short
        return middle

    def _edge(self, number: int) -> float:
        edge: float = _DOUBLE.unpack(_BITS.pack(number << (_SHIFT + self.level)))[0]
        return edge


def _bin_of(value: float) -> int:
    # The sum makes one zero of both.
    bits: int = _BITS.unpack(_DOUBLE.pack(value + 0.0))[0]
    return bits >> _SHIFT
