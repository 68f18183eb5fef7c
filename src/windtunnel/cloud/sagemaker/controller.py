"""Drives one endpoint to what its record says it should be.

A thin loop: which state follows is decided in `records.py` and `lifecycle.py`, instances and routes
are the `roster.py`'s. Rules: a transition is committed before it can be observed, and the routes
change in between; one thing is done at a time; when the task is cancelled (the cloud ends) nothing
is deleted and no instance is left half-started.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from windtunnel.cloud.errors import UnavailableError
from windtunnel.cloud.fleet.instance import Instance
from windtunnel.cloud.sagemaker.lifecycle import Event, Status
from windtunnel.cloud.sagemaker.records import Change, Endpoint, Variant
from windtunnel.cloud.sagemaker.roster import Crew, Fleet, Roster, Router, VariantFailedError
from windtunnel.core import limits

log = logging.getLogger(__name__)


class Apply(Protocol):
    """Commits a transition of the endpoint; calls `then` before it can be observed."""

    def __call__(
        self,
        event: Event,
        *,
        failure_reason: str | None = None,
        then: Callable[[], None] | None = None,
    ) -> Awaitable[object]:
        """Commit the transition that an event brings."""
        ...


class Controller:
    """One endpoint's instances and the task that looks after them."""

    def __init__(self, endpoint: Endpoint, fleet: Fleet, router: Router, apply: Apply) -> None:
        self._name = endpoint.name
        self._variants = endpoint.variants
        self._change = endpoint.change
        self._apply = apply
        self._roster = Roster(endpoint.name, endpoint.variants, fleet, router)
        # Instances of a deployment that is under way.
        self._newcomers: Crew = {}
        self._is_deleting = endpoint.status is Status.DELETING
        self._ordered = asyncio.Event()
        if self._is_deleting:
            self._ordered.set()
        self._task = asyncio.create_task(self._run(endpoint.status))
        self._task.add_done_callback(self._log_failure)

    # --- what others may ask ----------------------------------------------------------------------

    def healthy_count(self, variant_name: str) -> int:
        """Return how many instances of a variant answer now."""
        return self._roster.healthy_count(variant_name)

    def newcomer_count(self, variant_name: str) -> int:
        """Return how many instances of a deployment's variant are up, that gets no requests yet."""
        return sum(each.is_healthy for each in self._newcomers.get(variant_name, ()))

    def change(self, change: Change) -> None:
        """Make a change; the endpoint's record already says so."""
        self._change = change
        self._ordered.set()

    def delete(self) -> None:
        """Take the endpoint down; its record already says so."""
        self._is_deleting = True
        self._ordered.set()

    async def close(self) -> None:
        """Stop looking after the endpoint, as when the cloud ends."""
        self._task.cancel()
        await asyncio.wait((self._task,))
        await self._roster.close()

    # --- the task ---------------------------------------------------------------------------------

    async def _run(self, status: Status) -> None:
        work = self._begin(self._take_up(status))
        try:
            while True:
                await self._ordered.wait()
                self._ordered.clear()
                # Orders come when the endpoint has settled: all that may go on then is the start
                # of instances that were lost.
                work.cancel()
                await asyncio.wait((work,))
                if self._is_deleting:
                    break
                work = self._begin(self._make_change())
        finally:
            work.cancel()
            await asyncio.wait((work,))
        await self._roster.end()
        await self._settle(Event.DELETED)

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        task.add_done_callback(self._log_failure)
        return task

    def _log_failure(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error(
                "endpoint %s is no longer looked after", self._name, exc_info=task.exception()
            )

    async def _take_up(self, status: Status) -> None:
        """Do what a state asks for, of an endpoint that is new or that a cloud before left."""
        match status:
            case Status.CREATING:
                await self._create()
            case Status.SYSTEM_UPDATING:
                await self._recover()
            case Status.UPDATING:
                self._roster.serve(self._variants)
                await self._revive()
                await self._make_change()
            case Status.ROLLING_BACK:
                self._roster.serve(self._variants)
                failures = await self._revive()
                await self._settle_unless_lost(Event.ROLLED_BACK, failures)
            case _:
                pass

    async def _create(self) -> None:
        """Start every instance, or give up on the endpoint as soon as one does not come up."""
        try:
            await self._roster.start_all(self._roster.missing(self._variants), self._roster.join)
        except VariantFailedError as error:
            await self._fail(error.failure_reason)
        else:
            await self._settle(Event.ALL_STARTED, then=lambda: self._roster.serve(self._variants))

    async def _fail(self, reason: str) -> None:
        await self._roster.stop_all()
        await self._settle(Event.START_FAILED, failure_reason=reason)

    # --- instances that were lost -----------------------------------------------------------------

    async def _recover(self) -> None:
        """Start again what ran before the cloud ended.

        It is back as soon as every variant that is given requests answers, or when all was tried
        and some of it does.
        """
        self._roster.serve(self._variants)
        has_recovered = False

        async def on_each() -> None:
            nonlocal has_recovered
            if not has_recovered and self._roster.can_serve(self._variants):
                has_recovered = True
                await self._settle(Event.RECOVERED)

        failures = await self._revive(on_each)
        if has_recovered:
            await self._heal()
        else:
            await self._settle_unless_lost(Event.RECOVERED, failures)

    async def _settle_unless_lost(self, event: Event, failures: list[str]) -> None:
        """Go back into service, and heal, with what came back; fail when nothing did."""
        if self._roster.is_empty:
            self._roster.withdraw()
            await self._fail(failures[0])
        else:
            await self._settle(event)
            await self._heal()

    async def _revive(self, then: Callable[[], Awaitable[None]] | None = None) -> list[str]:
        """Start what is missing, each once; return why some of it did not come up."""
        failures: list[str] = []

        async def revive(variant: Variant) -> None:
            try:
                instance = await self._roster.start(variant)
            except VariantFailedError as error:
                failures.append(error.failure_reason)
                return
            self._roster.join(variant, instance)
            if then is not None:
                await then()

        async with asyncio.TaskGroup() as group:
            for variant in self._roster.missing(self._variants):
                group.create_task(revive(variant))
        return failures

    async def _heal(self) -> None:
        """Try, ever more slowly, until nothing is missing."""
        pause_s = limits.RESTART_BACKOFF_FIRST_S
        while self._roster.missing(self._variants):
            await asyncio.sleep(pause_s)
            for reason in await self._revive():
                log.warning("endpoint %s: %s", self._name, reason)
            pause_s = min(2 * pause_s, limits.HEAL_BACKOFF_MAX_S)

    # --- changes ----------------------------------------------------------------------------------

    async def _make_change(self) -> None:
        assert self._change is not None, "a change was ordered"
        if self._change.kind == "deployment":
            failure = await self._deploy(self._change)
            event = Event.UPDATE_FAILED
        else:
            failure = await self._rescale(self._change)
            event = Event.CAPACITY_FAILED
        self._change = None
        if failure is not None and self._roster.is_empty:
            # What served did not come back after a restart, and what was to replace it did not
            # come up.
            self._roster.withdraw()
            await self._fail(failure)
            return
        if failure is not None:
            await self._settle(event, failure_reason=failure)
            if event is Event.CAPACITY_FAILED:
                await self._settle(Event.ROLLED_BACK)
        await self._heal()

    async def _deploy(self, change: Change) -> str | None:
        """Start a new fleet, and move all requests to it once it is whole; else end it.

        The value is why it did not come up, None when it did.
        """
        newcomers = self._newcomers = {each.name: [] for each in change.variants}

        def take(variant: Variant, instance: Instance) -> None:
            newcomers[variant.name].append(instance)

        def switch() -> None:
            self._variants = change.variants
            self._newcomers = {}
            self._roster.serve(change.variants, newcomers)

        wanted = [each for each in change.variants for _ in range(each.instance_count)]
        try:
            await self._roster.start_all(wanted, take)
        except VariantFailedError as error:
            self._newcomers = {}
            self._roster.dismiss(each for crew in newcomers.values() for each in crew)
            return error.failure_reason
        await self._settle(Event.UPDATED, then=switch)
        return None

    async def _rescale(self, change: Change) -> str | None:
        """Start what is added, then take new weights and end what is too much; or go back.

        What is missing of what was there before is not this change's to wait for. The value is why
        something did not come up, None when all did.
        """
        before = {each.name: each.instance_count for each in self._variants}
        wanted = [
            variant
            for variant in change.variants
            for _ in range(variant.instance_count - before[variant.name])
        ]
        added: list[Instance] = []

        def take(variant: Variant, instance: Instance) -> None:
            added.append(instance)
            self._roster.join(variant, instance)

        def switch() -> None:
            self._variants = change.variants
            self._roster.serve(change.variants)

        try:
            await self._roster.start_all(wanted, take)
        except VariantFailedError as error:
            self._roster.leave(added)
            return error.failure_reason
        await self._settle(Event.UPDATED, then=switch)
        return None

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
