"""A container's counts as Prometheus reads them (its text format, names and base units).

Each sample has labels, `process` at least, so that whoever gathers several containers can put its
own beside them. A model that was not asked for has no samples.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from windtunnel.serving.meters import (
    BOUNDS_ROWS,
    BOUNDS_S,
    STAGE_SIZE,
    STAGES,
    STATUSES,
    Meter,
    Row,
    read_rows,
)

# What generate_latest writes: the text format's own version, not the library's.
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
PATH = b"/metrics"
_PREFIX = "windtunnel_container"
# Which of many models, by the name that InvokeEndpoint has for it: TargetModel.
_TARGET = "target_model"
_STAGE_TEXTS = {
    "request": "From a request's head to its answer.",
    "decode": "From a request's bytes to its tensors.",
    "engine": "From tensors to tensors; with batching, the wait for the batch is in it.",
    "encode": "From the outputs' tensors to the answer's bytes.",
}


class _Sum(NamedTuple):
    """What the processes of a kind have counted together, and labels that say whose they are."""

    others: tuple[str, ...]
    row: Row

    @property
    def labels(self) -> tuple[str, ...]:
        """The values of the labels that every sample has."""
        return (*self.others, self.row.process)


def render_metrics(meter: Meter) -> bytes:
    """Return what all processes of a container have counted."""
    return _render([_Sum((), row) for row in _sum_rows(meter.read())], ())


def render_models_metrics(door: Meter, paths: Iterable[tuple[str, str]]) -> bytes:
    """Return what a container of many models has counted: its door, and each model's processes.

    `paths` has the name of each model and where its processes count.
    """
    sums = [_Sum(("",), row) for row in _sum_rows(door.read())]
    for name, path in paths:
        # One that was unloaded meanwhile has no numbers any more.
        with contextlib.suppress(OSError):
            sums += [_Sum((name,), row) for row in _sum_rows(read_rows(path))]
    return _render(sums, (_TARGET,))


def _render(sums: Sequence[_Sum], labels: Sequence[str]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Container(sums, (*labels, "process")))
    return generate_latest(registry)


def _sum_rows(rows: Iterable[Row]) -> list[Row]:
    """Return one row for each kind of process; one that never started counts no restart."""
    sums: dict[str, Row] = {}
    for row in rows:
        counted = row._replace(starts=max(0.0, row.starts - 1))
        before = sums.get(row.process)
        sums[row.process] = counted if before is None else _add(before, counted)
    return list(sums.values())


def _add(one: Row, other: Row) -> Row:
    return Row(
        one.process,
        one.starts + other.starts,
        one.in_hand + other.in_hand,
        one.waiting + other.waiting,
        _add_all(one.batch_rows, other.batch_rows),
        {name: _add_all(counts, other.models[name]) for name, counts in one.models.items()},
    )


def _add_all(some: Sequence[float], others: Sequence[float]) -> list[float]:
    return [a + b for a, b in zip(some, others, strict=True)]


class _Container(Collector):
    """The metrics of summed rows, whose `starts` are restarts."""

    def __init__(self, sums: Sequence[_Sum], labels: Sequence[str]) -> None:
        self._sums = sums
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield self._requests()
        for index, stage in enumerate(STAGES):
            yield self._stage(index, stage)
        yield self._batches()
        for name, text, values in (
            (
                "requests_in_hand",
                "Requests that were taken and not answered yet.",
                [each.row.in_hand for each in self._sums],
            ),
            (
                "queue_length",
                "Requests that wait for a thread.",
                [each.row.waiting for each in self._sums],
            ),
        ):
            gauge = GaugeMetricFamily(f"{_PREFIX}_{name}", text, labels=self._labels)
            for each, value in zip(self._sums, values, strict=True):
                gauge.add_metric(each.labels, value)
            yield gauge
        restarts = CounterMetricFamily(
            f"{_PREFIX}_process_restarts",
            "Processes that ended and were started again.",
            labels=self._labels,
        )
        for each in self._sums:
            restarts.add_metric(each.labels, each.row.starts)
        yield restarts

    def _requests(self) -> Metric:
        family = CounterMetricFamily(
            f"{_PREFIX}_requests",
            "Requests for inferences that ended, by HTTP status or gRPC code.",
            labels=(*self._labels, "model", "status"),
        )
        for each in self._sums:
            for model, counts in each.row.models.items():
                for status, count in zip(STATUSES, counts, strict=False):
                    if count:
                        family.add_metric([*each.labels, model, status], count)
        return family

    def _stage(self, index: int, stage: str) -> Metric:
        family = HistogramMetricFamily(
            f"{_PREFIX}_{stage}_duration_seconds",
            _STAGE_TEXTS[stage],
            labels=(*self._labels, "model"),
        )
        for each in self._sums:
            for model, counts in each.row.models.items():
                at = len(STATUSES) + index * STAGE_SIZE
                _add_histogram(
                    family, [*each.labels, model], BOUNDS_S, counts[at : at + STAGE_SIZE]
                )
        return family

    def _batches(self) -> Metric:
        family = HistogramMetricFamily(
            f"{_PREFIX}_batch_size_rows",
            "Rows of the batches that were run; none without batching.",
            labels=self._labels,
        )
        for each in self._sums:
            _add_histogram(family, each.labels, BOUNDS_ROWS, each.row.batch_rows)
        return family


def _add_histogram(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    bounds: Sequence[float],
    numbers: Sequence[float],
) -> None:
    """Add one histogram, unless nothing is in it."""
    *counts, total = numbers
    if not any(counts):
        return
    names = [*(f"{bound:g}" for bound in bounds), "+Inf"]
    family.add_metric(labels, list(zip(names, accumulate(counts), strict=True)), total)
