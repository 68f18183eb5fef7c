"""What the router measured, until it is saved.

The router hands over one record a request; this file makes the samples of AWS's metrics of it.
Rules: `record` runs on the hot path and costs about a microsecond: it appends to the running second
of its variant, and nothing is summed up there. `take` hands everything over, once a second or when
somebody asks; what is made of it, `samples_of`, is called in the metrics' own thread.

What counts as one is SageMaker's ("Monitor SageMaker AI with Amazon CloudWatch", endpoint
invocation metrics): for each request 1 or 0 is sent to the error metrics, 1 / instances to
InvocationsPerInstance, microseconds to the latencies.
"""

from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from windtunnel.cloud.cloudwatch.metric import INVOCATIONS, UNITS, Sample, variant_metric
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.core import limits

_MICROSECONDS_PER_S = 1e6
_CLIENT_ERRORS_FROM = 400
_SERVER_ERRORS_FROM = 500


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
    # Of a multi-model endpoint: whether the model was there at once, and how long it was waited
    # for.
    is_cache_hit: bool | None = None
    loading_wait_s: float | None = None


class VariantSecond:
    """One second of one variant, as it was measured."""

    __slots__ = (
        "at_s",
        "cache_hits",
        "cache_misses",
        "client_errors",
        "endpoint_name",
        "errors",
        "instance_counts",
        "loading_waits",
        "model_errors",
        "model_latencies",
        "overhead_latencies",
        "server_errors",
        "variant_name",
        "was_given_back",
    )

    def __init__(self, endpoint_name: str, variant_name: str, at_s: int) -> None:
        self.endpoint_name = endpoint_name
        self.variant_name = variant_name
        self.at_s = at_s
        self.cache_hits = self.cache_misses = 0
        # By the status that the client got.
        self.errors: Counter[int] = Counter()
        self.client_errors = self.server_errors = self.model_errors = 0
        # How many requests found so many instances; its total is the number of requests.
        self.instance_counts: Counter[int] = Counter()
        self.model_latencies = array("d")
        self.overhead_latencies = array("d")
        self.loading_waits = array("d")
        # It could not be saved, and comes a second time.
        self.was_given_back = False

    def add(self, record: InvocationRecord) -> None:
        """Add a request that ended in this second."""
        self.instance_counts[record.instance_count] += 1
        self.overhead_latencies.append(record.overhead_latency_s * _MICROSECONDS_PER_S)
        model_s = record.model_latency_s
        if model_s is not None:
            self.model_latencies.append(model_s * _MICROSECONDS_PER_S)
        if record.status >= _CLIENT_ERRORS_FROM:
            self._add_error(record)
        if record.is_cache_hit is not None:
            self.cache_hits += record.is_cache_hit
            self.cache_misses += not record.is_cache_hit
        if record.loading_wait_s is not None:
            self.loading_waits.append(record.loading_wait_s * _MICROSECONDS_PER_S)

    def _add_error(self, record: InvocationRecord) -> None:
        status = record.status
        self.errors[status] += 1
        if record.is_model_error:
            self.model_errors += 1
            # A container that did not answer failed on the server's side.
            status = record.model_status or _SERVER_ERRORS_FROM
        if status >= _SERVER_ERRORS_FROM:
            self.server_errors += 1
        elif status >= _CLIENT_ERRORS_FROM:
            self.client_errors += 1


class Samples:
    """Everything that was recorded and not yet handed over."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], VariantSecond] = {}
        # Whoever takes them comes every second: what is dropped here was not wanted for long.
        self._ended: deque[VariantSecond] = deque(maxlen=limits.METRIC_UNSAVED_COUNT_MAX)

    def record(self, record: InvocationRecord) -> None:
        """Take one invocation's record: the hot path."""
        at_s = int(record.ended_s)
        key = (record.endpoint_name, record.variant_name)
        running = self._running.get(key)
        if running is None or running.at_s != at_s:
            if running is not None:
                self._ended.append(running)
            running = self._running[key] = VariantSecond(*key, at_s)
        running.add(record)

    def take(self) -> list[VariantSecond]:
        """Hand over everything, the running seconds too; they may go on in another part."""
        taken = [*self._ended, *self._running.values()]
        self._ended.clear()
        self._running.clear()
        return taken

    def give_back(self, seconds: Sequence[VariantSecond]) -> None:
        """Take back what could not be saved; of too much, the oldest is dropped."""
        for second in seconds:
            second.was_given_back = True
        kept = [*seconds, *self._ended]
        self._ended.clear()
        self._ended.extend(kept)


def samples_of(second: VariantSecond) -> Iterator[Sample]:
    """Yield what SageMaker's metrics get from a second of a variant."""
    count = second.instance_counts.total()
    shares = [1.0 / each if each else 1.0 for each in second.instance_counts]
    summaries = {
        "Invocations": Summary.of_value(1, count),
        "InvocationsPerInstance": Summary.of_counts(shares, [*second.instance_counts.values()]),
        "Invocation4XXErrors": _of_share(second.client_errors, count),
        "Invocation5XXErrors": _of_share(second.server_errors, count),
        "InvocationModelErrors": _of_share(second.model_errors, count),
        "OverheadLatency": Summary.of_values(second.overhead_latencies),
    }
    if second.model_latencies:
        summaries["ModelLatency"] = Summary.of_values(second.model_latencies)
    if second.cache_hits or second.cache_misses:
        total = second.cache_hits + second.cache_misses
        summaries["ModelCacheHit"] = _of_share(second.cache_hits, total)
    if second.loading_waits:
        summaries["ModelLoadingWaitTime"] = Summary.of_values(second.loading_waits)
    for name, summary in summaries.items():
        metric = variant_metric(INVOCATIONS, name, second.endpoint_name, second.variant_name)
        yield Sample(metric, UNITS[INVOCATIONS][name], second.at_s, summary, True)


def _of_share(ones: int, count: int) -> Summary:
    if ones in (0, count):
        return Summary.of_value(float(ones > 0), count)
    return Summary.of_counts((0.0, 1.0), (count - ones, ones))
