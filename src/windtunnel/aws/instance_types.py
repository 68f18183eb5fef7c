"""How large each ml.* hosting type is, and what a local instance may say it stands in for.

Sizes are those of AWS's pages on instance types (docs.aws.amazon.com/ec2/latest/instancetypes/
gp.html, co.html, mo.html and ac.html; previous-generation/ for m4, c4, t2, p2 and p3), written down
2026-11-22; an ml.X type has the size of EC2's X. Which families and sizes host endpoints says
botocore's enumeration `ProductionVariantInstanceType`. A type that is missing here is unknown, and
every caller must be ready for that: AWS adds types faster than tables follow.
"""

from dataclasses import dataclass
from functools import cache

# Named sizes of families that scale evenly: one size step doubles all.
_VCPU = {"medium": 1, "large": 2, "xlarge": 4}

_UP_TO_16 = "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"
_UP_TO_24 = "large xlarge 2xlarge 4xlarge 12xlarge 24xlarge"
_UP_TO_32 = "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge"
_UP_TO_48 = "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"

# Families of even scale: memory in GiB for each vCPU, and their sizes.
_EVEN: dict[str, tuple[float, str]] = {
    "c4": (1.875, "large xlarge 2xlarge 4xlarge"),
    "c5": (2, "large xlarge 2xlarge 4xlarge 9xlarge 18xlarge"),
    "c5d": (2, "large xlarge 2xlarge 4xlarge 9xlarge 18xlarge"),
    "c6g": (2, _UP_TO_16),
    "c6gd": (2, _UP_TO_16),
    "c6gn": (2, _UP_TO_16),
    "c6i": (2, _UP_TO_32),
    "c6in": (2, _UP_TO_32),
    "c7g": (2, _UP_TO_16),
    "c7i": (2, _UP_TO_48),
    "c8g": (2, "medium " + _UP_TO_48),
    "m4": (4, "xlarge 2xlarge 4xlarge 10xlarge 16xlarge"),
    "m5": (4, _UP_TO_24),
    "m5d": (4, _UP_TO_24),
    "m6g": (4, _UP_TO_16),
    "m6gd": (4, _UP_TO_16),
    "m6i": (4, _UP_TO_32),
    "m7i": (4, _UP_TO_48),
    "m8g": (4, "medium " + _UP_TO_48),
    "r5": (8, _UP_TO_24),
    "r5d": (8, _UP_TO_24),
    "r6g": (8, _UP_TO_16),
    "r6gd": (8, _UP_TO_16),
    "r6i": (8, _UP_TO_32),
    "r7gd": (8, "medium " + _UP_TO_16),
    "r7i": (8, _UP_TO_48),
    "r8g": (8, "medium " + _UP_TO_48),
    "t2": (4, "xlarge 2xlarge"),
}

# Everything else, size by size, as size=vCPU/GiB/accelerators. The g7 family is missing: no page
# with its memory was at hand.
_G5 = (
    "xlarge=4/16/1 2xlarge=8/32/1 4xlarge=16/64/1 8xlarge=32/128/1 12xlarge=48/192/4 "
    "16xlarge=64/256/1 24xlarge=96/384/4 48xlarge=192/768/8"
)
_G6E = (
    "xlarge=4/32/1 2xlarge=8/64/1 4xlarge=16/128/1 8xlarge=32/256/1 12xlarge=48/384/4 "
    "16xlarge=64/512/1 24xlarge=96/768/4 48xlarge=192/1536/8"
)
_G7E = (
    "2xlarge=8/64/1 4xlarge=16/128/1 8xlarge=32/256/1 12xlarge=48/512/2 24xlarge=96/1024/4 "
    "48xlarge=192/2048/8"
)
_UNEVEN: dict[str, tuple[str | None, str]] = {
    "c4": (None, "8xlarge=36/60/0"),
    "dl1": ("Gaudi", "24xlarge=96/768/8"),
    "g4dn": ("GPU", _G5.partition(" 24xlarge")[0]),
    "g5": ("GPU", _G5),
    "g6": ("GPU", _G5),
    "g6e": ("GPU", _G6E),
    "g7e": ("GPU", _G7E),
    "inf1": ("Inferentia", "xlarge=4/8/1 2xlarge=8/16/1 6xlarge=24/48/4 24xlarge=96/192/16"),
    "inf2": ("Inferentia", "xlarge=4/16/1 8xlarge=32/128/1 24xlarge=96/384/6 48xlarge=192/768/12"),
    "p2": ("GPU", "xlarge=4/61/1 8xlarge=32/488/8 16xlarge=64/732/16"),
    "p3": ("GPU", "2xlarge=8/61/1 8xlarge=32/244/4 16xlarge=64/488/8"),
    "p4d": ("GPU", "24xlarge=96/1152/8"),
    "p4de": ("GPU", "24xlarge=96/1152/8"),
    "p5": ("GPU", "4xlarge=16/256/1 48xlarge=192/2048/8"),
    "p5e": ("GPU", "48xlarge=192/2048/8"),
    "p5en": ("GPU", "48xlarge=192/2048/8"),
    "p6-b200": ("GPU", "48xlarge=192/2048/8"),
    "p6-b300": ("GPU", "48xlarge=192/4096/8"),
    "p6e-gb200": ("GPU", "36xlarge=144/960/4"),
    "t2": (None, "medium=2/4/0 large=2/8/0"),
    "trn1": ("Trainium", "2xlarge=8/32/1 32xlarge=128/512/16"),
    "trn1n": ("Trainium", "32xlarge=128/512/16"),
    "trn2": ("Trainium", "48xlarge=192/2048/16"),
}


@dataclass(frozen=True)
class InstanceType:
    """What one ml.* type has."""

    name: str
    vcpu: int
    memory_gib: float
    accelerator: str | None = None
    accelerator_count: int = 0

    @property
    def gpu_count(self) -> int:
        """How many of its accelerators are GPUs."""
        return self.accelerator_count if self.accelerator == "GPU" else 0


@cache
def _all() -> dict[str, InstanceType]:
    types = {}
    for family, (gib_per_vcpu, sizes) in _EVEN.items():
        for size in sizes.split():
            vcpu = _VCPU.get(size) or 4 * int(size.removesuffix("xlarge"))
            name = f"ml.{family}.{size}"
            types[name] = InstanceType(name, vcpu, vcpu * gib_per_vcpu)
    for family, (accelerator, rows) in _UNEVEN.items():
        for row in rows.split():
            size, _, numbers = row.partition("=")
            vcpu, memory_gib, count = map(int, numbers.split("/"))
            name = f"ml.{family}.{size}"
            types[name] = InstanceType(name, vcpu, memory_gib, accelerator, count)
    return types


def find(name: str) -> InstanceType | None:
    """Return what is known of a type such as `ml.c5.xlarge`; None when nothing is."""
    return _all().get(name)


def stand_in_label(name: str, core_count: int) -> str:
    """Name a type together with what really runs in its place: `core_count` cores, no accelerator.

    No result may name the type without this, or it would claim what was never measured.
    """
    known = find(name)
    if known is None:
        return f"{name} (stand-in: {core_count} vCPU, size of the type unknown)"
    lacking = f", no {known.accelerator}" if known.accelerator else ""
    return f"{name} (stand-in: {min(core_count, known.vcpu)} of {known.vcpu} vCPU{lacking})"
