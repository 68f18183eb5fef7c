"""Model data on its way from S3: each object is fetched once, however many instances wait.

The fetching and unpacking is `fetch.py`'s, in processes of their own. Here is who waits for what:
instances that start together share one fetch, and it ends early only when the last of them has
given up. An object is the same as long as its ETag is: what was uploaded anew is fetched anew.
"""

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from windtunnel.cloud.fleet import health
from windtunnel.cloud.fleet.environment import base_environment
from windtunnel.cloud.fleet.model_data import Form, ModelDataError, split_url
from windtunnel.core import limits
from windtunnel.core.supervision import Supervisor

_STOP_GRACE_S = 2.0
_HEAD_TIMEOUT_S = 5.0
_ERROR_CHARACTERS_MAX = 300
_ENDING = "The cloud is ending."

# The URL, what becomes of it, and the ETag it had.
Version = tuple[str, Form, str]


@dataclass(frozen=True)
class ModelData:
    """An unpacked archive."""

    directory: Path
    archive_bytes: int
    unpacked_bytes: int


@dataclass
class _Fetch:
    task: "asyncio.Task[ModelData]"
    waiter_count: int = 0


class Downloads:
    """Fetches model data into the home's cache."""

    def __init__(self, supervisor: Supervisor, s3_socket: Path, models: Path) -> None:
        self._supervisor = supervisor
        self._s3_socket = s3_socket
        self._models = models
        self._slots = asyncio.Semaphore(limits.FETCH_COUNT_MAX)
        self._fetches: dict[Version, _Fetch] = {}
        self._known: dict[Version, ModelData] = {}
        self._is_closed = False

    async def get(
        self, url: str, form: Form = "archive", timeout_s: float = limits.MODEL_DATA_TIMEOUT_S
    ) -> ModelData:
        """Return the folder with a URL's model data, or raise `ModelDataError`.

        `timeout_s` is how long this caller waits; others who want the same may wait longer.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._get(url, form)
        except TimeoutError as error:
            raise ModelDataError(
                f"The model data {url} was not there after {timeout_s:.0f} s."
            ) from error

    async def _get(self, url: str, form: Form) -> ModelData:
        bucket, key = split_url(url, is_prefix=form == "prefix")
        version = (url, form, await self._etag(bucket, key))
        known = self._known.get(version)
        if known is not None and known.directory.is_dir():
            return known
        fetch = self._fetches.get(version)
        if self._is_closed:
            raise ModelDataError(_ENDING)
        if fetch is None:
            task = asyncio.create_task(self._fetch(url, form, bucket, key))
            fetch = self._fetches[version] = _Fetch(task)
        fetch.waiter_count += 1
        try:
            await asyncio.wait({fetch.task})
            if fetch.task.cancelled():
                raise ModelDataError(_ENDING)
            return fetch.task.result()
        finally:
            fetch.waiter_count -= 1
            if fetch.waiter_count == 0:
                # Done, or nobody wants it any more.
                if self._fetches.get(version) is fetch:
                    del self._fetches[version]
                fetch.task.cancel()
                await asyncio.wait({fetch.task})
                if not fetch.task.cancelled():
                    # Taken note of: whoever would have been told has given up.
                    fetch.task.exception()

    async def close(self) -> None:
        """Give up every fetch; those who wait for one are told."""
        self._is_closed = True
        tasks = {fetch.task for fetch in self._fetches.values()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _etag(self, bucket: str, key: str) -> str:
        """Return the object's ETag; the empty one where S3 cannot be asked just now."""
        address = f"unix:{self._s3_socket}"
        target = f"/{quote(bucket)}/{quote(key, safe='/~')}"
        reply = None
        # A restarting S3 is the fetcher's to wait for.
        with contextlib.suppress(OSError):
            reply = await health.ask(address, "HEAD", target, _HEAD_TIMEOUT_S)
        return "" if reply is None else reply.headers.get("etag", "")

    async def _fetch(self, url: str, form: Form, bucket: str, key: str) -> ModelData:
        async with self._slots:
            result = await self._run_fetcher(form, bucket, key)
        if "reason" in result:
            raise ModelDataError(str(result["reason"]), is_unusable=bool(result["is_unusable"]))
        data = ModelData(
            Path(str(result["directory"])),
            int(result["archive_bytes"]),
            int(result["unpacked_bytes"]),
        )
        if etag := str(result["etag"]):
            # What really came, should the object have changed since it was asked about.
            self._known[(url, form, etag)] = data
            while len(self._known) > limits.MODEL_CACHE_ENTRY_COUNT_MAX:
                del self._known[next(iter(self._known))]
        return data

    async def _run_fetcher(self, form: Form, bucket: str, key: str) -> dict[str, str | int]:
        options = {
            "--socket": str(self._s3_socket),
            "--bucket": bucket,
            "--key": key,
            "--form": form,
            "--into": str(self._models),
        }
        process = await self._supervisor.start(
            [
                *(sys.executable, "-I", "-m", "windtunnel.cloud.fleet.fetch"),
                # One word each: a key may begin with a dash.
                *(f"{name}={value}" for name, value in options.items()),
            ],
            environment=base_environment(),
            output=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate()
        finally:
            await self._supervisor.stop(process, _STOP_GRACE_S)
        if process.returncode != 0:
            said = err.decode(errors="replace").strip()[-_ERROR_CHARACTERS_MAX:]
            raise ModelDataError(f"Fetching the model data failed: {said}")
        result: dict[str, str | int] = json.loads(out)
        return result
