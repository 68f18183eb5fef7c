"""The processor that this runs on: what it is called and what it can do."""

import os
import platform
from functools import cache
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")


@cache
def features() -> frozenset[str]:
    """Return the features of this machine's processor, in Linux's words."""
    for name, value in _facts():
        if name in {"flags", "Features"}:
            return frozenset(value.split())
    return frozenset()


@cache
def processor() -> str:
    """Return the processor's name."""
    for name, value in _facts():
        if name == "model name":
            return value
    return platform.processor() or platform.machine()


def core_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _facts() -> list[tuple[str, str]]:
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines if ":" in line)
    return [(name.strip(), value.strip()) for name, _, value in pairs]
