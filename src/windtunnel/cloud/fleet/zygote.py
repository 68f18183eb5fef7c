"""The process that has TensorFlow imported, seen from the cloud.

Importing TensorFlow takes seconds, forking a process that has it takes milliseconds, so one zygote
is warmed when `up` starts and every TensorFlow container is a fork of it. It is asked in lines of
JSON over a socket pair; descriptors travel beside them:

    to it      {"start": id, "model_dir", "environment", "socket_dir", "cache_dir", "cpus", "nice"}
               and two descriptors, [log, status]
    from it    {"event": "warm"}, or {"event": "failed", "reason"} when it never will be,
               {"event": "started", "id", "pid"}, {"event": "exited", "id", "pid", "status"}

A fork leads a process group, which the zygote kills before it says that the fork exited. Its forks
die with it, by the kernel's doing; it is started again, and so are they, by the fleet.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windtunnel.cloud.fleet.environment import base_environment
from windtunnel.cloud.fleet.life import backoff_s
from windtunnel.cloud.fleet.logs import Log
from windtunnel.core import limits
from windtunnel.core.supervision import Supervisor, kill_group, kill_tree

# `-I`: nothing of the directory or the variables of whoever runs `up` reaches it.
PROGRAM = (sys.executable, "-I", "-m", "windtunnel.serving.zygote")
_READ_BYTES = 64 * 1024
_STOP_GRACE_S = 1.0
# From SIGKILL to the zygote's word that the process is gone: memory is given back in between.
_REAP_TIMEOUT_S = 10.0

logger = logging.getLogger(__name__)


class ZygoteError(Exception):
    """No fork can be had, and why."""


class ZygoteGivenUpError(ZygoteError):
    """The zygote cannot get warm: the next fork would fail like this one."""


@dataclass(frozen=True)
class Order:
    """What a fork shall become."""

    id: str
    model_dir: Path
    environment: Mapping[str, str]
    socket_dir: Path
    cache_dir: Path
    cpus: Sequence[int]
    nice: int

    def line(self) -> bytes:
        """Return the order as the zygote reads it."""
        message = {
            "start": self.id,
            "model_dir": str(self.model_dir),
            "environment": dict(self.environment),
            "socket_dir": str(self.socket_dir),
            "cache_dir": str(self.cache_dir),
            "cpus": list(self.cpus),
            "nice": self.nice,
        }
        return json.dumps(message).encode() + b"\n"


def _future() -> "asyncio.Future[Any]":
    return asyncio.get_running_loop().create_future()


@dataclass
class Fork:
    """One child of the zygote: the leader of a container's process group."""

    id: str
    started: "asyncio.Future[int]" = field(default_factory=_future)
    ended: "asyncio.Future[str]" = field(default_factory=_future)

    async def stop(self, grace_s: float) -> None:
        """End the fork and its group: SIGTERM to the leader, then SIGKILL to all."""
        if self.ended.done():
            return
        pid = self.started.result()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        try:
            await asyncio.wait({self.ended}, timeout=grace_s)
        finally:
            if not self.ended.done():
                kill_tree(pid)
        await asyncio.wait({self.ended}, timeout=_REAP_TIMEOUT_S)
        if not self.ended.done():
            logger.error("process %d was killed, but the zygote does not say that it ended", pid)


