"""How much memory new processes can take: the machine's, or their container's where it has less."""

from pathlib import Path

import psutil

_CGROUP_ROOT = Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """Return how much memory new processes can take: the machine's, or the cgroup's if smaller."""
    machine_bytes = int(psutil.virtual_memory().available)
    cgroup_bytes = _cgroup_available_bytes(_CGROUP_ROOT)
    return machine_bytes if cgroup_bytes is None else min(machine_bytes, cgroup_bytes)


def _cgroup_available_bytes(cgroup: Path) -> int | None:
    """Return what the cgroup (version 2) of a container leaves; None where there is no limit."""
    try:
        limit_text = (cgroup / "memory.max").read_text().strip()
        if limit_text == "max":
            return None
        used_bytes = int((cgroup / "memory.current").read_text())
        pairs = (line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        # Cached file pages count as used, but are given up when memory is asked for.
        reclaimable_bytes = next((int(v) for k, v in pairs if k == "inactive_file"), 0)
        return max(0, int(limit_text) - used_bytes + reclaimable_bytes)
    except (OSError, ValueError):
        return None
