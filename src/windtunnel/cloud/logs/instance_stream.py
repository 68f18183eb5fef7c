"""The log of one instance as a stream: each line is an event.

The lines lie in the file that the instance writes and in the older one that was rotated away
(`fleet/logs.py`); their times are in the indexes beside them. Nothing is copied: what is asked for
is found by the index, and read in blocks. A cursor is a place in the log (`line_index.py`).

Rules: only what the index knows is read, and only whole lines; empty lines are no events; a line
over CloudWatch's limit is cut, and says so. The files may be rotated while they are read: when the
index is another one after a block was read, reading ends there, and goes on at the next request.
"""

import bisect
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from windtunnel.cloud.logs import line_index
from windtunnel.cloud.logs.events import Cursor, Event, Window
from windtunnel.cloud.logs.line_index import LineIndex
from windtunnel.core import limits

_BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True)
class _Part:
    """One of the files, open, and its index."""

    descriptor: int
    index_file: Path
    index_inode: int
    index: LineIndex

    @property
    def is_current(self) -> bool:
        """Whether the file still is what the index says."""
        try:
            return self.index_file.stat().st_ino == self.index_inode
        except OSError:
            return False


class InstanceStream:
    """Reads one instance's log."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        self._older = path.with_name(path.name + ".1")
        first = line_index.span(line_index.index_path(self._older))
        last = line_index.span(line_index.index_path(path)) or first
        earliest = first or last
        self.first_ms = None if earliest is None else earliest.first_ms
        self.last_ms = None if last is None else last.last_ms
        self.last_ingestion_ms = self.last_ms
        self.created_ms = self.first_ms or 0
        self.stored_bytes = sum(each.known_bytes for each in {first, last} if each is not None)

    def forward(self, window: Window, cursor: Cursor | None) -> Iterator[Event]:
        """Yield the lines of a window, oldest first."""
        with contextlib.ExitStack() as stack:
            reader = _Reader(self._open(stack))
            start, end = reader.bounds(window)
            if cursor is not None:
                start = max(start, min(cursor[0], end))
            yield from reader.lines(start, end)

    def backward(self, window: Window, cursor: Cursor | None) -> Iterator[Event]:
        """Yield the lines of a window, latest first."""
        with contextlib.ExitStack() as stack:
            reader = _Reader(self._open(stack))
            start, end = reader.bounds(window)
            if cursor is not None:
                end = min(end, cursor[0])
            yield from reader.lines_backward(start, end)

    def _open(self, stack: contextlib.ExitStack) -> list[_Part]:
        """Open the files that there are; the older one only if it leads up to the other."""
        parts: list[_Part] = []
        for path in (self._path, self._older):
            index_file = line_index.index_path(path)
            try:
                inode = index_file.stat().st_ino
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            stack.callback(os.close, descriptor)
            index = line_index.read(index_file)
            if index is not None and (not parts or index.end == parts[0].index.base):
                parts.insert(0, _Part(descriptor, index_file, inode, index))
        return parts


class _Reader:
    """The files of one log, as one run of bytes."""

    def __init__(self, parts: list[_Part]) -> None:
        self._parts = parts
        self.begin = parts[0].index.base if parts else 0
        self.end = parts[-1].index.end if parts else 0
        # The record that was found last: the next line's is mostly the same.
        self._noted_from = self._noted_to = self._noted_ms = 0

    def bounds(self, window: Window) -> tuple[int, int]:
        """Return the places between which the lines of a window end."""
        start = end = self.begin
        for part in self._parts:
            times = part.index.times_ms
            before = bisect.bisect_left(times, window.start_ms)
            if before:
                start = part.index.base + part.index.ends[before - 1]
            before = bisect.bisect_left(times, window.end_ms)
            if before:
                end = part.index.base + part.index.ends[before - 1]
        return self._line_begin(start), end

    def lines(self, start: int, end: int) -> Iterator[Event]:
        """Yield the lines that begin and end between two places."""
        held, at = b"", start
        while at + len(held) < end:
            # Twice as much each time that no line ended, so that a huge one is not joined often.
            block = self._block(at + len(held), end, max(_BLOCK_BYTES, len(held)))
            if not block:
                return
            *lines, held = (held + block).split(b"\n")
            for line in lines:
                line_end = at + len(line)
                if line:
                    yield self._event(at, line_end, line)
                at = line_end + 1

    def lines_backward(self, start: int, end: int) -> Iterator[Event]:
        """Yield the same from the end."""
        held, at = b"", end
        # The end of what is wanted within `held`: behind a line's end, once that was found.
        wanted, is_whole = 0, False
        while True:
            stop = wanted - 1 if is_whole else wanted
            line_begin = held.rfind(b"\n", 0, max(0, stop)) + 1
            if line_begin == 0 and at > start:
                size = max(_BLOCK_BYTES, wanted)
                block = self._block(max(start, at - size), at, size)
                if not block:
                    return
                held, at = block + held[:wanted], at - len(block)
                wanted += len(block)
                continue
            if is_whole and wanted - 1 > line_begin:
                line = held[line_begin : wanted - 1]
                yield self._event(at + line_begin, at + wanted - 1, line)
            if line_begin == 0:
                return
            wanted, is_whole = line_begin, True

    def _line_begin(self, place: int) -> int:
        """Return where the line begins that holds the byte at a place."""
        at = place
        while at > self.begin:
            size = min(_BLOCK_BYTES, at - self.begin)
            block = self._block(at - size, at, size)
            if not block:
                return place
            found = block.rfind(b"\n")
            if found >= 0:
                return at - len(block) + found + 1
            at -= len(block)
        return self.begin

    def _block(self, start: int, end: int, size: int) -> bytes:
        """Return bytes from a place on, nothing when the files changed meanwhile.

        They may be fewer than asked for only at the end of a file; backward readers ask for no more
        than lies before their place.
        """
        pieces = []
        left = min(size, end - start)
        for part in self._parts:
            if left > 0 and part.index.base <= start < part.index.end:
                count = min(left, part.index.end - start)
                piece = os.pread(part.descriptor, count, start - part.index.base)
                if len(piece) < count:
                    return b""
                pieces.append(piece)
                start += count
                left -= count
        return b"".join(pieces) if all(part.is_current for part in self._parts) else b""

    def _event(self, begin: int, line_end: int, line: bytes) -> Event:
        if not self._noted_from <= line_end < self._noted_to:
            self._find_record(line_end)
        time_ms = self._noted_ms
        if len(line) > limits.LOG_EVENT_BYTES_MAX:
            note = f" [cut by Windtunnel: the line has {len(line)} bytes]"
            message = line[: limits.LOG_EVENT_BYTES_MAX - 100].decode(errors="replace") + note
        else:
            message = line.removesuffix(b"\r").decode(errors="replace")
        return Event((begin, 0), (line_end + 1, 0), time_ms, time_ms, message)

    def _find_record(self, place: int) -> None:
        """Find when the byte at a place was first seen, and which bytes were with it."""
        part = next(part for part in self._parts if part.index.base <= place < part.index.end)
        ends = part.index.ends
        found = bisect.bisect_right(ends, place - part.index.base)
        self._noted_from = part.index.base + (ends[found - 1] if found else 0)
        self._noted_to = part.index.base + ends[found]
        self._noted_ms = part.index.times_ms[found]
