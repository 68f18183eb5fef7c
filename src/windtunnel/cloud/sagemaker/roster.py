"""The instances of one endpoint, by variant, and the routes to them.

It starts and ends instances and keeps the router told of the healthy ones; which and when is the
controller's business. Rules: what is not healthy gets no requests; an instance that leaves is taken
out of the routes first, then its requests end, then it ends.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from windtunnel.cloud.fleet.instance import Instance, InstanceSpec, StartFailedError
from windtunnel.cloud.multimodel.source import ModelSource
from windtunnel.cloud.router.routes import InstanceRoute, VariantRoute
from windtunnel.cloud.sagemaker import wording
from windtunnel.cloud.sagemaker.records import Variant
from windtunnel.core import limits

log = logging.getLogger(__name__)

# Instances by the name of their variant.
Crew = dict[str, list[Instance]]


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

    async def wait_drained(self, endpoint_name: str, instance_id: str, grace_s: float) -> bool:
        """Wait for what is in flight to an instance that gets no more requests."""
        ...


class VariantFailedError(Exception):
    """An instance of a variant did not come up."""

    def __init__(self, variant: Variant, error: StartFailedError) -> None:
        super().__init__(error.reason)
        self.failure_reason = wording.failed_start(variant.name, variant.model_data_url, error)


class Roster:
    """The instances that serve one endpoint, and those that are leaving it."""

    def __init__(
        self, endpoint_name: str, variants: tuple[Variant, ...], fleet: Fleet, router: Router
    ) -> None:
        self._name = endpoint_name
        self._variants = variants
        self._fleet = fleet
        self._router = router
        self._crew: Crew = {each.name: [] for each in variants}
        self._is_serving = False
        self._leaving: set[asyncio.Task[None]] = set()

    # --- what there is ----------------------------------------------------------------------------

    def healthy_count(self, variant_name: str) -> int:
        """Return how many instances of a variant answer now."""
        return sum(each.is_healthy for each in self._crew.get(variant_name, ()))

    def can_serve(self, variants: Iterable[Variant]) -> bool:
        """Say whether every variant that is given requests has an instance, be it ill or well."""
        asked = list(variants)
        weighted = [each for each in asked if each.weight > 0] or asked
        return all(self._crew.get(each.name) for each in weighted)

    @property
    def is_empty(self) -> bool:
        """Whether there is no instance at all, ill or well."""
        return not any(self._crew.values())

    def missing(self, variants: Iterable[Variant]) -> list[Variant]:
        """Return a variant for each instance that it lacks."""
        return [
            variant
            for variant in variants
            for _ in range(variant.instance_count - len(self._crew.get(variant.name, ())))
        ]

    # --- routes -----------------------------------------------------------------------------------

    def serve(self, variants: tuple[Variant, ...], crew: Crew | None = None) -> None:
        """Route requests to these variants from now on; what is too much of them leaves.

        Without a crew of their own they go on with the instances that are there.
        """
        old = self._crew
        before = [each for instances in old.values() for each in instances]
        self._variants = variants
        # Should some have to leave, those that are ill go first, then the youngest.
        self._crew = {
            each.name: sorted(
                (crew if crew is not None else old).get(each.name, []),
                key=lambda instance: not instance.is_healthy,
            )[: each.instance_count]
            for each in variants
        }
        self._is_serving = True
        self._publish()
        kept = {each for instances in self._crew.values() for each in instances}
        self.dismiss(each for each in before if each not in kept)

    def join(self, variant: Variant, instance: Instance) -> None:
        """Take in an instance that has come up."""
        self._crew[variant.name].append(instance)
        self._on_change(instance)

    def leave(self, instances: Iterable[Instance]) -> None:
        """Take instances out again, and let them end when their requests have."""
        gone = list(instances)
        for crew in self._crew.values():
            crew[:] = [each for each in crew if each not in gone]
        if self._is_serving:
            self._publish()
        self.dismiss(gone)

    def withdraw(self) -> None:
        """Take no more requests at all."""
        self._is_serving = False
        self._router.withdraw(self._name)

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
                        for each in self._crew[variant.name]
                        if each.is_healthy
                    ),
                    variant.is_random,
                    self._source(variant),
                )
                for variant in self._variants
            ),
        )

    def _source(self, variant: Variant) -> ModelSource | None:
        """Return where the models lie that requests for a variant name."""
        if not variant.is_multi_model or variant.model_data_url is None:
            return None
        return ModelSource(
            endpoint_name=self._name,
            variant_name=variant.name,
            url=variant.model_data_url,
            is_cached=variant.is_model_cached,
            download_timeout_s=variant.download_timeout_s,
            image=variant.image,
            environment=variant.environment,
            instance_type=variant.instance_type,
        )

    # --- instances --------------------------------------------------------------------------------

    async def start(self, variant: Variant) -> Instance:
        """Return a new instance of a variant, healthy, or raise VariantFailedError."""
        spec = InstanceSpec(
            endpoint_name=self._name,
            variant_name=variant.name,
            instance_type=variant.instance_type,
            image=variant.image,
            environment=variant.environment,
            model_data_url=variant.model_data_url,
            model_data_form=variant.model_data_form,
            download_timeout_s=variant.download_timeout_s,
            startup_timeout_s=variant.startup_timeout_s,
            is_multi_model=variant.is_multi_model,
        )
        try:
            return await self._fleet.start(spec, self._on_change)
        except StartFailedError as error:
            raise VariantFailedError(variant, error) from error
        except Exception as error:
            # A bug of ours must not leave the endpoint in Creating for ever.
            log.exception("endpoint %s: an instance could not be started", self._name)
            reason = "Windtunnel failed inside while it started the instance: see its log."
            raise VariantFailedError(variant, StartFailedError(reason, "admission")) from error

    async def start_all(
        self, variants: Iterable[Variant], take: Callable[[Variant, Instance], None]
    ) -> None:
        """Start an instance for each variant given; raise as soon as one does not come up.

        Each is handed to `take` when it is healthy; those that are still starting are given up. In
        the end all are healthy at once: one that fell ill meanwhile has its time to start again.
        """
        started: list[tuple[Variant, Instance]] = []

        async def start(variant: Variant) -> None:
            instance = await self.start(variant)
            started.append((variant, instance))
            take(variant, instance)

        failures: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as group:
                for variant in variants:
                    group.create_task(start(variant))
        except* VariantFailedError as errors:
            failures.extend(errors.exceptions)
        if failures:
            raise failures[0]
        await self._wait_all_healthy(started)

    async def _wait_all_healthy(self, started: list[tuple[Variant, Instance]]) -> None:
        ill = [pair for pair in started if not pair[1].is_healthy]
        try:
            async with asyncio.timeout(max((each.startup_timeout_s for each, _ in ill), default=0)):
                while ill:
                    await asyncio.sleep(limits.PING_INTERVAL_STARTING_S)
                    ill = [pair for pair in started if not pair[1].is_healthy]
        except TimeoutError:
            variant, instance = ill[0]
            reason = f"It answered /ping and then fell ill. Log: {instance.log_path}."
            raise VariantFailedError(variant, StartFailedError(reason)) from None

    def dismiss(self, instances: Iterable[Instance]) -> None:
        """Let instances that get no more requests end, in the background."""
        for instance in instances:
            task = asyncio.create_task(self._dismiss(instance))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _dismiss(self, instance: Instance) -> None:
        await self._router.wait_drained(self._name, instance.id, limits.MODEL_TIMEOUT_S)
        await self._stop(instance)

    async def end(self) -> None:
        """Let requests in flight end, then every instance."""
        self.withdraw()
        await self._router.wait_idle(self._name, limits.MODEL_TIMEOUT_S)
        await self.stop_all()

    async def stop_all(self) -> None:
        """End every instance at once, and wait for those that are leaving."""
        stopping = [each for instances in self._crew.values() for each in instances]
        for instances in self._crew.values():
            instances.clear()
        await asyncio.gather(*map(self._stop, stopping), *self._leaving)

    async def _stop(self, instance: Instance) -> None:
        try:
            await self._fleet.stop(instance)
        except Exception:
            log.exception("endpoint %s: an instance did not stop", self._name)

    async def close(self) -> None:
        """Stop waiting for those that leave, as when the cloud ends and the fleet with it."""
        for task in self._leaving:
            task.cancel()
        if self._leaving:
            await asyncio.wait(self._leaving)
