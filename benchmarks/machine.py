"""What the figures were measured on, and how processes are pinned and their CPU time counted."""

import os
import platform
from collections.abc import Iterable
from pathlib import Path

import psutil


def facts() -> str:
    """Return one line about this machine."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(": ")[2]
            break
    memory_gib = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores of {model}, {memory_gib:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} before"
    )


def tree(pid: int) -> list[psutil.Process]:
    """Return a process and all below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def pin(pids: Iterable[int], cores: list[int]) -> None:
    """Keep every thread of some processes on some cores."""
    for pid in pids:
        for thread in psutil.Process(pid).threads():
            os.sched_setaffinity(thread.id, cores)


def cpu_s(processes: Iterable[psutil.Process]) -> float:
    """Return the CPU time that processes have used so far, user and system, in seconds."""
    total_s = 0.0
    for process in processes:
        times = process.cpu_times()
        total_s += times.user + times.system
    return total_s
