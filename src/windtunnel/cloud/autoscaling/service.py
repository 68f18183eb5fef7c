"""Application Auto Scaling: its operations by AWS's names, and the task that goes round."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from windtunnel.cloud.autoscaling.actions import Actions
from windtunnel.cloud.autoscaling.activities import Activities
from windtunnel.cloud.autoscaling.book import Book, Endpoints
from windtunnel.cloud.autoscaling.policies import Policies
from windtunnel.cloud.autoscaling.scaler import Scaler
from windtunnel.cloud.autoscaling.tagging import Tagging
from windtunnel.cloud.autoscaling.targets import Targets
from windtunnel.cloud.cloudwatch.alarms.service import Alarms
from windtunnel.cloud.errors import UnavailableError
from windtunnel.cloud.sagemaker.records import Endpoint
from windtunnel.cloud.store.store import Store
from windtunnel.cloud.tempo import REAL, Tempo
from windtunnel.core.clock import Clock

log = logging.getLogger(__name__)

# How often the loop looks whether something is due; a look at nothing takes microseconds a target.
_ROUND_INTERVAL_S = 0.25
# After the disk could not take what was decided. Guess.
_BACKOFF_S = 5.0

Operation = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class AutoScaling:
    """The scalable targets of one home."""

    def __init__(
        self,
        store: Store,
        alarms: Alarms,
        endpoints: Endpoints,
        clock: Clock,
        *,
        region: str,
        tempo: Tempo = REAL,
    ) -> None:
        self._book = Book(store, alarms, clock, region)
        self._scaler = Scaler(self._book, endpoints, clock, tempo)
        self._targets = Targets(self._book, endpoints)
        self._policies = Policies(self._book)
        self._actions = Actions(self._book)
        self._activities = Activities(self._book)
        self._tagging = Tagging(self._book)
        self._is_ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def operations(self) -> Mapping[str, Operation]:
        """Return what the API can ask for; answers wait until the endpoints are known."""
        operations: dict[str, Operation] = {
            "RegisterScalableTarget": self._targets.register,
            "DescribeScalableTargets": self._targets.describe,
            "DeregisterScalableTarget": self._targets.deregister,
            "PutScalingPolicy": self._policies.put,
            "DescribeScalingPolicies": self._policies.describe,
            "DeleteScalingPolicy": self._policies.delete,
            "PutScheduledAction": self._actions.put,
            "DescribeScheduledActions": self._actions.describe,
            "DeleteScheduledAction": self._actions.delete,
            "DescribeScalingActivities": self._activities.describe,
            "ListTagsForResource": self._tagging.list,
            "TagResource": self._tagging.tag,
            "UntagResource": self._tagging.untag,
        }
        return {name: functools.partial(self._when_ready, run) for name, run in operations.items()}

    # --- for others in this process ---------------------------------------------------------------

    def action_error(self, action: str) -> str | None:
        """Return what is wrong with an alarm's action, None where it names a policy."""
        # Before the policies are read none is known to be missing.
        return self._policies.action_error(action) if self._is_ready.is_set() else None

    async def scaled_variants(self, endpoint: Endpoint) -> frozenset[str]:
        """Return the names of an endpoint's variants that are scalable targets."""
        await self._is_ready.wait()
        return self._targets.variants_of(endpoint)

    # --- start and end of the cloud ---------------------------------------------------------------

    async def resume(self) -> None:
        """Read what the store has, take up what is under way; the endpoints must be known."""
        await self._book.load()
        self._scaler.open()
        self._is_ready.set()

    async def open(self) -> None:
        """Read what the store has, and begin to go round; the endpoints must be known."""
        await self.resume()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Go round no more; what is under way is the next cloud's."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def round(self) -> None:
        """Go round once: what `open` does every moment."""
        await self._scaler.round()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_ROUND_INTERVAL_S)
            try:
                await self._scaler.round()
            except UnavailableError as error:
                log.warning("What scaling does could not be kept, and waits: %s", error.message)
                await asyncio.sleep(_BACKOFF_S)
            except Exception:
                # What fails once may go well in a moment; the targets must not be left alone.
                log.exception("a round of scaling failed")

    async def _when_ready(self, run: Operation, request: dict[str, Any]) -> dict[str, Any]:
        await self._is_ready.wait()
        return await run(request)
