"""Locust processes that a command leaves behind: scripts start them with `&` and end without them.

The cloud that `windtunnel run` started would end under them, and nobody would see what they say. So
`run` stays for as long as they do. Whatever else a command leaves running is its own business.
"""

import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from windtunnel.core import limits

# In the environment of everything that one `run` started: a word of this run's own.
RUN_VARIABLE = "WINDTUNNEL_RUN"
# What a Locust that was found inside is on its way from a shell to itself.
_PROGRAMS = frozenset({"locust_launch.py", "locust_plugin.py"})
_POLL_S = 0.05


def wait_left_behind(word: str, shims: Path, say: Callable[[str], None]) -> None:
    """Wait for the Locust processes of a run that has ended; Ctrl-C ends them."""
    deadline_s = time.monotonic() + limits.LEFT_BEHIND_GRACE_S
    while not (found := _locusts(started := _started_by(word), shims)):
        # A shell's child may not be Locust yet.
        if not started or time.monotonic() > deadline_s:
            return
        time.sleep(_POLL_S)
    say(
        "the command has ended, and the Locust processes that it started have not: waiting for "
        "them (end such a script with `wait`). Ctrl-C ends them."
    )
    # Locust sums up and ends when it is asked to; Ctrl-C itself it was told to ignore by the shell.
    end = signal.SIGTERM
    while found:
        try:
            psutil.wait_procs(found)
            found = _locusts(_started_by(word), shims)
        except KeyboardInterrupt:
            for process in found:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(end)
            end = signal.SIGKILL


def _started_by(word: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(RUN_VARIABLE) == word:
                found.append(process)
        except psutil.Error:
            # Somebody else's, or gone.
            continue
    return found


def _locusts(processes: list[psutil.Process], shims: Path) -> list[psutil.Process]:
    found = []
    for process in processes:
        try:
            words = [Path(word) for word in process.cmdline()]
        except psutil.Error:
            continue
        if any(word.name in _PROGRAMS or word.parent == shims for word in words[:4]):
            found.append(process)
    return found
