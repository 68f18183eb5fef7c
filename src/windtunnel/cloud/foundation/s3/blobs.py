"""Bytes on disk: files under generated names, whole or not there.

A blob is written under its final name and becomes part of the store only when the index refers to
it. So a kill at any moment leaves at most files that nothing refers to, and `sweep` at the next
start removes those; nothing is ever renamed, and a key never becomes a path.

Rules: `Draft.seal` has synced the file and its directory before the index may name it; a blob is
removed only after the index has durably forgotten it, and not while somebody reads it.
"""

import os
import secrets
import threading
from collections import Counter
from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

from windtunnel.core import limits


@dataclass(frozen=True)
class Segment:
    """A run of bytes of a blob; an object's content is a row of segments."""

    blob: str
    start: int
    length: int


class Draft:
    """A blob that is being written."""

    def __init__(self, path: Path, directory: int) -> None:
        self.blob = path.name
        self._path = path
        self._directory = directory
        self._file = path.open("xb", buffering=0)
        self._unsynced_bytes = 0

    def write(self, data: bytes) -> None:
        """Append bytes; a full disk is an OSError here or in `seal`."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._unsynced_bytes += len(data)
        if self._unsynced_bytes >= limits.S3_UNSYNCED_BYTES_MAX:
            os.fdatasync(self._file.fileno())
            self._unsynced_bytes = 0

    def seal(self) -> None:
        """Return when the bytes and the name would survive a power cut."""
        os.fsync(self._file.fileno())
        self._file.close()
        os.fsync(self._directory)

    def drop(self) -> None:
        """Forget what was written."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class Blobs:
    """The directory of blobs."""

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._readers: Counter[str] = Counter()
        self._unwanted: set[str] = set()

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._directory)

    def draft(self) -> Draft:
        """Begin a blob."""
        return Draft(self._path / secrets.token_hex(16), self._directory)

    def free_bytes(self) -> int:
        """Return how much an upload may still write."""
        facts = os.statvfs(self._path)
        return max(0, facts.f_bavail * facts.f_frsize - limits.S3_DISK_RESERVE_BYTES)

    def sweep(self, kept: Collection[str]) -> int:
        """Remove every file that is not in `kept`; return how many that was."""
        count = 0
        with os.scandir(self._path) as entries:
            for entry in entries:
                if entry.name not in kept:
                    Path(entry.path).unlink()
                    count += 1
        return count

    def remove(self, blobs: Iterable[str]) -> None:
        """Remove blobs that the index no longer names; those being read go when that ends."""
        for blob in blobs:
            with self._lock:
                if self._readers[blob]:
                    self._unwanted.add(blob)
                    continue
            (self._path / blob).unlink(missing_ok=True)

    def hold(self, segments: Iterable[Segment]) -> None:
        """Keep the blobs of a content for a reader, until `release`."""
        with self._lock:
            self._readers.update({segment.blob for segment in segments})

    def release(self, segments: Iterable[Segment]) -> None:
        """End a reader's hold."""
        gone = []
        with self._lock:
            for blob in {segment.blob for segment in segments}:
                self._readers[blob] -= 1
                if not self._readers[blob]:
                    del self._readers[blob]
                    if blob in self._unwanted:
                        self._unwanted.remove(blob)
                        gone.append(blob)
        for blob in gone:
            (self._path / blob).unlink(missing_ok=True)

    def read(self, segments: Iterable[Segment], piece_bytes: int) -> Generator[bytes, None, None]:
        """Yield the bytes of segments in pieces; a file shorter than it should be is an OSError."""
        for segment in segments:
            with (self._path / segment.blob).open("rb", buffering=0) as file:
                file.seek(segment.start)
                left = segment.length
                while left:
                    piece = file.read(min(left, piece_bytes))
                    if not piece:
                        raise OSError(f"The blob {segment.blob} is shorter than its index says.")
                    left -= len(piece)
                    yield piece


def part_of(segments: Iterable[Segment], start: int, length: int) -> list[Segment]:
    """Return the segments that hold `length` bytes of a content from `start` on."""
    chosen = []
    for segment in segments:
        if length == 0:
            break
        if start >= segment.length:
            start -= segment.length
            continue
        taken = min(segment.length - start, length)
        chosen.append(Segment(segment.blob, segment.start + start, taken))
        start = 0
        length -= taken
    assert length == 0, "a range ends inside its content"
    return chosen


def sync_directory(path: Path) -> None:
    """Return when the names in a directory would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
