"""What nobody reports is looked at here: every ten seconds and every minute, on the clock.

- ConcurrentRequestsPerModel: what is in flight to each instance, every ten seconds; requests that
  wait inside its container count (AWS, "Auto scaling policy overview", on high-resolution metrics).
- CPUUtilization, MemoryUtilization and DiskUtilization: once a minute for each instance, so that
  their SampleCount over a minute is the number of instances.
- LoadedModelCount: once a minute for each instance of a multi-model endpoint.
- Zeros of Invocations and InvocationsPerInstance, for a variant that had no request in a minute: a
  variant without traffic has metrics of the value zero, and so can be scaled in (AWS, "Auto scaling
  prerequisites").

A minute's samples carry the start of the minute that has just ended. Where scaling's time passes
faster (`tempo.py`), these minutes and ten seconds are as much shorter.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol, Self

from windtunnel.cloud.cloudwatch.metric import (
    INSTANCES,
    INVOCATIONS,
    UNITS,
    Metric,
    Sample,
    variant_metric,
)
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.cloud.cloudwatch.usage import Instance, Meter, Target, Usage, by_metric
from windtunnel.cloud.router.routes import VariantLoad
from windtunnel.cloud.tempo import REAL, Tempo
from windtunnel.core.clock import Clock

log = logging.getLogger(__name__)

_STEP_S = 10
_MINUTE_S = 60
# A sleep may end so much before its time.
_EARLY_S = 0.5
_IDLE_METRICS = ("Invocations", "InvocationsPerInstance")


class Sink(Protocol):
    """What takes samples."""

    def add(self, samples: Iterable[Sample]) -> None:
        """Take samples."""

    async def has_samples(self, metric: Metric, start_s: int, end_s: int) -> bool:
        """Say whether a metric has samples in a minute."""
        ...


class Sampler:
    """Looks at the router's and the fleet's instances."""

    def __init__(
        self,
        clock: Clock,
        sink: Sink,
        loads: Callable[[], Sequence[VariantLoad]],
        instances: Callable[[], Sequence[Instance]],
        disk: Path,
        tempo: Tempo = REAL,
    ) -> None:
        self._step_s = tempo.period_s(_STEP_S)
        self._minute_s = tempo.period_s(_MINUTE_S)
        self._clock = clock
        self._sink = sink
        self._loads = loads
        self._instances = instances
        self._meter = Meter(disk, clock.now_s)
        self._last_s = int(clock.now_s())
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._step_s - self._clock.now_s() % self._step_s)
            try:
                await self.look()
            except Exception:
                # What fails once may go well in ten seconds; nothing else depends on it.
                log.exception("the instances could not be looked at")

    async def look(self) -> None:
        """Take the samples that are due now."""
        step_s, length_s = self._step_s, self._minute_s
        at_s = int(self._clock.now_s() + _EARLY_S) // step_s * step_s
        last_s = self._last_s
        if at_s <= last_s:
            return
        self._last_s = at_s
        loads = self._loads()
        self._sink.add(_concurrency(loads, at_s))
        if at_s // length_s > last_s // length_s:
            minute_s = at_s // length_s * length_s - length_s
            await self._add_zeros(loads, minute_s)
            self._sink.add(_loaded(loads, minute_s))
            targets = [Target.of(instance) for instance in self._instances()]
            usages = await asyncio.to_thread(
                self._meter.look, [target for target in targets if target is not None]
            )
            self._sink.add(_utilisation(usages, minute_s))

    async def _add_zeros(self, loads: Sequence[VariantLoad], minute_s: int) -> None:
        for load in loads:
            metrics = [
                variant_metric(INVOCATIONS, name, load.endpoint_name, load.variant_name)
                for name in _IDLE_METRICS
            ]
            if not await self._sink.has_samples(metrics[0], minute_s, minute_s + self._minute_s):
                zero = Summary.of_value(0.0)
                self._sink.add(Sample(metric, "None", minute_s, zero) for metric in metrics)


def _concurrency(loads: Sequence[VariantLoad], at_s: int) -> Iterable[Sample]:
    name = "ConcurrentRequestsPerModel"
    for load in loads:
        metric = variant_metric(INVOCATIONS, name, load.endpoint_name, load.variant_name)
        for in_flight in load.in_flight_by_instance.values():
            summary = Summary.of_value(float(in_flight))
            yield Sample(metric, UNITS[INVOCATIONS][name], at_s, summary, True)


def _loaded(loads: Sequence[VariantLoad], minute_s: int) -> Iterable[Sample]:
    name = "LoadedModelCount"
    for load in loads:
        metric = variant_metric(INSTANCES, name, load.endpoint_name, load.variant_name)
        for count in load.loaded_by_instance.values():
            yield Sample(metric, UNITS[INSTANCES][name], minute_s, Summary.of_value(float(count)))


def _utilisation(usages: Sequence[Usage], minute_s: int) -> Iterable[Sample]:
    for usage in usages:
        target = usage.target
        for name, percent in by_metric(usage).items():
            metric = variant_metric(INSTANCES, name, target.endpoint_name, target.variant_name)
            summary = Summary.of_value(percent)
            yield Sample(metric, UNITS[INSTANCES][name], minute_s, summary)
