"""What requests of the contract are about: an image, an account, a variant, a moment."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.19-cpu"
ARN = "arn:aws:sagemaker:us-east-1:000000000000"
CONFIG_VARIANT = {
    "VariantName": "AllTraffic",
    "InstanceType": "ml.c5.xlarge",
    "InitialInstanceCount": 2,
}
NOW = datetime.now(UTC)
# By service and operation: a call with a client, on what it makes under a name.
Cases = dict[tuple[str, str], Callable[[Any, str], Any]]
