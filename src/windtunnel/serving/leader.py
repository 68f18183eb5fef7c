"""The loop of a container's first process: it starts the others, replaces them, and ends them.

A plain loop of one thread, so that it may fork at any time. What a death means is decided by
`decide_death`, from values alone; here it is only carried out.
"""

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from windtunnel.core import limits
from windtunnel.core.clock import Clock, SystemClock
from windtunnel.serving.children import Child, Reports, Wakeups, fork, wait_readable

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Who is told how a container fares."""

    def send(self, event: str, **details: object) -> None:
        """Take one event."""


@dataclass(eq=False)
class Role:
    """One process that should be there."""

    name: str
    run: Callable[[Reports, int], int]
    # What the listener knows it by.
    number: int
    keep: tuple[int, ...] = ()
    # The highest ends first, so that what is in hand can still ask those below.
    rank: int = 0
    child: Child | None = None
    # What became of its processes so far.
    is_available: bool = False
    was_available: bool = False
    deaths_in_row: int = 0
    last_status: int = 0
    reason: str | None = None
    available_since_s: float = 0.0
    # By when it must be available, and when it is started again.
    deadline_s: float = 0.0
    restart_at_s: float | None = None
    # It has said that it ends to be replaced: its own decision, and no crash.
    is_retired: bool = False
    is_told_to_end: bool = False
    # Whose end is not the container's: told when it is available, with its report, and when it is
    # gone for good, with the reason, or None when that was wanted.
    on_available: Callable[[dict[str, Any]], None] | None = None
    on_gone: Callable[[str | None], None] | None = None
    # It was not available in time, which is why it is gone.
    is_overdue: bool = False
    # Set when it is wanted no more: when it is killed.
    kill_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after a pause; `deaths_in_row` counts this death."""

    delay_s: float
    deaths_in_row: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the container."""

    reason: str


def decide_death(role: Role, status: int, now_s: float) -> Restart | GiveUp:
    """Say what the end of a role's process means.

    One that says why it cannot serve, or that never served, would fail the same way again. One
    that served and crashed is started again for as long as the container is wanted.
    """
    if role.reason is not None:
        return GiveUp(role.reason)
    if not role.was_available:
        return GiveUp(f"The {role.name} ended while it started: {describe_status(status)}.")
    if role.is_retired:
        return Restart(limits.RESTART_BACKOFF_FIRST_S, role.deaths_in_row)
    is_forgiven = role.is_available and (now_s - role.available_since_s >= limits.RESTART_FORGIVE_S)
    deaths = 0 if is_forgiven else role.deaths_in_row
    # The exponent is bounded so that a week of crashes does not overflow a float.
    delay_s = limits.RESTART_BACKOFF_FIRST_S * 2.0 ** min(deaths, 32)
    return Restart(min(delay_s, limits.RESTART_BACKOFF_MAX_S), deaths + 1)


def describe_status(status: int) -> str:
    """Return an exit status in words; negative ones are signals."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


