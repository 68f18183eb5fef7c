"""What tests ask of processes, any of which may end while it is asked."""

import contextlib
from collections.abc import Iterable

import psutil

from windtunnel.core.lifeline import MARK_VARIABLE

# Long enough for a machine that runs something else besides; nothing here waits for it to pass.
_PATIENCE_S = 30.0


def is_alive(process: psutil.Process | int) -> bool:
    """Return whether a process runs; one that only waits to be reaped does not."""
    with contextlib.suppress(psutil.Error):
        asked = psutil.Process(process) if isinstance(process, int) else process
        return bool(asked.is_running() and asked.status() != psutil.STATUS_ZOMBIE)
    return False


def command(process: psutil.Process) -> list[str]:
    """Return the words of a process's command line, none of one that has ended."""
    with contextlib.suppress(psutil.Error):
        words: list[str] = process.cmdline()
        return words
    return []


def below(pid: int, word: str) -> list[psutil.Process]:
    """Return the processes that a process started, itself or through others, with a word."""
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if word in command(child)]


def marked(mark: str) -> list[psutil.Process]:
    """Return the processes whose mark begins so."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK_VARIABLE, "").startswith(mark) and is_alive(process):
                found.append(process)
    return found


def end_by_themselves(processes: Iterable[psutil.Process]) -> bool:
    """Wait for processes to end and return whether all did."""
    # One whose parent is gone is a moment in the hands of whoever reaps it.
    _, left = psutil.wait_procs(list(processes), timeout=_PATIENCE_S)
    return not any(is_alive(process) for process in left)
