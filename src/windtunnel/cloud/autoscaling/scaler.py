"""One round of scaling: look, decide, carry out, and see to what is under way.

A thin loop's body: what is decided is decided in `windtunnel.autoscaling`. Rules:
- An activity is committed before the endpoint is changed, so that a cloud that ends in between
  finds it: what is InProgress is seen to by every round, also after a restart, until the endpoint
  has the capacity or has settled without it.
- Capacity is set as a user sets it, by the room behind UpdateEndpointWeightsAndCapacities; while
  the endpoint is not InService nothing is decided for it.
- A target whose endpoint is gone, or is another of the same name, is deregistered.
- Schedules that fell due while no cloud ran are not made up for.
- Of an alarm that stays in breach without effect the first look is told, until what holds it
  changes. (AWS tells of each.)
"""

import asyncio
import logging
from dataclasses import asdict, replace

from windtunnel.autoscaling import activity as wording
from windtunnel.autoscaling.activity import NotScaledReason
from windtunnel.autoscaling.decider import Bounds, Decision, Held
from windtunnel.autoscaling.schedule import ScheduledAction
from windtunnel.cloud.autoscaling.assembly import Assembly, assembled
from windtunnel.cloud.autoscaling.book import Book, Document, Endpoints
from windtunnel.cloud.autoscaling.records import Activity, Status, Target, kept
from windtunnel.cloud.autoscaling.targets import capacity_of, serving_of
from windtunnel.cloud.errors import CloudError
from windtunnel.cloud.sagemaker.lifecycle import Status as EndpointStatus
from windtunnel.cloud.tempo import Tempo
from windtunnel.core.clock import Clock

log = logging.getLogger(__name__)

# Targets that are decided on before others of the gateway's loop get their turn: a millisecond.
_DECIDED_TOGETHER = 200


