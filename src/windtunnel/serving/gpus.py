"""Which GPUs this machine has, and how much of one a model server may take.

The original looks for /usr/bin/nvidia-smi (serve.py); here it is the driver's own list, which is
read at every start, and the program only where memory is to be shared.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_ASK_MEMORY = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
# It answers in a second; a driver that hangs must not keep a container from starting. Guess.
_ASK_TIMEOUT_S = 10.0
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


def read_memory_mib(number: int | None) -> list[int]:
    """Return the memory of each GPU that counts, in MiB; none where the driver does not say."""
    try:
        said = subprocess.run(
            _ASK_MEMORY, capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=True
        ).stdout
        totals = [int(line) for line in said.splitlines()]
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    return totals if number is None else totals[number : number + 1]
