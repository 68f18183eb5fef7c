"""From a model archive to an endpoint in service.

`check_order` finds what can be known to be wrong before any call is made; `Deployment` makes the
object, the model, the endpoint configuration and the endpoint, and waits. What it made so far is
always in `made`, so that whoever is interrupted can say what is left behind. Rule: nothing that
exists is changed or replaced.
"""

import re
import secrets
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from windtunnel.aws import images
from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.lab import ownership, refusals
from windtunnel.lab.progress import Progress
from windtunnel.lab.quantities import format_bytes, format_duration
from windtunnel.lab.target import Target

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import ProductionVariantInstanceTypeType
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

# The SDKs' own name for an endpoint's only variant.
VARIANT_NAME = "AllTraffic"
# The patterns of botocore's sagemaker model: EndpointName, EnvironmentKey, RoleArn.
_ENDPOINT_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_ENVIRONMENT_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ROLE_ARN = re.compile(r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
_ROLE_NAME = re.compile(r"[a-zA-Z_0-9+=,.@\-]{1,64}")
# S3's naming rules for general purpose buckets: two dots in a row or an IPv4 address are none.
_BUCKET_NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")
_NAME_CHARACTERS_MAX = 63
_PENDING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})


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


def check_order(order: Order) -> None:
    """Refuse an order that cannot be right, before any call is made."""
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
    _check_archive(order.archive)


def check_endpoint_name(name: str) -> None:
    """Refuse a name that SageMaker would refuse."""
    if not _ENDPOINT_NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no endpoint name: letters, digits and single hyphens between them, "
            "63 characters at most."
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


@dataclass(frozen=True)
class Deployed:
    """What a deployment made."""

    endpoint_name: str
    endpoint_arn: str
    endpoint_config_name: str
    model_name: str
    model_data_url: str
    image: str
    instance_type: str
    instance_count: int
    status: str
    seconds: float


