"""The head of a load run: starts Locust's users, gathers what the nodes measured, ends it all.

It runs beside the only node, or in Locust's master with the nodes in workers elsewhere. It writes
the columns as they came, one file each, into the run's working directory, and tells whoever
started it, line by line, what is going on.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import gevent
from locust.runners import STATE_MISSING, MasterRunner

from windtunnel.core import limits
from windtunnel.lab.load import node
from windtunnel.lab.load.plan import Plan
from windtunnel.lab.load.samples import COLUMNS

if TYPE_CHECKING:
    from locust.runners import Runner

OUTCOME_FILE = "outcome.json"
_POLL_S = 0.05
Tell = Callable[[dict[str, Any]], None]


class Head:
    """One run, seen from where its nodes report."""

    def __init__(self, plan: Plan, directory: Path, runner: "Runner", tell: Tell) -> None:
        self._plan = plan
        self._directory = directory
        self._runner = runner
        self._tell = tell
        # In the order in which nodes announced themselves; the position is the worker's number.
        self._nodes: list[str] = []
        self._outcomes: dict[str, dict[str, Any]] = {}
        self._lost: set[str] = set()
        self._is_interrupted = False
        self._columns: dict[str, IO[bytes]] = {
            name: (directory / name).open("wb")
            for name in (*(name for name, _ in COLUMNS), _WORKER)
        }
        for message, listener in (
            (node.READY, self._ready),
            (node.TICK, self._tick),
            (node.SAMPLES, self._samples),
            (node.FINISHED, self._finished),
        ):
            runner.register_message(message, listener)

    def interrupt(self) -> None:
        """End the run early; what was measured is kept."""
        self._is_interrupted = True

    def run(self) -> None:
        """Wait for the nodes, run the schedule, gather, and tell the outcome."""
        try:
            if self._wait_ready():
                self._drive()
        finally:
            for column in self._columns.values():
                column.close()
        outcome = {
            "is_interrupted": self._is_interrupted,
            "workers_lost": len(self._lost) + self._plan.processes - len(self._nodes),
            # One a worker, by its number; None where it was lost.
            "workers": [self._outcomes.get(name) for name in self._nodes],
        }
        (self._directory / OUTCOME_FILE).write_text(json.dumps(outcome))
        self._tell({"event": "finished"})

    def _wait_ready(self) -> bool:
        deadline_s = time.monotonic() + limits.LOAD_START_TIMEOUT_S
        while len(self._nodes) < self._plan.processes:
            if self._is_interrupted or time.monotonic() > deadline_s:
                return False
            gevent.sleep(_POLL_S)
        return True

    def _drive(self) -> None:
        schedule = self._plan.schedule
        start_epoch_s = time.time() + schedule.lead_s
        for number, name in enumerate(self._nodes):
            words = {"start_epoch_s": start_epoch_s, "number": number}
            self._runner.send_message(node.BEGIN, words, client_id=name)
        self._tell({"event": "begun", "start_epoch_s": start_epoch_s})
        # Locust's master starts users in the caller's greenlet, until the last one stands.
        spawning = gevent.spawn(self._runner.start, *schedule.spawning(self._plan.processes))
        is_halted = False
        while len(self._outcomes) + len(self._lost) < len(self._nodes):
            gevent.sleep(_POLL_S)
            self._find_lost()
            # What is left after a worker was lost is no measurement; ending it saves the time.
            if (self._is_interrupted or self._lost) and not is_halted:
                is_halted = True
                spawning.kill()
                self._runner.send_message(node.HALT, {})

    def _find_lost(self) -> None:
        if isinstance(self._runner, MasterRunner):
            clients = self._runner.clients
            for name in self._nodes:
                gone = name not in clients or clients[name].state == STATE_MISSING
                if gone and name not in self._outcomes:
                    self._lost.add(name)

    def _ready(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401 - Locust's own message
        if msg.node_id not in self._nodes:
            self._nodes.append(msg.node_id)

    def _tick(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        self._tell({"event": "tick", "worker": self._nodes.index(msg.node_id), **msg.data})

    def _samples(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        number = self._nodes.index(msg.node_id)
        for name, _code in COLUMNS:
            self._columns[name].write(msg.data[name])
        rows = len(msg.data["due_s"]) // _DOUBLE_BYTES
        self._columns[_WORKER].write(number.to_bytes(2, "little") * rows)

    def _finished(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        self._outcomes[msg.node_id] = msg.data


_WORKER = "worker"
_DOUBLE_BYTES = 8
