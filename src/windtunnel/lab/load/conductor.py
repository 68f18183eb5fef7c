"""Runs a plan in load processes of its own, and gathers what they measured.

The processes are started anew and tied to this one; this process never imports Locust. One plan
is one head with its only node, or a master with workers, all on this machine.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from windtunnel.aws import sigv4
from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError
from windtunnel.core.supervision import Supervisor, new_generation
from windtunnel.lab.load.plan import Orders, Plan
from windtunnel.lab.measurement import Measurement, WorkerOutcome

# Written by the head, which this process cannot import.
_OUTCOME_FILE = "outcome.json"
_DTYPES = {
    "due_s": "<f8",
    "sent_s": "<f8",
    "done_s": "<f8",
    "status": "<u2",
    "bytes": "<i8",
    "error": "<u2",
    "worker": "<u2",
}
# What a load process said on stderr, to be quoted when it fails.
_COMPLAINT_LINES_MAX = 20
# From SIGTERM to SIGKILL, when everything was written and a process still stands.
_STOP_GRACE_S = 5.0


@dataclass(frozen=True)
class Tick:
    """What one worker saw in the last second."""

    worker: int
    at_s: float
    users: int
    requests: int
    failures: int
    latencies_s: list[float]


class Conductor:
    """One run in the making."""

    def __init__(
        self, plan: Plan, credentials: sigv4.Credentials, on_tick: Callable[[Tick], None]
    ) -> None:
        self._plan = plan
        self._credentials = credentials
        self._on_tick = on_tick
        self._supervisor = Supervisor(new_generation("load"))
        self._complaints: list[str] = []
        self._interrupts = 0
        self._readers: set[asyncio.Task[None]] = set()

    def run(self) -> Measurement:
        """Run the plan to its end, or to SIGINT or SIGTERM; return what was measured."""
        return asyncio.run(self._run())

    async def _run(self) -> Measurement:
        with tempfile.TemporaryDirectory(prefix="windtunnel-load-") as directory:
            orders = Orders(self._plan, self._credentials, directory)
            try:
                head = await self._start(orders, "local" if self._plan.processes == 1 else "master")
                loop = asyncio.get_running_loop()
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(number, self._interrupt, head)
                events = await self._follow(head, orders)
            finally:
                await self._supervisor.stop_all(_STOP_GRACE_S)
            if "finished" not in events:
                raise NotReadyError(
                    f"The load process ended before the run did:\n{self._complaint()}"
                )
            return self._gather(Path(directory), events)

    async def _start(self, orders: Orders, role: str, *words: str) -> Process:
        read_end, write_end = os.pipe()
        try:
            process = await self._supervisor.start(
                [
                    sys.executable,
                    *("-m", "windtunnel.lab.load.generator", role, str(read_end), *words),
                ],
                environment=_environment(),
                output=PIPE,
                descriptors=[read_end],
            )
        finally:
            os.close(read_end)
        # Orders are a few hundred bytes, a pipe holds 64 KiB: this never waits.
        with os.fdopen(write_end, "w") as pipe:
            pipe.write(orders.to_text())
        assert process.stderr is not None
        self._spawn_reader(process.stderr)
        return process

    def _spawn_reader(self, stream: asyncio.StreamReader) -> None:
        async def read() -> None:
            async for line in stream:
                self._complaints.append(line.decode("utf-8", "replace").rstrip())
                del self._complaints[: -10 * _COMPLAINT_LINES_MAX]

        self._readers.add(asyncio.create_task(read()))

    async def _follow(self, head: Process, orders: Orders) -> dict[str, dict[str, Any]]:
        """Act on what the head tells until it ends; return the last event of each name."""
        events: dict[str, dict[str, Any]] = {}
        assert head.stdout is not None
        async for line in head.stdout:
            event = json.loads(line)
            name = event.pop("event")
            events[name] = event
            if name == "tick":
                self._on_tick(Tick(**event))
            elif name == "listening":
                for _ in range(self._plan.processes):
                    worker = await self._start(orders, "worker", str(event["port"]))
                    assert worker.stdout is not None
                    self._spawn_reader(worker.stdout)
        await head.wait()
        return events

    def _interrupt(self, head: Process) -> None:
        """End the run early; when asked a second time, without what was measured."""
        self._interrupts += 1
        with contextlib.suppress(ProcessLookupError):
            head.send_signal(signal.SIGINT if self._interrupts == 1 else signal.SIGKILL)

    def _gather(self, directory: Path, events: dict[str, dict[str, Any]]) -> Measurement:
        outcome = json.loads((directory / _OUTCOME_FILE).read_text())
        columns: dict[str, np.ndarray[Any, Any]] = {
            name: np.fromfile(directory / name, dtype=dtype) for name, dtype in _DTYPES.items()
        }
        workers = [
            WorkerOutcome(**told) if told else WorkerOutcome.lost() for told in outcome["workers"]
        ]
        if "begun" not in events and not outcome["is_interrupted"]:
            raise NotReadyError(
                f"The load processes were not ready within {limits.LOAD_START_TIMEOUT_S:.0f} s:\n"
                f"{self._complaint()}"
            )
        return Measurement.of(
            columns,
            workers,
            started_epoch_s=events.get("begun", {}).get("start_epoch_s", 0.0),
            is_interrupted=outcome["is_interrupted"],
            workers_lost=outcome["workers_lost"],
        )

    def _complaint(self) -> str:
        return "\n".join(self._complaints[-_COMPLAINT_LINES_MAX:])


def _environment() -> dict[str, str]:
    """Return the environment of a load process: this one's, less what leads Locust elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
