"""What the processes of an instance take of the machine, and what that is in CloudWatch's percents.

`read` looks at a tree of processes through psutil, which reads files of the kernel: call it in a
thread. The rest is pure.

CPUUtilization is the sum over cores, so that four busy ones are 400 %: processor seconds per second
since the instance was last looked at, of whatever cores it has here. MemoryUtilization is of the
memory that its type has (of this machine, when the type is unknown); pages that processes share are
counted once, because instances are forks. DiskUtilization is what its model and its log take of the
disk that holds the home, which instances share.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from windtunnel.aws import instance_types
from windtunnel.core import limits

_PERCENT = 100.0


class Spec(Protocol):
    """Whose instance it is, and of which type."""

    @property
    def endpoint_name(self) -> str: ...  # noqa: D102

    @property
    def variant_name(self) -> str: ...  # noqa: D102

    @property
    def instance_type(self) -> str: ...  # noqa: D102


class Instance(Protocol):
    """What is to be known of an instance, to look at it."""

    @property
    def id(self) -> str: ...  # noqa: D102

    @property
    def spec(self) -> Spec: ...  # noqa: D102

    @property
    def root_pid(self) -> int | None: ...  # noqa: D102

    @property
    def is_foreign(self) -> bool: ...  # noqa: D102

    @property
    def model_bytes(self) -> int: ...  # noqa: D102

    @property
    def log_path(self) -> Path: ...  # noqa: D102


@dataclass(frozen=True)
class Reading:
    """A tree of processes at one moment."""

    at_s: float
    # Which tree: another number means that the container was started again.
    root: tuple[int, float]
    # Of all its processes, and of those that have ended.
    cpu_s: float
    memory_bytes: int


@dataclass(frozen=True)
class Target:
    """An instance to look at, taken down on the loop so that a thread can."""

    id: str
    endpoint_name: str
    variant_name: str
    instance_type: str
    root_pid: int
    # The first process is our own keeper of a foreign command, and not part of the instance.
    is_kept: bool
    model_bytes: int
    log_path: Path

    @classmethod
    def of(cls, instance: Instance) -> "Target | None":
        """Return what to look at; None when the instance has no process now."""
        if instance.root_pid is None:
            return None
        spec = instance.spec
        return cls(
            instance.id,
            spec.endpoint_name,
            spec.variant_name,
            spec.instance_type,
            instance.root_pid,
            instance.is_foreign,
            instance.model_bytes,
            instance.log_path,
        )


@dataclass(frozen=True)
class Usage:
    """What an instance took, in percents."""

    target: Target
    cpu: float
    memory: float
    disk: float


class Meter:
    """Looks at instances again and again; remembers the last time for each."""

    def __init__(self, disk: Path, now_s: Callable[[], float]) -> None:
        self._disk = disk
        self._now_s = now_s
        self._readings: dict[str, Reading] = {}

    def look(self, targets: Iterable[Target]) -> list[Usage]:
        """Return what instances took since they were last looked at: call it in a thread."""
        before, self._readings = self._readings, {}
        usages = []
        disk_bytes = shutil.disk_usage(self._disk).total
        for target in targets:
            reading = read(target.root_pid, self._now_s(), is_kept=target.is_kept)
            if reading is None:
                continue
            self._readings[target.id] = reading
            usages.append(
                Usage(
                    target,
                    cpu_percent(before.get(target.id), reading),
                    _PERCENT * reading.memory_bytes / memory_bytes(target.instance_type),
                    _PERCENT * (target.model_bytes + _size(target.log_path)) / disk_bytes,
                )
            )
        return usages


def cpu_percent(before: Reading | None, now: Reading) -> float:
    """Return the cores' utilisation between two readings, summed up."""
    if before is None or before.root != now.root:
        # A tree that is new is looked at from its beginning.
        _, since_s = now.root
        spent_s = now.cpu_s
    else:
        since_s, spent_s = before.at_s, now.cpu_s - before.cpu_s
    passed_s = now.at_s - since_s
    # What a process used is lost with it when nobody waits for its end.
    return _PERCENT * max(0.0, spent_s) / passed_s if passed_s > 0 else 0.0


def memory_bytes(instance_type: str) -> float:
    """Return how much memory a type has; this machine's where that is unknown."""
    known = instance_types.find(instance_type)
    if known is None:
        return float(psutil.virtual_memory().total)
    return known.memory_gib * limits.GIB


def read(root_pid: int, now_s: float, *, is_kept: bool) -> Reading | None:
    """Return what a tree of processes takes; None when it is gone."""
    try:
        root = psutil.Process(root_pid)
        started_s = root.create_time()
        tree = root.children(recursive=True)
    except psutil.Error:
        return None
    if not is_kept:
        tree.append(root)
    cpu_s, taken_bytes = 0.0, 0
    for process in tree:
        # What ends meanwhile is no longer there to be counted.
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            cpu_s += times.user + times.system
            cpu_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            taken_bytes += _memory(process)
    return Reading(now_s, (root_pid, started_s), cpu_s, taken_bytes)


def _memory(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    # Linux shares out pages among those who have them; others only tell what is a process's own.
    return int(getattr(full, "pss", full.uss))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def by_metric(usage: Usage) -> Mapping[str, float]:
    """Return a usage under the names of CloudWatch's metrics."""
    return {
        "CPUUtilization": usage.cpu,
        "MemoryUtilization": usage.memory,
        "DiskUtilization": usage.disk,
    }