class Scaler:
    """Goes round all targets."""

    def __init__(self, book: Book, endpoints: Endpoints, clock: Clock, tempo: Tempo) -> None:
        self._book = book
        self._endpoints = endpoints
        self._clock = clock
        self._tempo = tempo
        self._assemblies: dict[str, Assembly] = {}
        self._versions = (-1, -1)
        # What is under way, by resource.
        self._pending: dict[str, Activity] = {}
        # Why an alarm in breach was last without effect, by resource.
        self._held: dict[str, tuple[str, NotScaledReason]] = {}
        self._seen_s = 0.0
        # The config by which each target's endpoint last became what it is.
        self._configs: dict[str, str] = {}

    def open(self) -> None:
        """Take up what a cloud before left under way; schedules count from now."""
        self._seen_s = self._clock.now_s()
        for activity in self._book.activities.all():
            if activity.decision is not None:
                self._pending[activity.resource_id] = activity

    async def round(self) -> None:
        """Do everything that is due now."""
        async with self._book.lock:
            now_s = self._clock.now_s()
            await self._follow_endpoints()
            looked = await self._book.alarms.look(now_s)
            self._refresh()
            await self._see_to_pending(now_s)
            await self._schedule(now_s)
            await self._pay_debts(now_s)
            await self._decide(looked, now_s)

    def _refresh(self) -> None:
        """Put the deciders together again where records or alarms have changed."""
        versions = (self._book.version, self._book.alarms.version)
        if versions != self._versions:
            self._assemblies = assembled(self._book, self._tempo, self._seen_s)
            self._held = {
                resource_id: held
                for resource_id, held in self._held.items()
                if resource_id in self._assemblies
            }
            self._configs = {
                resource_id: name
                for resource_id, name in self._configs.items()
                if resource_id in self._assemblies
            }
            self._versions = versions

    async def _follow_endpoints(self) -> None:
        """Deregister what cannot scale any more, and look at the bounds of what was updated.

        An update leaves as many instances as its config says, within a target's bounds or not.
        """
        for target in self._book.targets.all():
            endpoint = self._endpoints.endpoint(target.endpoint_name)
            if (
                endpoint is None
                or endpoint.status is EndpointStatus.DELETING
                or endpoint.created_s != target.endpoint_created_s
                # An update took the variant away.
                or serving_of(endpoint, target.variant_name) is None
            ):
                await self._book.deregister(target)
                continue
            before = self._configs.get(target.resource_id)
            self._configs[target.resource_id] = endpoint.config_name
            if before not in (None, endpoint.config_name):
                await self._book.note(self._book.targets.edit([replace(target, is_owed=True)]))

    # --- what is under way ------------------------------------------------------------------------

    async def _see_to_pending(self, now_s: float) -> None:
        for resource_id, activity in list(self._pending.items()):
            assert activity.decision is not None
            decision = Decision(**activity.decision)
            failure = self._outcome(resource_id, decision.desired)
            if failure is None:
                continue
            if failure:
                await self._end(activity, "Failed", wording.failure(decision.desired, failure))
                continue
            assembly = self._assemblies.get(resource_id)
            if assembly is not None:
                assembly.decider.fulfilled(decision, now_s)
            await self._end(activity, "Successful", wording.success(decision.desired))

    def _outcome(self, resource_id: str, desired: int) -> str | None:
        """Return why a change was not made, nothing when it was, None while it is under way."""
        _, endpoint_name, _, variant_name = resource_id.split("/")
        endpoint = self._endpoints.endpoint(endpoint_name)
        if endpoint is None or endpoint.status is EndpointStatus.DELETING:
            return "the endpoint is being deleted or does not exist any more."
        if serving_of(endpoint, variant_name) == desired:
            return ""
        if endpoint.status in (EndpointStatus.IN_SERVICE, EndpointStatus.FAILED):
            return endpoint.failure_reason or "the endpoint was changed otherwise meanwhile."
        return None

    async def _end(self, activity: Activity, status: Status, message: str) -> None:
        ended = replace(
            activity, status=status, message=message, ended_s=self._book.now_s(), decision=None
        )
        edits = [self._book.activities.edit([ended])]
        target = self._book.targets.find(activity.resource_id)
        assembly = self._assemblies.get(activity.resource_id)
        if target is not None and assembly is not None:
            memory = kept(assembly.decider.memory)
            edits.append(self._book.targets.edit([replace(target, memory=memory)]))
        await self._book.note(*edits)
        del self._pending[activity.resource_id]

    async def _carry_out(self, target: Target, decision: Decision) -> None:
        assembly = self._assemblies[target.resource_id]
        activity = self._book.activity(
            target.resource_id,
            wording.description(decision.desired),
            decision.cause,
            status="InProgress",
            details=self._details(decision.why),
            decision=asdict(decision),
        )
        changed = replace(target, memory=kept(assembly.decider.memory), is_owed=False)
        await self._book.note(self._book.noting(activity), self._book.targets.edit([changed]))
        self._pending[target.resource_id] = activity
        self._held.pop(target.resource_id, None)
        try:
            await self._endpoints.set_instance_count(
                target.endpoint_name, target.variant_name, decision.desired
            )
        except CloudError as error:
            message = wording.failure(decision.desired, error.message)
            await self._end(activity, "Failed", message)

    def _details(self, why: str) -> str:
        return f"{why} ({self._tempo.label})" if self._tempo.is_warped else why

    # --- schedules and bounds ---------------------------------------------------------------------

    async def _schedule(self, now_s: float) -> None:
        """Set the bounds of the actions that fell due."""
        self._seen_s = max(now_s, self._seen_s)
        for resource_id, assembly in self._assemblies.items():
            for _, action in assembly.agenda.take(now_s):
                if not assembly.decider.suspension.scheduled:
                    await self._rebound(self._book.target(resource_id), action)

    async def _rebound(self, target: Target, action: ScheduledAction) -> None:
        low = target.capacity_min if action.capacity_min is None else action.capacity_min
        high = target.capacity_max if action.capacity_max is None else action.capacity_max
        told = (action.capacity_min, action.capacity_max)
        activity = self._book.activity(
            target.resource_id,
            wording.bounds_description(*told),
            wording.schedule_cause(action.name),
            status="Successful",
            message=wording.bounds_success(*told),
            ended_s=self._book.now_s(),
        )
        if low > high:
            reason = "Maximum capacity cannot be less than minimum capacity"
            activity = replace(activity, status="Failed", message=reason)
            await self._book.note(self._book.noting(activity))
            return
        # Whether the capacity must follow is found by `_pay_debts`, in this round if it can be.
        changed = replace(target, capacity_min=low, capacity_max=high, is_owed=True)
        await self._book.note(self._book.noting(activity), self._book.targets.edit([changed]))
        self._assemblies[target.resource_id].decider.bounds = Bounds(low, high)

    async def _pay_debts(self, now_s: float) -> None:
        """Let capacities follow the bounds that were set, as soon as their endpoints can."""
        for target in self._book.targets.all():
            if not target.is_owed:
                continue
            capacity = self._capacity(target)
            if capacity is None or not self._is_scalable(target):
                continue
            decider = self._assemblies[target.resource_id].decider
            decision = decider.rebound(now_s, capacity, target.bounds)
            if decision is not None:
                await self._carry_out(target, decision)
            else:
                await self._book.note(self._book.targets.edit([replace(target, is_owed=False)]))

    # --- alarms -----------------------------------------------------------------------------------

    async def _decide(self, looked: set[str], now_s: float) -> None:
        """Ask the deciders of the targets whose alarms were looked at."""
        if not looked:
            return
        told: list[Activity] = []
        for number, (resource_id, assembly) in enumerate(self._assemblies.items(), 1):
            if number % _DECIDED_TOGETHER == 0:
                await asyncio.sleep(0)
            if looked.isdisjoint(assembly.alarm_names):
                continue
            target = self._book.target(resource_id)
            capacity = self._capacity(target)
            if capacity is None:
                continue
            is_scalable = self._is_scalable(target)
            found = assembly.decider.decide(now_s, capacity, is_scalable=is_scalable)
            if found is None:
                self._held.pop(resource_id, None)
            elif isinstance(found, Decision):
                await self._carry_out(target, found)
            elif (activity := self._not_scaled(resource_id, found)) is not None:
                told.append(activity)
        if told:
            await self._book.note(self._book.noting(*told))

    def _not_scaled(self, resource_id: str, held: Held) -> Activity | None:
        """Return what is told of an alarm without effect, None where that was told already."""
        if held.reason is None or self._held.get(resource_id) == (held.cause, held.reason):
            return None
        self._held[resource_id] = (held.cause, held.reason)
        return self._book.activity(
            resource_id,
            wording.NOT_SCALED_DESCRIPTION,
            held.cause,
            status="Failed",
            details=self._details(held.why),
            ended_s=self._book.now_s(),
            not_scaled=(_shown(held.reason),),
        )

    def _capacity(self, target: Target) -> int | None:
        endpoint = self._endpoints.endpoint(target.endpoint_name)
        return None if endpoint is None else capacity_of(endpoint, target.variant_name)

    def _is_scalable(self, target: Target) -> bool:
        endpoint = self._endpoints.endpoint(target.endpoint_name)
        return (
            endpoint is not None
            and endpoint.status is EndpointStatus.IN_SERVICE
            and target.resource_id not in self._pending
        )


def _shown(reason: NotScaledReason) -> Document:
    return {
        "code": reason.code,
        "max_capacity": reason.capacity_max,
        "min_capacity": reason.capacity_min,
        "current_capacity": reason.capacity,
    }
