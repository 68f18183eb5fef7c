"""The S3 process from the cloud's side: started, awaited, and started again when it dies.

A crash costs the requests in flight a 503; what was acknowledged is on disk, and the next process
sweeps what was half done.
"""

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path

from windtunnel.cloud.fleet.life import backoff_s
from windtunnel.core.errors import NotReadyError
from windtunnel.core.home import Home
from windtunnel.core.supervision import Supervisor

log = logging.getLogger(__name__)

# It is up in a quarter of a second on an idle machine; a loaded one is given time.
_START_TIMEOUT_S = 30.0
_POLL_INTERVAL_S = 0.01
_STOP_GRACE_S = 5.0


class S3Process:
    """Keeps one S3 process alive on its socket."""

    def __init__(self, supervisor: Supervisor, home: Home, socket_path: Path) -> None:
        self._supervisor = supervisor
        self._home = home
        self._socket_path = socket_path
        self._log_path = home.logs / "s3.log"
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start the process and wait until it answers; keep it alive from then on."""
        self._process = await self._start()
        await self._wait_ready(self._process)
        self._keeping = asyncio.create_task(self._keep(self._process))

    async def close(self) -> None:
        """End the process for good."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._process is not None:
            await self._supervisor.stop(self._process, _STOP_GRACE_S)

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        failure_count = 0
        while True:
            await process.wait()
            log.error(
                "The S3 process ended (status %s) and is started again; its log is %s.",
                process.returncode,
                self._log_path,
            )
            await asyncio.sleep(backoff_s(failure_count))
            self._process = process = await self._start()
            try:
                await self._wait_ready(process)
                failure_count = 0
            except NotReadyError:
                failure_count += 1

    async def _start(self) -> asyncio.subprocess.Process:
        with self._log_path.open("ab") as output:
            return await self._supervisor.start(
                [
                    *(sys.executable, "-m", "windtunnel.cloud.foundation.s3"),
                    *("--root", str(self._home.objects)),
                    *("--socket", str(self._socket_path)),
                ],
                environment=dict(os.environ),
                output=output,
            )

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_TIMEOUT_S):
                while process.returncode is None:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_unix_connection(self._socket_path)
                        writer.close()
                        return
                    await asyncio.sleep(_POLL_INTERVAL_S)
        raise NotReadyError(f"The S3 process did not start: see {self._log_path}.")
