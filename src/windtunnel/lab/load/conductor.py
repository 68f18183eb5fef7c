"""Runs a plan in load processes of its own, and gathers what they measured.

This process never imports Locust. One plan is one head with its only node, or a master with
workers: processes of this machine that are started here, or those that join from other hosts.
"""

import asyncio
import contextlib
import json
import signal
import tempfile
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError, WindtunnelError
from windtunnel.lab.load.histogram import Histogram
from windtunnel.lab.load.outlets import Outlets
from windtunnel.lab.load.plan import Listening, Orders, Plan, write_bodies
from windtunnel.lab.load.processes import LoadProcesses, Signer
from windtunnel.lab.load.samples import COLUMNS, DTYPES
from windtunnel.lab.measurement import Measurement, WorkerOutcome

__all__ = ["Conductor", "Signer", "Tick"]

_COLUMNS = {**{name: DTYPES[code] for name, code in COLUMNS}, "worker": "<u2"}
# Where the workers of one machine find their master; 0: any port that is free.
_LOCAL = Listening("127.0.0.1", 0, limits.LOAD_START_TIMEOUT_S)


class NeverBegunError(WindtunnelError):
    """A person ended a run before it began."""

    # 128 + SIGINT, as of a run that was interrupted later.
    exit_code = 130


@dataclass(frozen=True)
class Tick:
    """What one worker saw in the last second."""

    worker: int
    at_s: float
    # In an open loop: requests that are out.
    users: int
    requests: int
    failures: int
    # Of the failures: answers of 500 and above.
    server_errors: int = 0
    # Of those that were answered well.
    latency: Histogram = field(default_factory=Histogram)
    # How late requests left.
    lag: Histogram = field(default_factory=Histogram)
    errors: Mapping[str, int] = field(default_factory=dict)
    # Since the run began.
    dropped: int = 0

    @classmethod
    def from_json(cls, words: Mapping[str, Any]) -> "Tick":
        """Return what a head told."""
        histograms = {name: Histogram.from_json(words[name]) for name in ("latency", "lag")}
        return cls(**{**words, **histograms})


def _ignore(_what: object) -> None:
    """Take what nobody wants to know."""


