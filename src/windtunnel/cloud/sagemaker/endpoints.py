"""Endpoints: their records, the operations on them, and a controller for each.

What an endpoint should be is its record; the controller makes it so. Both change the record through
`_apply`, which keeps to the table of `lifecycle.py` and commits before anybody can see.
"""

import asyncio
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from windtunnel.aws.arn import sagemaker_arn
from windtunnel.cloud.sagemaker import wording
from windtunnel.cloud.sagemaker.collection import Collection
from windtunnel.cloud.sagemaker.controller import Controller, Fleet, Router
from windtunnel.cloud.sagemaker.endpoint_configs import EndpointConfigs
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.cloud.sagemaker.lifecycle import (
    Event,
    IllegalTransitionError,
    Status,
    next_status,
)
from windtunnel.cloud.sagemaker.listing import listed
from windtunnel.cloud.sagemaker.models import Models
from windtunnel.cloud.sagemaker.records import Document, Endpoint, Variant, tags_of
from windtunnel.cloud.store.store import Store
from windtunnel.core import limits
from windtunnel.core.clock import Clock
from windtunnel.core.home import ACCOUNT_ID


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

    # --- start and end of the cloud ---------------------------------------------------------------

    async def resume(self) -> None:
        """Take up every endpoint where the cloud before left it."""
        resumed = []
        for endpoint in self.records.all():
            status = next_status(endpoint.status, Event.CLOUD_RESTARTED)
            assert status is not None, "a restart ends no endpoint"
            if status is not endpoint.status:
                resumed.append(replace(endpoint, status=status, modified_s=self._now_s()))
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
        variants = tuple(
            Variant.of(each, self._models.find(each["model_name"])) for each in config.variants
        )
        instance_count = sum(variant.instance_count for variant in variants)
        if instance_count > limits.ENDPOINT_INSTANCE_COUNT_MAX:
            raise LimitExceededError(
                f"An endpoint of this local cloud runs up to {limits.ENDPOINT_INSTANCE_COUNT_MAX} "
                f"instances: {instance_count} were asked for."
            )
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

    async def describe(self, request: Document) -> Document:
        """Return an endpoint as it is now."""
        endpoint = self.find(request["endpoint_name"])
        variants = [self._summary(endpoint, variant) for variant in endpoint.variants]
        answer: dict[str, Any] = {
            "endpoint_name": endpoint.name,
            "endpoint_arn": endpoint.arn,
            "endpoint_config_name": endpoint.config_name,
            "production_variants": variants,
            "endpoint_status": endpoint.status,
            "failure_reason": endpoint.failure_reason,
            "creation_time": endpoint.created_s,
            "last_modified_time": endpoint.modified_s,
        }
        if endpoint.status is Status.CREATING:
            # "This field is only returned when the endpoint is creating or updating with a new
            # endpoint configuration" (DescribeEndpoint, `PendingDeploymentSummary`).
            answer["pending_deployment_summary"] = {
                "endpoint_config_name": endpoint.config_name,
                "production_variants": [
                    {
                        **{key: value for key, value in each.items() if key != "routing_config"},
                        "instance_type": variant.instance_type,
                    }
                    for each, variant in zip(variants, endpoint.variants, strict=True)
                ],
                "start_time": endpoint.created_s,
            }
        return answer

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
        except IllegalTransitionError:
            raise wording.in_progress(endpoint.arn) from None
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
        then: Callable[[], None] | None = None,
    ) -> None:
        """Commit what an event makes of an endpoint; `then` runs before it can be observed."""
        async with self.records.held(name):
            endpoint = self.find(name)
            status = next_status(endpoint.status, event)
            if status is None:
                await self.records.remove(name)
                self._controllers.pop(name.lower(), None)
                return
            changed = replace(
                endpoint,
                status=status,
                modified_s=self._now_s(),
                failure_reason=failure_reason or endpoint.failure_reason,
            )
            await self.records.put(changed, then)

    def _look_after(self, endpoint: Endpoint) -> None:
        apply = functools.partial(self._apply, endpoint.name)
        controller = Controller(endpoint, self._fleet, self._router, apply)
        self._controllers[endpoint.name.lower()] = controller

    def _summary(self, endpoint: Endpoint, variant: Variant) -> dict[str, Any]:
        controller = self._controllers.get(endpoint.name.lower())
        summary: dict[str, Any] = {
            "variant_name": variant.name,
            "deployed_images": [
                {
                    "specified_image": variant.image,
                    "resolved_image": variant.image,
                    "resolution_time": endpoint.created_s,
                }
            ],
            "current_weight": variant.weight,
            "desired_weight": variant.weight,
            "current_instance_count": 0
            if controller is None
            else controller.healthy_count(variant.name),
            "desired_instance_count": variant.instance_count,
            "routing_config": variant.routing_config,
        }
        if endpoint.status in (Status.CREATING, Status.DELETING):
            summary["variant_status"] = [
                {"status": str(endpoint.status), "start_time": endpoint.modified_s}
            ]
        return summary

    def _now_s(self) -> float:
        # What clients are told has milliseconds; what they filter by must be the same.
        return round(self._clock.now_s(), 3)