class Zygote:
    """Keeps one zygote alive and asks it for forks."""

    def __init__(
        self,
        supervisor: Supervisor,
        log_path: Path,
        keras_home: Path,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._supervisor = supervisor
        self.log = Log(log_path)
        # Keras writes its settings when it is imported, into ~/.keras unless told another place.
        self._keras_home = keras_home
        self._program = program
        self._control: socket.socket | None = None
        self._sending = asyncio.Lock()
        self._forks: dict[str, Fork] = {}
        self._wanted = asyncio.Event()
        self._warm: asyncio.Future[None]
        self._keeping: asyncio.Task[None] | None = None
        # Its own words for why it cannot get warm.
        self._failure = ""

    def open(self) -> None:
        """Begin to warm up; return at once."""
        self._warm = _future()
        self._wanted.set()
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End the zygote; the forks that are left end with it."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        self.log.close()

    async def fork(self, order: Order, log_descriptor: int, status_descriptor: int) -> Fork:
        """Return a new fork once it has started; raise `ZygoteError` when there is none to be had.

        Cancelling this leaves no fork behind.
        """
        await self._wait_warm()
        fork = self._forks[order.id] = Fork(order.id)
        sending = asyncio.create_task(self._send(order, (log_descriptor, status_descriptor)))
        try:
            # Half an order would garble every later one.
            await asyncio.shield(sending)
            await asyncio.shield(fork.started)
        except asyncio.CancelledError:
            await asyncio.wait({sending})
            await asyncio.wait({fork.started})
            if fork.started.exception() is None:
                await fork.stop(grace_s=0)
            raise
        except OSError as error:
            raise ZygoteError(f"the zygote does not listen ({error})") from error
        return fork

    async def _wait_warm(self) -> None:
        if self._warm.done() and self._warm.exception() is not None:
            # It was given up; being asked again is a reason to try again.
            self._warm = _future()
        self._wanted.set()
        await asyncio.shield(self._warm)

    async def _keep(self) -> None:
        failure_count = 0
        while True:
            await self._wanted.wait()
            was_warm = await self._live()
            failure_count = 0 if was_warm else failure_count + 1
            if self._failure or failure_count >= limits.ZYGOTE_FAILURE_COUNT_MAX:
                self._give_up(failure_count)
                failure_count = 0
            else:
                await asyncio.sleep(backoff_s(failure_count))

    def _give_up(self, failure_count: int) -> None:
        reason = (
            self._failure
            or f"it ended {failure_count} times in a row before it was ready: {self.log.tail()}"
        )
        reason = f"the TensorFlow process cannot start (its log is {self.log.path}): {reason}"
        logger.error(reason)
        self._failure = ""
        self._wanted.clear()
        self._warm.set_exception(ZygoteGivenUpError(reason))
        # Taken note of: nobody may be waiting.
        self._warm.exception()

    async def _live(self) -> bool:
        """Run one zygote until it ends; return whether it ever was warm."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            try:
                with theirs:
                    process = await self._supervisor.start(
                        [*self._program, "--control-fd", str(theirs.fileno())],
                        environment={**base_environment(), "KERAS_HOME": str(self._keras_home)},
                        output=self.log.descriptor,
                        descriptors=[theirs.fileno()],
                    )
            except OSError:
                logger.exception("the zygote could not be started")
                return False
            self._control = ours
            try:
                await self._listen(ours)
            finally:
                was_warm = self._warm.done()
                self._control = None
                if was_warm:
                    self._warm = _future()
                self._lose_forks()
                await self._supervisor.stop(process, _STOP_GRACE_S)
        return was_warm

    async def _listen(self, control: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        kept = b""
        while len(kept) <= limits.STATUS_LINE_BYTES_MAX:
            try:
                piece = await loop.sock_recv(control, _READ_BYTES)
            except ConnectionError:
                return
            if not piece:
                return
            *lines, kept = (kept + piece).split(b"\n")
            try:
                for line in lines:
                    self._take(json.loads(line))
            except (ValueError, KeyError):
                logger.exception("the zygote sent nonsense")
                return
        logger.error("the zygote sent a line of more than %d bytes", limits.STATUS_LINE_BYTES_MAX)

    def _take(self, message: dict[str, Any]) -> None:
        if message["event"] == "warm":
            if not self._warm.done():
                self._warm.set_result(None)
            return
        if message["event"] == "failed":
            self._failure = str(message["reason"])
            return
        fork = self._forks.get(message["id"])
        if fork is None:
            logger.warning("the zygote speaks of a fork it was not asked for: %s", message)
        elif message["event"] == "started" and not fork.started.done():
            fork.started.set_result(message["pid"])
        elif message["event"] == "exited":
            self._end(fork, describe_status(message["status"]))

    def _lose_forks(self) -> None:
        for fork in list(self._forks.values()):
            if fork.started.done():
                # The kernel has killed the leader; what it started may still run.
                kill_group(fork.started.result())
            self._end(fork, "the process it was forked from, the zygote, ended")

    def _end(self, fork: Fork, how: str) -> None:
        del self._forks[fork.id]
        if not fork.started.done():
            fork.started.set_exception(ZygoteError(how))
            fork.started.exception()
        fork.ended.set_result(how)

    async def _send(self, order: Order, descriptors: Sequence[int]) -> None:
        loop = asyncio.get_running_loop()
        line = order.line()
        async with self._sending:
            control = self._control
            if control is None:
                raise ConnectionResetError("it has just ended")
            # The descriptors travel with the first byte.
            while True:
                try:
                    sent = socket.send_fds(control, [line], list(descriptors))
                    break
                except BlockingIOError:
                    await _wait_writable(control)
            await loop.sock_sendall(control, line[sent:])


async def _wait_writable(control: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    writable: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        loop.remove_writer(control)
        if not writable.done():
            writable.set_result(None)

    loop.add_writer(control, wake)
    await writable


def describe_status(status: int) -> str:
    """Say how a process ended: an exit status, or the signal that -N stands for."""
    if status >= 0:
        return f"it ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"it was killed by {name}"
