"""What becomes of `os._exit` in a script.

It would take the requests of every other thread along, and nobody would learn where it stood. On a
thread that has a request it fails that request instead, as `sys.exit` does; everywhere else, and in
processes that the script forks, it is what it always was.
"""

import os
from collections.abc import Callable
from typing import NoReturn

from windtunnel.serving.modelserver import threads


class ScriptExit(SystemExit):
    """A script called for the end of its process, by more than `sys.exit`."""

    what = "os._exit"


def guard_exit() -> None:
    """Have `os._exit` raise where a request can be answered."""
    real: Callable[[int], NoReturn] = os._exit
    worker_pid = os.getpid()

    def guarded(status: int) -> NoReturn:
        if os.getpid() == worker_pid and threads.is_working():
            raise ScriptExit(status)
        real(status)

    os._exit = guarded
