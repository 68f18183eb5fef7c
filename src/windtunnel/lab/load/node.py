"""One process's share of a load run: its users, what they measured, and when they stop.

The head of the run (in this process or in another) tells it when the run begins. From then on it
goes by the plan alone: which users are its own, which arrivals, which payloads. Several times a
second it hands over what was measured, once a second it tells how it goes.
"""

import os
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import gevent
import numpy as np

from windtunnel.aws import sigv4
from windtunnel.core import limits
from windtunnel.lab.load import arrivals, closed_schedule, failures, messages, mix
from windtunnel.lab.load.beat import Beat
from windtunnel.lab.load.connection import Address, Connection
from windtunnel.lab.load.histogram import Histogram
from windtunnel.lab.load.open_schedule import OpenSchedule
from windtunnel.lab.load.plan import Plan
from windtunnel.lab.load.request import SignedRequest
from windtunnel.lab.load.samples import Columns, Samples

if TYPE_CHECKING:
    from locust.runners import Runner

    from windtunnel.lab.load.sender import OpenSender

# Every answer that was asked for in time is waited for: leaving out those that come last would
# leave out the slowest.
_DRAIN_S = limits.INVOKE_CLIENT_TIMEOUT_S + limits.INVOKE_CONNECT_TIMEOUT_S
_TICK_PERIOD_S = 1.0
# Often enough that what is handed over at once is done with in a millisecond or two: meanwhile
# nothing is sent.
_HANDOVER_PERIOD_S = 0.1
# How often the number of users is brought to what it should be.
_USERS_PERIOD_S = 0.05
_SERVER_ERROR_FROM = 500


