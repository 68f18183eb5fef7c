"""Invocations since the cloud's start, by endpoint, variant and status, with their latencies.

Made of the same seconds that CloudWatch's samples are made of, once each has ended: the hot path
records nothing twice. Of too many variants the one that was silent for longest is dropped.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from itertools import accumulate

import numpy as np
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from windtunnel.cloud.cloudwatch.samples import VariantSecond
from windtunnel.core import limits

# To the 60 s that an invocation may take.
_BOUNDS_S = np.array(
    [
        *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
        *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    ]
)
_BOUNDS_US = _BOUNDS_S * 1e6
_NAMES = [*(f"{bound:g}" for bound in _BOUNDS_S), "+Inf"]
_OK = 200


class _Durations:
    """Durations in Prometheus's buckets."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(_NAMES), dtype=np.int64)
        self._sum_s = 0.0

    def add(self, values_us: Iterable[float]) -> None:
        """Take durations in microseconds."""
        values = np.asarray(values_us)
        places = np.searchsorted(_BOUNDS_US, values, side="left")
        self._counts += np.bincount(places, minlength=len(self._counts))
        self._sum_s += float(values.sum()) / 1e6

    def add_to(self, family: HistogramMetricFamily, labels: tuple[str, str]) -> None:
        """Add this histogram to its family."""
        counts = accumulate(self._counts.tolist())
        family.add_metric(labels, list(zip(_NAMES, counts, strict=True)), self._sum_s)


class _Variant:
    """What one variant came to."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.model, self.overhead = _Durations(), _Durations()

    def add(self, second: VariantSecond) -> None:
        """Take a second that has ended."""
        self.statuses += second.errors
        self.statuses[_OK] += second.instance_counts.total() - second.errors.total()
        self.model.add(second.model_latencies)
        self.overhead.add(second.overhead_latencies)


class Totals:
    """What all variants came to."""

    def __init__(self) -> None:
        self._variants: OrderedDict[tuple[str, str], _Variant] = OrderedDict()

    def add(self, seconds: Iterable[VariantSecond]) -> None:
        """Take seconds that have ended, each once."""
        for second in seconds:
            key = (second.endpoint_name, second.variant_name)
            self._variants.setdefault(key, _Variant()).add(second)
            self._variants.move_to_end(key)
        while len(self._variants) > limits.METRIC_TOTAL_COUNT_MAX:
            self._variants.popitem(last=False)

    def families(self) -> Iterator[Metric]:
        """Yield the metrics."""
        labels = ["endpoint", "variant"]
        invocations = CounterMetricFamily(
            "windtunnel_invocations",
            "Invocations that ended, by what the client got.",
            labels=[*labels, "status"],
        )
        model = HistogramMetricFamily(
            "windtunnel_model_latency_seconds",
            "What the container took, as CloudWatch's ModelLatency.",
            labels=labels,
        )
        overhead = HistogramMetricFamily(
            "windtunnel_overhead_latency_seconds",
            "What this cloud added, as CloudWatch's OverheadLatency.",
            labels=labels,
        )
        for key, variant in self._variants.items():
            for status, count in sorted(variant.statuses.items()):
                if count:
                    invocations.add_metric([*key, str(status)], count)
            variant.model.add_to(model, key)
            variant.overhead.add_to(overhead, key)
        yield from (invocations, model, overhead)
