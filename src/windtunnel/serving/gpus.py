"""Which GPUs this machine has, and how much of one a model server may take.

The original looks for /usr/bin/nvidia-smi (serve.py); here it is the driver's own list, which is
read at every start.
"""

from dataclasses import dataclass
from pathlib import Path

_GPUS = Path("/proc/driver/nvidia/gpus")


def count_gpus(directory: Path = _GPUS) -> int:
    """Return how many GPUs of NVIDIA's there are."""
    return len(list(directory.iterdir())) if directory.is_dir() else 0


def choose_fraction(margin: float, server_count: int, gpu_count: int) -> float | None:
    """Return the share of a GPU's memory for each of several model servers; None: no limit.

    The margin is CUDA's; the rest is divided by all servers, as in the original, also where there
    are several GPUs.
    """
    if gpu_count == 0 or server_count == 1:
        return None
    return round((1 - margin) / server_count, 4)


@dataclass(frozen=True, slots=True)
class GpuShare:
    """What one model server may use."""

    # None: all there are.
    number: int | None = None
    # Of its memory; None: all.
    fraction: float | None = None


WHOLE = GpuShare()


def choose_share(server: int, gpu_count: int, fraction: float | None) -> GpuShare:
    """Return a server's share: of several GPUs it gets one, in turn, as in the original."""
    return GpuShare(server % gpu_count if gpu_count > 1 else None, fraction)
