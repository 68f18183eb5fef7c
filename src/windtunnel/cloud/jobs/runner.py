"""Drives one job to its end.

A thin loop: which state follows is `lifecycle.py`'s, what is done the `workshop.py`'s. Rules: a job
waits for its turn; its time counts from there; stopping or running out of time kills the work, but
what is being delivered is delivered whole; when the cloud ends, nothing is committed of a job whose
work was cut short.
"""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from windtunnel.cloud.jobs.compiler_process import CompilationFailedError
from windtunnel.cloud.jobs.lifecycle import Event
from windtunnel.cloud.jobs.records import CompilationJob, Product
from windtunnel.cloud.jobs.workshop import Bench, Workshop
from windtunnel.core import limits

log = logging.getLogger(__name__)


class Apply(Protocol):
    """Commits a transition of the job."""

    def __call__(
        self, event: Event, *, failure_reason: str = "", product: Product | None = None
    ) -> Awaitable[object]:
        """Commit the transition that an event brings."""
        ...


@dataclass(frozen=True)
class _Outcome:
    event: Event
    failure_reason: str = ""
    product: Product | None = None


class Runner:
    """One job and the task that does it."""

    def __init__(
        self, job: CompilationJob, workshop: Workshop, turns: asyncio.Semaphore, apply: Apply
    ) -> None:
        self._job = job
        self._workshop = workshop
        self._turns = turns
        self._apply = apply
        self._is_stopping = False
        # From here on the work is not cut short any more.
        self._is_delivering = False
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._log_failure)

    def stop(self) -> None:
        """Kill the work; the job's record already says so."""
        self._is_stopping = True
        if not self._is_delivering:
            self._task.cancel()

    async def close(self) -> None:
        """Cut the work short, as when the cloud ends."""
        if not self._is_delivering:
            self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            async with self._turns:
                await self._apply(Event.STARTED)
                outcome = await self._work()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._is_stopping or task is None:
                raise
            task.uncancel()
            outcome = _Outcome(Event.STOPPED)
        await self._apply(
            outcome.event, failure_reason=outcome.failure_reason, product=outcome.product
        )

    async def _work(self) -> _Outcome:
        """Do the job; return what came of it, whatever it is."""
        try:
            async with self._workshop.bench(self._job) as bench:
                outcome = await self._tried(bench)
                if outcome.failure_reason:
                    self._workshop.say(bench, outcome.failure_reason)
        except Exception as error:
            log.exception("compilation job %s failed inside", self._job.name)
            reason = f"InternalError: {error!r}. The log of `windtunnel up` has the rest."
            return _Outcome(Event.FAILED, reason)
        return outcome

    async def _tried(self, bench: Bench) -> _Outcome:
        condition = self._job.request["stopping_condition"]
        runtime_s = condition.get("max_runtime_in_seconds") or limits.COMPILATION_RUNTIME_S
        limit = asyncio.timeout(runtime_s)
        try:
            async with limit:
                made = await self._workshop.make(bench)
                self._is_delivering = True
                limit.reschedule(None)
            product = await self._workshop.deliver(bench, made)
            return _Outcome(Event.COMPLETED, product=product)
        except CompilationFailedError as error:
            # What is begun to be delivered is delivered whole, of a failure, too.
            self._is_delivering = True
            explained = await self._workshop.explain(bench, error)
            return _Outcome(Event.FAILED, explained.failure_reason)
        except TimeoutError:
            if not limit.expired():
                raise
            return _Outcome(Event.FAILED, _overdue(runtime_s))

    def _log_failure(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error(
                "compilation job %s is no longer looked after",
                self._job.name,
                exc_info=task.exception(),
            )


def _overdue(runtime_s: float) -> str:
    return (
        f"ClientError: TimeOut: the job was not done after {runtime_s} s and was ended: allow more "
        "with StoppingCondition.MaxRuntimeInSeconds, or compile a smaller model or shape."
    )
