"""Which container image serves a TensorFlow SavedModel in which region, on which type.

The accounts are those of AWS's deep learning containers, as the SageMaker Python SDK lists them
(`image_uri_config/tensorflow.json`, scope `inference`, sagemaker 2.257 and 3.0) and AWS's page
"Docker Registry Paths"; read in November 2026. A region that is not listed has no such image that
we know of: None, never a guess, since a wrong account fails only minutes later.
"""

import re

from windtunnel.aws import instance_types

# Most regions share one account.
_ACCOUNT = "763104351884"
_REGIONS_THAT_SHARE = frozenset(
    (
        *("ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
        *("ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
        *("sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    )
)
_ACCOUNTS_OF_THEIR_OWN = {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-6": "633930458069",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "mx-central-1": "637423239942",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
}
# The newest that both generations of the SDK list for inference in November 2026.
_TENSORFLOW_VERSION = "2.19"
# Families of types with a GPU begin so; a type that we do not know may still be told by it.
_GPU_FAMILY = re.compile(r"ml\.[gp]\d")


def tensorflow_inference(
    region: str, instance_type: str = "", version: str = _TENSORFLOW_VERSION
) -> str | None:
    """Return the URI of the image that serves TensorFlow models on a type; None for no such region.

    A type with a GPU gets the image that uses it, every other the CPU's, as the SDK chooses.
    """
    account = _ACCOUNTS_OF_THEIR_OWN.get(region)
    if account is None:
        if region not in _REGIONS_THAT_SHARE:
            return None
        account = _ACCOUNT
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    processor = "gpu" if _has_gpu(instance_type) else "cpu"
    return f"{account}.dkr.ecr.{region}.{domain}/tensorflow-inference:{version}-{processor}"


def _has_gpu(instance_type: str) -> bool:
    known = instance_types.find(instance_type)
    if known is not None:
        return known.gpu_count > 0
    return _GPU_FAMILY.match(instance_type) is not None
