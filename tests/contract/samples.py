"""What requests of the contract are about: an image, an account, a variant, a moment."""

from datetime import UTC, datetime

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.19-cpu"
ARN = "arn:aws:sagemaker:us-east-1:000000000000"
CONFIG_VARIANT = {
    "VariantName": "AllTraffic",
    "InstanceType": "ml.c5.xlarge",
    "InitialInstanceCount": 2,
}
NOW = datetime.now(UTC)
