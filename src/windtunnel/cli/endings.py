"""Every way to be told to end, as one exception: what costs money by the hour is removed first."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType


class EndedError(KeyboardInterrupt):
    """SIGTERM or SIGHUP came: work ends as it does on Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """Return a shell's own code for what a signal ended."""
    number = interrupt.number if isinstance(interrupt, EndedError) else signal.SIGINT
    return 128 + number


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Have SIGTERM and SIGHUP raise `EndedError` while the block runs.

    What was told to ignore one (`nohup`) goes on ignoring it.
    """
    before = {
        number: signal.signal(number, _raise)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    del frame
    if number == signal.SIGHUP:
        # The terminal is gone; writing to it would fail in the middle of cleaning up.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            if stream.isatty():
                os.dup2(nowhere, stream.fileno())
    raise EndedError(number)
