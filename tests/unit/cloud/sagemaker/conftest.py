"""SageMaker's rooms between a real store and fakes of their neighbours."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.cloud.sagemaker.scenario import until_answered
from tests.workshops import IdleWorkshop

from windtunnel.cloud.fleet.instance import Instance, InstanceSpec, StartFailedError
from windtunnel.cloud.foundation.s3.client import S3Client
from windtunnel.cloud.jobs.workshop import Workshop
from windtunnel.cloud.router.routes import VariantRoute
from windtunnel.cloud.sagemaker.service import SageMaker
from windtunnel.cloud.store.store import Change, Put, Store
from windtunnel.core.clock import ManualClock

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.19-cpu"


@dataclass(eq=False)
class FakeInstance:
    """An instance that is as healthy as the test says."""

    spec: InstanceSpec
    id: str
    on_change: Callable[[Instance], None]
    is_healthy: bool = True
    is_foreign: bool = False
    is_stopped: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where its server would listen."""
        return (f"unix:/{self.id}.sock",)

    def turn(self, *, is_healthy: bool) -> None:
        """Fall ill, or get well, and tell whoever wanted to know."""
        self.is_healthy = is_healthy
        self.on_change(cast("Instance", self))


class FakeFleet:
    """Starts instances when it is let, and fails those it is told to."""

    def __init__(self, journal: list[str]) -> None:
        self.journal = journal
        self.instances: list[FakeInstance] = []
        self.specs: list[InstanceSpec] = []
        self.refusals: list[str | StartFailedError] = []
        self.cancelled_count = 0
        self._permits = asyncio.Semaphore(1000)

    def hold(self, permits: int = 0) -> None:
        """From now on let so many instances start, until `allow` lets more."""
        self._permits = asyncio.Semaphore(permits)

    def allow(self, count: int = 1) -> None:
        """Let so many of the starting instances come up, or fail."""
        for _ in range(count):
            self._permits.release()

    async def start(self, spec: InstanceSpec, on_change: Callable[[Instance], None]) -> Instance:
        """Start an instance, as the fleet does."""
        self.specs.append(spec)
        try:
            await self._permits.acquire()
        except asyncio.CancelledError:
            self.cancelled_count += 1
            raise
        if self.refusals:
            refusal = self.refusals.pop(0)
            raise StartFailedError(refusal) if isinstance(refusal, str) else refusal
        instance = FakeInstance(spec, f"i-{len(self.instances):08x}", on_change)
        self.instances.append(instance)
        return cast("Instance", instance)

    async def stop(self, instance: Instance) -> None:
        """Stop an instance, as the fleet does."""
        fake = cast("FakeInstance", instance)
        assert not fake.is_stopped, "stopped twice"
        fake.is_stopped = True
        fake.is_healthy = False
        self.journal.append(f"stop {fake.id}")

    @property
    def running(self) -> list[FakeInstance]:
        """The instances that were started and not stopped."""
        return [each for each in self.instances if not each.is_stopped]


class FakeRouter:
    """Remembers where requests would go."""

    def __init__(self, journal: list[str]) -> None:
        self.journal = journal
        self.routes: dict[str, tuple[VariantRoute, ...]] = {}
        self.idle = asyncio.Event()
        self.idle.set()

    def publish(self, endpoint_name: str, variants: Sequence[VariantRoute]) -> None:
        """Take routes, as the router does."""
        self.routes[endpoint_name] = tuple(variants)
        self.journal.append(f"publish {endpoint_name} {len(self.instance_ids(endpoint_name))}")

    def withdraw(self, endpoint_name: str) -> None:
        """Forget routes, as the router does."""
        if self.routes.pop(endpoint_name, None) is not None:
            self.journal.append(f"withdraw {endpoint_name}")

    async def wait_idle(self, endpoint_name: str, grace_s: float) -> bool:
        """Wait for requests in flight, as the router does."""
        assert endpoint_name not in self.routes
        assert grace_s > 0
        await self.idle.wait()
        self.journal.append(f"idle {endpoint_name}")
        return True

    async def wait_drained(self, endpoint_name: str, instance_id: str, grace_s: float) -> bool:
        """Wait for requests in flight to one instance, as the router does."""
        if endpoint_name in self.routes:
            assert instance_id not in self.instance_ids(endpoint_name)
        assert grace_s > 0
        await self.idle.wait()
        return True

    def instance_ids(self, endpoint_name: str) -> list[str]:
        """Return the instances that would get an endpoint's requests."""
        return [
            instance.instance_id
            for variant in self.routes[endpoint_name]
            for instance in variant.instances
        ]


