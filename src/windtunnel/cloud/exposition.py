"""The text that answers a scrape: the cloud's own numbers, then those of its containers.

A container of ours says at its own `/metrics` what it counts; its samples are passed on with labels
that say whose they are. Each of a container's processes answers for all, so one of its addresses is
asked. One that does not answer in time is left out of this scrape; foreign containers are not
asked, because nobody knows what their `/metrics` would be.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from windtunnel.cloud.cloudwatch.service import CloudWatch
from windtunnel.cloud.fleet.health import read
from windtunnel.cloud.fleet.instance import Instance
from windtunnel.cloud.router.routes import VariantLoad

_LABELS = ["endpoint", "variant", "instance"]


class Exposition:
    """Answers scrapes."""

    def __init__(
        self,
        cloudwatch: CloudWatch,
        loads: Callable[[], Sequence[VariantLoad]],
        instances: Callable[[], Sequence[Instance]],
    ) -> None:
        self._cloudwatch = cloudwatch
        self._loads = loads
        self._instances = instances
        self._running: asyncio.Task[bytes] | None = None

    async def render(self) -> bytes:
        """Return all metrics; scrapes that come together share one."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._render())
        return await asyncio.shield(self._running)

    async def _render(self) -> bytes:
        instances = self._instances()
        asked = [each for each in instances if each.addresses and not each.is_foreign]
        texts = await asyncio.gather(*(read(each.addresses[0], "/metrics") for each in asked))
        totals = await self._cloudwatch.totals()
        registry = CollectorRegistry()
        registry.register(
            _Families([*totals.families(), _in_flight(self._loads()), *_instances(instances)])
        )
        found = {
            _render_labels(each): text.decode()
            for each, text in zip(asked, texts, strict=True)
            if text is not None
        }
        # Megabytes, where one container has hundreds of models: not on the loop of the invocations.
        return await asyncio.to_thread(lambda: generate_latest(registry) + merge(found).encode())


class _Families(Collector):
    """Metrics that are made already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._families


def _in_flight(loads: Iterable[VariantLoad]) -> Metric:
    family = GaugeMetricFamily(
        "windtunnel_invocations_in_flight",
        "Invocations that were sent to an instance and not answered yet.",
        labels=_LABELS,
    )
    for load in loads:
        for instance_id, count in load.in_flight_by_instance.items():
            family.add_metric([load.endpoint_name, load.variant_name, instance_id], count)
    return family


def _instances(instances: Iterable[Instance]) -> Iterator[Metric]:
    healthy = GaugeMetricFamily(
        "windtunnel_instance_healthy", "Whether an instance answers.", labels=_LABELS
    )
    restarts = CounterMetricFamily(
        "windtunnel_instance_restarts",
        "Containers that were lost and started again.",
        labels=_LABELS,
    )
    for each in instances:
        labels = [each.spec.endpoint_name, each.spec.variant_name, each.id]
        healthy.add_metric(labels, float(each.is_healthy))
        restarts.add_metric(labels, max(0, each.start_count - 1))
    yield from (healthy, restarts)


def _render_labels(instance: Instance) -> str:
    # Neither has characters that would have to be escaped (botocore's patterns for both).
    spec = instance.spec
    return (
        f'endpoint="{spec.endpoint_name}",variant="{spec.variant_name}",instance="{instance.id}",'
    )


def merge(texts: Mapping[str, str]) -> str:
    """Return several containers' metrics as one, each sample with the labels it is found under.

    A family's samples stand together, behind one HELP and one TYPE.
    """
    families: dict[str, list[str]] = {}
    for labels, text in texts.items():
        family: list[str] = []
        for line in text.splitlines():
            word, _, rest = line.partition(" ")
            if word == "#":
                kind, name, *_ = rest.split(" ", 2)
                is_known = name in families
                family = families.setdefault(name, [])
                if not is_known or (len(family) == 1 and kind == "TYPE"):
                    family.append(line)
            elif line:
                name, _, others = line.partition("{")
                family.append(f"{name}{{{labels}{others}")
    return "".join(f"{line}\n" for lines in families.values() for line in lines)
