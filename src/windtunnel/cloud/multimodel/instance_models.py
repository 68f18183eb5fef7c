"""The models of one instance: brought when a request wants one, gone when another needs the room.

A thin loop around `books.py`. Rules: a model is fetched and loaded once, however many requests wait
for it; a model that a request has or waits for is not unloaded; a request that waits is told in any
case, that its model is there or why it is not.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

from windtunnel.cloud.cloudwatch.usage import memory_bytes
from windtunnel.cloud.errors import CloudError, InvalidError, UnavailableError
from windtunnel.cloud.fleet.model_data import ModelDataError
from windtunnel.cloud.multimodel.books import (
    Holding,
    LoadFailedError,
    Phase,
    Ready,
    can_hope,
    choose_victim,
    is_over,
)
from windtunnel.cloud.multimodel.container_api import ContainerApi
from windtunnel.cloud.multimodel.source import ModelSource, model_id
from windtunnel.core.clock import Clock

log = logging.getLogger(__name__)

_OK = 200
_CONFLICT = 409
_NO_ROOM = 507


class Data(Protocol):
    """A model's data on this machine."""

    @property
    def directory(self) -> Path: ...  # noqa: D102

    @property
    def unpacked_bytes(self) -> int: ...  # noqa: D102


# A URL and how long to wait for it.
Fetch = Callable[[str, float], Awaitable[Data]]
# A variant's metric and how many seconds it took.
Report = Callable[[ModelSource, str, float], None]


class InstanceModels:
    """What one instance holds of its variant's models."""

    def __init__(
        self, source: ModelSource, address: str, fetch: Fetch, report: Report, clock: Clock
    ) -> None:
        self._source = source
        self._container = ContainerApi(address)
        self._fetch = fetch
        self._report = report
        self._clock = clock
        self._memory_bytes = memory_bytes(source.instance_type)
        self._holdings: dict[str, Holding] = {}
        self._uses = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- for the router -------------------------------------------------------------------------

    def holds(self, model: str) -> bool:
        """Say whether a model is here, or on its way."""
        return model in self._holdings

    @property
    def loaded_count(self) -> int:
        """How many models take requests."""
        return sum(each.is_loaded for each in self._holdings.values())

    def acquire(self, model: str, ready: Ready) -> Holding:
        """Keep a model for one request, until `release`.

        Unless it is loaded already, `ready` is called later.
        """
        holding = self._holdings.get(model)
        if holding is None:
            holding = self._holdings[model] = Holding()
            self._start(self._load(model, holding))
        self._uses += 1
        holding.used = self._uses
        holding.in_hand += 1
        if not holding.is_loaded:
            holding.waiters.append(ready)
        return holding

    def release(self, model: str, holding: Holding, ready: Ready) -> None:
        """Let a model go for one request, which may have waited for it in vain."""
        if ready in holding.waiters:
            holding.waiters.remove(ready)
        holding.in_hand -= 1
        self._changed.set()
        self._drop_if_unwanted(model, holding)

    def forget(self, model: str) -> None:
        """Take note that the container does not have a model, whatever it said before."""
        holding = self._holdings.get(model)
        if holding is not None and holding.is_loaded:
            del self._holdings[model]
            self._changed.set()

    def close(self) -> None:
        """Give everything up: the instance is gone."""
        for task in self._tasks:
            task.cancel()
        gone = UnavailableError("The instance was taken away while its model was loaded.")
        holdings, self._holdings = self._holdings, {}
        for holding in holdings.values():
            _tell(holding, gone)
        self._container.close()

    # --- coming and going -----------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _drop_if_unwanted(self, model: str, holding: Holding) -> None:
        is_idle = holding.is_loaded and not holding.in_hand
        is_here = self._holdings.get(model) is holding
        if is_here and is_idle and not self._source.is_cached:
            self._start(self._unload(model))

    async def _load(self, model: str, holding: Holding) -> None:
        error: CloudError | None = None
        try:
            await self._bring(model, holding)
        except CloudError as caught:
            error = caught
        except Exception:
            log.exception("model %s could not be loaded", model)
            error = UnavailableError("Windtunnel failed inside while it loaded the model.")
        if error is None:
            holding.phase = Phase.LOADED
        elif self._holdings.get(model) is holding:
            del self._holdings[model]
        _tell(holding, error)
        self._changed.set()
        self._drop_if_unwanted(model, holding)

    async def _bring(self, model: str, holding: Holding) -> None:
        directory = await self._download(model, holding)
        while is_over(self._holdings, self._memory_bytes):
            if not await self._free_one(model):
                # Alone it may still fit: the container knows better.
                break
        while True:
            started_s = self._clock.monotonic_s()
            answer = await self._container.load(model_id(model), directory, model)
            if answer.status in (_OK, _CONFLICT):
                self._report_since("ModelLoadingTime", started_s)
                return
            if answer.status != _NO_ROOM or not await self._free_one(model):
                raise LoadFailedError(answer.status, answer.text)

    async def _download(self, model: str, holding: Holding) -> Path:
        bucket, key = self._source.locate(model)
        started_s = self._clock.monotonic_s()
        try:
            data = await self._fetch(f"s3://{bucket}/{key}", self._source.download_timeout_s)
        except ModelDataError as error:
            raise InvalidError(_failed_download(bucket, key, error)) from error
        self._report_since("ModelDownloadingTime", started_s)
        holding.size_bytes = self._source.size_bytes(data.unpacked_bytes)
        return data.directory

    async def _free_one(self, model: str) -> bool:
        """Unload the model that was used longest ago, once there is one; say if there is hope."""
        holding = self._holdings[model]
        while True:
            victim = choose_victim(self._holdings)
            if victim is not None:
                await self._unload(victim)
                return True
            if not can_hope(self._holdings, model):
                return False
            holding.is_stuck = True
            count = len(self._holdings)
            self._changed.clear()
            await self._changed.wait()
            holding.is_stuck = False
            if len(self._holdings) < count:
                return True

    async def _unload(self, model: str) -> None:
        holding = self._holdings[model]
        holding.phase = Phase.UNLOADING
        started_s = self._clock.monotonic_s()
        try:
            answer = await self._container.unload(model_id(model), model)
        except LoadFailedError as error:
            log.warning("model %s was not unloaded: %s", model, error.original)
        else:
            self._report_since("ModelUnloadingTime", started_s)
            if answer.status != _OK:
                log.warning("model %s was not unloaded: %d %s", model, answer.status, answer.text)
        if holding.waiters:
            # It was asked for meanwhile.
            holding.phase = Phase.LOADING
            holding.size_bytes = 0
            self._start(self._load(model, holding))
        elif self._holdings.get(model) is holding:
            del self._holdings[model]
        self._changed.set()

    def _report_since(self, metric: str, started_s: float) -> None:
        self._report(self._source, metric, self._clock.monotonic_s() - started_s)


def _tell(holding: Holding, error: CloudError | None) -> None:
    waiters, holding.waiters = holding.waiters, []
    for ready in waiters:
        ready(error)


def _failed_download(bucket: str, key: str, error: ModelDataError) -> str:
    """Return AWS's words for a model that is not there, or is no archive; then ours."""
    where = f"(bucket: {bucket}, key: {key})"
    if error.is_unusable:
        return (
            f"Failed to extract model data archive{where}. Please ensure that the object located at"
            f" the URL is a valid tar.gz archive. {error.reason}"
        )
    return (
        f"Failed to download model data{where}. Please ensure that there is an object located at"
        " the URL and that the role passed to CreateModel has permissions to download the object."
        f" {error.reason}"
    )
