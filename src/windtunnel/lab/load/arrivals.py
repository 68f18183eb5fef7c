"""When each request of an open loop is due: pure, seeded, and split exactly over processes.

A rate over time is a row of stages in which it goes in a straight line. The area under it up to a
moment is how many arrivals there should have been by then; read the other way round, it says when
number so-and-so is due. Evenly spread, arrival i is due when i should have been: at a constant rate
R that is i/R. As a Poisson process the numbers are not 0, 1, 2, … but sums of random steps of mean
1, so that at any rate, rising or falling, arrivals know nothing of each other. Arrival i belongs to
process i mod P; each process counts through all of them, which costs far less than sending one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from windtunnel.lab.measurement import Floats

# So many are worked out at once, in a fifth of a millisecond: whoever sends is not kept waiting.
_CHUNK_COUNT = 4096


class Arrivals(Protocol):
    """Moments at which requests are due, in seconds from the start of the run."""

    def chunks(self) -> Iterator[Floats]:
        """Yield all of them in order, some thousand at a time."""
        ...

    def expected_before(self, at_s: float) -> float:
        """Return how many there should be before a moment."""
        ...


@dataclass(frozen=True)
class Stage:
    """A time in which the rate goes in a straight line from one value to another."""

    duration_s: float
    from_per_s: float
    to_per_s: float


class RateProfile:
    """A rate over time: stages one after the other, from the start of the run."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        # A stage without length is a jump: it has no moment at which anything could be due.
        long = [stage for stage in stages if stage.duration_s > 0]
        self._duration_s = np.array([stage.duration_s for stage in long])
        self._from_per_s = np.array([stage.from_per_s for stage in long])
        self._to_per_s = np.array([stage.to_per_s for stage in long])
        self._start_s = np.concatenate([[0.0], np.cumsum(self._duration_s)])
        mass = (self._from_per_s + self._to_per_s) / 2 * self._duration_s
        self._count = np.concatenate([[0.0], np.cumsum(mass)])

    @property
    def length_s(self) -> float:
        """How long the profile is."""
        return float(self._start_s[-1])

    @property
    def count(self) -> float:
        """How many arrivals there should be in all."""
        return float(self._count[-1])

    def count_before(self, at_s: float) -> float:
        """Return the area under the rate up to a moment."""
        at_s = min(max(at_s, 0.0), self.length_s)
        stage = min(
            int(np.searchsorted(self._start_s, at_s, side="right")) - 1, len(self._duration_s) - 1
        )
        into_s = at_s - float(self._start_s[stage])
        first, last = float(self._from_per_s[stage]), float(self._to_per_s[stage])
        slope = (last - first) / float(self._duration_s[stage])
        return float(self._count[stage]) + into_s * (first + slope * into_s / 2)

    def moments(self, counts: Floats) -> Floats:
        """Return when the area under the rate passes each of `counts`, all less than `count`."""
        stage = np.searchsorted(self._count, counts, side="right") - 1
        missing = counts - self._count[stage]
        first = self._from_per_s[stage]
        slope = (self._to_per_s[stage] - first) / self._duration_s[stage]
        # The root of first * t + slope * t² / 2 = missing, in the form that needs no case for a
        # slope of 0 and loses no digits near it. At a rate of 0, nothing missing, it is 0 / 0.
        root = np.sqrt(np.maximum(first * first + 2 * slope * missing, 0.0))
        into_s = np.divide(
            2 * missing, first + root, out=np.zeros_like(missing), where=first + root > 0
        )
        moments: Floats = self._start_s[stage] + np.minimum(into_s, self._duration_s[stage])
        return moments


class EvenArrivals:
    """Arrivals as evenly spread as a rate over time allows."""

    def __init__(self, profile: RateProfile) -> None:
        self._profile = profile

    def chunks(self) -> Iterator[Floats]:
        """Yield them in order."""
        first = 0
        while first < self._profile.count:
            counts = np.arange(first, first + _CHUNK_COUNT, dtype=np.float64)
            yield self._profile.moments(counts[counts < self._profile.count])
            first += _CHUNK_COUNT

    def expected_before(self, at_s: float) -> float:
        """Return how many there should be before a moment."""
        return self._profile.count_before(at_s)


class PoissonArrivals:
    """Arrivals of a Poisson process with a rate over time; the same ones for the same seed."""

    def __init__(self, profile: RateProfile, seed: int) -> None:
        self._profile = profile
        self._seed = seed

    def chunks(self) -> Iterator[Floats]:
        """Yield them in order."""
        rng = np.random.default_rng(self._seed)
        last = 0.0
        while last < self._profile.count:
            counts = last + np.cumsum(rng.standard_exponential(_CHUNK_COUNT))
            last = float(counts[-1])
            yield self._profile.moments(counts[counts < self._profile.count])

    def expected_before(self, at_s: float) -> float:
        """Return how many there should be before a moment, on average."""
        return self._profile.count_before(at_s)


class ListedArrivals:
    """Arrivals at moments that somebody wrote down."""

    def __init__(self, due_s: Floats) -> None:
        self._due_s = due_s

    @property
    def length_s(self) -> float:
        """How long the list is: up to the whole second after the last moment."""
        return float(np.floor(self._due_s[-1])) + 1.0

    def chunks(self) -> Iterator[Floats]:
        """Yield them in order."""
        for first in range(0, len(self._due_s), _CHUNK_COUNT):
            yield self._due_s[first : first + _CHUNK_COUNT]

    def expected_before(self, at_s: float) -> float:
        """Return how many there are before a moment."""
        return float(np.searchsorted(self._due_s, at_s, side="left"))


def share(arrivals: Arrivals, number: int, processes: int) -> Iterator[float]:
    """Yield the arrivals of one process, in order: of all of them every P-th."""
    first = 0
    for chunk in arrivals.chunks():
        yield from chunk[(number - first) % processes :: processes].tolist()
        first += len(chunk)


def count(arrivals: Arrivals, start_s: float, end_s: float) -> int:
    """Return how many arrivals are due in a time window."""
    found = 0
    for chunk in arrivals.chunks():
        if len(chunk) and chunk[0] >= end_s:
            break
        found += int(((chunk >= start_s) & (chunk < end_s)).sum())
    return found