class Conductor:
    """One run in the making."""

    def __init__(
        self,
        plan: Plan,
        bodies: Sequence[bytes],
        signer: Signer,
        on_tick: Callable[[Tick], None] = _ignore,
        watch: Callable[[Tick], str | None] = lambda _tick: None,
        *,
        on_joined: Callable[[str], None] = _ignore,
        listening: Listening | None = None,
        directory: Path | None = None,
        outlets: Outlets | None = None,
    ) -> None:
        """Prepare a run.

        `watch` may end it early by saying why; what was measured is kept. `listening` says where
        workers of other hosts are waited for, `on_joined` is told of each; what is measured is kept
        below `directory` until the run ends; `outlets` say where else the run can be looked at.
        """
        # Why the run was ended early, if not by a person.
        self.stopped_because: str | None = None
        self._plan = plan
        self._bodies = bodies
        self._processes = LoadProcesses(signer)
        self._on_tick = on_tick
        self._watch = watch
        self._on_joined = on_joined
        self._listening = listening
        self._directory = directory
        self._outlets = outlets or Outlets()
        self._interrupts = 0

    @property
    def warnings(self) -> list[str]:
        """What makes the run worth a second look, apart from what it measured."""
        return self._processes.warnings

    def run(self) -> Measurement:
        """Run the plan to its end, or to SIGINT or SIGTERM; return what was measured."""
        return asyncio.run(self._run())

    async def _run(self) -> Measurement:
        with tempfile.TemporaryDirectory(prefix=".windtunnel-", dir=self._directory) as name:
            directory = Path(name)
            write_bodies(directory, self._bodies)
            renewing = asyncio.create_task(self._processes.renew())
            try:
                head = await self._start_head(directory)
                loop = asyncio.get_running_loop()
                for number in (signal.SIGINT, signal.SIGTERM):
                    loop.add_signal_handler(number, self._interrupt, head)
                events = await self._follow(head)
            finally:
                renewing.cancel()
                await self._processes.stop()
            if "failed" in events:
                raise NotReadyError(events["failed"]["why"])
            if "finished" not in events:
                raise NotReadyError(
                    f"The head of the load processes {self._processes.end_of(head)} before the run "
                    "was over; what it had gathered is lost." + self._processes.complaint()
                )
            return self._gather(directory, events)

    async def _start_head(self, directory: Path) -> Process:
        is_alone = self._listening is None and self._plan.processes == 1
        orders = Orders(
            plan=self._plan,
            credentials=self._processes.credentials,
            directory=str(directory),
            listening=self._listening or _LOCAL,
            outlets=self._outlets,
        )
        return await self._processes.start("local" if is_alone else "master", orders.to_text())

    async def _follow(self, head: Process) -> dict[str, dict[str, Any]]:
        """Act on what the head tells until it ends; return the last event of each name."""
        events: dict[str, dict[str, Any]] = {}
        assert head.stdout is not None
        async for line in head.stdout:
            event = json.loads(line)
            name = event.pop("event")
            events[name] = event
            if name == "tick":
                self._take(Tick.from_json(event), head)
            elif name == "joined" and self._listening is not None:
                self._on_joined(
                    f"worker    {event['what']}: {event['here']} of {event['wanted']} are here"
                )
            elif name == "listening" and self._listening is None:
                await self._start_workers(event["port"])
        await head.wait()
        return events

    async def _start_workers(self, port: int) -> None:
        credentials = json.dumps(asdict(self._processes.credentials))
        for _ in range(self._plan.processes):
            worker = await self._processes.start("worker", credentials, "127.0.0.1", str(port), "")
            assert worker.stdout is not None
            self._processes.ignore(worker.stdout)

    def _take(self, tick: Tick, head: Process) -> None:
        self._on_tick(tick)
        if self.stopped_because is None and (why := self._watch(tick)):
            self.stopped_because = why
            with contextlib.suppress(ProcessLookupError):
                head.send_signal(signal.SIGINT)

    def _interrupt(self, head: Process) -> None:
        """End the run early; when asked a second time, without what was measured."""
        self._interrupts += 1
        with contextlib.suppress(ProcessLookupError):
            head.send_signal(signal.SIGINT if self._interrupts == 1 else signal.SIGKILL)

    def _gather(self, directory: Path, events: dict[str, dict[str, Any]]) -> Measurement:
        outcome = events["finished"]
        if outcome["refusal"] is not None:
            raise NotReadyError(outcome["refusal"])
        if "begun" not in events:
            if outcome["is_interrupted"]:
                raise NeverBegunError("interrupted before anything was sent")
            raise NotReadyError(self._missing(outcome["here"]))
        columns = {
            name: np.fromfile(directory / name, dtype=dtype) for name, dtype in _COLUMNS.items()
        }
        # A disk that took no more cut the columns short, each in another place.
        rows = min(len(column) for column in columns.values())
        return Measurement.of(
            {name: column[:rows] for name, column in columns.items()},
            [
                WorkerOutcome(**told) if told else WorkerOutcome.of_nothing()
                for told in outcome["workers"]
            ],
            kinds=outcome["kinds"],
            started_epoch_s=events["begun"]["start_epoch_s"],
            is_interrupted=outcome["is_interrupted"],
            stopped_because=outcome["fault"] or self.stopped_because,
            lost=outcome["lost"],
            notes=outcome["notes"],
            users_wanted=outcome["users_wanted"],
        )

    def _missing(self, here: Sequence[str]) -> str:
        """Return which load processes there were when all should have been there."""
        wanted = self._plan.processes
        if self._listening is not None:
            found = "; ".join(here) or "none"
            return (
                f"{len(here)} of {wanted} workers were here within "
                f"{self._listening.patience_s:.0f} s ({found}). Start each with `windtunnel load "
                f"--worker --master-host HOST --master-port {self._listening.port}`."
            )
        return (
            f"{len(here)} of {wanted} load processes were ready within "
            f"{limits.LOAD_START_TIMEOUT_S:.0f} s ({'; '.join(here) or 'none'}): the others hang, "
            f"or this machine is too busy to start them.{self._processes.complaint()}"
        )
