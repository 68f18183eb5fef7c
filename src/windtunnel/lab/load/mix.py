"""Which payload goes with which request: pure, seeded, and split exactly over processes.

Payloads are drawn by their weights. Of the one sequence of draws process i of P takes every P-th,
as it does of arrivals, so that a run with more processes sends the same requests.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

# So many are drawn at once, in a tenth of a millisecond: whoever sends is not kept waiting.
_CHUNK_COUNT = 4096


def share(weights: Sequence[float], seed: int, number: int, processes: int) -> Iterator[int]:
    """Yield the payloads' numbers for one process's requests, without end."""
    if len(weights) == 1:
        return itertools.repeat(0)
    return _drawn(np.asarray(weights, dtype=np.float64), seed, number, processes)


def _drawn(
    weights: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
    seed: int,
    number: int,
    processes: int,
) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    edges = np.cumsum(weights / weights.sum())
    # Rounding must not leave a gap at the end.
    edges[-1] = 1.0
    first = 0
    while True:
        chunk = np.searchsorted(edges, rng.random(_CHUNK_COUNT), side="right")
        yield from chunk[(number - first) % processes :: processes].tolist()
        first += _CHUNK_COUNT
