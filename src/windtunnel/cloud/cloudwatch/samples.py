"""What was measured, kept by the second and by the minute.

The router hands over one record a request; this file makes the samples of AWS's metrics of it and
adds them to buckets. Rules: `record` runs on the hot path and costs a few microseconds: it adds to
the running second of its variant, and only the first record of a new second moves the old one into
the series. Memory is bounded by time kept and variants kept, never by traffic.

The metrics, their units and what counts as one are SageMaker's ("Monitor SageMaker AI with Amazon
CloudWatch", endpoint invocation metrics): for each request 1 or 0 is sent to the error metrics,
1 / instances to InvocationsPerInstance, microseconds to the latencies.
"""

import math
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from windtunnel.core import limits

NAMESPACE = "AWS/SageMaker"
# Metric and unit, in the order in which they are listed.
UNITS: Mapping[str, str] = {
    "Invocations": "None",
    "InvocationsPerInstance": "None",
    "Invocation4XXErrors": "None",
    "Invocation5XXErrors": "None",
    "InvocationModelErrors": "None",
    "ModelLatency": "Microseconds",
    "OverheadLatency": "Microseconds",
}
_MICROSECONDS_PER_S = 1e6
_CLIENT_ERRORS_FROM = 400
_SERVER_ERRORS_FROM = 500
_MINUTE_S = 60
# A bucket is count, sum, minimum, maximum.
_WIDTH = 4
_BUCKETS = 60


@dataclass(slots=True)
class InvocationRecord:
    """One invocation that ended, as the router saw it."""

    endpoint_name: str
    variant_name: str
    ended_s: float
    # The HTTP status that the client got.
    status: int
    # None when the request never reached a container.
    model_latency_s: float | None
    overhead_latency_s: float
    instance_count: int
    is_model_error: bool
    # What the container answered, where that was not what the client got (424 stands for all of a
    # container's failures); None when it did not answer.
    model_status: int | None = None


class Bucket(NamedTuple):
    """The samples of one second or minute, summed up."""

    start_s: int
    sample_count: float
    sum: float
    minimum: float
    maximum: float


class Ring:
    """Buckets of one width for a bounded time, in chunks of sixty; quiet times cost nothing."""

    def __init__(self, bucket_s: int, kept_s: int) -> None:
        self._bucket_s = bucket_s
        self._chunk_s = bucket_s * _BUCKETS
        self._kept_s = kept_s
        self._chunks: dict[int, array[float]] = {}

    def add(self, at_s: int, count: float, total: float, minimum: float, maximum: float) -> None:
        """Add samples, already summed up, to the bucket of a moment."""
        chunk_start_s = at_s - at_s % self._chunk_s
        chunk = self._chunks.get(chunk_start_s)
        if chunk is None:
            self._forget(at_s - self._kept_s)
            chunk = self._chunks[chunk_start_s] = array("d", bytes(8 * _WIDTH * _BUCKETS))
        place = (at_s - chunk_start_s) // self._bucket_s * _WIDTH
        if chunk[place] == 0:
            chunk[place + 2], chunk[place + 3] = minimum, maximum
        else:
            chunk[place + 2] = min(chunk[place + 2], minimum)
            chunk[place + 3] = max(chunk[place + 3], maximum)
        chunk[place] += count
        chunk[place + 1] += total

    def between(self, start_s: int, end_s: float) -> Iterator[Bucket]:
        """Yield the buckets that begin within [start_s, end_s), in order of time."""
        for chunk_start_s in sorted(self._chunks):
            if chunk_start_s + self._chunk_s <= start_s or chunk_start_s >= end_s:
                continue
            chunk = self._chunks[chunk_start_s]
            for index in range(_BUCKETS):
                place = index * _WIDTH
                at_s = chunk_start_s + index * self._bucket_s
                if chunk[place] and start_s <= at_s < end_s:
                    yield Bucket(at_s, *chunk[place : place + _WIDTH])

    def _forget(self, before_s: int) -> None:
        for chunk_start_s in [at_s for at_s in self._chunks if at_s + self._chunk_s <= before_s]:
            del self._chunks[chunk_start_s]


class Series:
    """One metric of one variant."""

    def __init__(self) -> None:
        self.seconds = Ring(1, limits.METRIC_SECONDS_KEPT_S)
        self.minutes = Ring(_MINUTE_S, limits.METRIC_MINUTES_KEPT_S)

    def add(self, at_s: int, count: float, total: float, minimum: float, maximum: float) -> None:
        """Add samples, already summed up, to the second and the minute of a moment."""
        self.seconds.add(at_s, count, total, minimum, maximum)
        self.minutes.add(at_s, count, total, minimum, maximum)


