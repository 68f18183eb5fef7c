"""A request's body as a handler gets it: something to read from once, front to back.

It can do what gunicorn's body can, and no more: a script that seeks in it would fail on SageMaker.
"""

import io
from collections.abc import Iterator


class Stream:
    """A body that is there already, read as if it were still coming."""

    def __init__(self, body: bytes) -> None:
        # BytesIO shares the bytes that it is made from, and gives them back whole without a copy.
        self._file = io.BytesIO(body)

    def read(self, size: int | None = None) -> bytes:
        """Return the next `size` bytes, or all that are left."""
        return self._file.read(-1 if size is None else size)

    def readline(self, size: int | None = None) -> bytes:
        """Return the bytes up to the next line's end, at most `size`."""
        return self._file.readline(-1 if size is None else size)

    def readlines(self, size: int | None = None) -> list[bytes]:
        """Return the lines that are left; `size` is a hint of how many bytes of them."""
        return self._file.readlines(-1 if size is None else size)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = self._file.readline()
        if not line:
            raise StopIteration
        return line
