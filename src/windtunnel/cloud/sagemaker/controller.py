"""Drives one endpoint to what its record says it should be.

A thin loop: which state follows is decided in `lifecycle.py`, what is remembered in `endpoints.py`.
Rules: a transition is committed before it can be observed, and the routes change in between; what
is not healthy gets no requests; when the task is cancelled (the cloud ends) nothing is deleted and
no instance is left half-started.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from windtunnel.cloud.errors import UnavailableError
from windtunnel.cloud.fleet.instance import Instance, InstanceSpec, StartFailedError
from windtunnel.cloud.router.routes import InstanceRoute, VariantRoute
from windtunnel.cloud.sagemaker import wording
from windtunnel.cloud.sagemaker.lifecycle import SERVING, Event, Status
from windtunnel.cloud.sagemaker.records import Endpoint, Variant
from windtunnel.core import limits

log = logging.getLogger(__name__)


class Fleet(Protocol):
    """What starts and stops instances."""

    async def start(self, spec: InstanceSpec, on_change: Callable[[Instance], None]) -> Instance:
        """Return an instance when it is healthy, or raise StartFailedError."""
        ...

    async def stop(self, instance: Instance) -> None:
        """End an instance."""
        ...


class Router(Protocol):
    """What sends requests to instances."""

    def publish(self, endpoint_name: str, variants: Sequence[VariantRoute]) -> None:
        """Replace where an endpoint's requests go."""
        ...

    def withdraw(self, endpoint_name: str) -> None:
        """Take no more requests for an endpoint."""
        ...

    async def wait_idle(self, endpoint_name: str, grace_s: float) -> bool:
        """Wait for what is in flight."""
        ...


class Apply(Protocol):
    """Commits a transition of the endpoint; calls `then` before it can be observed."""

    def __call__(
        self,
        event: Event,
        *,
        failure_reason: str | None = None,
        then: Callable[[], None] | None = None,
    ) -> Awaitable[None]:
        """Commit the transition that an event brings."""
        ...


class _VariantFailedError(Exception):
    """An instance of a variant did not come up."""

    def __init__(self, variant_name: str, reason: str) -> None:
        super().__init__(reason)
        self.failure_reason = wording.failed_health_check(variant_name, reason)


