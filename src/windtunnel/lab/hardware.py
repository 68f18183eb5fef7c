"""What a result was measured on, and what that may be called.

A local instance stands in for an ml.* type: wherever a result names the type, it says what really
ran. `stand-in` is this machine in place of the type; `measured` is the type itself, on AWS.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import psutil

from windtunnel.aws import instance_types
from windtunnel.lab.endpoint import Variant

# The local cloud's image for any server that keeps the container's contract.
_COMMAND_IMAGE = "local/command"
# The instruction sets that decide how fast a neural network runs on a processor, as /proc/cpuinfo
# calls them: x86 first, then Arm.
_INSTRUCTION_SETS = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni"),
    *("amx_tile", "amx_bf16", "amx_int8"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve"),
)


def describe() -> dict[str, Any]:
    """Return the facts of this machine."""
    info = _cpu_info()
    flags = set(info.get("flags", info.get("Features", "")).split())
    return {
        "cpu_model": info.get("model name") or platform.processor() or platform.machine(),
        "cpu_count": os.cpu_count() or 1,
        "cpu_count_usable": usable_cpu_count(),
        "instruction_sets": [name for name in _INSTRUCTION_SETS if name in flags],
        "memory_bytes": psutil.virtual_memory().total,
        "load_average_1m": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def usable_cpu_count() -> int:
    """Return on how many processors this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_info() -> dict[str, str]:
    """Return the first processor's lines of /proc/cpuinfo, where there is one."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def fidelity(
    kind: Literal["local", "aws"], variants: Sequence[Variant], cpu_count: int
) -> dict[str, str]:
    """Return how far a result speaks for the instance types it names."""
    if kind == "aws":
        return {
            "fidelity": "measured",
            "instances": ", ".join(
                f"{variant.instance_count} x {variant.instance_type}" for variant in variants
            ),
        }
    return {
        "fidelity": "stand-in",
        "instances": ", ".join(_stand_in(variant, cpu_count) for variant in variants),
        "server": " and ".join(dict.fromkeys(_server(variant.image) for variant in variants)),
    }


def place(hardware: Mapping[str, Any]) -> str:
    """Return where a result was measured: the instances, and a clock that is not AWS's."""
    clock = f", clock {hardware['clock']}" if "clock" in hardware else ""
    return f"{hardware['instances']}{clock}"


def _server(image: str) -> str:
    """Return what answers in place of an image."""
    if image == _COMMAND_IMAGE:
        return "the command in WINDTUNNEL_COMMAND"
    return "Windtunnel's model server, not TF Serving"


def _stand_in(variant: Variant, cpu_count: int) -> str:
    label = instance_types.stand_in_label(variant.instance_type, cpu_count)
    if variant.instance_count == 1:
        return label
    return f"{variant.instance_count} x {label}, all on the same {cpu_count} cores"
