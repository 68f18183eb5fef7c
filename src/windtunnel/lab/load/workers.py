"""The load processes of a host that works for a master elsewhere.

They need nothing but credentials: what to send, where and when comes from the master. This process
starts them, renews the credentials, and says how it went; the results are the master's.
"""

import asyncio
import contextlib
import json
import signal
from asyncio.subprocess import Process
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from windtunnel.core import limits
from windtunnel.lab.load.processes import LoadProcesses, Signer
from windtunnel.lab.quantities import format_duration

_REFUSED, _INTERRUPTED = 4, 130
# Between two signs of life of a worker that waits. Guess.
_REMINDER_PERIOD_S = 30.0


class Workers:
    """Some workers of one host."""

    def __init__(
        self,
        signer: Signer,
        host: str,
        port: int,
        count: int,
        *,
        endpoint_name: str | None,
        patience_s: float = limits.LOAD_WORKERS_TIMEOUT_S,
        say: Callable[[str], None],
    ) -> None:
        self._processes = LoadProcesses(signer)
        self._host = host
        self._port = port
        self._count = count
        # The endpoint that this host means to send to; None: whichever the master names.
        self._endpoint_name = endpoint_name
        # How long the master may take to come.
        self._patience_s = patience_s
        self._say = say
        self._said: set[str] = set()
        self._requests = 0
        self._is_enlisted = False
        # Processes whose end somebody explained.
        self._explained: set[int] = set()
        self._is_interrupted = False

    def run(self) -> int:
        """Work until the run is over; return the exit status."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        place = f"{self._host}:{self._port}"
        self._tell(f"working for the master at {place}; waiting until it is there")
        beside = [
            asyncio.create_task(self._processes.renew()),
            asyncio.create_task(self._remind(place)),
        ]
        credentials = json.dumps(asdict(self._processes.credentials))
        words = (self._host, str(self._port), self._endpoint_name or "", str(self._patience_s))
        try:
            started = [
                await self._processes.start("worker", credentials, *words)
                for _ in range(self._count)
            ]
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._interrupt, started)
            await asyncio.gather(*(self._follow(process) for process in started))
        finally:
            for task in beside:
                task.cancel()
            await self._processes.stop()
        if self._is_interrupted:
            left = "the master has what was measured so far, and calls it invalid"
            self._tell(f"interrupted: {left if self._is_enlisted else 'no master had come'}")
            return _INTERRUPTED
        if all(process.returncode == 0 for process in started):
            self._tell(f"done: {self._requests:,} requests sent; the master has the results")
            return 0
        for line in self._processes.complaint().strip().splitlines():
            self._say(line)
        return _REFUSED

    async def _remind(self, place: str) -> None:
        """Say now and then that no master has come yet."""
        waited_s = 0.0
        while not self._is_enlisted:
            await asyncio.sleep(_REMINDER_PERIOD_S)
            waited_s += _REMINDER_PERIOD_S
            if not self._is_enlisted and not self._explained:
                waited, whole = format_duration(waited_s), format_duration(self._patience_s)
                self._tell(f"no master at {place} yet: waiting for {waited} of {whole}")

    async def _follow(self, process: Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            # What a library prints there is no event of ours.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self._take(json.loads(line), process.pid)
        status = await process.wait()
        if status and process.pid not in self._explained and not self._is_interrupted:
            how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
            self._tell(f"process {process.pid} was ended {how} before the run was over")

    def _take(self, event: dict[str, Any], pid: int) -> None:
        name = event["event"]
        if name != "enlisted":
            self._explained.add(pid)
        if name == "enlisted":
            self._is_enlisted = True
            self._tell(f"sends to endpoint {event['endpoint']} at {event['url']}")
        elif name == "refused":
            self._tell(f"turned away: {event['why']}")
        elif name == "alone":
            self._tell(
                f"no master answered at {self._host}:{self._port} within "
                f"{format_duration(self._patience_s)}: gave up"
            )
        elif name == "dismissed":
            self._tell("the master ended before this worker was through")
        elif name == "orphaned":
            self._tell(
                f"the master fell silent for {limits.LOAD_HEAD_SILENCE_S:.0f} s: stopped sending, "
                "as nobody counts any more"
            )
        elif name == "done":
            self._requests += event["requests"]

    def _interrupt(self, started: list[Process]) -> None:
        self._is_interrupted = True
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()

    def _tell(self, text: str) -> None:
        """Say something once: all processes of a host say the same."""
        if text not in self._said:
            self._said.add(text)
            self._say(f"worker    {text}")
