"""Endpoints: their records, the operations on them, and a controller for each.

What an endpoint should be is its record; the controller makes it so. Both change the record through
`_apply`, which keeps to the table of `lifecycle.py` and commits before anybody can see.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable

from windtunnel.aws.arn import sagemaker_arn
from windtunnel.cloud.sagemaker import description, wording
from windtunnel.cloud.sagemaker.changes import (
    check_instance_count,
    check_instance_types,
    rescaled,
    retaining,
)
from windtunnel.cloud.sagemaker.collection import Collection
from windtunnel.cloud.sagemaker.controller import Controller
from windtunnel.cloud.sagemaker.endpoint_configs import EndpointConfigs
from windtunnel.cloud.sagemaker.lifecycle import (
    Event,
    IllegalTransitionError,
    Status,
)
from windtunnel.cloud.sagemaker.listing import listed
from windtunnel.cloud.sagemaker.models import Models
from windtunnel.cloud.sagemaker.records import (
    Change,
    Document,
    Endpoint,
    EndpointConfig,
    Variant,
    tags_of,
)
from windtunnel.cloud.sagemaker.roster import Fleet, Router
from windtunnel.cloud.store.store import Store
from windtunnel.core.clock import Clock
from windtunnel.core.home import ACCOUNT_ID

# The names of an endpoint's variants that scale by themselves.
ScaledVariants = Callable[[Endpoint], Awaitable[frozenset[str]]]


class Endpoints:
    """The operations on endpoints."""

    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        router: Router,
        models: Models,
        configs: EndpointConfigs,
        clock: Clock,
        region: str,
    ) -> None:
        self.records = Collection(store, "endpoint", Endpoint.from_document)
        self._fleet = fleet
        self._router = router
        self._models = models
        self._configs = configs
        self._clock = clock
        self._region = region
        self._controllers: dict[str, Controller] = {}
        # Handed in by whoever scales.
        self.scaled_variants: ScaledVariants = _none_scaled

    # --- start and end of the cloud ---------------------------------------------------------------

    async def resume(self) -> None:
        """Take up every endpoint where the cloud before left it."""
        resumed = []
        for endpoint in self.records.all():
            changed = endpoint.after(Event.CLOUD_RESTARTED, self._now_s())
            assert changed is not None, "a restart ends no endpoint"
            if changed.status is not endpoint.status:
                resumed.append(changed)
        if resumed:
            await self.records.put_all(resumed)
        for endpoint in self.records.all():
            self._look_after(endpoint)

    async def close(self) -> None:
        """Stop looking after the endpoints; they are taken up again at the next start."""
        controllers = list(self._controllers.values())
        self._controllers.clear()
        await asyncio.gather(*(controller.close() for controller in controllers))

    # --- operations -------------------------------------------------------------------------------

    async def create(self, request: Document) -> Document:
        """Remember an endpoint and begin to start its instances."""
        name = request["endpoint_name"]
        config = self._configs.find(request["endpoint_config_name"])
        variants = self._variants(config)
        check_instance_count(variants)
        now_s = self._now_s()
        endpoint = Endpoint(
            name=name,
            arn=self.arn(name),
            config_name=config.name,
            created_s=now_s,
            modified_s=now_s,
            status=Status.CREATING,
            variants=variants,
            tags=tags_of(request),
        )
        await self.records.create(endpoint, wording.already_exists("endpoint", endpoint.arn))
        self._look_after(endpoint)
        return {"endpoint_arn": endpoint.arn}

    async def update(self, request: Document) -> Document:
        """Begin to replace an endpoint's fleet by that of another config."""
        config = self._configs.find(request["endpoint_config_name"])
        excluded = request.get("exclude_retained_variant_properties") or []
        properties = {each["variant_property_type"] for each in excluded}
        scaled = await self.scaled_variants(self.find(request["endpoint_name"]))

        def change(endpoint: Endpoint) -> Change:
            # AWS reads the config that serves, and so cannot go on from one that was deleted
            # (terraform-provider-aws#40048).
            self._configs.find(endpoint.config_name)
            variants = self._variants(config)
            check_instance_types(endpoint.variants, variants, scaled)
            if request.get("retain_all_variant_properties"):
                variants = retaining(endpoint.variants, variants, properties)
            return Change("deployment", config.name, variants, self._now_s())

        return await self._begin_change(request["endpoint_name"], change)

    async def update_weights_and_capacities(self, request: Document) -> Document:
        """Begin to give variants other weights and instance counts."""

        def change(endpoint: Endpoint) -> Change:
            variants = rescaled(endpoint, request["desired_weights_and_capacities"])
            return Change("capacity", endpoint.config_name, variants, self._now_s())

        return await self._begin_change(request["endpoint_name"], change)

    async def _begin_change(self, name: str, change_of: Callable[[Endpoint], Change]) -> Document:
        def change(endpoint: Endpoint) -> Change:
            made = change_of(endpoint)
            check_instance_count(made.variants)
            return made

        endpoint = self.find(name)
        try:
            changed = await self._apply(endpoint.name, Event.UPDATE_REQUESTED, change_of=change)
        except IllegalTransitionError as error:
            raise wording.cannot_update(endpoint.arn, error.status) from None
        controller = self._controllers.get(name.lower())
        # There is none when the cloud is ending; the next one makes the change that is committed.
        if controller is not None and changed is not None and changed.change is not None:
            controller.change(changed.change)
        return {"endpoint_arn": endpoint.arn}

    async def describe(self, request: Document) -> Document:
        """Return an endpoint as it is now."""
        endpoint = self.find(request["endpoint_name"])
        controller = self._controllers.get(endpoint.name.lower())
        return description.described(endpoint, controller)

    async def list(self, request: Document) -> Document:
        """Return a page of the endpoints."""
        chosen, token = listed(self.records.all(), request)
        summaries = [
            {
                "endpoint_name": each.name,
                "endpoint_arn": each.arn,
                "creation_time": each.created_s,
                "last_modified_time": each.modified_s,
                "endpoint_status": each.status,
            }
            for each in chosen
        ]
        return {"endpoints": summaries, "next_token": token}

    async def delete(self, request: Document) -> Document:
        """Begin to take an endpoint down."""
        endpoint = self.find(request["endpoint_name"])
        try:
            await self._apply(endpoint.name, Event.DELETE_REQUESTED)
        except IllegalTransitionError as error:
            raise wording.cannot_update(endpoint.arn, error.status) from None
        controller = self._controllers.get(endpoint.name.lower())
        # There is none when the cloud is ending; the next one finishes what is committed.
        if controller is not None:
            controller.delete()
        return {}

    # --- records ----------------------------------------------------------------------------------

    def arn(self, name: str) -> str:
        """Return the ARN that a name has or would have."""
        return sagemaker_arn(self._region, ACCOUNT_ID, "endpoint", name)

    def find(self, name: str) -> Endpoint:
        """Return an endpoint, or say that there is none."""
        endpoint = self.records.find(name)
        if endpoint is None:
            raise wording.not_found("endpoint", self.arn(name))
        return endpoint

    async def _apply(
        self,
        name: str,
        event: Event,
        *,
        failure_reason: str | None = None,
        change_of: Callable[[Endpoint], Change] | None = None,
        then: Callable[[], None] | None = None,
    ) -> Endpoint | None:
        """Commit what an event makes of an endpoint; `then` runs before it can be observed."""
        async with self.records.held(name):
            endpoint = self.find(name)
            changed = endpoint.after(
                event,
                self._now_s(),
                failure_reason=failure_reason,
                # Asked of the endpoint as it is now that nobody else changes it.
                change=None if change_of is None else change_of(endpoint),
            )
            if changed is None:
                await self.records.remove(name)
                self._controllers.pop(name.lower(), None)
            else:
                await self.records.put(changed, then)
            return changed

    def _look_after(self, endpoint: Endpoint) -> None:
        apply = functools.partial(self._apply, endpoint.name)
        controller = Controller(endpoint, self._fleet, self._router, apply)
        self._controllers[endpoint.name.lower()] = controller

    def _variants(self, config: EndpointConfig) -> tuple[Variant, ...]:
        """Return a snapshot of a config's variants and their models."""
        return tuple(
            Variant.of(each, self._models.find(each["model_name"])) for each in config.variants
        )

    def _now_s(self) -> float:
        # What clients are told has milliseconds; what they filter by must be the same.
        return round(self._clock.now_s(), 3)


async def _none_scaled(_: Endpoint) -> frozenset[str]:
    """Return the variants that scale where nobody scales any."""
    return frozenset()