class FakeS3:
    """Has the objects it is told."""

    def __init__(self) -> None:
        self.objects = {("bucket", "model.tar.gz")}

    async def head_object(self, bucket: str, key: str) -> object | None:
        """Say whether an object is there, as the S3 client does."""
        return object() if (bucket, key) in self.objects else None

    async def has_prefix(self, bucket: str, prefix: str) -> bool:
        """Say whether an object's key begins so, as the S3 client does."""
        return any(each == bucket and key.startswith(prefix) for each, key in self.objects)


@dataclass
class Rooms:
    """One SageMaker and what is around it."""

    store: Store
    fleet: FakeFleet
    router: FakeRouter
    s3: FakeS3
    clock: ManualClock
    sagemaker: SageMaker
    # What happened around it, in order.
    journal: list[str] = field(default_factory=list)

    async def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """Run an operation as the API would, with parsed members."""
        return await self.sagemaker.operations()[operation](request)

    async def status(self, name: str) -> str:
        """Return an endpoint's state."""
        return str((await self.call("DescribeEndpoint", endpoint_name=name))["endpoint_status"])

    async def wait_status(self, name: str, status: str) -> dict[str, Any]:
        """Wait until an endpoint is in a state; return its description."""
        await until_answered(lambda: self.status(name), status)
        return await self.call("DescribeEndpoint", endpoint_name=name)

    async def create_model(self, name: str = "model") -> None:
        """Create a model that runs here."""
        await self.call(
            "CreateModel",
            model_name=name,
            primary_container={
                "image": IMAGE,
                "model_data_url": "s3://bucket/model.tar.gz",
                "environment": {"SAGEMAKER_TFS_INSTANCE_COUNT": "2"},
            },
        )

    async def create_config(self, name: str = "config", *, instance_count: int = 1) -> None:
        """Create a model and a config of it."""
        await self.create_model(f"{name}-model")
        await self.call(
            "CreateEndpointConfig",
            endpoint_config_name=name,
            production_variants=[
                {
                    "variant_name": "AllTraffic",
                    "model_name": f"{name}-model",
                    "instance_type": "ml.c5.xlarge",
                    "initial_instance_count": instance_count,
                }
            ],
        )

    async def create_endpoint(self, name: str = "e", *, instance_count: int = 1) -> None:
        """Create a model, a config and an endpoint, which then begins to start."""
        await self.create_config(f"{name}-config", instance_count=instance_count)
        await self.call("CreateEndpoint", endpoint_name=name, endpoint_config_name=f"{name}-config")


OpenRooms = Callable[..., Any]


@pytest.fixture
def open_rooms(tmp_path: Path) -> OpenRooms:
    """Open rooms over this test's own database; opening again is a restart of the cloud."""
    clock = ManualClock()

    @asynccontextmanager
    async def opened(prepare: Callable[[FakeFleet], None] | None = None) -> AsyncIterator[Rooms]:
        journal: list[str] = []
        store = _JournalledStore(await Store.open(tmp_path / "db"), journal)
        fleet, router, s3 = FakeFleet(journal), FakeRouter(journal), FakeS3()
        if prepare is not None:
            prepare(fleet)
        sagemaker = SageMaker(
            cast("Store", store),
            fleet,
            router,
            cast("S3Client", s3),
            cast("Workshop", IdleWorkshop()),
            clock,
            region="us-east-1",
        )
        await sagemaker.resume()
        try:
            yield Rooms(cast("Store", store), fleet, router, s3, clock, sagemaker, journal)
        finally:
            await sagemaker.close()
            await store.inner.close()

    return opened


class _JournalledStore:
    """The real store; notes what was committed, and can be told to fail."""

    def __init__(self, inner: Store, journal: list[str]) -> None:
        self.inner = inner
        self.failures: list[Exception] = []
        self._journal = journal

    async def load(self, kind: str) -> dict[str, dict[str, Any]]:
        """Ask the real store."""
        return await self.inner.load(kind)

    async def commit(self, changes: Sequence[Change]) -> None:
        """Ask the real store, unless told to fail."""
        if self.failures:
            raise self.failures.pop(0)
        await self.inner.commit(changes)
        for change in changes:
            status = change.document.get("status", "") if isinstance(change, Put) else "deleted"
            self._journal.append(f"commit {change.kind} {change.name} {status}".strip())
