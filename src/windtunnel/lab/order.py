"""What is to be deployed, and what of it can be known to be wrong before any call is made."""

import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from windtunnel.core import limits
from windtunnel.core.errors import UsageError

# The patterns of botocore's sagemaker model: EndpointName, EnvironmentKey, RoleArn, and
# ContainerImage, which is no more than a text without spaces.
_ENDPOINT_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_ENVIRONMENT_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ROLE_ARN = re.compile(r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
_ROLE_NAME = re.compile(r"[a-zA-Z_0-9+=,.@\-]{1,64}")
_IMAGE = re.compile(r"\S{1,255}")
# What AWS pulls from is a registry: a host, and a path on it.
_IMAGE_OF_A_REGISTRY = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?/\S+")
# S3's naming rules for general purpose buckets: two dots in a row or an IPv4 address are none.
_BUCKET_NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")


@dataclass(frozen=True)
class Order:
    """What is to be deployed, and as what."""

    archive: Path
    endpoint_name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    # Two vCPU: the smallest size that is not throttled to a share of a core.
    instance_type: str = "ml.c5.large"
    instance_count: int = 1
    image: str | None = None
    role: str | None = None
    bucket: str | None = None
    study: str | None = None


def parse_environment(pairs: Sequence[str]) -> dict[str, str]:
    """Return a container's environment from `KEY=VALUE` words."""
    environment: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not _ENVIRONMENT_KEY.fullmatch(key):
            raise UsageError(f"--env {pair!r} is not KEY=VALUE with a name like OMP_NUM_THREADS.")
        if key in environment:
            raise UsageError(f"--env names {key} twice.")
        if max(len(key), len(value)) > limits.MODEL_ENVIRONMENT_CHARACTERS_MAX:
            raise UsageError(
                f"--env {key}: SageMaker takes names and values of at most "
                f"{limits.MODEL_ENVIRONMENT_CHARACTERS_MAX} characters."
            )
        environment[key] = value
    if len(environment) > limits.MODEL_ENVIRONMENT_COUNT_MAX:
        raise UsageError(
            f"SageMaker takes at most {limits.MODEL_ENVIRONMENT_COUNT_MAX} environment variables."
        )
    return environment


def check_order(order: Order, *, cloud: str = "local") -> None:
    """Refuse an order that cannot be right on a cloud, before any call is made."""
    check_endpoint_name(order.endpoint_name)
    if not _INSTANCE_TYPE.fullmatch(order.instance_type):
        raise UsageError(
            f"--instance-type {order.instance_type!r} is not a name like ml.c5.xlarge."
        )
    if order.instance_count < 1:
        raise UsageError("--instance-count must be at least 1.")
    if order.role is not None and not (
        _ROLE_ARN.fullmatch(order.role) or _ROLE_NAME.fullmatch(order.role)
    ):
        raise UsageError(f"--role {order.role!r} is neither a role's name nor its ARN.")
    if order.bucket is not None and not _BUCKET_NAME.fullmatch(order.bucket):
        raise UsageError(
            f"--bucket {order.bucket!r} is no bucket name: 3 to 63 lower-case letters, digits, "
            "hyphens and single dots, a letter or digit first and last, and no IP address."
        )
    if order.image is not None:
        _check_image(order.image, cloud)
    _check_archive(order.archive)


def check_endpoint_name(name: str) -> None:
    """Refuse a name that SageMaker would refuse."""
    if not _ENDPOINT_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no endpoint name: letters, digits and single hyphens between them, "
            "63 characters at most."
        )


def _check_image(image: str, cloud: str) -> None:
    if not _IMAGE.fullmatch(image):
        raise UsageError(f"--image {image!r} is no image: 1 to 255 characters without spaces.")
    if cloud == "aws" and not _IMAGE_OF_A_REGISTRY.fullmatch(image):
        raise UsageError(
            f"--image {image!r} names no registry: AWS pulls images such as "
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/name:tag."
        )


def _check_archive(path: Path) -> None:
    try:
        with tarfile.open(path, "r:gz") as archive:
            first = archive.next()
    except (tarfile.ReadError, EOFError) as error:
        raise UsageError(
            f"{path} is not a gzip-compressed tar archive: make one with "
            "`tar -czf model.tar.gz -C MODEL_DIRECTORY .`."
        ) from error
    except OSError as error:
        raise UsageError(
            f"The archive {path} cannot be read: {error.strerror or error}."
        ) from error
    if first is None:
        raise UsageError(f"The archive {path} is empty.")
