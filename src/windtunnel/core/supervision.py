"""Processes that never outlive what started them.

A cloud that is killed with -9 must leave nothing running. No single mechanism is enough, so each
process started here has three:

- the kernel's parent-death signal (Linux; it follows the parent *thread*, so starting is done on
  the main thread only, and it does not reach grandchildren);
- the lifeline, a pipe whose write end only the parent holds: its end of file means the parent is
  gone, on every system;
- a mark in the environment that every descendant inherits, fork or exec: at its next start `up`
  sweeps what still carries its home's mark.

Our own programs call `join_parent` first of all. A foreign command runs under a keeper
(`core/keeper.py`), which does it in its stead and takes the whole group down.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO

import psutil

from windtunnel.core import limits
from windtunnel.core.lifeline import (
    LIFELINE_VARIABLE,
    MARK_VARIABLE,
    PARENT_VARIABLE,
    die_with_parent,
    join_parent,
)

__all__ = [
    "MARK_VARIABLE",
    "Supervisor",
    "die_with_parent",
    "join_parent",
    "kill_group",
    "kill_tree",
    "new_generation",
    "sweep",
]

# A process killed here may fork before the signal lands; looking again finds the fork. More rounds
# than this only a fork bomb needs, and that one is left to the user.
_KILL_ROUNDS_MAX = 20
# How long `sweep` waits until what it killed is gone, so that its ports and files are free.
_SWEEP_TIMEOUT_S = 5.0
_SWEEP_INTERVAL_S = 0.005


def new_generation(home_id: str) -> str:
    """Return the mark of one `up`: its home, and which start of it."""
    return f"{home_id}:{secrets.token_hex(6)}"


class Supervisor:
    """Starts a cloud's processes, each tied to this process, and ends them."""

    def __init__(self, generation: str) -> None:
        self.generation = generation
        # Python's descriptors are not inherited unless passed on: nobody else can hold the end
        # whose closing tells the children that this process is gone.
        self._lifeline, self._lifeline_held = os.pipe()
        self._watches: dict[asyncio.subprocess.Process, asyncio.Task[None]] = {}

    async def start(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: IO[bytes] | int | None = None,
        errors: IO[bytes] | int | None = None,
        descriptors: Iterable[int] = (),
        directory: str | os.PathLike[str] | None = None,
        line_bytes_max: int = limits.STATUS_LINE_BYTES_MAX,
    ) -> asyncio.subprocess.Process:
        """Start a program of ours (one that calls `join_parent`) in a session of its own.

        `output` takes both stdout and stderr, unless `errors` takes the latter; where they are
        pipes, a line that is read from them may be so long. When the process ends, by itself too,
        what is left of its group is killed.
        """
        # The parent-death signal follows the thread that forks.
        assert threading.current_thread() is threading.main_thread()
        starting = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *arguments,
                env={
                    **environment,
                    MARK_VARIABLE: self.generation,
                    LIFELINE_VARIABLE: str(self._lifeline),
                    PARENT_VARIABLE: str(os.getpid()),
                },
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output if errors is None else errors,
                pass_fds=(self._lifeline, *descriptors),
                cwd=directory,
                start_new_session=True,
                limit=line_bytes_max,
            )
        )
        try:
            return self._watched(await asyncio.shield(starting))
        except asyncio.CancelledError:
            # asyncio, cancelled in the middle, leaves a pipe open; so it is let finish first.
            await self.stop(self._watched(await starting), grace_s=0.0)
            raise

    def _watched(self, process: asyncio.subprocess.Process) -> asyncio.subprocess.Process:
        self._watches[process] = asyncio.create_task(self._watch(process))
        return process

    async def start_command(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: IO[bytes] | int | None = None,
        directory: str | os.PathLike[str] | None = None,
        cpus: Iterable[int] = (),
        nice: int = 0,
    ) -> asyncio.subprocess.Process:
        """Start any command, under a keeper; signals to the keeper reach its whole group."""
        # Isolated (-I): neither the command's directory nor its PYTHON* variables may choose what
        # the keeper imports.
        keeper = [sys.executable, "-I", "-m", "windtunnel.core.keeper"]
        options = [f"--cpus={','.join(map(str, cpus))}", f"--nice={nice}", "--"]
        return await self.start(
            [*keeper, *options, *arguments],
            environment=environment,
            output=output,
            directory=directory,
        )

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        # At once, and only here: the group's number stays taken while the group has members, but
        # much later a number that fell free could be a stranger's.
        kill_group(process.pid)
        del self._watches[process]

    async def stop(self, process: asyncio.subprocess.Process, grace_s: float) -> None:
        """End a process and all below it: SIGTERM, then SIGKILL after `grace_s` seconds.

        Cancelling this shortens the grace to nothing; the process ends all the same.
        """
        watch = self._watches.get(process)
        if watch is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait({watch}, timeout=grace_s)
        finally:
            if not watch.done():
                kill_tree(process.pid)
        await asyncio.shield(watch)

    async def stop_all(self, grace_s: float) -> None:
        """End everything that was started here, and whatever of it hid."""
        await asyncio.gather(*(self.stop(process, grace_s) for process in list(self._watches)))
        await asyncio.to_thread(_kill_marked, self.generation)

    def close(self) -> None:
        """Let go of the lifeline: what still runs takes this process for gone, and ends."""
        os.close(self._lifeline)
        os.close(self._lifeline_held)


def kill_group(group_id: int) -> None:
    """Kill what is left of a process group that was started here."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group_id, signal.SIGKILL)


def kill_tree(leader_id: int) -> None:
    """Kill a process, its group and all its descendants, the leader last.

    A keeper adopts what its command leaves behind: while it lives nothing below it gets lost.
    """
    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(leader_id)
        _kill_rounds(lambda: leader.children(recursive=True))
    kill_group(leader_id)


def sweep(home_id: str, keep_generation: str) -> int:
    """Kill what earlier generations of this home left behind; return how many it was.

    Only the holder of the home's lock may call this: then no other `up` of this home is alive.
    """
    return _kill_marked(f"{home_id}:", keep_generation)


def _kill_marked(prefix: str, keep: str | None = None) -> int:
    # A cloud may have been started from inside another one's process (a script that an instance
    # runs): it must not kill itself, or what it hangs from.
    spared = {os.getpid(), *(process.pid for process in psutil.Process().parents())}

    def find() -> Iterable[psutil.Process]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                mark = process.environ().get(MARK_VARIABLE, "")
                if mark.startswith(prefix) and mark != keep and process.pid not in spared:
                    yield process

    killed = _kill_rounds(find)
    deadline_s = time.monotonic() + _SWEEP_TIMEOUT_S
    while any(map(_is_alive, killed)) and time.monotonic() < deadline_s:
        time.sleep(_SWEEP_INTERVAL_S)
    return len(killed)


def _kill_rounds(find: Callable[[], Iterable[psutil.Process]]) -> set[psutil.Process]:
    """Kill what `find` returns until it returns nothing new; return what was killed."""
    killed: set[psutil.Process] = set()
    for _ in range(_KILL_ROUNDS_MAX):
        # What was signalled cannot fork again, but may have done so just before.
        found = {process for process in find() if _is_alive(process)} - killed
        if not found:
            break
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        killed |= found
    return killed


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
