"""Progress on stderr: a moving line on a terminal, one plain line a step elsewhere."""

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console

from windtunnel.lab.quantities import format_duration

if TYPE_CHECKING:
    from rich.status import Status

# In a log file or a CI job, a step that takes long says every so often that it still runs.
_REMINDER_PERIOD_S = 5.0


class StderrProgress:
    """Shows steps to a person; use as a context manager."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._current = ""
        self._began_s = 0.0
        self._ended = threading.Event()
        self._reminder = threading.Thread(target=self._remind, daemon=True)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._status = self._console.status("")
            self._status.start()
        else:
            self._reminder.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._status is not None:
            self._status.stop()
        else:
            self._reminder.join()

    def step(self, text: str) -> None:
        """Show what is being done from now on."""
        self._current, self._began_s = text, time.monotonic()
        if self._status is not None:
            self._status.update(f"{text} …")
        else:
            self._print(f"{text} …")

    def done(self, text: str) -> None:
        """Show what was finished."""
        self._current = ""
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def _remind(self) -> None:
        while not self._ended.wait(_REMINDER_PERIOD_S):
            if self._current:
                elapsed_s = time.monotonic() - self._began_s
                self._print(f"{self._current} … {format_duration(elapsed_s)} so far")
