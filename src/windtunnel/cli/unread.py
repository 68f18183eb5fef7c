"""Output that nobody reads any more: whoever watched is gone, and the work goes on.

`windtunnel load … 2>&1 | head` closes the pipe in the middle of an hour's run. What is said on
stderr is for people to follow; a run is kept whether or not anybody does.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO


class _Tolerant:
    """A text stream that stops writing, without a word, once its reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, as long as anybody reads."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, as long as anybody reads."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BrokenPipeError:
            drop(self._stream)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all else is the stream's own
        return getattr(self._stream, name)


def drop(stream: TextIO) -> None:
    """Send what is still to be written to a stream nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextlib.contextmanager
def tolerated() -> Iterator[None]:
    """Let nothing fail because stderr is closed."""
    before = sys.stderr
    sys.stderr = _Tolerant(before)
    try:
        yield
    finally:
        sys.stderr = before
