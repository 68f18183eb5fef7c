"""How long models took to come and go, as CloudWatch's metrics of multi-model endpoints have it."""

from collections.abc import Iterable
from typing import Protocol

from windtunnel.cloud.cloudwatch.metric import INVOCATIONS, UNITS, Sample, variant_metric
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.cloud.multimodel.source import ModelSource
from windtunnel.core.clock import Clock

_MICROSECONDS_PER_S = 1e6


class Sink(Protocol):
    """What takes samples."""

    def add(self, samples: Iterable[Sample]) -> None:
        """Take samples."""


class LoadTimes:
    """Hands over a sample for each model that came or went."""

    def __init__(self, sink: Sink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock

    def report(self, source: ModelSource, name: str, took_s: float) -> None:
        """Take how long one step took for a model of a variant."""
        metric = variant_metric(INVOCATIONS, name, source.endpoint_name, source.variant_name)
        summary = Summary.of_value(took_s * _MICROSECONDS_PER_S)
        unit = UNITS[INVOCATIONS][name]
        self._sink.add([Sample(metric, unit, int(self._clock.now_s()), summary)])
