"""Run one foreign command, and take everything it started down with it.

`python -I -m windtunnel.core.keeper [--cpus 0,1] [--nice 5] -- COMMAND…`

A foreign command knows nothing of parent-death signals or lifelines, so a keeper stands between it
and the cloud. It ends when the command ends, and then, like a container whose first process ends,
everything below it ends too, in whatever session it hides. SIGTERM is passed on to the group. When
the parent is gone the group gets SIGTERM, a short grace, and SIGKILL.

Its exit status is the command's (128 + N for signal N); 127 and 126, as in a shell, say that the
command was not found or could not be run.
"""

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from windtunnel.core import lifeline

# From SIGTERM to SIGKILL once the parent is gone: nobody waits for an answer any more.
_ORPHAN_GRACE_S = 2.0
# What SIGKILL has not ended after this long hangs in the kernel; the keeper does not hang with it.
_KILL_TIMEOUT_S = 2.0
_KILL_INTERVAL_S = 0.005
_NOT_RUNNABLE_STATUS = 126
_NOT_FOUND_STATUS = 127


class Keeper:
    """One command and all that came of it."""

    def __init__(
        self, lifeline_end: int | None, on_start: Callable[[], None] | None = None
    ) -> None:
        self._lifeline = lifeline_end
        # Called once the command runs: what needs a thread may start one from then on.
        self._on_start = on_start
        # Signals wake `select` through this pipe, so none is lost between check and sleep.
        self._wake, wake_held = os.pipe()
        os.set_blocking(wake_held, False)
        signal.set_wakeup_fd(wake_held)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: None)
        self._is_ending = False
        self._deadline_s: float | None = None

    def run(self, arguments: Sequence[str]) -> int:
        """Start the command and stay until it ended; return its exit status."""
        keeper_pid = os.getpid()
        command = subprocess.Popen(
            arguments,
            preexec_fn=lambda: lifeline.die_with_parent(keeper_pid),  # noqa: PLW1509 - one thread
        )
        if self._on_start is not None:
            self._on_start()
        status = None
        while status is None:
            self._wait_event()
            status = _reap(command.pid)
        # Told here because `_reap` took the status that Popen would look for.
        command.returncode = status
        kill_descendants()
        return status if status >= 0 else 128 - status

    def _wait_event(self) -> None:
        watched = [self._wake] if self._lifeline is None else [self._wake, self._lifeline]
        left_s = None
        if self._deadline_s is not None:
            left_s = max(0.0, self._deadline_s - time.monotonic())
        ready, _, _ = select.select(watched, [], [], left_s)
        if self._wake in ready and signal.SIGTERM in os.read(self._wake, 64):
            self._end_group()
        if self._lifeline in ready:
            self._lifeline = None
            self._deadline_s = time.monotonic() + _ORPHAN_GRACE_S
            self._end_group()
        if self._deadline_s is not None and time.monotonic() >= self._deadline_s:
            kill_descendants()

    def _end_group(self) -> None:
        if self._is_ending:
            return
        self._is_ending = True
        # The group holds this process too, which must outlive it.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(os.getpgid(0), signal.SIGTERM)


def _reap(wanted_pid: int) -> int | None:
    """Collect every child that ended, adopted ones too; return the wanted one's status."""
    wanted = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return wanted
        if pid == 0:
            return wanted
        if pid == wanted_pid:
            wanted = os.waitstatus_to_exitcode(status)


def kill_descendants() -> None:
    """Kill all that this process started or adopted, and what those start meanwhile."""
    deadline_s = time.monotonic() + _KILL_TIMEOUT_S
    while time.monotonic() < deadline_s:
        try:
            # Looks without collecting: the command's own status is the main loop's to take.
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if not _kill_pass():
            return
        time.sleep(_KILL_INTERVAL_S)


def _kill_pass() -> bool:
    # Imported late: a command that leaves nothing behind, the common case, never pays for it.
    import psutil

    found = False
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                process.kill()
                found = True
    return found


def main(arguments: Sequence[str]) -> int:
    """Read the keeper's own options, then keep the command."""
    parser = argparse.ArgumentParser(prog="windtunnel.core.keeper")
    parser.add_argument("--cpus", default="")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)

    # SIGTERM, not SIGKILL, when the parent's thread ends: the keeper still has work to do then.
    lifeline_end = lifeline.join_parent(signal.SIGTERM)
    lifeline.adopt_orphans()
    if os.getpgrp() != os.getpid():
        # Started by hand, not by `Supervisor`: the group that SIGTERM goes to must be our own.
        os.setpgid(0, 0)
    if options.cpus and sys.platform == "linux":
        os.sched_setaffinity(0, {int(cpu) for cpu in options.cpus.split(",")})
    os.nice(options.nice)
    try:
        return Keeper(lifeline_end).run(options.command)
    except FileNotFoundError as error:
        status = _NOT_FOUND_STATUS
        reason = error.strerror
    except OSError as error:
        status = _NOT_RUNNABLE_STATUS
        reason = error.strerror
    sys.stderr.write(f"windtunnel: cannot run {options.command[0]!r}: {reason}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
