"""The store as operations see it: an index, blobs and a clock, and how the two halves meet.

Rule: the order of things that a crash may cut anywhere. Bytes are sealed before the index names
them; the index has forgotten them, durably, before they are removed.
"""

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from windtunnel.cloud.foundation.s3 import rows
from windtunnel.cloud.foundation.s3.blobs import Blobs, Draft, Segment, sync_directory
from windtunnel.cloud.foundation.s3.index import Index
from windtunnel.cloud.foundation.s3.records import Object
from windtunnel.core import limits
from windtunnel.core.clock import Clock

log = logging.getLogger(__name__)

Value = TypeVar("Value")

# How often a lock that is held is tried again, while its holder ends.
_LOCK_INTERVAL_S = 0.02


class StoreInUseError(Exception):
    """Another process has this store open."""


class Storage:
    """One directory that holds buckets and objects."""

    def __init__(self, root: Path, clock: Clock) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.clock = clock
        self._lock = _lock(root / "lock", clock)
        self.index = Index(root / "index.sqlite3")
        self.blobs = Blobs(root / "blobs")
        # What was just made must not vanish, with all in it, in a power cut.
        for directory in (root, root.parent):
            sync_directory(directory)
        swept = self.blobs.sweep(self.index.read(rows.all_blobs))
        if swept:
            log.info("Removed what %d unfinished uploads had left.", swept)

    def close(self) -> None:
        """Finish what waits to be written, and let go."""
        self.index.close()
        self.blobs.close()
        os.close(self._lock)

    def change(self, change: Callable[[sqlite3.Connection], tuple[Value, list[str]]]) -> Value:
        """Carry out a change that also returns the blobs it freed; remove those."""
        value, freed = self.index.write(change)
        try:
            self.blobs.remove(freed)
        except OSError:
            # The change stands; what could not be removed is swept at the next start.
            log.exception("Bytes that nothing refers to could not be removed.")
        return value

    def drop(self, draft: Draft) -> None:
        """Drop a draft whose operation failed, unless the index names it all the same."""
        if not self.index.read(lambda connection: rows.is_used(connection, draft.blob)):
            draft.drop()

    def open(
        self, find: Callable[[sqlite3.Connection], Object]
    ) -> tuple[Object, list[tuple[int, Segment]]]:
        """Return an object and its segments, held: `blobs.release` them when read."""
        while True:
            found, segments = self.index.read(
                lambda connection: (
                    object_found := find(connection),
                    rows.find_segments(connection, object_found.content),
                )
            )
            held = [segment for _, segment in segments]
            self.blobs.hold(held)
            # It may have been replaced, and its blobs removed, just before they were held. If it
            # is still there now, its blobs are removed by nobody before they are released.
            try:
                if self.index.read(find).content == found.content:
                    return found, segments
            except BaseException:
                self.blobs.release(held)
                raise
            self.blobs.release(held)


def _lock(path: Path, clock: Clock) -> int:
    """Hold the store for this process; wait a little for one that is just ending."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end_s = clock.monotonic_s() + limits.S3_LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic_s() > end_s:
                os.close(descriptor)
                raise StoreInUseError(f"{path.parent} is in use by another process.") from None
            time.sleep(_LOCK_INTERVAL_S)
        else:
            return descriptor
