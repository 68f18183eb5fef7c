"""A run's metrics as Prometheus reads them: names and units after its conventions.

Counts are of the whole run so far. Buckets are Prometheus's own, reaching from a millisecond to a
minute: no invocation of SageMaker may take longer.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from windtunnel.lab.load.closed_schedule import ClosedSchedule
from windtunnel.lab.load.plan import Plan

if TYPE_CHECKING:
    from windtunnel.lab.load.samples import Columns

_BOUNDS_S = np.array(
    [
        *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
        *(1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0),
    ]
)
_ANSWERED = "none"


class _Durations:
    """Durations in Prometheus's buckets."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(_BOUNDS_S) + 1, dtype=np.int64)
        self._sum_s = 0.0

    def add(self, values_s: Any) -> None:  # noqa: ANN401 - a numpy column
        """Take durations in seconds."""
        classes = np.searchsorted(_BOUNDS_S, values_s, side="left")
        self._counts += np.bincount(classes, minlength=len(self._counts))
        self._sum_s += float(values_s.sum())

    def family(self, name: str, text: str, endpoint: str) -> Metric:
        """Return the metric."""
        bounds = [*(f"{bound:g}" for bound in _BOUNDS_S), "+Inf"]
        counts = np.cumsum(self._counts).tolist()
        family = HistogramMetricFamily(name, text, labels=["endpoint"])
        family.add_metric([endpoint], list(zip(bounds, counts, strict=True)), self._sum_s)
        return family


class RunMetrics(Collector):
    """What one run came to so far."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests: Counter[str] = Counter()
        self._dropped = 0
        self._latency, self._service, self._lag = _Durations(), _Durations(), _Durations()

    def add(self, columns: "Columns", kinds: Sequence[str]) -> None:
        """Take requests."""
        was_sent = ~np.isnan(columns["sent_s"])
        self._dropped += int((~was_sent).sum())
        due_s, sent_s, done_s, error = (
            columns[name][was_sent] for name in ("due_s", "sent_s", "done_s", "error")
        )
        is_good = error == 0
        self._latency.add((done_s - due_s)[is_good])
        self._service.add((done_s - sent_s)[is_good])
        self._lag.add(sent_s - due_s)
        for number, count in enumerate(np.bincount(error.astype(np.int64))):
            if count:
                self._requests[kinds[number - 1] if number else _ANSWERED] += int(count)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        endpoint = self._plan.endpoint_name
        requests = CounterMetricFamily(
            "windtunnel_requests", "Requests that ended.", labels=["endpoint", "error"]
        )
        for kind, count in self._requests.items():
            requests.add_metric([endpoint, kind], count)
        yield requests
        dropped = CounterMetricFamily(
            "windtunnel_dropped_arrivals",
            "Arrivals of an open loop that found no connection free.",
            labels=["endpoint"],
        )
        dropped.add_metric([endpoint], self._dropped)
        yield dropped
        for name, text, durations in self._durations():
            yield durations.family(f"windtunnel_{name}_seconds", text, endpoint)
        yield self._processes()

    def _durations(self) -> Iterable[tuple[str, str, _Durations]]:
        yield "latency", "From when a request was due to its answer, if it was good.", self._latency
        yield (
            "service",
            "From when a request was sent to its answer, if it was good.",
            self._service,
        )
        yield "schedule_lag", "From when a request was due to when it was sent.", self._lag

    def _processes(self) -> Metric:
        """Return how many senders there are meant to be."""
        schedule = self._plan.schedule
        is_closed = isinstance(schedule, ClosedSchedule)
        users = schedule.users if isinstance(schedule, ClosedSchedule) else self._plan.processes
        what = "Users at the most." if is_closed else "Load processes of the open loop."
        family = GaugeMetricFamily("windtunnel_senders", what, labels=["endpoint"])
        family.add_metric([self._plan.endpoint_name], users)
        return family


def application(metrics: RunMetrics) -> Any:  # noqa: ANN401 - a WSGI application
    """Return what answers Prometheus."""
    registry = CollectorRegistry()
    registry.register(metrics)
    return make_wsgi_app(registry)
