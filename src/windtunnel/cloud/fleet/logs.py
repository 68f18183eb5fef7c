"""What instances write: one file each, bounded, quoted from when they fail.

A process writes to its file directly, in append mode, and not through this process: a container
that prints a megabyte a second must not slow the gateway down. The price is that a file can only be
bounded from outside: it is copied to `.1` and cut to nothing, and what is written between copy and
cut is lost.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from windtunnel.core import limits

_TAIL_BYTES = 4096
_TAIL_LINES = 8


class Log:
    """One process's output."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        # Append mode: after a cut the next write goes to the new end, not to the old offset.
        self._file = path.open("ab", buffering=0)
        path.chmod(0o600)
        self.descriptor = self._file.fileno()

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

    @property
    def is_full(self) -> bool:
        """Whether the file has passed its limit."""
        # By name: whoever looks from a thread may find the descriptor closed, and its number taken.
        return self.path.stat().st_size > limits.INSTANCE_LOG_BYTES_MAX

    def rotate(self) -> None:
        """Keep what is there as the one older file, and begin anew (copies: not on the loop)."""
        shutil.copyfile(self.path, self.path.with_suffix(self.path.suffix + ".1"))
        os.truncate(self.path, 0)

    def close(self) -> None:
        """Let go of the file; the process has its own descriptor."""
        self._file.close()


def rotate_full(logs: Iterable[Log]) -> None:
    """Rotate every log that has passed its limit."""
    for log in logs:
        with contextlib.suppress(OSError):
            if log.is_full:
                log.rotate()


def prune(folder: Path, count_max: int) -> None:
    """Delete the oldest logs below a folder until `count_max` are left, and empty folders."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    files.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[count_max:]:
        path.unlink(missing_ok=True)
    for parent, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            if Path(parent) != folder:
                Path(parent).rmdir()
