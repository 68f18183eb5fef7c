"""One process's share of a load run: its users, what they measured, and when they stop.

The head of the run (in this process or in another) tells it when the run began; it reports every
second, and when its users have stopped it hands over what was measured. Messages go through
Locust's own runner, which carries them between processes and hosts, or within this process.
"""

import os
import time
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

import gevent

from windtunnel.aws import sigv4
from windtunnel.core import limits
from windtunnel.lab.load import arrivals, failures
from windtunnel.lab.load.beat import Beat
from windtunnel.lab.load.connection import Address, Connection
from windtunnel.lab.load.open_schedule import OpenSchedule
from windtunnel.lab.load.plan import Orders
from windtunnel.lab.load.request import SignedRequest
from windtunnel.lab.load.samples import Samples

if TYPE_CHECKING:
    from locust.runners import Runner

    from windtunnel.lab.load.sender import OpenSender

    _Greenlet = gevent.Greenlet[..., None]

READY, BEGIN, HALT, TICK, SAMPLES, FINISHED = (
    f"windtunnel-{word}" for word in ("ready", "begin", "halt", "tick", "samples", "finished")
)
# Every answer that was asked for in time is waited for: leaving out those that come last would
# leave out the slowest.
_DRAIN_S = limits.INVOKE_CLIENT_TIMEOUT_S + limits.INVOKE_CONNECT_TIMEOUT_S
_TICK_PERIOD_S = 1.0
# Of a second's latencies so many are shown live; what is kept is all of them.
_TICK_LATENCIES_MAX = 200


