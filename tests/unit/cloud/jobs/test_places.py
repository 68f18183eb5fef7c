"""What is compiled for, where its output goes, and which image serves it."""

from typing import Any

import pytest

from windtunnel.aws import neo
from windtunnel.cloud.errors import InvalidError, UnsupportedError
from windtunnel.cloud.fleet.images import image_kind
from windtunnel.cloud.gateway.shapes import load_service
from windtunnel.cloud.jobs import places
from windtunnel.compiler.targets import Kind, parse_target


def _request(
    location: str = "s3://bucket/out", uri: str = "s3://bucket/in/model.tar.gz", **target: Any
) -> dict[str, Any]:
    return {
        "input_config": {"s3_uri": uri, "framework": "TENSORFLOW"},
        "output_config": {"s3_output_location": location, **target},
    }


_ARM = {"os": "LINUX", "arch": "ARM64", "accelerator": "NVIDIA"}


@pytest.mark.parametrize(
    ("request_", "key"),
    [
        (_request(target_device="ml_c5"), "out/model-ml_c5.tar.gz"),
        (_request("s3://bucket/a/b/", target_device="ml_c5"), "a/b/model-ml_c5.tar.gz"),
        (_request("s3://bucket", target_device="local"), "model-local.tar.gz"),
        (_request("s3://bucket/", target_device="local"), "model-local.tar.gz"),
        (_request(target_platform=_ARM), "out/model-LINUX_ARM64_NVIDIA.tar.gz"),
        (_request(uri="s3://b/net.v2.tgz", target_device="ml_m5"), "out/net.v2-ml_m5.tar.gz"),
    ],
)
def test_an_output_is_named_as_neo_names_it(request_: dict[str, Any], key: str) -> None:
    """Scripts put the name together instead of asking for it."""
    output = places.output_of(request_)

    assert output.archive_key == key
    assert output.url == f"s3://bucket/{key}"
    assert output.report_key("json") == key.replace(".tar.gz", ".report.json")


@pytest.mark.parametrize(
    "target",
    [
        {"target_device": "local"},
        {"target_device": "ml_c5"},
        {"target_device": "ml_g4dn"},
        {"target_device": "ml_c7i"},
        {"target_device": "ml_m7g"},
        {"target_platform": {"os": "LINUX", "arch": "X86_64"}},
        {"target_platform": _ARM},
    ],
)
def test_what_engines_run_on_is_taken(target: dict[str, Any]) -> None:
    """A family that AWS has added since deserves a compiler, too."""
    places.check(_request(**target))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"target_device": "jetson_nano"}, "jetson_nano (an edge device)"),
        ({"target_device": "ml_inf1"}, "Inferentia"),
        ({"target_device": "ml_trn1"}, "Trainium"),
        ({"target_device": "ml_eia2"}, "Elastic Inference"),
        ({"target_device": "lambda"}, "AWS Lambda"),
        ({"target_platform": {"os": "ANDROID", "arch": "ARM64"}}, "ANDROID_ARM64"),
        ({"target_platform": {"os": "LINUX", "arch": "ARM_EABI"}}, "LINUX_ARM_EABI"),
        ({"target_platform": {**_ARM, "accelerator": "MALI"}}, "LINUX_ARM64_MALI"),
    ],
)
def test_what_is_not_compiled_for_is_named_with_what_is(target: dict[str, Any], words: str) -> None:
    """A job that fails after ten minutes because of its target wastes them."""
    with pytest.raises(UnsupportedError) as caught:
        places.check(_request(**target))

    assert words in caught.value.message
    assert "it has TargetDevice local" in caught.value.message
    assert "ml_c5" in caught.value.message


@pytest.mark.parametrize(
    ("options", "url"),
    [
        (None, None),
        ("{}", None),
        ('{"calibration": "s3://b/k"}', "s3://b/k"),
        ('{"calibration": 5}', None),
        ("[1]", None),
        ("{'mcpu': 'skylake-avx512'}", None),
    ],
)
def test_only_calibration_data_is_read_out_of_compiler_options(
    options: str | None, url: str | None
) -> None:
    """AWS's own example of CompilerOptions is no JSON: the compiler says so, with a reason."""
    request = _request(target_device="ml_c5", compiler_options=options)

    assert places.calibration_url(request) == url


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (_request(), "Exactly one of TargetDevice and TargetPlatform"),
        (_request(target_device="ml_c5", target_platform=_ARM), "Exactly one of"),
        (_request("https://example.com/x", target_device="ml_c5"), "OutputConfig.S3OutputLocation"),
        (_request(uri="s3://bucket/", target_device="ml_c5"), "InputConfig.S3Uri"),
        ({"output_config": {"target_device": "ml_c5"}}, "InputConfig is required"),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(request_: dict[str, Any], words: str) -> None:
    """The sentence names the member that is wrong."""
    with pytest.raises(InvalidError, match=words):
        places.check(request_)


@pytest.mark.parametrize("target", neo.NEWER_TARGETS)
def test_every_target_that_is_taken_is_one_that_the_compiler_knows(target: str) -> None:
    """A job must not wait for its turn to hear that its target is unknown."""
    kind = parse_target(target, frozenset()).kind

    assert (kind is Kind.GPU) == (neo.processor_of(target) == "gpu")


def test_every_target_of_awss_is_offered_or_named_for_what_it_is() -> None:
    """A new value of botocore's enumeration is decided on, not overlooked."""
    enum = load_service("sagemaker").shape("TargetDevice").enum
    assert enum is not None
    families = {target for target in enum if target.startswith("ml_")}

    refused = {target for target in families if neo.processor_of(target) is None}
    assert refused == {"ml_inf1", "ml_inf2", "ml_trn1", "ml_eia2"}
    assert all(neo.stranger(target) != "an edge device" for target in refused)
    assert not any(neo.processor_of(target) for target in set(enum) - families)


def test_a_job_names_the_image_that_aws_would_and_that_runs_here() -> None:
    """`deploy` after `compile` hands CreateModel what the job named; none is made up."""
    request = _request(target_device="ml_g4dn")
    image = places.image_of(request, "us-east-1")

    assert image == (
        "785573368785.dkr.ecr.us-east-1.amazonaws.com/sagemaker-inference-tensorflow:2.9.2-gpu-py3"
    )
    for framework in ("TENSORFLOW", "KERAS", "ONNX", "TFLITE"):
        for version in (None, "1.15", "2.9"):
            uri = neo.inference_image("eu-west-1", framework, version, "cpu")
            assert uri is not None
            assert image_kind(uri) == "tensorflow"
    assert neo.inference_image("cn-north-1", "KERAS", None, "cpu") == (
        "472730292857.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-neo-keras:2.2.4-cpu-py3"
    )
    assert "1.15.3-cpu" in str(neo.inference_image("us-east-1", "TENSORFLOW", "1.13", "cpu"))
    assert neo.inference_image("moon-north-1", "TENSORFLOW", None, "cpu") is None
    assert places.image_of(_request(target_platform=_ARM), "us-east-1") is None
