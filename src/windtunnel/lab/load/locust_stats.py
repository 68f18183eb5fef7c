"""Requests into Locust's own statistics, many at a time: what its UI, CSV and HTML then show.

Locust counts requests one by one, through an event: 2.2 µs each. Here a batch of them, as columns,
becomes a few additions: 0.4 µs each, the collecting included (2026-11-25). Importing this module
imports Locust, which patches the process: only load processes and locustfiles do that.

Rule: what a batch leaves in the statistics is what one event a request would have left, but for the
rounding of response times: Locust keeps two significant digits of whole milliseconds, here there
are three. Its code takes fractions, and its page and medians show them; but the percentiles in its
table and its CSV files are cut off at the point. Where it is Locust that writes those, milliseconds
are whole again as soon as that loses less than the cut would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from locust.stats import StatsError

if TYPE_CHECKING:
    from locust.stats import RequestStats

    Column = np.ndarray[tuple[int], np.dtype[Any]]

# Digits of a response time that are kept.
_DIGITS = 3
# Below so many milliseconds three digits need a fraction.
FRACTIONS_BELOW_MS = 100.0
# And below so many a fraction is worth that Locust's own CSV files cut it off: rounded to whole
# milliseconds, as from here on, a time is off by 5% at most.
FRACTIONS_BELOW_MS_IF_CUT = 10.0


@dataclass(frozen=True)
class Batch:
    """Requests of one name that have ended: columns of one length, at least one."""

    latency_s: "Column"
    # Bytes of the answer's body.
    size: "Column"
    # 0 is success, any other number the (number - 1)th of the kinds.
    failure: "Column"
    # When each ended, in seconds since the epoch.
    ended_s: "Column"
    # Response times from here on are whole milliseconds.
    fractions_below_ms: float = FRACTIONS_BELOW_MS


def add(
    stats: "RequestStats",
    method: str,
    name: str,
    batch: Batch,
    kinds: Sequence[str],
    shown: Sequence[Exception | str] | None = None,
) -> None:
    """Add a batch to the statistics of its name and to the total.

    `shown` is what the table of failures says of each kind, if more than its name. Failures are
    told apart by their kind alone: examples of sixty workers are one row at their master.
    """
    counted = _Counted(batch)
    for entry in (stats.total, stats.entries[name, method]):
        counted.add_to(entry)
    numbers, counts = np.unique(batch.failure, return_counts=True)
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        if number:
            ended_s = batch.ended_s[batch.failure == number]
            kind, error = kinds[number - 1], (shown or kinds)[number - 1]
            key = StatsError.create_key(method, name, kind)
            _add_error(stats, key, StatsError(method, name, error), count, ended_s)


def kept_ms(latency_s: "Column", fractions_below_ms: float = FRACTIONS_BELOW_MS) -> "Column":
    """Return latencies as they are kept: milliseconds of three significant digits."""
    whole_us = np.rint(latency_s * 1_000_000)
    digits = np.floor(np.log10(np.maximum(whole_us, 1))) + 1
    step_us = 10.0 ** np.maximum(digits - _DIGITS, 0)
    is_whole = whole_us >= fractions_below_ms * 1000
    step_us = np.where(is_whole, np.maximum(step_us, 1000.0), step_us)
    # Divided at the end: multiples of 0.1 are not what a person would write.
    return np.asarray(np.rint(whole_us / step_us) * step_us / 1000)


class _Counted:
    """What a batch adds to each entry; plain numbers, as a worker's report can carry no others."""

    def __init__(self, batch: Batch) -> None:
        latency_ms = batch.latency_s * 1000
        seconds = np.floor(batch.ended_s).astype(np.int64)
        has_failed = batch.failure > 0
        self.requests = len(latency_ms)
        self.failures = int(np.count_nonzero(has_failed))
        self.sum_ms = float(latency_ms.sum())
        self.min_ms = float(latency_ms.min())
        self.max_ms = float(latency_ms.max())
        self.bytes = int(batch.size.sum())
        self.last_s = float(batch.ended_s.max())
        self.times = [
            (int(time_ms) if time_ms.is_integer() else time_ms, count)
            for time_ms, count in _counts(kept_ms(batch.latency_s, batch.fractions_below_ms))
        ]
        self.requests_by_second = _counts(seconds)
        self.failures_by_second = _counts(seconds[has_failed])

    def add_to(self, entry: Any) -> None:  # noqa: ANN401 - Locust says int of what are floats
        last_s = entry.last_request_timestamp
        if entry.use_response_times_cache and last_s and int(self.last_s) > int(last_s):
            # As Locust does it at the first request of a new second: the percentiles of the last
            # ten seconds are what came in since a copy that is ten seconds old.
            entry._cache_response_times(int(self.last_s) - 1)  # noqa: SLF001 - it has no other door
        entry.last_request_timestamp = max(last_s or 0.0, self.last_s)
        entry.num_requests += self.requests
        entry.num_failures += self.failures
        entry.total_response_time += self.sum_ms
        entry.total_content_length += self.bytes
        least_ms = entry.min_response_time
        entry.min_response_time = self.min_ms if least_ms is None else min(least_ms, self.min_ms)
        entry.max_response_time = max(entry.max_response_time, self.max_ms)
        for counts, added in (
            (entry.response_times, self.times),
            (entry.num_reqs_per_sec, self.requests_by_second),
            (entry.num_fail_per_sec, self.failures_by_second),
        ):
            for key, count in added:
                counts[key] += count


def _counts(values: "Column") -> list[tuple[Any, int]]:
    found, counts = np.unique(values, return_counts=True)
    return list(zip(found.tolist(), counts.tolist(), strict=True))


def _add_error(
    stats: "RequestStats", key: str, error: StatsError, count: int, ended_s: "Column"
) -> None:
    known = stats.errors.setdefault(key, error)
    known.occurrences += count
    first_s, last_s = float(ended_s.min()), float(ended_s.max())
    known.first_seen = first_s if known.first_seen is None else min(known.first_seen, first_s)
    known.last_seen = last_s if known.last_seen is None else max(known.last_seen, last_s)