class VariantSamples:
    """The metrics of one variant, and the second that is still running."""

    __slots__ = (
        "_by_instance_high",
        "_by_instance_low",
        "_by_instance_sum",
        "_client_errors",
        "_count",
        "_model_count",
        "_model_errors",
        "_model_high",
        "_model_low",
        "_model_sum",
        "_overhead_high",
        "_overhead_low",
        "_overhead_sum",
        "_server_errors",
        "second",
        "series",
    )

    def __init__(self, second: int) -> None:
        self.series = {name: Series() for name in UNITS}
        self.second = second
        self._clear()

    def _clear(self) -> None:
        self._count = self._client_errors = self._server_errors = self._model_errors = 0
        self._by_instance_sum = self._by_instance_high = 0.0
        self._by_instance_low = math.inf
        self._model_count = 0
        self._model_sum = self._model_high = 0.0
        self._model_low = math.inf
        self._overhead_sum = self._overhead_high = 0.0
        self._overhead_low = math.inf

    def add(self, record: InvocationRecord, second: int) -> None:
        """Add a record to the running second, which this may be the first of."""
        if second != self.second:
            self.settle()
            self.second = second
        self._count += 1
        share = 1.0 / record.instance_count if record.instance_count else 1.0
        self._by_instance_sum += share
        self._by_instance_low = min(self._by_instance_low, share)
        self._by_instance_high = max(self._by_instance_high, share)
        latency_s = record.overhead_latency_s
        self._overhead_sum += latency_s
        self._overhead_low = min(self._overhead_low, latency_s)
        self._overhead_high = max(self._overhead_high, latency_s)
        model_s = record.model_latency_s
        if model_s is not None:
            self._model_count += 1
            self._model_sum += model_s
            self._model_low = min(self._model_low, model_s)
            self._model_high = max(self._model_high, model_s)
        if record.status >= _CLIENT_ERRORS_FROM:
            self._add_error(record)

    def _add_error(self, record: InvocationRecord) -> None:
        status = record.status
        if record.is_model_error:
            self._model_errors += 1
            # A container that did not answer failed on the server's side.
            status = record.model_status or _SERVER_ERRORS_FROM
        if status >= _SERVER_ERRORS_FROM:
            self._server_errors += 1
        elif status >= _CLIENT_ERRORS_FROM:
            self._client_errors += 1

    def settle(self) -> None:
        """Move the running second into the series, so that it can be read."""
        count = self._count
        if not count:
            return
        self._put("Invocations", count, count, 1.0, 1.0)
        self._put(
            "InvocationsPerInstance",
            count,
            self._by_instance_sum,
            self._by_instance_low,
            self._by_instance_high,
        )
        for name, errors in (
            ("Invocation4XXErrors", self._client_errors),
            ("Invocation5XXErrors", self._server_errors),
            ("InvocationModelErrors", self._model_errors),
        ):
            self._put(name, count, errors, float(errors == count), float(errors > 0))
        scale = _MICROSECONDS_PER_S
        if self._model_count:
            self._put(
                "ModelLatency",
                self._model_count,
                self._model_sum * scale,
                self._model_low * scale,
                self._model_high * scale,
            )
        self._put(
            "OverheadLatency",
            count,
            self._overhead_sum * scale,
            self._overhead_low * scale,
            self._overhead_high * scale,
        )
        self._clear()

    def _put(self, name: str, count: float, total: float, minimum: float, maximum: float) -> None:
        self.series[name].add(self.second, count, total, minimum, maximum)


class Samples:
    """The metrics of every variant that was invoked."""

    def __init__(self) -> None:
        self._variants: dict[tuple[str, str], VariantSamples] = {}

    def record(self, record: InvocationRecord) -> None:
        """Take one invocation's record: the hot path."""
        second = int(record.ended_s)
        key = (record.endpoint_name, record.variant_name)
        variant = self._variants.get(key)
        if variant is None:
            variant = self._admit(key, second)
        variant.add(record, second)

    def variants(self) -> list[tuple[str, str]]:
        """Return endpoint and variant name of everything that has samples, sorted."""
        return sorted(self._variants)

    def last_s(self, endpoint_name: str, variant_name: str) -> int:
        """Return the second of a variant's newest sample."""
        return self._variants[endpoint_name, variant_name].second

    def series(self, endpoint_name: str, variant_name: str, metric_name: str) -> Series | None:
        """Return one metric of one variant up to this moment, None when there is none."""
        variant = self._variants.get((endpoint_name, variant_name))
        if variant is None:
            return None
        variant.settle()
        return variant.series.get(metric_name)

    def _admit(self, key: tuple[str, str], second: int) -> VariantSamples:
        if len(self._variants) >= limits.METRIC_VARIANT_COUNT_MAX:
            quietest = min(self._variants, key=lambda each: self._variants[each].second)
            del self._variants[quietest]
        variant = self._variants[key] = VariantSamples(second)
        return variant
