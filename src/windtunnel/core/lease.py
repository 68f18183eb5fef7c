"""One measurement at a time: whoever measures on a home's machine holds its lease meanwhile.

Two load runs at once measure each other. The second waits for the first and says so; the kernel
lets go of the lease when its holder ends, however it ends.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from windtunnel.core.home import Home


@contextlib.contextmanager
def measuring(home: Home, what: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the home's lease; `on_wait` is told who holds it, if somebody else does."""
    home.prepare()
    with holding(home.measurement_lease, what, on_wait):
        yield


@contextlib.contextmanager
def holding(lease: Path, what: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the lease that a file is; its folder is there."""
    descriptor = os.open(lease, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 500, 0).decode("utf-8", "replace").strip()
            on_wait(holder or "another measurement")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{what} (process {os.getpid()})\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
