"""The head of a load run: gathers its load processes, lets them begin, keeps what they measure.

It runs beside the only node, or in Locust's master with the nodes in workers here or on other
hosts. It writes the columns as they come, one file each, into the run's working directory, and
tells whoever started it, line by line, what is going on.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import IO, TYPE_CHECKING, Any

import gevent
import numpy as np
from locust.runners import STATE_MISSING, MasterRunner

from windtunnel import __version__
from windtunnel.core import limits
from windtunnel.lab.load import closed_schedule, messages, shapes
from windtunnel.lab.load.closed_schedule import ClosedSchedule
from windtunnel.lab.load.crew import Crew, Worker
from windtunnel.lab.load.plan import Orders
from windtunnel.lab.load.samples import COLUMNS, DTYPES

if TYPE_CHECKING:
    from locust import LoadTestShape
    from locust.runners import Runner

    from windtunnel.lab.load.publisher import Publisher

# Of which worker a row is; the other columns are `samples.COLUMNS`.
_WORKER = "worker"
_POLL_S = 0.05
# Looks at each worker's clock: the quickest of some is taken.
_CLOCK_LOOKS = 5
_CLOCK_LOOK_S = 0.05
# Whatever the file of a user raises.
_USERS_OWN = (Exception, SystemExit)
Tell = Callable[[dict[str, Any]], None]


class Head:
    """One run, seen from where its nodes report."""

    def __init__(self, orders: Orders, bodies: "list[bytes]", runner: "Runner", tell: Tell) -> None:
        self._plan = orders.plan
        self._patience_s = orders.listening.patience_s
        self._bodies = bodies
        self._directory = Path(orders.directory)
        self._runner = runner
        self._tell = tell
        self._crew = Crew(orders.plan)
        # Those that were given their orders, by the name that Locust gave them; and those of them
        # that could begin and then fell silent.
        self._enlisted: dict[str, Worker] = {}
        self._away: dict[str, Worker] = {}
        # Kinds of error, as numbered in what is kept; and for each worker its own numbers in these.
        self._kinds: dict[str, str] = {}
        self._numbers: dict[str, list[int]] = {}
        self._is_interrupted = False
        self._is_disk_full = False
        # A sentence on what made the run end early, or what it must not begin with.
        self._fault: str | None = None
        self._refusal: str | None = None
        # The most users that a shape wanted at once.
        self._users_wanted: int | None = None
        self._shape: LoadTestShape | None = None
        self._publisher = _publisher(orders, runner, self.interrupt)
        self._start_s = 0.0
        self._columns: dict[str, IO[bytes]] = {
            name: (self._directory / name).open("wb")
            for name in (*(name for name, _ in COLUMNS), _WORKER)
        }
        for message, listener in (
            (messages.HELLO, self._hello),
            (messages.WANT, self._want),
            (messages.READY, self._ready),
            (messages.DECLINED, self._declined),
            (messages.PONG, self._pong),
            (messages.TICK, self._tick),
            (messages.SAMPLES, self._samples),
            (messages.FINISHED, self._finished),
        ):
            runner.register_message(message, listener)

    def interrupt(self) -> None:
        """End the run early; what was measured is kept."""
        self._is_interrupted = True

    def run(self) -> None:
        """Wait for the nodes, run the schedule, gather, and tell the outcome."""
        if self._publisher is not None:
            self._publisher.open()
        try:
            if self._wait_ready() and self._agree():
                self._drive()
        finally:
            for column in self._columns.values():
                # A full disk was said already.
                with suppress(OSError):
                    column.close()
        crew = self._crew
        outcome = {
            "event": "finished",
            "is_interrupted": self._is_interrupted,
            "fault": self._fault,
            "refusal": self._refusal,
            "here": [worker.label for worker in crew.ready.values()],
            "lost": crew.losses(),
            "notes": crew.notes,
            "users_wanted": self._users_wanted,
            "kinds": list(self._kinds.items()),
            # One a worker, by its number; None where it was lost.
            "workers": [worker.outcome for worker in crew.ready.values()],
        }
        # Not through a file: the disk may have no room for one.
        self._tell(outcome)

    def _wait_ready(self) -> bool:
        deadline_s = perf_counter() + self._patience_s
        while not self._crew.is_complete:
            if self._is_interrupted or perf_counter() > deadline_s:
                return False
            gevent.sleep(_POLL_S)
            self._find_away()
        return True

    def _find_away(self) -> None:
        """Notice who fell silent before the run began, and who of them is back."""
        for name in list(self._crew.ready):
            if self._is_gone(name) and (worker := self._crew.leave(name)):
                self._away[name] = worker
                self._tell_joined(f"{worker.label} left")
        for name in list(self._away):
            if not self._is_gone(name) and not self._crew.is_complete:
                worker = self._away.pop(name)
                self._crew.join(worker)
                self._tell_joined(f"{worker.label} is back")

    def _agree(self) -> bool:
        """Say whether all can start together: clocks are read, and a shape is there."""
        deadline_s = perf_counter() + limits.LOAD_CLOCK_ANSWER_S
        looks = 0
        while looks < _CLOCK_LOOKS or (self._crew.unread() and perf_counter() < deadline_s):
            looks += 1
            for name in self._crew.ready:
                asked = {"asked_s": perf_counter()}
                self._runner.send_message(messages.PING, asked, client_id=name)
            gevent.sleep(_CLOCK_LOOK_S)
        self._refusal = self._crew.unread() or self._crew.astray()
        schedule = self._plan.schedule
        if isinstance(schedule, ClosedSchedule) and schedule.shape is not None:
            try:
                self._shape = shapes.load(schedule.shape)
            except _USERS_OWN as error:
                self._refusal = f"The shape cannot be used: {shapes.fault(error, schedule.shape)}"
        return self._refusal is None

    def _drive(self) -> None:
        crew, schedule = self._crew, self._plan.schedule
        crew.begin()
        start_epoch_s = time.time() + schedule.lead_s
        self._start_s = perf_counter() + schedule.lead_s
        for name, worker in crew.ready.items():
            words = {"start_epoch_s": start_epoch_s + worker.ahead_s, "number": worker.number}
            self._runner.send_message(messages.BEGIN, words, client_id=name)
        self._tell({"event": "begun", "start_epoch_s": start_epoch_s})
        if self._publisher is not None:
            self._publisher.begin(start_epoch_s)
        shaping = None
        if isinstance(schedule, ClosedSchedule) and schedule.shape and self._shape:
            shaping = gevent.spawn(self._follow_shape, self._shape, schedule.shape)
        is_halted = False
        while any(crew.working()):
            gevent.sleep(_POLL_S)
            self._find_lost()
            # What is left after a worker was lost is no measurement; ending it saves the time.
            if (self._is_interrupted or crew.is_any_lost) and not is_halted:
                is_halted = True
                self._runner.send_message(messages.HALT, {"is_the_end": False})
        if shaping is not None:
            shaping.kill()
        if self._publisher is not None:
            try:
                self._publisher.finish()
            except OSError as error:
                crew.notes.append(f"Locust's files are not whole: {error.strerror or error}")

    def _follow_shape(self, shape: "LoadTestShape", origin: closed_schedule.Shape) -> None:
        """Tell all nodes how many users a shape wants, until it wants no more."""
        try:
            for users in shapes.follow(shape, self._runner, gevent.sleep):
                self._users_wanted = max(users, self._users_wanted or 0)
                self._runner.send_message(messages.USERS, {"users": users})
        except _USERS_OWN as error:
            self._fault = f"the shape ended the run: {shapes.fault(error, origin)}"
        self._runner.send_message(messages.HALT, {"is_the_end": self._fault is None})

    def _is_gone(self, name: str) -> bool:
        if not isinstance(self._runner, MasterRunner):
            return False
        clients = self._runner.clients
        return name not in clients or clients[name].state == STATE_MISSING

    def _find_lost(self) -> None:
        for worker in self._crew.working():
            if self._is_gone(worker.name):
                worker.is_lost = True

    def _hello(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401 - Locust's own message
        worker = Worker(msg.node_id, msg.data["host"], msg.data["pid"])
        why = self._crew.refusal(msg.data["version"], __version__)
        if why is not None:
            self._turn_away(worker, why)
            return
        self._enlisted[worker.name] = worker
        self._runner.send_message(
            messages.ORDERS, {"plan": json.dumps(self._plan.to_json())}, client_id=worker.name
        )

    def _want(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        """Hand out the next payloads, as many as go into one message, at least one."""
        first = msg.data["first"]
        end, room = first + 1, limits.LOAD_PAYLOADS_MESSAGE_BYTES - len(self._bodies[first])
        while end < len(self._bodies) and len(self._bodies[end]) <= room:
            room -= len(self._bodies[end])
            end += 1
        self._runner.send_message(
            messages.PAYLOADS, {"bodies": self._bodies[first:end]}, client_id=msg.node_id
        )

    def _ready(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        worker = self._enlisted.get(msg.node_id)
        # The node in this process needs no orders.
        worker = worker or Worker(msg.node_id, msg.data["host"], msg.data["pid"])
        why = self._crew.refusal(__version__, __version__)
        if why is not None:
            self._turn_away(worker, why)
            return
        self._crew.join(worker)
        self._tell_joined(f"{worker.label} is ready")

    def _turn_away(self, worker: Worker, why: str) -> None:
        note = f"{worker.label} was turned away: {why}"
        self._crew.notes.append(note)
        self._tell_joined(note)
        self._runner.send_message(messages.REFUSED, {"why": why}, client_id=worker.name)

    def _declined(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        worker = Worker(msg.node_id, msg.data["host"], msg.data["pid"])
        self._tell_joined(f"{worker.label} declined, as {msg.data['why']}")

    def _tell_joined(self, what: str) -> None:
        here = {"what": what, "here": len(self._crew.ready), "wanted": self._plan.processes}
        self._tell({"event": "joined", **here})

    def _pong(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        answered_s = perf_counter()
        epoch_offset_s = time.time() - answered_s
        self._crew.ready[msg.node_id].look_at_clock(
            msg.data["asked_s"] + epoch_offset_s, answered_s + epoch_offset_s, msg.data["epoch_s"]
        )

    def _tick(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        self._crew.ready[msg.node_id].heard_after_s = perf_counter() - self._start_s
        self._tell({"event": "tick", "worker": self._crew.ready[msg.node_id].number, **msg.data})

    def _samples(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        if self._is_disk_full:
            return
        self._crew.ready[msg.node_id].heard_after_s = perf_counter() - self._start_s
        words = dict(msg.data)
        words["error"] = self._renumbered(msg.node_id, words)
        rows = len(words["error"]) // 2
        if self._publisher is not None:
            columns = {name: np.frombuffer(words[name], DTYPES[code]) for name, code in COLUMNS}
            self._publisher.take(columns, self._kinds)
        number = self._crew.ready[msg.node_id].number
        try:
            for name, column in self._columns.items():
                column.write(
                    number.to_bytes(2, "little") * rows if name == _WORKER else words[name]
                )
                # A disk that is full must say so now.
                column.flush()
        except OSError as error:
            self._fault = (
                f"the disk took no more ({error.strerror}): requests that were answered later are "
                "missing"
            )
            self._is_disk_full = self._is_interrupted = True

    def _renumbered(self, name: str, words: Mapping[str, Any]) -> bytes:
        """Return a worker's kinds of error in the numbers that all share."""
        numbers = self._numbers.setdefault(name, [0])
        for kind, example in words["kinds"]:
            self._kinds.setdefault(kind, example)
            numbers.append(list(self._kinds).index(kind) + 1)
        errors: bytes = words["error"]
        if len(numbers) == 1 or not any(errors):
            return errors
        renumbered: bytes = np.array(numbers, "<u2")[np.frombuffer(errors, "<u2")].tobytes()
        return renumbered

    def _finished(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        self._crew.ready[msg.node_id].outcome = msg.data


def _publisher(
    orders: Orders, runner: "Runner", interrupt: Callable[[], None]
) -> "Publisher | None":
    """Return what shows the run elsewhere, if anybody wants that; it takes Flask to import."""
    if not orders.outlets.is_any:
        return None
    from windtunnel.lab.load.publisher import Publisher

    return Publisher(orders.outlets, orders.plan, runner.environment, interrupt)
