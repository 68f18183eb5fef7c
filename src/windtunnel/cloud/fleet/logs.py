"""What instances write: one file each, bounded, quoted from when they fail.

A process writes to its file directly, in append mode, and not through this process: a container
that prints a megabyte a second must not slow the gateway down. The price is that a file can only be
bounded from outside: it is copied to `.1` and cut to nothing, and what is written between copy and
cut is lost.

When a line was written is known from outside, too: whoever tends the logs looks at each one's size
a few times a second and notes what is new (`logs/line_index.py`). Bytes that were noted can be read
through the Logs API.

Whether somebody still writes a file is known by the lock that its description holds: processes
inherit it with the descriptor, and it goes with the last of them.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from windtunnel.cloud.logs import line_index
from windtunnel.core import limits

_TAIL_BYTES = 4096
_TAIL_LINES = 8


class Log:
    """One process's output."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open_to_append(path)
        path.chmod(0o600)
        self.descriptor = self._file.fileno()
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)
        self._index = line_index.index_path(path)
        self._noted_bytes = 0
        self._noted_ms = 0
        # The place of the file's first byte in the log.
        self._base = 0

    def say(self, text: str, now_s: float) -> None:
        """Add a line of our own: starts, ends and why."""
        when = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds")
        # A full disk must not take the fleet down with the log.
        with contextlib.suppress(OSError):
            self._file.write(f"[windtunnel {when}] {text}\n".encode())

    def tail(self) -> str:
        """Return the last lines, printable, as far as a message has room for them."""
        with self.path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
        lines = [
            "".join(character for character in line if character.isprintable()).strip()
            for line in text.splitlines()
            if not line.startswith("[windtunnel ")
        ]
        joined = " | ".join([line for line in lines if line][-_TAIL_LINES:])
        return joined[-limits.FAILURE_LOG_CHARACTERS_MAX :]

    def note(self, now_s: float) -> None:
        """Note what was written since the last time."""
        # By name: whoever looks from a thread may find the descriptor closed, and its number taken.
        size = self.path.stat().st_size
        if size < self._noted_bytes:
            # Somebody cut the file by hand.
            self._begin_again(self._noted_bytes)
        if size == self._noted_bytes:
            return
        if self._noted_bytes == 0:
            line_index.begin(self._index, self._base)
        # Times never fall, whatever the machine's clock does.
        self._noted_ms = max(self._noted_ms, int(now_s * 1000))
        line_index.append(self._index, size, self._noted_ms)
        self._noted_bytes = size

    @property
    def is_full(self) -> bool:
        """Whether the file, or its index, has passed its limit."""
        if self.path.stat().st_size > limits.INSTANCE_LOG_BYTES_MAX:
            return True
        try:
            return self._index.stat().st_size > limits.INSTANCE_LOG_INDEX_BYTES_MAX
        except FileNotFoundError:
            return False

    def rotate(self) -> None:
        """Keep what is there as the one older file, and begin anew (copies: not on the loop).

        The older file and its index take their places before the cut: a reader that finds the same
        index after a read has read what it says.
        """
        older = self.path.with_name(self.path.name + ".1")
        copy = self.path.with_name(self.path.name + ".part")
        shutil.copyfile(self.path, copy)
        copied_bytes = copy.stat().st_size
        if self._index.exists():
            if copied_bytes > self._noted_bytes:
                line_index.append(self._index, copied_bytes, self._noted_ms)
            copy.replace(older)
            self._index.replace(line_index.index_path(older))
            line_index.begin(self._index, self._base + copied_bytes)
        else:
            copy.replace(older)
        os.truncate(self.path, 0)
        self._begin_again(copied_bytes)

    def _begin_again(self, gone_bytes: int) -> None:
        self._base += gone_bytes
        self._noted_bytes = 0

    def finish(self, now_s: float) -> None:
        """Note the last of it, when nobody writes any more, and let go (not on the loop)."""
        with contextlib.suppress(OSError):
            _end_last_line(self.path)
            self.note(now_s)
        self.close()

    def close(self) -> None:
        """Let go of the file; the process has its own descriptor."""
        self._file.close()


def _open_to_append(path: Path) -> FileIO:
    """Open a log so that, after a cut, the next write goes to the new end, not the old offset."""
    for is_last in (False, True):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return path.open("ab", buffering=0)
        except FileNotFoundError:
            # Empty folders are removed while the cloud starts.
            if is_last:
                raise
    raise AssertionError


def tend(logs: Iterable[Log], now_s: float) -> None:
    """Note what is new in every log, and rotate those that have passed their limit."""
    for log in logs:
        with contextlib.suppress(OSError):
            log.note(now_s)
            if log.is_full:
                log.rotate()


def rotate_if_full(log: Log) -> None:
    """Rotate a log that nobody reads through the API."""
    with contextlib.suppress(OSError):
        if log.is_full:
            log.rotate()


def settle(folder: Path) -> None:
    """Note what was written before the last `up` ended, as far as it was not noted by then."""
    for path in folder.rglob("*.log"):
        if is_written(path):
            continue
        with contextlib.suppress(OSError):
            written_ms = int(path.stat().st_mtime * 1000)
            _end_last_line(path)
            size = path.stat().st_size
            place = line_index.index_path(path)
            if line_index.read(place) is None:
                line_index.begin(place, 0)
            known = line_index.span(place)
            if known is None and size:
                line_index.append(place, size, written_ms)
            elif known is not None and size > known.known_bytes:
                line_index.append(place, size, max(known.last_ms, written_ms))


def is_written(path: Path) -> bool:
    """Say whether some process may still write to a log."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def remove(path: Path) -> None:
    """Remove a log, its older part and their indexes."""
    older = path.with_name(path.name + ".1")
    for each in (path, line_index.index_path(path), older, line_index.index_path(older)):
        each.unlink(missing_ok=True)


def prune(folder: Path, count_max: int) -> None:
    """Delete the oldest logs below a folder until `count_max` are left.

    Logs that are still written stay, however old their last line is.
    """
    logs = [path for path in folder.rglob("*.log") if path.is_file() and not path.is_symlink()]
    logs.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in logs[count_max:]:
        if not is_written(path):
            remove(path)


def remove_empty_folders(folder: Path) -> None:
    """Remove the folders that no log is left in."""
    for parent, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            if Path(parent) != folder:
                Path(parent).rmdir()


def _end_last_line(path: Path) -> None:
    """End what was written last as a line: nothing will follow it."""
    with path.open("r+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END) == 0:
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")
