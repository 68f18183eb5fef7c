"""Runs a plan in load processes of its own, and gathers what they measured.

The processes are started anew and tied to this one; this process never imports Locust. One plan
is one head with its only node, or a master with workers, all on this machine. Credentials that
expire during the run are renewed here and handed to every load process before they do.
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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from windtunnel.aws import sigv4
from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError, WindtunnelError
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


class Signer(Protocol):
    """Whose requests they are; credentials that can be renewed are, when asked for."""

    def credentials_expire_within(self, span_s: float) -> bool:
        """Say whether credentials that can be renewed should be."""
        ...

    def signing_credentials(self) -> sigv4.Credentials:
        """Return the credentials as they are now, renewed where they must be."""
        ...


@dataclass(frozen=True)
class Tick:
    """What one worker saw in the last second."""

    worker: int
    at_s: float
    # In an open loop: requests that are out.
    users: int
    requests: int
    failures: int
    latencies_s: list[float]
    # Since the run began.
    dropped: int = 0


class Conductor:
    """One run in the making."""

    def __init__(
        self,
        plan: Plan,
        signer: Signer,
        on_tick: Callable[[Tick], None],
        watch: Callable[[Tick], str | None] = lambda _tick: None,
    ) -> None:
        """`watch` may end the run early by saying why; what was measured is kept."""
        # Why credentials could not be renewed, if so.
        self.warnings: list[str] = []
        # Why the run was ended early, if not by a person.
        self.stopped_because: str | None = None
        self._watch = watch
        self._plan = plan
        self._signer = signer
        self._credentials = signer.signing_credentials()
        # What load processes read their orders from.
        self._pipes: list[int] = []
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
            renewing = asyncio.create_task(self._renew())
            try:
                role = "local" if self._plan.processes == 1 else "master"
                head = await self._start(directory, role)
                loop = asyncio.get_running_loop()
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(number, self._interrupt, head)
                events = await self._follow(head, directory)
            finally:
                renewing.cancel()
                await self._supervisor.stop_all(_STOP_GRACE_S)
                for pipe in self._pipes:
                    os.close(pipe)
            if "finished" not in events:
                raise NotReadyError(
                    f"The load process ended before the run did:\n{self._complaint()}"
                )
            return self._gather(Path(directory), events)

    async def _start(self, directory: str, role: str, *words: str) -> Process:
        read_end, write_end = os.pipe()
        # Whoever does not read must not keep the others waiting.
        os.set_blocking(write_end, False)
        # The orders come first: renewed credentials go to the pipes that are listed.
        _tell(write_end, Orders(self._plan, self._credentials, directory).to_text())
        self._pipes.append(write_end)
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
        assert process.stderr is not None
        self._spawn_reader(process.stderr)
        return process

    def _spawn_reader(self, stream: asyncio.StreamReader) -> None:
        async def read() -> None:
            async for line in stream:
                self._complaints.append(line.decode("utf-8", "replace").rstrip())
                del self._complaints[: -10 * _COMPLAINT_LINES_MAX]

        self._readers.add(asyncio.create_task(read()))

    async def _follow(self, head: Process, directory: str) -> dict[str, dict[str, Any]]:
        """Act on what the head tells until it ends; return the last event of each name."""
        events: dict[str, dict[str, Any]] = {}
        assert head.stdout is not None
        async for line in head.stdout:
            event = json.loads(line)
            name = event.pop("event")
            events[name] = event
            if name == "tick":
                self._take(Tick(**event), head)
            elif name == "listening":
                for _ in range(self._plan.processes):
                    worker = await self._start(directory, "worker", str(event["port"]))
                    assert worker.stdout is not None
                    self._spawn_reader(worker.stdout)
        await head.wait()
        return events

    def _take(self, tick: Tick, head: Process) -> None:
        self._on_tick(tick)
        if self.stopped_because is None and (why := self._watch(tick)):
            self.stopped_because = why
            with contextlib.suppress(ProcessLookupError):
                head.send_signal(signal.SIGINT)

    async def _renew(self) -> None:
        """Renew credentials before they expire, for as long as the run goes on."""
        signer = self._signer
        while True:
            await asyncio.sleep(limits.CREDENTIALS_CHECK_S)
            if not signer.credentials_expire_within(limits.CREDENTIALS_RENEWAL_S):
                continue
            try:
                # It may run a program, or ask a service.
                fresh = await asyncio.to_thread(signer.signing_credentials)
            except WindtunnelError as error:
                warning = f"The credentials could not be renewed during the run: {error}"
                if warning not in self.warnings:
                    self.warnings.append(warning)
                continue
            if fresh != self._credentials:
                self._credentials = fresh
                for pipe in self._pipes:
                    _tell(pipe, json.dumps(asdict(fresh)))

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
            stopped_because=self.stopped_because,
        )

    def _complaint(self) -> str:
        return "\n".join(self._complaints[-_COMPLAINT_LINES_MAX:])


def _tell(pipe: int, line: str) -> None:
    """Write a line to a load process: a few kilobytes, of which a pipe holds 64."""
    # One that has ended, or reads no more, is lost to the run already, which notices it elsewhere.
    with contextlib.suppress(BrokenPipeError, BlockingIOError):
        os.write(pipe, f"{line}\n".encode())


def _environment() -> dict[str, str]:
    """Return the environment of a load process: this one's, less what leads Locust elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
