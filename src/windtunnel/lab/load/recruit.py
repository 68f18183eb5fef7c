"""A load process on its way to its master: says hello, takes its orders, becomes a node.

The plan and the payloads come from the master, so that a worker on another host needs neither files
nor words of its own. Credentials never do: a worker signs with those of its own host.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from windtunnel import __version__
from windtunnel.lab.load import messages
from windtunnel.lab.load.node import introduction
from windtunnel.lab.load.plan import Plan

if TYPE_CHECKING:
    from locust.runners import Runner


class Recruit:
    """A worker that has no orders yet."""

    def __init__(
        self,
        runner: "Runner",
        accept: Callable[[Plan, list[bytes]], None],
        refused: Callable[[str], None],
    ) -> None:
        self._runner = runner
        self._accept = accept
        self._refused = refused
        self._plan: Plan | None = None
        self._bodies: list[bytes] = []
        for message, listener in (
            (messages.ORDERS, self._take_plan),
            (messages.PAYLOADS, self._take_bodies),
            (messages.REFUSED, self._take_refusal),
        ):
            runner.register_message(message, listener)

    def enlist(self) -> None:
        """Ask the master for a place."""
        self._runner.send_message(messages.HELLO, {"version": __version__, **introduction()})

    def _take_plan(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401 - Locust's own message
        self._plan = Plan.from_json(json.loads(msg.data["plan"]))
        self._want()

    def _want(self) -> None:
        self._runner.send_message(messages.WANT, {"first": len(self._bodies)})

    def _take_bodies(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        assert self._plan is not None
        self._bodies += msg.data["bodies"]
        if len(self._bodies) < len(self._plan.payloads):
            self._want()
        else:
            self._accept(self._plan, self._bodies)

    def _take_refusal(self, *, msg: Any, **_: object) -> None:  # noqa: ANN401
        self._refused(msg.data["why"])
