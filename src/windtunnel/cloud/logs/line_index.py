"""When each part of a log was written: a small file beside it, `….log.index`.

    header   how many bytes of this log earlier rotations took away
    record   (end, time): all bytes before `end`, and after the last record's, were there at `time`

A container writes into its log directly, so nobody knows when each line came; whoever watches the
file's size a few times a second knows it well enough, without reading a byte. Bytes behind the last
record are not known yet, and not shown.

Rules: appended to by one writer (`fleet/logs.py`), read by anybody at any time: half a record at
the end is none. Times never fall. A place in a log is its bytes from the log's very beginning,
those that are gone counted, so that it means the same after a rotation.
"""

import array
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<8sQ")
_RECORD = struct.Struct("<QQ")
_MAGIC = b"wtindex1"
assert sys.byteorder == "little", "arrays are read as they lie on the disk"


@dataclass(frozen=True)
class LineIndex:
    """The records of one log file; `ends` count from the file's beginning."""

    base: int
    ends: "array.array[int]"
    times_ms: "array.array[int]"

    @property
    def known_bytes(self) -> int:
        """How much of the file is known."""
        return self.ends[-1] if self.ends else 0

    @property
    def end(self) -> int:
        """The place up to which the log is known."""
        return self.base + self.known_bytes


@dataclass(frozen=True)
class Span:
    """A log at a glance: when its first and its last bytes came, and how many are known."""

    first_ms: int
    last_ms: int
    known_bytes: int


def index_path(log: Path) -> Path:
    """Return where the index of a log file lies."""
    return log.with_name(log.name + ".index")


def begin(path: Path, base: int) -> None:
    """Make an empty index for a file whose first byte has the place `base`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_HEADER.pack(_MAGIC, base))


def append(path: Path, end: int, time_ms: int) -> None:
    """Say that the file had `end` bytes at this time."""
    with path.open("ab", buffering=0) as file:
        file.write(_RECORD.pack(end, time_ms))


def read(path: Path) -> LineIndex | None:
    """Return an index, None where there is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        return None
    _, base = _HEADER.unpack_from(data)
    whole = (len(data) - _HEADER.size) // _RECORD.size * _RECORD.size
    pairs = array.array("Q", data[_HEADER.size : _HEADER.size + whole])
    return LineIndex(base, pairs[::2], pairs[1::2])


def span(path: Path) -> Span | None:
    """Return the first and the last record, without reading those between; None without any."""
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            count = (size - _HEADER.size) // _RECORD.size
            if count < 1:
                return None
            first = os.pread(file.fileno(), _RECORD.size, _HEADER.size)
            last_at = _HEADER.size + (count - 1) * _RECORD.size
            last = os.pread(file.fileno(), _RECORD.size, last_at)
    except OSError:
        return None
    _, first_ms = _RECORD.unpack(first)
    known_bytes, last_ms = _RECORD.unpack(last)
    return Span(first_ms, last_ms, known_bytes)
