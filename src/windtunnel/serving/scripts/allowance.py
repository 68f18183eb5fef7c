"""How much memory a script may take: about what is free when its worker starts.

Without a bound a script that leaks would have the kernel kill whatever is largest, which may be a
model server, or another endpoint's. With one Python raises MemoryError where the script asks for
too much: its request is answered, and its worker replaced.
"""

import contextlib
import resource
import sys
from pathlib import Path

from windtunnel.core import limits
from windtunnel.core.free_memory import available_bytes

_STATUS = Path("/proc/self/status")


def limit_memory() -> None:
    """Have this process get no more than an allowance beyond what it holds already (Linux)."""
    # Elsewhere RLIMIT_DATA counts the heap alone, from which nothing large comes.
    held_bytes = _data_bytes() if sys.platform == "linux" else None
    if held_bytes is None:
        return
    free_bytes = available_bytes() - limits.MEMORY_RESERVE_BYTES
    allowance_bytes = max(free_bytes, limits.SCRIPT_ALLOWANCE_BYTES_MIN)
    _set(held_bytes + allowance_bytes)


def lift_limit() -> None:
    """Take the bound away, so that what is left to say can be said."""
    _set(resource.RLIM_INFINITY)


def _set(size_bytes: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        size_bytes = hard if size_bytes == resource.RLIM_INFINITY else min(size_bytes, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (size_bytes, hard))


def _data_bytes() -> int | None:
    """Return what the kernel counts for RLIMIT_DATA: private memory that can be written."""
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * limits.KIB
    return None
