"""What a result was measured on, and what that may be called.

A local instance stands in for an ml.* type: wherever a result names the type, it says what really
ran. `stand-in` is this machine in place of the type; `measured` is the type itself, on AWS.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import psutil

from windtunnel.aws import instance_types
from windtunnel.core import processor
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
    flags = processor.features()
    return {
        "cpu_model": processor.model(),
        "cpu_count": os.cpu_count() or 1,
        "cpu_count_usable": processor.core_count(),
        "instruction_sets": [name for name in _INSTRUCTION_SETS if name in flags],
        "memory_bytes": psutil.virtual_memory().total,
        "load_average_1m": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


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
