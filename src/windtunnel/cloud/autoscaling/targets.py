"""RegisterScalableTarget and what belongs to it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from windtunnel.cloud.autoscaling import requests, wording
from windtunnel.cloud.autoscaling.book import PAGE_COUNT_MAX, TAG_COUNT_MAX, Book, Endpoints, listed
from windtunnel.cloud.autoscaling.records import Target
from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.cloud.sagemaker.lifecycle import Status
from windtunnel.cloud.sagemaker.records import Endpoint, Variant
from windtunnel.core import limits
from windtunnel.core.home import ACCOUNT_ID

Document = dict[str, Any]
# AWS makes this role itself and uses it whatever RoleARN says ("Service-linked roles for
# Application Auto Scaling").
_ROLE = (
    f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws."
    "com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


class Targets:
    """The operations on scalable targets."""

    def __init__(self, book: Book, endpoints: Endpoints) -> None:
        self._book = book
        self._endpoints = endpoints

    async def register(self, request: Document) -> Document:
        """Make a variant a scalable target, or change one: what is not named stays."""
        resource_id = request["resource_id"]
        endpoint_name, variant_name = requests.variant_of(resource_id)
        requests.check_bounds(request.get("min_capacity"), request.get("max_capacity"))
        async with self._book.lock:
            endpoint, variant = self._find(endpoint_name, variant_name)
            requests.check_instance_type(variant.instance_type)
            old = self._book.targets.find(resource_id)
            tags = request.get("tags") or {}
            if old is None:
                target = self._new(request, endpoint, variant_name)
                target = replace(target, tags=_checked_tags(tags))
            elif tags:
                # "You can only specify tags when registering a new scalable target."
                raise InvalidError(
                    "Tags can be given when a scalable target is registered for the first time: "
                    "use TagResource."
                )
            else:
                target = _changed(old, request)
            capacity = capacity_of(endpoint, variant_name)
            assert capacity is not None
            is_owed = target.bounds.clipped(capacity) != capacity
            target = replace(target, is_owed=is_owed)
            await self._book.commit(self._book.targets.edit([target]))
        return {"scalable_target_arn": target.arn}

    def _new(self, request: Document, endpoint: Endpoint, variant_name: str) -> Target:
        low, high = request.get("min_capacity"), request.get("max_capacity")
        if low is None or high is None:
            raise InvalidError(
                "MinCapacity and MaxCapacity must be specified to register a new scalable target."
            )
        if len(self._book.targets) >= limits.SCALABLE_TARGET_COUNT_MAX:
            raise LimitExceededError(
                f"This local cloud holds up to {limits.SCALABLE_TARGET_COUNT_MAX} scalable "
                "targets: deregister some first."
            )
        return Target(
            resource_id=request["resource_id"],
            arn=self._book.target_arn(),
            endpoint_name=endpoint.name,
            variant_name=variant_name,
            endpoint_created_s=endpoint.created_s,
            capacity_min=low,
            capacity_max=high,
            role_arn=_ROLE,
            created_s=self._book.now_s(),
            suspended=_suspended({}, request),
        )

    def _find(self, endpoint_name: str, variant_name: str) -> tuple[Endpoint, Variant]:
        endpoint = self._endpoints.endpoint(endpoint_name)
        if endpoint is None or endpoint.status is Status.DELETING:
            raise InvalidError(f'Could not find endpoint "{endpoint_name}".')
        for variant in endpoint.variants:
            if variant.name == variant_name:
                return endpoint, variant
        known = ", ".join(each.name for each in endpoint.variants)
        raise InvalidError(
            f'Endpoint "{endpoint_name}" has no variant {variant_name}: its variants are {known}.'
        )

    def variants_of(self, endpoint: Endpoint) -> frozenset[str]:
        """Return the names of an endpoint's variants that are targets."""
        return frozenset(
            each.variant_name
            for each in self._book.targets.all()
            if each.endpoint_name == endpoint.name and each.endpoint_created_s == endpoint.created_s
        )

    async def describe(self, request: Document) -> Document:
        """Return a page of the targets."""
        wanted = request.get("resource_ids") or ()
        chosen = [
            each
            for each in sorted(self._book.targets.all(), key=lambda each: each.resource_id)
            if not wanted or each.resource_id in wanted
        ]
        shown, token = listed(request, chosen, lambda each: [each.resource_id], PAGE_COUNT_MAX)
        return {"scalable_targets": [each.shown() for each in shown], "next_token": token}

    async def deregister(self, request: Document) -> Document:
        """Forget a target with its policies and schedules; what is under way is carried out."""
        async with self._book.lock:
            target = self._book.targets.find(request["resource_id"])
            if target is None:
                raise wording.target_not_found(request["resource_id"])
            await self._book.deregister(target)
        return {}


def capacity_of(endpoint: Endpoint, variant_name: str) -> int | None:
    """Return how many instances a variant has or is getting, None where there is none of it."""
    change = endpoint.change
    is_capacity = change is not None and change.kind == "capacity"
    variants = change.variants if change is not None and is_capacity else endpoint.variants
    return next((each.instance_count for each in variants if each.name == variant_name), None)


def serving_of(endpoint: Endpoint, variant_name: str) -> int | None:
    """Return how many instances a variant had when its last change was complete."""
    return next(
        (each.instance_count for each in endpoint.variants if each.name == variant_name), None
    )


def _changed(old: Target, request: Document) -> Target:
    low = request.get("min_capacity", old.capacity_min)
    high = request.get("max_capacity", old.capacity_max)
    requests.check_bounds(low, high)
    return replace(
        old, capacity_min=low, capacity_max=high, suspended=_suspended(old.suspended, request)
    )


def _suspended(old: Mapping[str, bool], request: Document) -> dict[str, bool]:
    return {**old, **(request.get("suspended_state") or {})}


def _checked_tags(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > TAG_COUNT_MAX:
        raise LimitExceededError(f"A scalable target has up to {TAG_COUNT_MAX} tags.")
    return tags
