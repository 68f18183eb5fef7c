"""The sizes of ml.* types, against AWS's own list of their names."""

import botocore.loaders
import pytest

from windtunnel.aws import instance_types
from windtunnel.aws.instance_types import InstanceType, find, stand_in_label


def hosting_types() -> set[str]:
    model = botocore.loaders.Loader().load_service_model("sagemaker", "service-2")
    return set(model["shapes"]["ProductionVariantInstanceType"]["enum"])


def test_every_type_that_hosts_endpoints_is_known() -> None:
    """A label never says "unknown" for a type a user can really choose, g7 excepted."""
    unknown = {name for name in hosting_types() if find(name) is None}

    assert {name.split(".")[1] for name in unknown} == {"g7"}


def test_no_type_is_invented() -> None:
    """Every row of the table names something CreateEndpointConfig accepts."""
    assert set(instance_types._all()) - hosting_types() == set()


@pytest.mark.parametrize(
    "expected",
    [
        # Copied from AWS's tables one by one, not computed: the ends of families and the odd ones.
        InstanceType("ml.c4.large", 2, 3.75),
        InstanceType("ml.c4.8xlarge", 36, 60),
        InstanceType("ml.c5.18xlarge", 72, 144),
        InstanceType("ml.c6i.32xlarge", 128, 256),
        InstanceType("ml.c7g.16xlarge", 64, 128),
        InstanceType("ml.m4.10xlarge", 40, 160),
        InstanceType("ml.m5.24xlarge", 96, 384),
        InstanceType("ml.r5.12xlarge", 48, 384),
        InstanceType("ml.r8g.medium", 1, 8),
        InstanceType("ml.t2.medium", 2, 4),
        InstanceType("ml.t2.2xlarge", 8, 32),
        InstanceType("ml.g4dn.12xlarge", 48, 192, "GPU", 4),
        InstanceType("ml.p3.2xlarge", 8, 61, "GPU", 1),
        InstanceType("ml.inf1.6xlarge", 24, 48, "Inferentia", 4),
    ],
    ids=lambda expected: expected.name,
)
def test_sizes_are_aws_s_own(expected: InstanceType) -> None:
    """An instance gets the cores of the type it stands in for."""
    assert find(expected.name) == expected


@pytest.mark.parametrize(
    ("name", "core_count", "label"),
    [
        ("ml.g4dn.16xlarge", 2, "ml.g4dn.16xlarge (stand-in: 2 of 64 vCPU, no GPU)"),
        ("ml.c5.large", 8, "ml.c5.large (stand-in: 2 of 2 vCPU)"),
        ("ml.inf2.xlarge", 2, "ml.inf2.xlarge (stand-in: 2 of 4 vCPU, no Inferentia)"),
        ("ml.z9.huge", 2, "ml.z9.huge (stand-in: 2 vCPU, size of the type unknown)"),
    ],
)
def test_a_label_says_what_really_ran(name: str, core_count: int, label: str) -> None:
    """Nobody takes two local cores for 64 vCPU and a GPU."""
    assert stand_in_label(name, core_count) == label


def test_only_gpus_count_as_gpus() -> None:
    """Settings that divide GPU memory must not divide an Inferentia's."""
    counts = [
        known.gpu_count for name in ("ml.p3.8xlarge", "ml.inf1.24xlarge") if (known := find(name))
    ]

    assert counts == [4, 0]