class Deployment:
    """One order being carried out."""

    def __init__(self, target: Target, order: Order, progress: Progress) -> None:
        self.made: list[str] = []
        self._target = target
        self._order = order
        self._progress = progress
        self._sagemaker = target.sagemaker()
        self._tags = ownership.tags(order.endpoint_name, order.study)

    def run(self) -> Deployed:
        """Make everything and wait until the endpoint is in service."""
        began_s = time.monotonic()
        order = self._order
        role_arn = self._role_arn()
        image = order.image or images.tensorflow_inference(self._target.region)
        self._refuse_existing()
        url = self._upload()
        name = _unique_name(order.endpoint_name)
        self._create_model(name, url, image, role_arn)
        self._create_endpoint(name)
        self._progress.step(f"Waiting for {order.endpoint_name} to be in service")
        answer = self._wait_in_service(began_s)
        elapsed_s = time.monotonic() - began_s
        self._progress.done(
            f"{order.endpoint_name} is in service after {format_duration(elapsed_s)}."
        )
        return Deployed(
            endpoint_name=order.endpoint_name,
            endpoint_arn=answer["EndpointArn"],
            endpoint_config_name=name,
            model_name=name,
            model_data_url=url,
            image=image,
            instance_type=order.instance_type,
            instance_count=order.instance_count,
            status=answer["EndpointStatus"],
            seconds=round(elapsed_s, 3),
        )

    def _role_arn(self) -> str:
        role = self._order.role
        if role is None:
            if self._target.kind == "aws":
                raise UsageError("--role is needed on AWS: the role that the model runs as.")
            role = "windtunnel"
        if role.startswith("arn:"):
            return role
        partition = self._target.session.get_partition_for_region(self._target.region)
        return f"arn:{partition}:iam::{self._target.account}:role/{role}"

    def _refuse_existing(self) -> None:
        name = self._order.endpoint_name
        with refusals.explained(f"endpoint {name}"):
            try:
                answer = self._sagemaker.describe_endpoint(EndpointName=name)
            except ClientError as error:
                if refusals.is_missing(error):
                    return
                raise
        raise UsageError(
            f"There is an endpoint {name} already ({answer['EndpointStatus']}): choose another "
            f"name, or delete it first; `windtunnel clean --endpoint-name {name}` does if "
            "Windtunnel made it."
        )

    def _upload(self) -> str:
        order, target = self._order, self._target
        bucket = order.bucket or ownership.default_bucket(target.region, target.account)
        key = (
            f"{ownership.OBJECT_PREFIX}{order.endpoint_name}/"
            f"{_unique_name('', now_s=time.time())}/{order.archive.name}"
        )
        url = f"s3://{bucket}/{key}"
        client = target.s3()
        self._progress.step(f"Uploading {order.archive.name}")
        with refusals.explained(f"bucket {bucket}"):
            try:
                # The default bucket's name can be guessed, so somebody else may hold it and wait.
                client.head_bucket(Bucket=bucket, **self._owner())
            except ClientError as error:
                if not refusals.is_missing(error) or order.bucket is not None:
                    raise
                self._create_bucket(bucket)
        with refusals.explained(f"the upload to {url}"):
            try:
                client.upload_file(
                    str(order.archive),
                    bucket,
                    key,
                    ExtraArgs={"Metadata": ownership.OBJECT_METADATA},
                )
            except S3UploadFailedError as error:
                raise NotReadyError(f"The upload to {url} failed: {error}") from error
        self.made.append(url)
        size = order.archive.stat().st_size
        self._progress.done(f"Uploaded {order.archive.name} ({format_bytes(size)}) to {url}")
        return url

    def _owner(self) -> dict[str, str]:
        """Return what has S3 refuse another account's bucket, unless the bucket was named."""
        return {} if self._order.bucket else {"ExpectedBucketOwner": self._target.account}

    def _create_bucket(self, bucket: str) -> None:
        client, region = self._target.s3(), self._target.region
        if region == "us-east-1":
            # S3 refuses a location constraint that names its first region.
            client.create_bucket(Bucket=bucket)
        else:
            client.create_bucket(
                Bucket=bucket,
                CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
            )

    def _create_model(self, name: str, url: str, image: str, role_arn: str) -> None:
        self._progress.step(f"Creating model {name}")
        with refusals.explained(f"model {name}"):
            self._sagemaker.create_model(
                ModelName=name,
                ExecutionRoleArn=role_arn,
                PrimaryContainer={
                    "Image": image,
                    "ModelDataUrl": url,
                    "Environment": dict(self._order.environment),
                },
                Tags=self._tags,
            )
        self.made.append(f"model {name}")

    def _create_endpoint(self, name: str) -> None:
        order = self._order
        instance_type: ProductionVariantInstanceTypeType = order.instance_type  # type: ignore[assignment]
        self._progress.step(
            f"Creating endpoint {order.endpoint_name}: {order.instance_count} x "
            f"{order.instance_type}"
        )
        with refusals.explained(f"endpoint configuration {name}"):
            self._sagemaker.create_endpoint_config(
                EndpointConfigName=name,
                ProductionVariants=[
                    {
                        "VariantName": VARIANT_NAME,
                        "ModelName": name,
                        "InstanceType": instance_type,
                        "InitialInstanceCount": order.instance_count,
                        "InitialVariantWeight": 1.0,
                    }
                ],
                Tags=self._tags,
            )
        self.made.append(f"endpoint configuration {name}")
        with refusals.explained(f"endpoint {order.endpoint_name}"):
            self._sagemaker.create_endpoint(
                EndpointName=order.endpoint_name, EndpointConfigName=name, Tags=self._tags
            )
        self.made.append(f"endpoint {order.endpoint_name}")

    def _wait_in_service(self, began_s: float) -> "DescribeEndpointOutputTypeDef":
        name = self._order.endpoint_name
        local = self._target.kind == "local"
        poll_s = limits.DEPLOY_POLL_LOCAL_S if local else limits.DEPLOY_POLL_AWS_S
        while True:
            with refusals.explained(f"endpoint {name}"):
                answer = self._sagemaker.describe_endpoint(EndpointName=name)
            status = answer["EndpointStatus"]
            if status == "InService":
                return answer
            if status not in _PENDING:
                reason = answer.get("FailureReason", "SageMaker gives no reason")
                raise NotReadyError(
                    f"Endpoint {name} is {status}: {reason} Look at its logs, then remove it with "
                    f"`windtunnel clean --endpoint-name {name}`."
                )
            if time.monotonic() - began_s > limits.DEPLOY_TIMEOUT_S:
                raise NotReadyError(
                    f"Endpoint {name} is still {status} after "
                    f"{format_duration(limits.DEPLOY_TIMEOUT_S)}; it is left as it is."
                )
            time.sleep(poll_s)


def _unique_name(stem: str, now_s: float | None = None) -> str:
    """Return a name that no other deployment makes, sorted by time and short enough."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now_s))
    suffix = f"{stamp}-{secrets.token_hex(3)}"
    head = stem[: _NAME_CHARACTERS_MAX - len(suffix) - 1].rstrip("-")
    return f"{head}-{suffix}" if head else suffix
