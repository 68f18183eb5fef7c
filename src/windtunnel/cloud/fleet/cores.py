"""Which cores each instance runs on.

An instance gets as many cores as its type has vCPUs, at most all of the machine, and the least
loaded ones first. So two one-vCPU instances on two cores do not share, as they would not on AWS.
"""

import os
from collections.abc import Iterable, Mapping

from windtunnel.aws import instance_types


def machine_cores() -> tuple[int, ...]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    # macOS has no affinity: the cores are numbers for the books, and all may be used.
    return tuple(range(os.cpu_count() or 1))


def core_count(instance_type: str, machine_core_count: int) -> int:
    """Return how many cores an instance of a type gets; all of them when its size is unknown."""
    known = instance_types.find(instance_type)
    return machine_core_count if known is None else min(known.vcpu, machine_core_count)


def choose_cores(load: Mapping[int, int], count: int) -> tuple[int, ...]:
    """Return the `count` cores that the fewest instances use, low numbers first among equals."""
    ranked = sorted(load, key=lambda core: (load[core], core))
    return tuple(sorted(ranked[:count]))


class Cores:
    """The machine's cores, and how many instances use each."""

    def __init__(self, cores: Iterable[int]) -> None:
        self._load = dict.fromkeys(cores, 0)

    @property
    def load(self) -> dict[int, int]:
        """How many instances use each core."""
        return dict(self._load)

    def assign(self, instance_type: str) -> tuple[int, ...]:
        """Take cores for one instance."""
        cores = choose_cores(self._load, core_count(instance_type, len(self._load)))
        for core in cores:
            self._load[core] += 1
        return cores

    def release(self, cores: Iterable[int]) -> None:
        """Give back what `assign` returned."""
        for core in cores:
            assert self._load[core] > 0
            self._load[core] -= 1
