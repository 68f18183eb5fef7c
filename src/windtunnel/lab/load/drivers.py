"""The Locust users that `windtunnel load` runs: closed ones, or one a process for an open loop.

Importing this module imports Locust, which patches the process: only load processes do that.
"""

from time import perf_counter
from typing import ClassVar

import gevent
from locust import User, task
from locust.exception import StopUser

from windtunnel.core import limits
from windtunnel.lab.load.connection import Connection
from windtunnel.lab.load.node import Node
from windtunnel.lab.load.sender import OpenSender

# An answer this fast may have been there before the read: then nothing made this user wait, and
# without giving way it would keep the process for itself. No real endpoint is as fast.
_INSTANT_S = 0.0002


class ClosedUser(User):
    """A user of `windtunnel load`: sends the next request as soon as the last one is answered."""

    # Set once, before the first user is made.
    node: ClassVar[Node]

    @task
    def drive(self) -> None:
        """Send until the run ends; one task for the whole run, as a task costs 10 µs of its own."""
        node = self.node
        number = node.join_users()
        connection = Connection(node.address)
        try:
            self._send(node, connection, number)
        finally:
            connection.close()
            node.leave_users(number)
        raise StopUser

    def _send(self, node: Node, connection: Connection, number: int) -> None:
        record, exchange = node.samples.record, node.exchange
        payloads, think_s = node.payloads, node.think_s
        pause_s = limits.RECONNECT_PAUSE_FIRST_S
        due_s = perf_counter()
        while due_s < node.end_s and number < node.users_wanted:
            payload = next(payloads)
            sent_s = perf_counter()
            status, size, error = exchange(connection, sent_s, payload)
            done_s = perf_counter()
            record(due_s, sent_s, done_s, status, size, error, payload)
            due_s = done_s
            if not status:
                # Nobody answered: a user who asks again at once, ten thousand times a second, is
                # not a user. The next request is due when the pause ends.
                gevent.sleep(pause_s)
                pause_s = min(2 * pause_s, limits.RECONNECT_PAUSE_S_MAX)
                due_s = perf_counter()
                continue
            pause_s = limits.RECONNECT_PAUSE_FIRST_S
            if think_s is not None:
                # The next request is due when this user has thought, and woke: no sooner.
                gevent.sleep(min(think_s(), max(0.0, node.end_s - done_s)))
                due_s = perf_counter()
            elif done_s - sent_s < _INSTANT_S:
                gevent.sleep(0)


class OpenUser(User):
    """All users of an open loop in one process: sends what is due, whoever waits for an answer."""

    # Set once, before the only user is made.
    node: ClassVar[Node]

    @task
    def drive(self) -> None:
        """Send until the run ends."""
        sender = OpenSender(self.node)
        self.node.sender = sender
        try:
            sender.run(self.node.due_s())
        finally:
            sender.close()
        raise StopUser
