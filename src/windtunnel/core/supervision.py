"""Processes that never outlive what started them.

A cloud that is killed with -9 must leave nothing running. No single mechanism is enough, so each
process started here has three:

- the kernel's parent-death signal (Linux; it follows the parent *thread*, so starting is done on
  the main thread only, and it does not reach grandchildren);
- the lifeline, a pipe whose write end only the parent holds: its end of file means the parent is
  gone, on every system;
- a mark in the environment that every descendant inherits, fork or exec: at its next start `up`
  sweeps what still carries its home's mark.

Run as a module this is the *keeper*: it runs one foreign command in a process group of its own and
takes the whole group down when its parent goes.
"""

import asyncio
import contextlib
import ctypes
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import IO

import psutil

MARK_VARIABLE = "WINDTUNNEL_GENERATION"
LIFELINE_VARIABLE = "WINDTUNNEL_LIFELINE_FD"
PARENT_VARIABLE = "WINDTUNNEL_PARENT_PID"
_PR_SET_PDEATHSIG = 1
# From SIGTERM to SIGKILL for a keeper's group whose parent is already gone.
_ORPHAN_GRACE_S = 2.0


def new_generation(home_id: str) -> str:
    """Return the mark of one `up`: its home, and which start of it."""
    return f"{home_id}:{secrets.token_hex(6)}"


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the call above; then nobody will send the signal.
    if os.getppid() != parent_pid:
        os._exit(1)


def join_parent() -> int | None:
    """Tie this process to what started it through `Supervisor`; return its lifeline to watch."""
    parent = os.environ.pop(PARENT_VARIABLE, None)
    if parent is not None:
        die_with_parent(int(parent))
    lifeline = os.environ.pop(LIFELINE_VARIABLE, None)
    return None if lifeline is None else int(lifeline)


class Supervisor:
    """Starts a cloud's processes, each tied to this process, and ends them."""

    def __init__(self, generation: str) -> None:
        self.generation = generation
        # Python's descriptors are not inherited unless passed on: nobody else can hold the end
        # whose closing tells the children that this process is gone.
        self._lifeline, self._lifeline_held = os.pipe()
        self._children: set[asyncio.subprocess.Process] = set()

    async def start(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: IO[bytes] | int | None = None,
        descriptors: Iterable[int] = (),
        directory: str | os.PathLike[str] | None = None,
    ) -> asyncio.subprocess.Process:
        """Start a program of ours (one that calls `join_parent`) in a session of its own.

        `output` takes both stdout and stderr. Call on the main thread only (see above).
        """
        process = await asyncio.create_subprocess_exec(
            *arguments,
            env={
                **environment,
                MARK_VARIABLE: self.generation,
                LIFELINE_VARIABLE: str(self._lifeline),
                PARENT_VARIABLE: str(os.getpid()),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(self._lifeline, *descriptors),
            cwd=directory,
            start_new_session=True,
        )
        self._children.add(process)
        return process

    async def start_command(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: IO[bytes] | int | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> asyncio.subprocess.Process:
        """Start any command, under a keeper; signals to the keeper reach its whole group."""
        keeper = [sys.executable, "-m", "windtunnel.core.supervision", *arguments]
        return await self.start(keeper, environment=environment, output=output, directory=directory)

    async def stop(self, process: asyncio.subprocess.Process, grace_s: float) -> None:
        """End a process and its group: SIGTERM, then SIGKILL after `grace_s` seconds."""
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), grace_s)
            except TimeoutError:
                pass
        kill_group(process.pid)
        await process.wait()
        self._children.discard(process)

    async def stop_all(self, grace_s: float) -> None:
        """End everything that was started here."""
        await asyncio.gather(*(self.stop(process, grace_s) for process in list(self._children)))


def kill_group(group_id: int) -> None:
    """Kill what is left of a process group that was started here."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group_id, signal.SIGKILL)


def sweep(home_id: str, keep_generation: str) -> int:
    """Kill what earlier generations of this home left behind; return how many it was.

    Only the holder of the home's lock may call this: then no other `up` of this home is alive.
    """
    count = 0
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK_VARIABLE, "")
        except (psutil.Error, OSError):
            continue
        if mark.startswith(f"{home_id}:") and mark != keep_generation:
            with contextlib.suppress(psutil.Error):
                process.kill()
                count += 1
    return count


def keep(arguments: Sequence[str]) -> int:
    """Run a command until it ends, SIGTERM comes or the parent is gone; return its exit status."""
    lifeline = join_parent()
    keeper_pid = os.getpid()
    wake, wake_held = os.pipe()
    os.set_blocking(wake_held, False)
    signal.set_wakeup_fd(wake_held)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(  # noqa: S603 - running the user's own command is its purpose
        arguments, preexec_fn=lambda: die_with_parent(keeper_pid)
    )
    watched = [wake] if lifeline is None else [wake, lifeline]
    ending_s: float | None = None
    while (status := child.poll()) is None:
        left_s = None if ending_s is None else max(0.0, ending_s - time.monotonic())
        ready, _, _ = select.select(watched, [], [], left_s)
        if ending_s is not None and time.monotonic() >= ending_s:
            kill_group(keeper_pid)
        if wake in ready and signal.SIGTERM in os.read(wake, 64):
            # The group holds this process too: its own handler swallows the echo.
            _signal_group_once(keeper_pid)
        if lifeline in ready:
            watched = [wake]
            ending_s = time.monotonic() + _ORPHAN_GRACE_S
            _signal_group_once(keeper_pid)
    return status if status >= 0 else 128 - status


def _signal_group_once(group_id: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group_id, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
