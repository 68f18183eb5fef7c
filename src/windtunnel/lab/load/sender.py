"""The open loop of one load process: every request leaves when it is due, on whatever is free.

One greenlet waits for the next arrival and hands it to a connection that is free, the one that was
in use last; where none is, another is opened, up to a limit. An arrival that finds all of them
waiting for answers is dropped, and counted: holding it back would make the loop a closed one.
"""

from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING

import gevent
from gevent.hub import Waiter

from windtunnel.core import limits
from windtunnel.lab.load.alarm import Alarm
from windtunnel.lab.load.connection import Connection

if TYPE_CHECKING:
    from windtunnel.lab.load.node import Node

# A process wakes some ten microseconds late: it wakes this much early, and waits out the rest.
_EARLY_S = 0.00005
# The end of a run may come earlier than the next arrival.
_LOOK_UP_S = 0.25
# Behind its schedule, a sender hands out arrivals without waiting; answers are read meanwhile.
_TURN_S = 0.0005
_POLL_S = 0.01


class _Lane:
    """A connection and the greenlet that waits for its answers."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        # Whose `switch` hands over when the next request is due, and with which payload.
        self.next_due: Waiter[tuple[float, int]] = Waiter()
        self.free_since_s = 0.0


class OpenSender:
    """Sends one process's share of the arrivals."""

    def __init__(self, node: "Node") -> None:
        self.busy = 0
        # In the whole run, and after the warm-up.
        self.dropped = 0
        self.dropped_counted = 0
        self._node = node
        self._free: list[_Lane] = []
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    @property
    def connections(self) -> int:
        """Return how many connections it took: the most requests that were out at once."""
        return len(self._greenlets)

    def run(self, due_s: Iterator[float]) -> None:
        """Send all arrivals that are due before the end, and wait for their answers."""
        alarm = Alarm()
        try:
            self._dispatch(due_s, alarm)
        finally:
            alarm.close()
        while self.busy:
            gevent.sleep(_POLL_S)

    def close(self) -> None:
        """Close all connections, whatever they wait for."""
        gevent.killall(self._greenlets)

    def _dispatch(self, arrivals: Iterator[float], alarm: Alarm) -> None:
        node, payloads = self._node, self._node.payloads
        turned_s = perf_counter()
        for due_s in arrivals:
            while (now_s := perf_counter()) < due_s - _EARLY_S:
                if now_s >= node.end_s:
                    return
                alarm.wait_until(min(due_s - _EARLY_S, now_s + _LOOK_UP_S))
                turned_s = perf_counter()
            while now_s < due_s:
                now_s = perf_counter()
            if due_s >= node.end_s:
                return
            self._hand_out(due_s, next(payloads))
            if now_s - turned_s > _TURN_S:
                alarm.wait_until(now_s)
                turned_s = perf_counter()

    def _hand_out(self, due_s: float, payload: int) -> None:
        if self._free:
            lane = self._free.pop()
            self.busy += 1
            gevent.get_hub().loop.run_callback(lane.next_due.switch, (due_s, payload))
        elif len(self._greenlets) < self._node.connections_max:
            self.busy += 1
            self._greenlets.append(gevent.spawn(self._serve, due_s, payload))
        else:
            self.dropped += 1
            self._node.samples.drop(due_s, payload)
            self.dropped_counted += due_s >= self._node.counted_from_s

    def _serve(self, due_s: float, payload: int) -> None:
        """Send one request after the other, each when it is handed one."""
        node, connection = self._node, Connection(self._node.address)
        lane = _Lane(connection)
        record, exchange = node.samples.record, node.exchange
        try:
            while True:
                sent_s = perf_counter()
                if connection.is_open and sent_s - lane.free_since_s > limits.LOAD_IDLE_TRUSTED_S:
                    connection.close_if_ended()
                status, size, error = exchange(connection, sent_s, payload)
                done_s = perf_counter()
                record(due_s, sent_s, done_s, status, size, error, payload)
                self.busy -= 1
                lane.free_since_s = done_s
                lane.next_due.clear()
                self._free.append(lane)
                due_s, payload = lane.next_due.get()
        finally:
            connection.close()
