"""The Locust users that `windtunnel load` runs: closed ones, or one a process for an open loop.

Importing this module imports Locust, which patches the process: only load processes do that.
"""

from time import perf_counter
from typing import ClassVar

import gevent
from locust import User, task
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING

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
        node, connection = self.node, Connection(self.node.address)
        record, exchange = node.samples.record, node.exchange
        pause_s = limits.RECONNECT_PAUSE_FIRST_S
        due_s = perf_counter()
        try:
            while due_s < node.end_s and self._state == LOCUST_STATE_RUNNING:
                sent_s = perf_counter()
                status, size, error = exchange(connection, sent_s)
                done_s = perf_counter()
                record(due_s, sent_s, done_s, status, size, error)
                due_s = done_s
                if status:
                    pause_s = limits.RECONNECT_PAUSE_FIRST_S
                    if done_s - sent_s < _INSTANT_S:
                        gevent.sleep(0)
                else:
                    # Nobody answered: a user who asks again at once, ten thousand times a second,
                    # is not a user. The next request is due when the pause ends.
                    gevent.sleep(pause_s)
                    pause_s = min(2 * pause_s, limits.RECONNECT_PAUSE_S_MAX)
                    due_s = perf_counter()
        finally:
            connection.close()
        raise StopUser


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
