"""SageMaker Neo's facts: what it compiles for, what it calls its output, which image serves that.

Target devices are botocore's enumeration `TargetDevice`, which stopped at c6g and g4dn, and beside
it `NEWER_TARGETS`: the families that came since, and `local`, this machine. An output is
named after its model and its target: `model.tar.gz` for ml_c5 becomes `model-ml_c5.tar.gz`
(listings in aws-samples' repositories), for a platform `…-LINUX_ARM64_NVIDIA.tar.gz` (the same of
aws-panorama-samples).

Images are those of AWS's page "Inference Container Images" of Neo; its accounts are those of the
SageMaker Python SDK (`image_uri_config/neo-tensorflow.json`, sagemaker 2.257), of which AWS's page
says that they hold for every framework; read in November 2026.
"""

from collections.abc import Mapping
from typing import Literal

Processor = Literal["cpu", "gpu"]

LOCAL = "local"
# Families of general, compute and memory-optimised instances, and of those with NVIDIA's GPUs. Some
# of them EC2 has and SageMaker hosts no endpoint on yet. What their processors can do is the
# compiler's to know (`compiler/targets.py`).
_CPU_FAMILIES = (
    *("m4", "m5", "m5a", "m6a", "m6g", "m6gd", "m6i", "m6in", "m7a", "m7g", "m7i", "m8g", "m8i"),
    *("c4", "c5", "c5a", "c6a", "c6g", "c6gn", "c6i", "c6in", "c7a", "c7g", "c7i", "c8g", "c8i"),
    *("r5", "r5a", "r6a", "r6g", "r6i", "r7a", "r7g", "r7i", "r8g", "t3"),
)
_GPU_FAMILIES = ("p2", "p3", "p3dn", "p4d", "p4de", "p5", "g4dn", "g5", "g6", "g6e")
# What Neo takes for a target and this project does not, by how its name begins, in words.
_STRANGERS = (
    ("ml_inf", "AWS Inferentia, which only AWS's own compiler serves"),
    ("ml_trn", "AWS Trainium, which only AWS's own compiler serves"),
    ("ml_eia", "Elastic Inference, which AWS ended in 2024"),
    ("lambda", "AWS Lambda"),
)
_ARCHIVE_SUFFIXES = (".tar.gz", ".tgz")

_ACCOUNTS = {
    "af-south-1": "774647643957",
    "ap-east-1": "110948597952",
    "ap-northeast-1": "941853720454",
    "ap-northeast-2": "151534178276",
    "ap-northeast-3": "925152966179",
    "ap-south-1": "763008648453",
    "ap-southeast-1": "324986816169",
    "ap-southeast-2": "355873309152",
    "ca-central-1": "464438896020",
    "cn-north-1": "472730292857",
    "cn-northwest-1": "474822919863",
    "eu-central-1": "746233611703",
    "eu-central-2": "010526262399",
    "eu-north-1": "601324751636",
    "eu-south-1": "966458181534",
    "eu-west-1": "802834080501",
    "eu-west-2": "205493899709",
    "eu-west-3": "254080097072",
    "il-central-1": "275950707576",
    "me-south-1": "836785723513",
    "sa-east-1": "756306329178",
    "us-east-1": "785573368785",
    "us-east-2": "007439368137",
    "us-gov-east-1": "227234621604",
    "us-gov-west-1": "263933020539",
    "us-west-1": "710691900526",
    "us-west-2": "301217895009",
}
# Where Neo has an image of its own for a framework; TFLite's models it compiles for devices only.
_REPOSITORIES = {
    "KERAS": ("sagemaker-neo-keras", "2.2.4"),
    "ONNX": ("sagemaker-neo-onnx", "1.5.0"),
}
_TENSORFLOW_REPOSITORY = "sagemaker-inference-tensorflow"
# The SDK maps every 1.x to the one and every 2.x to the other.
_TENSORFLOW_1, _TENSORFLOW_2 = "1.15.3", "2.9.2"


# Every family that a model can be compiled for, and what computes there.
PROCESSORS: Mapping[str, Processor] = {
    **{f"ml_{family}": "cpu" for family in _CPU_FAMILIES},
    **{f"ml_{family}": "gpu" for family in _GPU_FAMILIES},
}
# A named exception to botocore's enumeration: what the API takes besides.
NEWER_TARGETS = (LOCAL, *PROCESSORS)


def processor_of(target_device: str) -> Processor | None:
    """Return what computes on a target device, None for one that is neither a family nor local."""
    return "cpu" if target_device == LOCAL else PROCESSORS.get(target_device)


def stranger(target_device: str) -> str:
    """Return what a target that nothing is compiled for is, in words."""
    for prefix, words in _STRANGERS:
        if target_device.startswith(prefix):
            return words
    return "an edge device"


def output_name(model_key: str, target: str) -> str:
    """Return the file name of a compiled archive, by its model's key and its target."""
    name = model_key.rpartition("/")[2]
    for suffix in _ARCHIVE_SUFFIXES:
        name = name.removesuffix(suffix)
    return f"{name}-{target}.tar.gz"


def inference_image(
    region: str, framework: str, framework_version: str | None, processor: Processor
) -> str | None:
    """Return the URI of the image that serves a compiled model; None where Neo has none."""
    account = _ACCOUNTS.get(region)
    if account is None:
        return None
    version = _TENSORFLOW_1 if (framework_version or "").startswith("1.") else _TENSORFLOW_2
    repository, version = _REPOSITORIES.get(framework, (_TENSORFLOW_REPOSITORY, version))
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}/{repository}:{version}-{processor}-py3"