class Controller:
    """One endpoint's instances and the task that looks after them."""

    def __init__(self, endpoint: Endpoint, fleet: Fleet, router: Router, apply: Apply) -> None:
        self._name = endpoint.name
        self._variants = endpoint.variants
        self._fleet = fleet
        self._router = router
        self._apply = apply
        self._instances: dict[str, list[Instance]] = {each.name: [] for each in self._variants}
        self._is_serving = False
        self._has_recovered = False
        self._deletion = asyncio.Event()
        if endpoint.status is Status.DELETING:
            self._deletion.set()
        self._task = asyncio.create_task(self._run(endpoint.status))
        self._task.add_done_callback(self._log_failure)

    # --- what others may ask ----------------------------------------------------------------------

    def healthy_count(self, variant_name: str) -> int:
        """Return how many instances of a variant answer now."""
        return sum(each.is_healthy for each in self._instances[variant_name])

    def delete(self) -> None:
        """Take the endpoint down; its record already says so."""
        self._deletion.set()

    async def close(self) -> None:
        """Stop looking after the endpoint, as when the cloud ends."""
        self._task.cancel()
        await asyncio.wait((self._task,))

    # --- the task ---------------------------------------------------------------------------------

    async def _run(self, status: Status) -> None:
        work = asyncio.create_task(self._work(status))
        work.add_done_callback(self._log_failure)
        try:
            await self._deletion.wait()
        finally:
            # A deletion does not wait for instances that are still starting.
            work.cancel()
            await asyncio.wait((work,))
        await self._delete()

    async def _work(self, status: Status) -> None:
        """Do what a state asks for."""
        if status is Status.CREATING:
            await self._create()
        elif status in SERVING:
            await self._recover()

    def _log_failure(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error(
                "endpoint %s is no longer looked after", self._name, exc_info=task.exception()
            )

    async def _create(self) -> None:
        """Start every instance, or give up on the endpoint as soon as one does not come up."""
        try:
            async with asyncio.TaskGroup() as group:
                for variant in self._wanted():
                    group.create_task(self._start_instance(variant))
        except* _VariantFailedError as errors:
            first = errors.exceptions[0]
            assert isinstance(first, _VariantFailedError)
            await self._fail(first.failure_reason)
        else:
            await self._settle(Event.ALL_STARTED, then=self._serve)

    async def _recover(self) -> None:
        """Start again what ran before the cloud ended; the first to answer brings it back."""
        self._serve()
        failures: list[tuple[Variant, str]] = []
        async with asyncio.TaskGroup() as group:
            for variant in self._wanted():
                group.create_task(self._recover_instance(variant, failures))
        if self._has_recovered:
            async with asyncio.TaskGroup() as group:
                for variant, _ in failures:
                    group.create_task(self._retry_instance(variant))
            return
        self._is_serving = False
        self._router.withdraw(self._name)
        _, reason = failures[0]
        await self._fail(reason)

    async def _recover_instance(
        self, variant: Variant, failures: list[tuple[Variant, str]]
    ) -> None:
        try:
            await self._start_instance(variant)
        except _VariantFailedError as error:
            failures.append((variant, error.failure_reason))
            return
        self._publish()
        if not self._has_recovered:
            self._has_recovered = True
            await self._settle(Event.FIRST_ANSWERED)

    async def _retry_instance(self, variant: Variant) -> None:
        """Try again, ever more slowly, to start an instance that did not come back."""
        pause_s = limits.RESTART_BACKOFF_FIRST_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self._start_instance(variant)
            except _VariantFailedError as error:
                log.warning("endpoint %s: %s", self._name, error.failure_reason)
                pause_s = min(2 * pause_s, limits.RESTART_BACKOFF_MAX_S)
            else:
                self._publish()
                return

    async def _fail(self, reason: str) -> None:
        await self._stop_instances()
        await self._settle(Event.START_FAILED, failure_reason=reason)

    async def _delete(self) -> None:
        """Let requests in flight end, then the instances, then the record."""
        self._is_serving = False
        self._router.withdraw(self._name)
        await self._router.wait_idle(self._name, limits.MODEL_TIMEOUT_S)
        await self._stop_instances()
        await self._settle(Event.DELETED)

    # --- instances --------------------------------------------------------------------------------

    def _wanted(self) -> list[Variant]:
        """Return a variant for each instance that it should have."""
        return [variant for variant in self._variants for _ in range(variant.instance_count)]

    async def _start_instance(self, variant: Variant) -> None:
        spec = InstanceSpec(
            endpoint_name=self._name,
            variant_name=variant.name,
            instance_type=variant.instance_type,
            image=variant.image,
            environment=variant.environment,
            model_data_url=variant.model_data_url,
            startup_timeout_s=variant.startup_timeout_s,
        )
        try:
            instance = await self._fleet.start(spec, self._on_change)
        except StartFailedError as error:
            raise _VariantFailedError(variant.name, error.reason) from error
        except Exception as error:
            # A bug of ours must not leave the endpoint in Creating for ever.
            log.exception("endpoint %s: an instance could not be started", self._name)
            reason = "Windtunnel failed inside while it started the instance: see its log."
            raise _VariantFailedError(variant.name, reason) from error
        self._instances[variant.name].append(instance)

    async def _stop_instances(self) -> None:
        stopping = [each for instances in self._instances.values() for each in instances]
        for instances in self._instances.values():
            instances.clear()
        results = await asyncio.gather(
            *(self._fleet.stop(instance) for instance in stopping), return_exceptions=True
        )
        for result in results:
            if isinstance(result, Exception):
                log.error("endpoint %s: an instance did not stop", self._name, exc_info=result)

    # --- routes -----------------------------------------------------------------------------------

    def _serve(self) -> None:
        self._is_serving = True
        self._publish()

    def _on_change(self, instance: Instance) -> None:
        """Take an instance out of the routes that fell ill, or back in that is well again."""
        del instance
        if self._is_serving:
            self._publish()

    def _publish(self) -> None:
        self._router.publish(
            self._name,
            tuple(
                VariantRoute(
                    variant.name,
                    variant.weight,
                    tuple(
                        InstanceRoute(each.id, each.addresses, each.is_foreign)
                        for each in self._instances[variant.name]
                        if each.is_healthy
                    ),
                )
                for variant in self._variants
            ),
        )

    # --- transitions ------------------------------------------------------------------------------

    async def _settle(
        self,
        event: Event,
        *,
        failure_reason: str | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Commit a transition, however often the disk must be asked."""
        pause_s = limits.RESTART_BACKOFF_FIRST_S
        while True:
            try:
                await self._apply(event, failure_reason=failure_reason, then=then)
            except UnavailableError as error:
                log.warning("endpoint %s: %s: %s", self._name, event, error.message)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, limits.RESTART_BACKOFF_MAX_S)
            else:
                return