class Node:
    """The users of one process, or in an open loop its sender."""

    def __init__(
        self,
        plan: Plan,
        bodies: Sequence[bytes],
        credentials: sigv4.Credentials,
        runner: "Runner",
        user_class: str,
    ) -> None:
        self.samples = Samples()
        self.address = Address.of(plan.url)
        # No user sends at or after this moment of `perf_counter`.
        self.end_s = float("inf")
        # What is due before this moment is warm-up.
        self.counted_from_s = float("inf")
        # Of an open loop, as soon as it runs.
        self.sender: OpenSender | None = None
        # Users of a closed loop whose number, from 0, is not below this stop.
        self.users_wanted = 0
        # Numbers of payloads for the next requests, and of those a user's next pause.
        self.payloads: Iterator[int] = iter(())
        self.think_s: Callable[[], float] | None = None
        self.connections_max = 0
        # Whether the head fell silent: then nobody waits for what is measured here.
        self.is_orphaned = False
        self.is_finished = False
        self._plan = plan
        self._schedule = plan.schedule
        self._credentials = credentials
        self._requests = [
            SignedRequest(
                url=plan.url,
                endpoint_name=plan.endpoint_name,
                body=body,
                content_type=payload.content_type,
                accept=plan.accept,
                credentials=lambda: self._credentials,
                region=plan.region,
            )
            for payload, body in zip(plan.payloads, bodies, strict=True)
        ]
        # Read before the run begins: a trace may be large.
        self._arrivals: arrivals.Arrivals | None = None
        if isinstance(plan.schedule, OpenSchedule):
            self._arrivals = plan.schedule.read_arrivals()
            self.connections_max = plan.schedule.connections_max
        self._runner = runner
        self._user_class = user_class
        self._number = 0
        # Of a closed loop's users: those that are there, and those about to be.
        self._present: set[int] = set()
        self._coming: list[int] = []
        # What a shape says at present.
        self._users_told = 0
        self._beat = Beat()
        self._start_s = 0.0
        self._epoch_offset_s = 0.0
        self._users_peak = 0
        self._kinds_told = 0
        self._second = _Second()
        self._is_halted = False
        self._cpu_began_s = 0.0
        for message, listener in (
            (messages.PING, self._ping),
            (messages.BEGIN, self._begin),
            (messages.USERS, self._take_users),
            (messages.HALT, self._halt),
        ):
            runner.register_message(message, listener)

    def announce(self) -> None:
        """Tell the head that this process can begin."""
        self._runner.send_message(messages.READY, introduction())

    def due_s(self) -> Iterator[float]:
        """Yield when this process's share of an open loop's requests is due."""
        assert self._arrivals is not None
        for moment_s in arrivals.share(self._arrivals, self._number, self._plan.processes):
            yield self._start_s + moment_s

    def take_credentials(self, credentials: sigv4.Credentials) -> None:
        """Sign with other credentials from now on: those in use are about to expire."""
        self._credentials = credentials
        for request in self._requests:
            request.renew()

    def exchange(self, connection: Connection, sent_s: float, payload: int) -> tuple[int, int, int]:
        """Send one request; return its status (0: none came), its size and its kind of error."""
        try:
            wire = self._requests[payload].wire(sent_s + self._epoch_offset_s)
            answer = connection.exchange(wire)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is this request's outcome
            return 0, 0, self.samples.kinds.number(failures.from_exception(error))
        if answer.has_failed:
            kind = self.samples.kinds.number(failures.from_answer(answer))
            return answer.status, answer.body_bytes, kind
        return answer.status, answer.body_bytes, 0

    def join_users(self) -> int:
        """Return the number of a user of this process who starts now."""
        number = self._coming.pop(0)
        self._present.add(number)
        return number

    def leave_users(self, number: int) -> None:
        """Take a user's leave; if there should be one of that number again, another is started."""
        self._present.discard(number)

    def _ping(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401 - Locust's own message
        self._runner.send_message(messages.PONG, {**msg.data, "epoch_s": time.time()})

    def _begin(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        now_s = perf_counter()
        plan = self._plan
        self._epoch_offset_s = time.time() - now_s
        self._number = msg.data["number"]
        self._start_s = msg.data["start_epoch_s"] - self._epoch_offset_s
        self.counted_from_s = self._start_s + self._schedule.warmup_s
        self.end_s = self._start_s + self._schedule.total_s
        self.payloads = mix.share(
            [payload.weight for payload in plan.payloads], plan.seed, self._number, plan.processes
        )
        self.think_s = self._pauses()
        self._cpu_began_s = time.process_time()
        others = [
            gevent.spawn(work)
            for work in (self._beat.run, self._tick, self._hand_over_for_ever, self._keep_users)
        ]
        gevent.spawn(self._finish, others)

    def _pauses(self) -> Callable[[], float] | None:
        """Return what says how long a user waits next, if users do."""
        schedule = self._schedule
        if isinstance(schedule, OpenSchedule) or schedule.think_s[1] == 0:
            return None
        low_s, high_s = schedule.think_s
        rng = random.Random(f"{self._plan.seed}/{self._number}")  # noqa: S311 - no secret
        return lambda: rng.uniform(low_s, high_s)

    def _take_users(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        self._users_told = msg.data["users"]

    def _halt(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        # A shape that has come to its end is no reason to leave out the slowest answers.
        self._is_halted |= not msg.data["is_the_end"]
        self.end_s = min(self.end_s, perf_counter())

    def _keep_users(self) -> None:
        """Bring the number of users to what it should be, until the end."""
        schedule = self._schedule
        gevent.sleep(max(0.0, self._start_s - perf_counter()) if self._arrivals is None else 0.0)
        while (now_s := perf_counter()) < self.end_s:
            if isinstance(schedule, OpenSchedule):
                users = self._plan.processes
            elif schedule.shape is not None:
                users = self._users_told
            else:
                users = schedule.users_at(now_s - self._start_s)
            self.users_wanted = closed_schedule.share(users, self._number, self._plan.processes)
            there = self._present.union(self._coming)
            missing = [number for number in range(self.users_wanted) if number not in there]
            if missing:
                self._coming += missing
                self._runner.spawn_users({self._user_class: len(missing)})
            self._users_peak = max(self._users_peak, self._runner.user_count)
            gevent.sleep(_USERS_PERIOD_S)

    def _hand_over_for_ever(self) -> None:
        while True:
            gevent.sleep(_HANDOVER_PERIOD_S)
            self._hand_over()
            if self.samples.is_full:
                self.end_s = min(self.end_s, perf_counter())

    def _hand_over(self) -> None:
        """Give the head what was measured since the last time."""
        columns = self.samples.take()
        if not len(columns["due_s"]):
            return
        for name in ("due_s", "sent_s", "done_s"):
            # To the nanosecond: a process's clock counts from when its machine started, and what
            # is due at 1 s would else be due a hair before, on the other side of the warm-up's end.
            columns[name] = np.round(columns[name] - self._start_s, 9)
        kinds = self.samples.kinds
        self._second.add(columns, list(kinds.numbers))
        told = [[kind, kinds.examples[kind]] for kind in list(kinds.numbers)[self._kinds_told :]]
        self._kinds_told += len(told)
        self._runner.send_message(
            messages.SAMPLES,
            {"kinds": told, **{name: column.tobytes() for name, column in columns.items()}},
        )

    def _tick(self) -> None:
        while True:
            gevent.sleep(_TICK_PERIOD_S)
            self._second, second = _Second(), self._second
            self._runner.send_message(
                messages.TICK,
                {
                    "at_s": perf_counter() - self._start_s,
                    "users": self._busy(),
                    "dropped": self.sender.dropped if self.sender else 0,
                    **second.to_json(),
                },
            )
            self._look_for_head()

    def _look_for_head(self) -> None:
        """Stop sending when the head is gone: nobody would ever see what it did."""
        heard_s = getattr(self._runner, "last_heartbeat_timestamp", None)
        if heard_s is not None and time.time() - heard_s > limits.LOAD_HEAD_SILENCE_S:
            self.is_orphaned = True
            gevent.spawn(self._runner.quit)

    def _finish(self, others: "Sequence[gevent.Greenlet[..., None]]") -> None:
        """Wait for the end and for the last answers, then hand everything over."""
        while (left_s := self.end_s - perf_counter()) > 0:
            gevent.sleep(min(left_s, 0.05))
        cpu_s = time.process_time() - self._cpu_began_s
        elapsed_s = perf_counter() - self._start_s
        ended_s = perf_counter()
        while self._runner.user_count and perf_counter() - ended_s < self._patience_s():
            gevent.sleep(0.01)
        unanswered = self._busy()
        self._runner.user_greenlets.kill(block=True)
        gevent.killall(others)
        self._hand_over()
        self.is_finished = True
        self._runner.send_message(messages.FINISHED, self._outcome(cpu_s, elapsed_s, unanswered))

    def _busy(self) -> int:
        """Return how many users run, or how many requests of an open loop are out."""
        return self.sender.busy if self.sender else self._runner.user_count

    def _patience_s(self) -> float:
        return limits.LOAD_INTERRUPT_GRACE_S if self._is_halted else _DRAIN_S

    def _outcome(self, cpu_s: float, elapsed_s: float, unanswered: int) -> Mapping[str, Any]:
        sender = self.sender
        clock_moved_s = time.time() - perf_counter() - self._epoch_offset_s
        return {
            "requests": self.samples.count,
            "end_s": self.end_s - self._start_s,
            "users_peak": self._users_peak,
            "unanswered": unanswered,
            "is_full": self.samples.is_full,
            "cpu_share": cpu_s / elapsed_s if elapsed_s > 0 else 0.0,
            "loop_lag_s_p99": self._beat.late_s_p99(self.counted_from_s, self.end_s),
            "clock_moved_s": clock_moved_s,
            "connections": sender.connections if sender else self._users_peak,
            "dropped": sender.dropped if sender else 0,
            "dropped_counted": sender.dropped_counted if sender else 0,
        }


class _Second:
    """What is told of the requests that ended within a second."""

    def __init__(self) -> None:
        self._requests = 0
        self._failures = 0
        self._server_errors = 0
        self._latency, self._lag = Histogram(), Histogram()
        self._errors: Counter[str] = Counter()

    def add(self, columns: Columns, kinds: Sequence[str]) -> None:
        """Take what was just measured."""
        due_s, sent_s, done_s = (
            np.asarray(columns[name], dtype=np.float64) for name in ("due_s", "sent_s", "done_s")
        )
        was_sent = ~np.isnan(sent_s)
        is_good = columns["error"] == 0
        self._requests += int(was_sent.sum())
        self._failures += int((was_sent & ~is_good).sum())
        self._server_errors += int((columns["status"] >= _SERVER_ERROR_FROM).sum())
        self._latency.add((done_s - due_s)[is_good])
        self._lag.add((sent_s - due_s)[was_sent])
        for number, count in enumerate(np.bincount(columns["error"].astype(np.int64))):
            if number and count:
                self._errors[kinds[number - 1]] += int(count)

    def to_json(self) -> dict[str, Any]:
        """Return this for the message of the second."""
        return {
            "requests": self._requests,
            "failures": self._failures,
            "server_errors": self._server_errors,
            "latency": self._latency.to_json(),
            "lag": self._lag.to_json(),
            "errors": dict(self._errors),
        }


def introduction() -> dict[str, Any]:
    """Return who this process is, to a person who looks for it."""
    return {"host": socket.gethostname(), "pid": os.getpid()}
