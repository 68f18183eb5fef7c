"""The processor that this runs on: its name, what it can do, what of it this process has."""

import os
import platform
from functools import cache
from pathlib import Path


@cache
def features() -> frozenset[str]:
    """Return the processor's features, as Linux calls them; none on other systems."""
    facts = _facts()
    # Of x86, and of Arm.
    return frozenset((facts.get("flags") or facts.get("Features") or "").split())


@cache
def model() -> str:
    """Return the processor's name."""
    return _facts().get("model name") or platform.processor() or platform.machine()


def core_count() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _facts() -> dict[str, str]:
    """Return the first core's lines of /proc/cpuinfo, where there is one."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
