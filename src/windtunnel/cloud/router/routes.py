"""Where an endpoint's requests can go right now.

The controller of an endpoint publishes what is healthy; the router reads it for each request.
A replaced set of routes keeps the connections and the counts of the addresses that stay.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from windtunnel.cloud.multimodel.instance_models import InstanceModels
from windtunnel.cloud.multimodel.source import ModelSource
from windtunnel.core import limits
from windtunnel.http.upstream import Upstream


@dataclass(frozen=True)
class InstanceRoute:
    """One healthy instance: where its model servers listen."""

    instance_id: str
    addresses: tuple[str, ...]
    # Not our model server: it may close idle connections when it likes.
    is_foreign: bool = False


@dataclass(frozen=True)
class VariantRoute:
    """One variant: its weight, and its healthy instances."""

    name: str
    weight: float
    instances: tuple[InstanceRoute, ...]
    # Whether instances take requests at random; else the least busy address does.
    is_random: bool = False
    # Where its models lie, when each request names its own.
    source: ModelSource | None = None


# What keeps the models of the instance at an address.
OpenModels = Callable[[ModelSource, str], InstanceModels]


@dataclass(frozen=True)
class VariantLoad:
    """What is in flight to a variant at one moment, by instance."""

    endpoint_name: str
    variant_name: str
    in_flight_by_instance: Mapping[str, int]
    # Of a multi-model variant alone: how many models each instance has loaded.
    loaded_by_instance: Mapping[str, int] = field(default_factory=dict)


class Lane:
    """One address that takes requests, and how many it has now."""

    __slots__ = ("address", "instance_id", "is_retired", "models", "outstanding", "upstream")

    def __init__(
        self,
        instance: InstanceRoute,
        address: str,
        answer_bytes_max: int,
        models: InstanceModels | None = None,
    ) -> None:
        self.address = address
        self.instance_id = instance.instance_id
        self.outstanding = 0
        # Whether it gets no more requests; those it has go on.
        self.is_retired = False
        # None where requests name no models.
        self.models = models
        self.upstream = Upstream(
            address,
            answer_bytes_max=answer_bytes_max,
            idle_timeout_s=limits.FOREIGN_IDLE_TIMEOUT_S if instance.is_foreign else None,
        )


class VariantLanes:
    """One variant's addresses, over all its instances."""

    __slots__ = (
        "instance_count",
        "is_random",
        "lanes",
        "lanes_by_instance",
        "name",
        "source",
        "turn",
        "weight",
    )

    def __init__(self, route: VariantRoute, lanes_by_instance: list[list[Lane]]) -> None:
        self.name = route.name
        self.weight = route.weight
        self.is_random = route.is_random
        self.source = route.source
        self.lanes_by_instance = [lanes for lanes in lanes_by_instance if lanes]
        self.lanes = [lane for lanes in lanes_by_instance for lane in lanes]
        self.instance_count = len(route.instances)
        self.turn = 0


class EndpointRoutes:
    """One endpoint: its variants, and what is in flight to it."""

    def __init__(
        self, name: str, answer_bytes_max: int, open_models: OpenModels | None = None
    ) -> None:
        self.name = name
        self._open_models = open_models
        self._answer_bytes_max = answer_bytes_max
        self.variants: list[VariantLanes] = []
        self.in_flight_count = 0
        self.in_flight_bytes = 0
        self._lanes: dict[tuple[str, str], Lane] = {}
        # Lanes that get no more requests and still have some.
        self._retired: set[Lane] = set()
        self._drained = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def replace(self, variants: Iterable[VariantRoute]) -> None:
        """Take new routes; connections to addresses that are gone close behind their answers."""
        old, self._lanes = self._lanes, {}
        self.variants = []
        for variant in variants:
            lanes_by_instance = []
            for instance in variant.instances:
                lanes = []
                for address in instance.addresses:
                    key = (instance.instance_id, address)
                    lane = old.pop(key, None) or self._open(variant, instance, address)
                    self._lanes[key] = lane
                    lanes.append(lane)
                lanes_by_instance.append(lanes)
            self.variants.append(VariantLanes(variant, lanes_by_instance))
        for lane in old.values():
            lane.is_retired = True
            if lane.outstanding:
                self._retired.add(lane)
            elif lane.models is not None:
                lane.models.close()
            lane.upstream.close()

    def _open(self, variant: VariantRoute, instance: InstanceRoute, address: str) -> Lane:
        models = None
        if variant.source is not None and self._open_models is not None:
            models = self._open_models(variant.source, address)
        return Lane(instance, address, self._answer_bytes_max, models)

    def close(self) -> None:
        """Let every connection go, and whatever is being loaded."""
        self.replace(())
        for lane in list(self._retired):
            if lane.models is not None:
                lane.models.close()

    def note_drained(self, lane: Lane) -> None:
        """Take note that a retired lane's last request has ended."""
        self._retired.discard(lane)
        if lane.models is not None:
            lane.models.close()
        self._drained.set()

    async def wait_drained(self, instance_id: str) -> None:
        """Wait until an instance that gets no more requests has none."""
        while any(lane.instance_id == instance_id for lane in self._retired):
            self._drained.clear()
            await self._drained.wait()

    def loads(self) -> Iterator[VariantLoad]:
        """Yield what each variant has in flight."""
        for variant in self.variants:
            in_flight = {
                lanes[0].instance_id: sum(lane.outstanding for lane in lanes)
                for lanes in variant.lanes_by_instance
            }
            loaded = {
                lane.instance_id: lane.models.loaded_count
                for lane in variant.lanes
                if lane.models is not None
            }
            yield VariantLoad(self.name, variant.name, in_flight, loaded)

    def enter(self, body_bytes: int) -> None:
        """Count a request in."""
        self.in_flight_count += 1
        self.in_flight_bytes += body_bytes
        self._idle.clear()

    def leave(self, body_bytes: int) -> None:
        """Count a request out."""
        self.in_flight_count -= 1
        self.in_flight_bytes -= body_bytes
        if self.in_flight_count == 0:
            self._idle.set()

    async def wait_idle(self) -> None:
        """Wait until nothing is in flight."""
        await self._idle.wait()
