"""What a model is compiled for: families of instances, and what their processors can do.

An instruction set that not every instance of a family has is not in the table: c5 came with
Skylake and with Cascade Lake, and a model may meet either. Sources: AWS's pages of instance types
(https://aws.amazon.com/ec2/instance-types/), the processors' makers for what these can do, and
botocore's TargetDevice for the names. Read 2026-11.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from windtunnel.compiler.errors import CompileError


class Kind(Enum):
    """Which engine serves a target."""

    CPU = "OpenVINO"
    GPU = "ONNX Runtime with CUDA"


@dataclass(frozen=True, slots=True)
class Target:
    """One place to run a model."""

    name: str
    kind: Kind
    # As /proc/cpuinfo names them, as far as they matter here.
    features: frozenset[str]
    # Whether this machine itself is meant.
    is_local: bool = False

    @property
    def computes_bf16(self) -> bool:
        """Whether its processors multiply in bf16."""
        return bool(self.features & {"avx512_bf16", "amx_bf16", "bf16"})


_AVX2 = frozenset({"avx2", "fma", "f16c"})
_SKYLAKE = _AVX2 | {"avx512f", "avx512bw", "avx512vl"}
_ICE_LAKE = _SKYLAKE | {"avx512_vnni"}
_SAPPHIRE_RAPIDS = _ICE_LAKE | {"avx512_bf16", "amx_bf16", "amx_int8"}
_ZEN_4 = _ICE_LAKE | {"avx512_bf16"}
_GRAVITON_2 = frozenset({"asimd", "asimddp", "fphp"})
_GRAVITON_3 = _GRAVITON_2 | {"bf16", "i8mm", "sve"}

_CPU_FAMILIES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("ml_m4", "ml_c4"), _AVX2),
    **dict.fromkeys(("ml_m5", "ml_c5", "ml_r5", "ml_t3"), _SKYLAKE),
    **dict.fromkeys(("ml_m5a", "ml_c5a", "ml_r5a", "ml_m6a", "ml_c6a", "ml_r6a"), _AVX2),
    **dict.fromkeys(("ml_m6i", "ml_c6i", "ml_r6i", "ml_c6in", "ml_m6in"), _ICE_LAKE),
    **dict.fromkeys(("ml_m7i", "ml_c7i", "ml_r7i", "ml_m8i", "ml_c8i"), _SAPPHIRE_RAPIDS),
    **dict.fromkeys(("ml_m7a", "ml_c7a", "ml_r7a"), _ZEN_4),
    **dict.fromkeys(("ml_m6g", "ml_c6g", "ml_r6g", "ml_m6gd", "ml_c6gn"), _GRAVITON_2),
    **dict.fromkeys(("ml_m7g", "ml_c7g", "ml_r7g", "ml_m8g", "ml_c8g", "ml_r8g"), _GRAVITON_3),
}
_GPU_FAMILIES = (
    *("ml_p2", "ml_p3", "ml_p3dn", "ml_p4d", "ml_p4de", "ml_p5"),
    *("ml_g4dn", "ml_g5", "ml_g6", "ml_g6e"),
)
_REFUSED: Mapping[str, str] = {
    "ml_inf": "Inferentia runs what AWS's Neuron compiles",
    "ml_trn": "Trainium runs what AWS's Neuron compiles",
    "ml_eia": "AWS has ended Elastic Inference",
    "lambda": "a Lambda function is no endpoint",
}
LOCAL = "local"
_ARCHITECTURES: Mapping[str, frozenset[str]] = {"X86_64": _AVX2, "ARM64": frozenset({"asimd"})}


def parse_target(given: object, local_features: frozenset[str]) -> Target:
    """Return the target that a device or a platform names, or raise CompileError."""
    if isinstance(given, Mapping):
        return _parse_platform(given)
    name = str(given)
    if name == LOCAL:
        return Target(name, Kind.CPU, local_features, is_local=True)
    family = name.replace(".", "_").lower()
    if family in _CPU_FAMILIES:
        return Target(family, Kind.CPU, _CPU_FAMILIES[family])
    if family in _GPU_FAMILIES:
        return Target(family, Kind.GPU, frozenset())
    for prefix, reason in _REFUSED.items():
        if family.startswith(prefix):
            raise CompileError(f"The target {name} is not offered: {reason}. {_offered()}")
    near = f"ml_{family.removeprefix('ml_').partition('_')[0]}"
    if near in _CPU_FAMILIES or near in _GPU_FAMILIES:
        # `c5`, `ml.c5.xlarge`.
        raise CompileError(f"The target {name} is not offered: did you mean {near}?")
    if family.startswith("ml_"):
        raise CompileError(f"The target {name} is not known here. {_offered()}")
    raise CompileError(
        f"The target {name} is not offered: it is no family of instances, and edge devices are not"
        f" served here. {_offered()}"
    )


def _parse_platform(given: Mapping[str, object]) -> Target:
    os, arch, accelerator = (given.get(key) for key in ("os", "arch", "accelerator"))
    name = "-".join(str(each).lower() for each in (os, arch, accelerator) if each)
    if os != "LINUX" or arch not in _ARCHITECTURES:
        raise CompileError(
            f"The platform {name} is not offered: LINUX on X86_64 or ARM64 is. {_offered()}"
        )
    if accelerator is None:
        # Only what every processor of the architecture has had for ten years.
        return Target(name, Kind.CPU, _ARCHITECTURES[str(arch)])
    if accelerator == "NVIDIA":
        return Target(name, Kind.GPU, frozenset())
    raise CompileError(f"The accelerator {accelerator} is not offered: NVIDIA is.")


def _offered() -> str:
    names = [LOCAL, *sorted((*_CPU_FAMILIES, *_GPU_FAMILIES))]
    return f"Offered are {', '.join(names)}."