class Leader:
    """Keeps roles filled until it is told to end, or one of them cannot be filled."""

    def __init__(
        self,
        start_timeout_s: float,
        listener: Listener,
        # Readable (at its end) when what started this process is gone.
        lifeline: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._start_timeout_s = start_timeout_s
        self._listener = listener
        self._lifeline = lifeline
        self._clock = clock or SystemClock()
        self._wakeups = Wakeups(signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        # Each child holds the reading end; its end of file is this process's.
        self._child_lifeline, self._lifeline_held = os.pipe()
        self._roles: list[Role] = []
        # What else may bring news, by descriptor.
        self._watched: dict[int, Callable[[], None]] = {}
        self._failure: str | None = None
        # Set when this ends: when what has not ended by then is killed.
        self._kill_at_s: float | None = None

    def add(self, role: Role) -> None:
        """Fill a role, now and for as long as this runs."""
        self._start(role)
        self._roles.append(role)

    def dismiss(self, role: Role) -> None:
        """Have a role empty: its process ends behind its answers, and is not started again."""
        role.restart_at_s = None
        role.kill_at_s = self._clock.monotonic_s() + limits.STOP_GRACE_S
        role.kill_at_s += limits.LEADER_STOP_MARGIN_S
        if role.child is None:
            self._drop(role, None)
        elif not role.is_told_to_end:
            role.is_told_to_end = True
            role.child.signal(signal.SIGTERM)

    def watch(self, descriptor: int, act: Callable[[], None]) -> None:
        """Call `act` whenever a descriptor can be read."""
        self._watched[descriptor] = act

    def wait_available(self) -> bool:
        """Wait until every role is available; say no when it will not come to that."""
        while self._kill_at_s is None:
            if all(role.was_available for role in self._roles):
                return True
            self._step()
        return False

    def run(self) -> int:
        """Return 0 when told to end, 1 when a role could not be filled."""
        while self._kill_at_s is None or self._children():
            self._step()
        return 0 if self._failure is None else 1

    def _step(self) -> None:
        """Wait for whatever comes next, and deal with it."""
        ready = self._wait()
        if self._wakeups.read() & {signal.SIGTERM, signal.SIGINT} or self._is_orphan():
            self._begin_end()
        for descriptor in ready & self._watched.keys():
            self._watched[descriptor]()
        for role in self._children():
            self._read_reports(role)
        self._reap()
        if self._kill_at_s is not None:
            self._end_next()
        self._act_on_time()

    def _children(self) -> list[Role]:
        return [role for role in self._roles if role.child is not None]

    def _wait(self) -> set[int]:
        times = [role.restart_at_s for role in self._roles if role.restart_at_s is not None]
        times += [role.deadline_s for role in self._children() if not role.is_available]
        times += [role.kill_at_s for role in self._children() if role.kill_at_s is not None]
        times += [] if self._kill_at_s is None else [self._kill_at_s]
        timeout_s = max(0.0, min(times) - self._clock.monotonic_s()) if times else None
        watched = {self._wakeups.descriptor, *self._watched}
        watched |= {role.child.reports for role in self._roles if role.child is not None}
        if self._lifeline is not None:
            watched.add(self._lifeline)
        return wait_readable(watched, timeout_s)

    def _is_orphan(self) -> bool:
        if self._lifeline is None or not wait_readable([self._lifeline], 0):
            return False
        self._lifeline = None
        return True

    def _start(self, role: Role) -> None:
        role.restart_at_s = None
        role.is_available = False
        role.is_retired = False
        role.deadline_s = self._clock.monotonic_s() + self._start_timeout_s
        role.child = fork(role.run, keep=role.keep, lifeline=self._child_lifeline)
        logger.info("started %s (pid %d)", role.name, role.child.pid)

    def _read_reports(self, role: Role) -> None:
        assert role.child is not None
        for report in role.child.read_reports():
            if report["event"] == "available":
                self._note_available(role)
                if role.on_available is not None:
                    role.on_available(report)
            elif report["event"] == "retired":
                role.is_retired = True
            elif report["event"] == "failed":
                role.reason = report["reason"]

    def _note_available(self, role: Role) -> None:
        role.is_available = True
        role.available_since_s = self._clock.monotonic_s()
        logger.info("%s is available", role.name)
        if role.was_available:
            self._listener.send("restarted", server=role.number, status=role.last_status)
        role.was_available = True

    def _reap(self) -> None:
        for role in self._children():
            assert role.child is not None
            pid, raw = os.waitpid(role.child.pid, os.WNOHANG)
            if pid == 0:
                continue
            self._read_reports(role)
            role.child.close()
            role.child = None
            self._note_death(role, os.waitstatus_to_exitcode(raw))

    def _note_death(self, role: Role, status: int) -> None:
        if self._kill_at_s is not None:
            logger.info("%s ended: %s", role.name, describe_status(status))
            return
        if role.kill_at_s is not None:
            self._drop(role, None)
            return
        now_s = self._clock.monotonic_s()
        decision = decide_death(role, status, now_s)
        if isinstance(decision, GiveUp):
            if role.on_gone is None:
                self._fail(decision.reason)
            else:
                logger.error("%s", decision.reason)
                self._drop(role, decision.reason)
            return
        logger.error(
            "%s ended: %s; it starts again in %.1f s",
            role.name,
            describe_status(status),
            decision.delay_s,
        )
        role.deaths_in_row = decision.deaths_in_row
        role.last_status = status
        role.restart_at_s = now_s + decision.delay_s

    def _drop(self, role: Role, reason: str | None) -> None:
        self._roles.remove(role)
        if role.on_gone is not None:
            role.on_gone(reason)

    def _end_next(self) -> None:
        """Ask those of the highest rank that is left to end behind their answers."""
        highest = max((role.rank for role in self._children()), default=0)
        for role in self._children():
            if role.rank == highest and not role.is_told_to_end:
                assert role.child is not None
                role.is_told_to_end = True
                with contextlib.suppress(ProcessLookupError):
                    role.child.signal(signal.SIGTERM)

    def _act_on_time(self) -> None:
        now_s = self._clock.monotonic_s()
        for role in self._roles:
            if role.restart_at_s is not None and role.restart_at_s <= now_s:
                self._start(role)
            elif role.child is not None and not role.is_available and role.deadline_s <= now_s:
                role.is_overdue = True
                role.reason = (
                    f"The {role.name} was not available within {self._start_timeout_s:g} s"
                    " (SAGEMAKER_TFS_WAIT_TIME_SECONDS)."
                )
                role.child.signal(signal.SIGKILL)
            elif role.child is not None and role.kill_at_s is not None and role.kill_at_s <= now_s:
                role.child.signal(signal.SIGKILL)
        if self._kill_at_s is not None and self._kill_at_s <= now_s:
            self._kill_at_s = now_s + limits.LEADER_STOP_MARGIN_S
            for role in self._children():
                assert role.child is not None
                role.child.signal(signal.SIGKILL)

    def _fail(self, reason: str) -> None:
        if self._failure is None:
            self._failure = reason
            logger.error("%s", reason)
            self._listener.send("failed", reason=reason)
        self._begin_end()

    def _begin_end(self) -> None:
        """Begin to ask children to end behind their answers; later they are not asked any more."""
        if self._kill_at_s is not None:
            return
        self._kill_at_s = self._clock.monotonic_s() + limits.STOP_GRACE_S
        self._kill_at_s += limits.LEADER_STOP_MARGIN_S
        for role in self._roles:
            role.restart_at_s = None
        self._end_next()