class Node:
    """The users of one process, or in an open loop its sender."""

    def __init__(self, orders: Orders, runner: "Runner") -> None:
        plan = orders.plan
        self.samples = Samples()
        self.address = Address.of(plan.url)
        # No user sends at or after this moment of `perf_counter`.
        self.end_s = float("inf")
        # What is due before this moment is warm-up.
        self.counted_from_s = float("inf")
        # Of an open loop, as soon as it runs.
        self.sender: OpenSender | None = None
        self._credentials = orders.credentials
        self._request = SignedRequest(
            url=plan.url,
            endpoint_name=plan.endpoint_name,
            body=orders.read_body(),
            content_type=plan.content_type,
            accept=plan.accept,
            credentials=lambda: self._credentials,
            region=plan.region,
        )
        self._schedule = plan.schedule
        self._number, self._processes = 0, plan.processes
        # Read before the run begins: a trace may be large.
        self._arrivals: arrivals.Arrivals | None = None
        self.connections_max = 0
        if isinstance(plan.schedule, OpenSchedule):
            self._arrivals = plan.schedule.read_arrivals()
            self.connections_max = plan.schedule.connections_max
        self._runner = runner
        self._beat = Beat()
        self._start_s = 0.0
        self._epoch_offset_s = 0.0
        self._users_peak = 0
        self._is_halted = False
        self._cpu_began_s = 0.0
        runner.register_message(BEGIN, self._begin)
        runner.register_message(HALT, self._halt)

    def announce(self) -> None:
        """Tell the head that this process can begin."""
        self._runner.send_message(READY, {"pid": os.getpid()})

    def due_s(self) -> Iterator[float]:
        """Yield when this process's share of an open loop's requests is due."""
        assert self._arrivals is not None
        for moment_s in arrivals.share(self._arrivals, self._number, self._processes):
            yield self._start_s + moment_s

    def take_credentials(self, credentials: sigv4.Credentials) -> None:
        """Sign with other credentials from now on: those in use are about to expire."""
        self._credentials = credentials
        self._request.renew()

    def exchange(self, connection: Connection, sent_s: float) -> tuple[int, int, int]:
        """Send one request; return its status (0: none came), its size and its kind of error."""
        try:
            answer = connection.exchange(self._request.wire(sent_s + self._epoch_offset_s))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is this request's outcome
            return 0, 0, self.samples.kinds.number(failures.from_exception(error))
        if answer.has_failed:
            kind = self.samples.kinds.number(failures.from_answer(answer))
            return answer.status, answer.body_bytes, kind
        return answer.status, answer.body_bytes, 0

    def _begin(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401 - Locust's own message
        now_s = perf_counter()
        self._epoch_offset_s = time.time() - now_s
        self._number = msg.data["number"]
        self._start_s = msg.data["start_epoch_s"] - self._epoch_offset_s
        self.counted_from_s = self._start_s + self._schedule.warmup_s
        self.end_s = self._start_s + self._schedule.total_s
        self._cpu_began_s = time.process_time()
        beat = gevent.spawn(self._beat.run)
        tick = gevent.spawn(self._tick)
        gevent.spawn(self._finish, beat, tick)

    def _halt(self, **_: object) -> None:
        self._is_halted = True
        self.end_s = min(self.end_s, perf_counter())

    def _tick(self) -> None:
        told = 0
        while True:
            gevent.sleep(_TICK_PERIOD_S)
            self._users_peak = max(self._users_peak, self._runner.user_count)
            told = self._tell(told)
            if self.samples.is_full:
                self.end_s = min(self.end_s, perf_counter())

    def _tell(self, first: int) -> int:
        """Report what came in since request number `first`; return the number to go on from."""
        samples = self.samples
        count = len(samples)
        step = max(1, (count - first) // _TICK_LATENCIES_MAX)
        self._runner.send_message(
            TICK,
            {
                "at_s": perf_counter() - self._start_s,
                "users": self._busy(),
                "requests": count - first,
                "dropped": self.sender.dropped if self.sender else 0,
                "failures": sum(1 for number in samples.error[first:count] if number),
                "latencies_s": [
                    samples.done_s[row] - samples.due_s[row] for row in range(first, count, step)
                ],
            },
        )
        return count

    def _finish(self, beat: "_Greenlet", tick: "_Greenlet") -> None:
        """Wait for the end and for the last answers, then hand everything over."""
        while (left_s := self.end_s - perf_counter()) > 0:
            gevent.sleep(min(left_s, 0.05))
        self._users_peak = max(self._users_peak, self._runner.user_count)
        cpu_s = time.process_time() - self._cpu_began_s
        elapsed_s = perf_counter() - self._start_s
        ended_s = perf_counter()
        while self._runner.user_count and perf_counter() - ended_s < self._patience_s():
            gevent.sleep(0.01)
        unanswered = self._busy()
        self._runner.user_greenlets.kill(block=True)
        gevent.killall([beat, tick])
        for chunk in self.samples.chunks():
            self._runner.send_message(SAMPLES, chunk)
        self._runner.send_message(FINISHED, self._outcome(cpu_s, elapsed_s, unanswered))

    def _busy(self) -> int:
        """Return how many users run, or how many requests of an open loop are out."""
        return self.sender.busy if self.sender else self._runner.user_count

    def _patience_s(self) -> float:
        return limits.LOAD_INTERRUPT_GRACE_S if self._is_halted else _DRAIN_S

    def _outcome(self, cpu_s: float, elapsed_s: float, unanswered: int) -> Mapping[str, Any]:
        kinds = self.samples.kinds
        sender = self.sender
        return {
            "requests": len(self.samples),
            "start_s": self._start_s,
            "end_s": self.end_s - self._start_s,
            "users_peak": self._users_peak,
            "unanswered": unanswered,
            "is_full": self.samples.is_full,
            "error_kinds": list(kinds.numbers),
            "error_examples": list(kinds.examples.values()),
            "cpu_share": cpu_s / elapsed_s if elapsed_s > 0 else 0.0,
            "loop_lag_s_p99": self._beat.late_s_p99(self.counted_from_s, self.end_s),
            "connections": sender.connections if sender else self._users_peak,
            "dropped": sender.dropped if sender else 0,
            "dropped_counted": sender.dropped_counted if sender else 0,
        }
