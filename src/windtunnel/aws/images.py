"""Which container image serves a TensorFlow SavedModel in which region.

The accounts are those of AWS's deep learning containers, as the SageMaker Python SDK lists them
(`image_uri_config/tensorflow.json`, scope `inference`) and AWS's page "Docker Registry Paths";
read in November 2026.
"""

# Most regions share one account.
_ACCOUNT = "763104351884"
_ACCOUNTS_OF_THEIR_OWN = {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ca-west-1": "204538143572",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
}
# The newest that the SDK lists for inference in November 2026.
_TENSORFLOW_VERSION = "2.19"


def tensorflow_inference(region: str, version: str = _TENSORFLOW_VERSION) -> str:
    """Return the URI of the CPU image that serves TensorFlow models in a region."""
    account = _ACCOUNTS_OF_THEIR_OWN.get(region, _ACCOUNT)
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{account}.dkr.ecr.{region}.{domain}/tensorflow-inference:{version}-cpu"
