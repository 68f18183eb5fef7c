"""From a model archive to an endpoint in service, and back again when it does not get there.

`prepare` finds everything that is needed and makes nothing; `run` makes the object, the model, the
endpoint configuration and the endpoint, and waits. What it made so far is always in `made`, so that
whoever is interrupted can say what is left behind, and `undo` removes it. Rule: nothing that exists
is changed or replaced, and nothing that somebody else made is removed.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from windtunnel.aws import images
from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.lab import cleaning, names, ownership, refusals, roles
from windtunnel.lab.cleaning import Inventory
from windtunnel.lab.order import Order
from windtunnel.lab.patience import pauses_s
from windtunnel.lab.progress import Progress
from windtunnel.lab.quantities import format_bytes, format_duration
from windtunnel.lab.target import LOCAL_REGION, Target
from windtunnel.lab.uploading import Bucket

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import ProductionVariantInstanceTypeType
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

# The SDKs' own name for an endpoint's only variant.
VARIANT_NAME = "AllTraffic"
_PENDING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})


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


@dataclass(frozen=True)
class _Needs:
    """What a deployment is made from, found before anything is made."""

    role_arn: str
    image: str
    bucket: Bucket


class Deployment:
    """One order being carried out."""

    def __init__(self, target: Target, order: Order, progress: Progress) -> None:
        self.made: list[str] = []
        # Named before each call: a call that is cut short may have made its thing all the same.
        self._begun = Inventory()
        self._needs: _Needs | None = None
        self._target = target
        self._order = order
        self._progress = progress
        self._sagemaker = target.sagemaker()
        self._tags = ownership.tags(order.endpoint_name, order.study)

    def prepare(self) -> None:
        """Find the role, the image and the bucket, or say what is in the way; make nothing."""
        self._needs = _Needs(
            role_arn=roles.role_arn(self._target, self._order.role),
            image=self._image(),
            bucket=Bucket(self._target, self._order.bucket),
        )
        self._refuse_existing()
        self._needs.bucket.find()

    def run(self) -> Deployed:
        """Make everything and wait until the endpoint is in service."""
        if self._needs is None:
            self.prepare()
        needs = self._needs
        assert needs is not None
        began_s = time.monotonic()
        order = self._order
        url = self._upload(needs.bucket)
        name = names.unique(order.endpoint_name)
        self._create_model(name, url, needs)
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
            image=needs.image,
            instance_type=order.instance_type,
            instance_count=order.instance_count,
            status=answer["EndpointStatus"],
            seconds=round(elapsed_s, 3),
        )

    def undo(self) -> None:
        """Remove what was made, the last first; what could not be removed is in `left`."""
        for part in list(self._begun.parts()):
            if not part.endpoints or self._made_endpoint():
                cleaning.remove(self._target, part, self._progress)
            self._begun.drop(part)

    def left(self) -> list[str]:
        """Return what was begun and not removed, one line a thing."""
        return self._begun.lines()

    def _image(self) -> str:
        order, target = self._order, self._target
        if order.image is not None:
            return order.image
        if target.kind == "local":
            found = images.tensorflow_inference(target.region)
            found = found or images.tensorflow_inference(LOCAL_REGION)
        else:
            found = images.tensorflow_inference(target.region, order.instance_type)
        if found is None:
            raise UsageError(
                f"No TensorFlow image of AWS is known for {target.region}: name one with --image."
            )
        return found

    def _refuse_existing(self) -> None:
        name = self._order.endpoint_name
        answer = self._describe()
        if answer is not None:
            raise UsageError(
                f"There is an endpoint {name} already ({answer['EndpointStatus']}): choose another "
                f"name, or delete it first; `windtunnel clean{self._target.words} --endpoint-name "
                f"{name}` does if Windtunnel made it."
            )

    def _describe(self) -> "DescribeEndpointOutputTypeDef | None":
        name = self._order.endpoint_name
        with refusals.explained(f"endpoint {name}"):
            try:
                return self._sagemaker.describe_endpoint(EndpointName=name)
            except ClientError as error:
                if refusals.is_missing(error):
                    return None
                raise

    def _made_endpoint(self) -> bool:
        """Say whether the endpoint of that name is ours: somebody may have been faster."""
        answer = self._describe()
        return answer is not None and answer["EndpointConfigName"] in self._begun.endpoint_configs

    def _upload(self, bucket: Bucket) -> str:
        archive = self._order.archive
        if bucket.is_missing:
            self._progress.step(f"Creating bucket {bucket.name}")
            bucket.make()
            self._progress.done(f"Created bucket {bucket.name}, which stays")
        key = bucket.key_for(self._order.endpoint_name, archive)
        url = f"s3://{bucket.name}/{key}"
        self._progress.step(f"Uploading {archive.name}")
        self._begun.objects.append((bucket.name, key))
        bucket.upload(archive, key)
        self.made.append(url)
        size = archive.stat().st_size
        self._progress.done(f"Uploaded {archive.name} ({format_bytes(size)}) to {url}")
        return url

    def _create_model(self, name: str, url: str, needs: _Needs) -> None:
        self._progress.step(f"Creating model {name}")
        self._begun.models.append(name)
        with refusals.explained(f"model {name}"):
            self._sagemaker.create_model(
                ModelName=name,
                ExecutionRoleArn=needs.role_arn,
                PrimaryContainer={
                    "Image": needs.image,
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
        self._begun.endpoint_configs.append(name)
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
        self._begun.endpoints.append(order.endpoint_name)
        with refusals.explained(f"endpoint {order.endpoint_name}"):
            self._sagemaker.create_endpoint(
                EndpointName=order.endpoint_name, EndpointConfigName=name, Tags=self._tags
            )
        self.made.append(f"endpoint {order.endpoint_name}")

    def _wait_in_service(self, began_s: float) -> "DescribeEndpointOutputTypeDef":
        name = self._order.endpoint_name
        for pause_s in pauses_s(self._target.kind):
            with refusals.explained(f"endpoint {name}"):
                answer = self._sagemaker.describe_endpoint(EndpointName=name)
            status = answer["EndpointStatus"]
            if status == "InService":
                return answer
            if status not in _PENDING:
                reason = answer.get("FailureReason", "SageMaker gives no reason.")
                raise NotReadyError(f"Endpoint {name} is {status}: {reason} {self._advice()}")
            if time.monotonic() - began_s > limits.DEPLOY_TIMEOUT_S:
                raise NotReadyError(
                    f"Endpoint {name} is still {status} after "
                    f"{format_duration(limits.DEPLOY_TIMEOUT_S)}."
                )
            time.sleep(pause_s)
        raise AssertionError("the pauses have no end")

    def _advice(self) -> str:
        name = self._order.endpoint_name
        if self._target.kind == "aws":
            return f"Its logs are in CloudWatch's log group /aws/sagemaker/Endpoints/{name}."
        return f"Look at its logs, then remove it with `windtunnel clean --endpoint-name {name}`."
