"""What a model may be compiled for, and what the processors there can do."""

import re

import boto3
import pytest

from windtunnel.compiler.errors import CompileError
from windtunnel.compiler.targets import Kind, parse_target

HERE = frozenset({"avx2", "avx512_bf16"})


def test_local_is_this_machine_with_what_it_can_do() -> None:
    """What is measured here counts only where here is the target."""
    target = parse_target("local", HERE)

    assert target.is_local
    assert target.features == HERE
    assert target.computes_bf16


@pytest.mark.parametrize(
    ("name", "computes"),
    [
        ("ml_c4", False),
        ("ml_c5", False),
        ("ml_c6i", False),
        ("ml_c6g", False),
        ("ml_c7i", True),
        ("ml_m7a", True),
        ("ml_c7g", True),
    ],
)
def test_a_form_is_offered_only_where_the_family_computes_it(name: str, *, computes: bool) -> None:
    """bf16 on a c6i is f32 with extra steps, and nobody who compiles for it should get it."""
    target = parse_target(name, HERE)

    assert target.kind is Kind.CPU
    assert not target.is_local
    assert target.computes_bf16 is computes


def test_a_c7i_has_amx_and_a_c6i_has_not() -> None:
    """The report says what of the target this machine lacks."""
    assert "amx_bf16" in parse_target("ml_c7i", HERE).features
    assert "amx_bf16" not in parse_target("ml_c6i", HERE).features
    assert "avx512_vnni" in parse_target("ml_c6i", HERE).features


@pytest.mark.parametrize("name", ["ml_p2", "ml_p3", "ml_g4dn", "ml_g5"])
def test_families_with_gpus_get_onnx(name: str) -> None:
    """The workshop compiles for ml_g4dn."""
    assert parse_target(name, HERE).kind is Kind.GPU


def test_a_family_is_known_however_it_is_written() -> None:
    """`ml.c5` and `ML_C5` are the same machines."""
    assert parse_target("ml.c5", HERE) == parse_target("ML_C5", HERE) == parse_target("ml_c5", HERE)


def test_every_device_that_aws_lists_is_offered_or_refused_with_a_reason() -> None:
    """Whoever has a device of Neo's gets no shrug."""
    client = boto3.client("sagemaker", region_name="us-east-1")
    devices = client.meta.service_model.shape_for("TargetDevice").metadata["enum"]
    offered, refused = set(), {}
    for device in devices:
        try:
            offered.add(parse_target(device, HERE).name)
        except CompileError as error:
            refused[device] = str(error)

    for device, told in refused.items():
        assert re.search(rf"The target {device} is not offered: .*\. Offered are", told)
    families = {each for each in devices if each.startswith("ml_")}
    assert offered == families - {"ml_inf1", "ml_inf2", "ml_trn1", "ml_eia2"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ml_inf2", "Inferentia runs what AWS's Neuron compiles"),
        ("ml_trn1", "Trainium runs what AWS's Neuron compiles"),
        ("ml_eia2", "AWS has ended Elastic Inference"),
        ("lambda", "a Lambda function is no endpoint"),
        ("jetson_nano", "edge devices are not served here"),
        ("c55", "it is no family of instances"),
        ("ml_z9", "is not known here"),
    ],
)
def test_what_is_not_offered_is_refused_by_its_reason(name: str, reason: str) -> None:
    """A person can choose another target only when told why, and which there are."""
    with pytest.raises(CompileError, match=f"{re.escape(reason)}.*Offered are local, ml_c4"):
        parse_target(name, HERE)


@pytest.mark.parametrize(
    ("name", "near"),
    [("c5", "ml_c5"), ("C7I", "ml_c7i"), ("ml.c5.xlarge", "ml_c5"), ("g4dn.2xlarge", "ml_g4dn")],
)
def test_who_nearly_named_a_family_is_told_its_name(name: str, near: str) -> None:
    """Endpoints take types of instances, and a compilation takes families."""
    with pytest.raises(CompileError, match=rf"{name} is not offered: did you mean {near}\?"):
        parse_target(name, HERE)


def test_a_platform_is_what_all_its_machines_can_do() -> None:
    """TargetPlatform names an architecture, not a family."""
    plain = parse_target({"os": "LINUX", "arch": "X86_64"}, HERE)
    with_gpu = parse_target({"os": "LINUX", "arch": "X86_64", "accelerator": "NVIDIA"}, HERE)

    assert (plain.kind, plain.computes_bf16) == (Kind.CPU, False)
    assert with_gpu.kind is Kind.GPU
    assert parse_target({"os": "LINUX", "arch": "ARM64"}, HERE).name == "linux-arm64"


@pytest.mark.parametrize(
    ("platform", "reason"),
    [
        ({"os": "ANDROID", "arch": "ARM64"}, "android-arm64 is not offered: LINUX on X86_64"),
        ({"os": "LINUX", "arch": "ARM_EABI"}, "linux-arm_eabi is not offered"),
        ({"os": "LINUX", "arch": "ARM64", "accelerator": "MALI"}, "MALI is not offered: NVIDIA"),
    ],
)
def test_other_platforms_are_refused(platform: dict[str, str], reason: str) -> None:
    """Neo's edge platforms have no endpoint here."""
    with pytest.raises(CompileError, match=reason):
        parse_target(platform, HERE)
