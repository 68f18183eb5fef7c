"""All records of Application Auto Scaling, and the edits that change several at once.

Rule: whoever changes something holds `lock`, the operations as the loop does; what belongs together
(a policy and its alarms, a target and all that is its) is committed together.
"""

import asyncio
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from windtunnel.autoscaling import names
from windtunnel.aws.arn import Arn
from windtunnel.cloud.autoscaling import wording
from windtunnel.cloud.autoscaling.records import Action, Activity, Policy, Target
from windtunnel.cloud.cloudwatch.alarms.service import Alarms
from windtunnel.cloud.cloudwatch.errors import TokenError
from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.paging import Place, page
from windtunnel.cloud.sagemaker.records import Endpoint
from windtunnel.cloud.store.shelf import Edit, Shelf, carry_out
from windtunnel.cloud.store.store import Store
from windtunnel.core import limits
from windtunnel.core.clock import Clock
from windtunnel.core.home import ACCOUNT_ID

Document = dict[str, Any]
T = TypeVar("T")
N = TypeVar("N", Action, Policy)
# Most on a page: "between 1 and 50", of policies "between 1 and 10" (botocore's pages).
PAGE_COUNT_MAX = 50
POLICY_PAGE_COUNT_MAX = 10
# Tags of a target, as of most of AWS's resources (Application Auto Scaling's quotas).
TAG_COUNT_MAX = 50


class Endpoints(Protocol):
    """What of SageMaker scaling needs."""

    def endpoint(self, name: str) -> Endpoint | None:
        """Return an endpoint as it was last committed."""
        ...

    async def set_instance_count(
        self, endpoint_name: str, variant_name: str, instance_count: int
    ) -> None:
        """Begin to give a variant another instance count, as a user would."""
        ...


class Book:
    """What is kept of all targets."""

    def __init__(self, store: Store, alarms: Alarms, clock: Clock, region: str) -> None:
        self.lock = asyncio.Lock()
        self.alarms = alarms
        self.targets = Shelf("scalable-target", Target.from_document)
        self.policies = Shelf("scaling-policy", Policy.from_document)
        self.actions = Shelf("scheduled-action", Action.from_document)
        self.activities = Shelf("scaling-activity", Activity.from_document)
        # Another number whenever a target, a policy or an action was made, changed or removed.
        self.version = 0
        self._store = store
        self._clock = clock
        self._region = region
        self._sequence = 0

    async def load(self) -> None:
        """Read what the store has."""
        await self.targets.load(self._store)
        await self.policies.load(self._store)
        await self.actions.load(self._store)
        await self.activities.load(self._store)

    def target(self, resource_id: str) -> Target:
        """Return a scalable target, or say that there is none."""
        found = self.targets.find(resource_id)
        if found is None:
            raise wording.no_target(resource_id)
        return found

    def policies_of(self, resource_id: str) -> list[Policy]:
        """Return a target's policies."""
        return [each for each in self.policies.all() if each.resource_id == resource_id]

    def actions_of(self, resource_id: str) -> list[Action]:
        """Return a target's scheduled actions."""
        return [each for each in self.actions.all() if each.resource_id == resource_id]

    async def commit(self, *edits: Edit) -> None:
        """Commit what changes how targets scale."""
        await carry_out(self._store, *edits)
        self.version += 1

    async def commit_with_alarms(
        self, requests: Sequence[Document], gone: Sequence[str], *edits: Edit
    ) -> None:
        """Commit the same together with alarms that come and go."""
        await self.alarms.replace(requests, gone, *edits)
        self.version += 1

    async def note(self, *edits: Edit) -> None:
        """Commit what changes nothing of how targets scale."""
        await carry_out(self._store, *edits)

    async def deregister(self, target: Target) -> None:
        """Remove a target with all that is its, its policies' alarms too."""
        policies = self.policies_of(target.resource_id)
        actions = self.actions_of(target.resource_id)
        await self.commit_with_alarms(
            [],
            [name for policy in policies for name in policy.alarms],
            self.targets.edit(deletes=[target.key]),
            self.policies.edit(deletes=[each.key for each in policies]),
            self.actions.edit(deletes=[each.key for each in actions]),
        )

    # --- activities -------------------------------------------------------------------------------

    def activity(self, resource_id: str, description: str, cause: str, **more: Any) -> Activity:  # noqa: ANN401 - the record's own members
        """Return a new activity, not kept yet."""
        self._sequence += 1
        now_s = self.now_s()
        key = f"{int(now_s * 1000):014d}-{self._sequence:09d}"
        return Activity(
            key, str(uuid.uuid4()), resource_id, description, cause, started_s=now_s, **more
        )

    def noting(self, *activities: Activity) -> Edit:
        """Return the edit that keeps activities, and lets the oldest go."""
        return self.activities.appended(activities, limits.SCALING_HISTORY_COUNT_MAX)

    # --- names and moments ------------------------------------------------------------------------

    def policy_arn(self, resource_id: str, name: str) -> str:
        """Return the ARN of a new policy."""
        return names.policy_arn(self._region, ACCOUNT_ID, str(uuid.uuid4()), resource_id, name)

    def action_arn(self, resource_id: str, name: str) -> str:
        """Return the ARN of a new scheduled action."""
        return names.scheduled_action_arn(
            self._region, ACCOUNT_ID, str(uuid.uuid4()), resource_id, name
        )

    def target_arn(self) -> str:
        """Return the ARN of a new scalable target."""
        # 32 letters and digits and four more, as in AWS's examples.
        name = f"{uuid.uuid4().hex}{uuid.uuid4().hex[:4]}"
        return str(
            Arn("application-autoscaling", self._region, ACCOUNT_ID, f"scalable-target/{name}")
        )

    def now_s(self) -> float:
        """Return the moment as clients are told it."""
        return round(self._clock.now_s(), 3)


def named(shelf: Shelf[N], request: Document, names_member: str) -> list[N]:
    """Return what a request asks for of a target's, in order: of all targets, of all names."""
    names, resource_id = request.get(names_member) or (), request.get("resource_id")
    return [
        each
        for each in sorted(shelf.all(), key=lambda each: each.key)
        if (resource_id is None or each.resource_id == resource_id)
        and (not names or each.name in names)
    ]


def listed(
    request: Document,
    items: Sequence[T],
    place_of: Callable[[T], Place],
    size_max: int,
    *,
    is_descending: bool = False,
) -> tuple[list[T], str | None]:
    """Return the page of a sorted list that a request asks for, and the token of the next."""
    size = request.get("max_results") or size_max
    if not 1 <= size <= size_max:
        least = "greater than or equal to 1" if size < 1 else f"less than or equal to {size_max}"
        raise InvalidError(
            f"1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy "
            f"constraint: Member must have value {least}"
        )
    question = {key: value for key, value in request.items() if key != "next_token"}
    try:
        return page(
            items,
            place_of,
            question=json.dumps(question, sort_keys=True),
            token=request.get("next_token"),
            size=size,
            is_descending=is_descending,
        )
    except InvalidError as error:
        raise TokenError(error.message) from None
