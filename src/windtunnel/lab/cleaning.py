"""What Windtunnel made in an account, and its removal.

`find` only looks; `Inventory` is what a person is shown and says yes to; `remove` deletes exactly
that. A thing without our mark is never in an inventory, whatever it is called.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError
from windtunnel.lab import names, ownership, refusals
from windtunnel.lab.patience import pauses_s
from windtunnel.lab.progress import Progress
from windtunnel.lab.target import Target

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient


@dataclass
class Inventory:
    """Names of what is ours."""

    endpoints: list[str] = field(default_factory=list)
    endpoint_configs: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    # As (bucket, key).
    objects: list[tuple[str, str]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return one line a thing."""
        return [
            *(f"endpoint {name}" for name in self.endpoints),
            *(f"endpoint configuration {name}" for name in self.endpoint_configs),
            *(f"model {name}" for name in self.models),
            *(f"s3://{bucket}/{key}" for bucket, key in self.objects),
        ]

    def parts(self) -> "Iterator[Inventory]":
        """Yield an inventory of each thing, in the order in which they can be deleted."""
        yield from (Inventory(endpoints=[name]) for name in self.endpoints)
        yield from (Inventory(endpoint_configs=[name]) for name in self.endpoint_configs)
        yield from (Inventory(models=[name]) for name in self.models)
        yield from (Inventory(objects=[where]) for where in self.objects)

    def drop(self, part: "Inventory") -> None:
        """Forget what is in a part of this."""
        self.endpoints = [name for name in self.endpoints if name not in part.endpoints]
        self.endpoint_configs = [
            name for name in self.endpoint_configs if name not in part.endpoint_configs
        ]
        self.models = [name for name in self.models if name not in part.models]
        self.objects = [where for where in self.objects if where not in part.objects]

    def to_json(self) -> dict[str, list[str]]:
        """Return this as a machine reads it."""
        return {
            "endpoints": self.endpoints,
            "endpoint_configs": self.endpoint_configs,
            "models": self.models,
            "objects": [f"s3://{bucket}/{key}" for bucket, key in self.objects],
        }


def find(target: Target, endpoint_name: str | None = None, bucket: str | None = None) -> Inventory:
    """Return what carries our mark, for one endpoint or for all; uploads also in a bucket named.

    Raises:
        WindtunnelError: Something cannot be listed, or the bucket named is not there.
    """
    sagemaker = target.sagemaker()

    def is_ours(arn: str) -> bool:
        pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
        tags = [tag for page in pages for tag in page["Tags"]]
        return ownership.is_ours(tags, endpoint_name)

    if bucket is not None:
        # A default bucket that is missing holds nothing; a name that somebody typed may be wrong.
        with refusals.explained(f"bucket {bucket}"):
            target.s3().head_bucket(Bucket=bucket)
    # Names of our making begin with the endpoint's: this spares a call for each that does not.
    named: dict[str, Any] = (
        {} if endpoint_name is None else {"NameContains": names.stem_of(endpoint_name)}
    )
    with refusals.explained("the list of what Windtunnel made"):
        endpoints = sagemaker.get_paginator("list_endpoints").paginate(**named)
        configs = sagemaker.get_paginator("list_endpoint_configs").paginate(**named)
        models = sagemaker.get_paginator("list_models").paginate(**named)
        inventory = Inventory(
            endpoints=[
                item["EndpointName"]
                for page in endpoints
                for item in page["Endpoints"]
                if is_ours(item["EndpointArn"])
            ],
            endpoint_configs=[
                item["EndpointConfigName"]
                for page in configs
                for item in page["EndpointConfigs"]
                if is_ours(item["EndpointConfigArn"])
            ],
            models=[
                item["ModelName"]
                for page in models
                for item in page["Models"]
                if is_ours(item["ModelArn"])
            ],
        )
        inventory.objects = _find_objects(target, inventory.models, endpoint_name, bucket)
    return inventory


def _find_objects(
    target: Target, models: Iterable[str], endpoint_name: str | None, bucket: str | None
) -> list[tuple[str, str]]:
    """Return our uploads: where our models' archives lie, in the default bucket, in one named."""
    sagemaker = target.sagemaker()
    buckets = {ownership.default_bucket(target.region, target.account)}
    if bucket is not None:
        buckets.add(bucket)
    for model in models:
        container = sagemaker.describe_model(ModelName=model).get("PrimaryContainer", {})
        url = container.get("ModelDataUrl", "")
        if url.startswith("s3://"):
            buckets.add(url.removeprefix("s3://").partition("/")[0])
    prefix = ownership.OBJECT_PREFIX
    if endpoint_name is not None:
        prefix += f"{endpoint_name}/"
    client = target.s3()
    return [
        (each, key)
        for each in sorted(buckets)
        for key in _keys(client, each, prefix)
        if ownership.is_our_object(client.head_object(Bucket=each, Key=key)["Metadata"])
    ]


def _keys(client: "S3Client", bucket: str, prefix: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    try:
        return [item["Key"] for page in pages for item in page.get("Contents", [])]
    except ClientError as error:
        if refusals.is_missing(error):
            return []
        raise


def remove(target: Target, inventory: Inventory, progress: Progress) -> None:
    """Delete what an inventory lists: endpoints first, what they use after they are gone."""
    sagemaker = target.sagemaker()
    for name in inventory.endpoints:
        progress.step(f"Deleting endpoint {name}")
        with refusals.explained(f"the deletion of endpoint {name}"):
            _delete_endpoint(sagemaker, name, pauses_s(target.kind), progress)
        progress.done(f"Deleted endpoint {name}")
    for name in inventory.endpoint_configs:
        with refusals.explained(f"the deletion of endpoint configuration {name}"):
            _if_there(partial(sagemaker.delete_endpoint_config, EndpointConfigName=name))
        progress.done(f"Deleted endpoint configuration {name}")
    for name in inventory.models:
        with refusals.explained(f"the deletion of model {name}"):
            _if_there(partial(sagemaker.delete_model, ModelName=name))
        progress.done(f"Deleted model {name}")
    client = target.s3()
    for bucket, key in inventory.objects:
        with refusals.explained(f"the deletion of s3://{bucket}/{key}"):
            client.delete_object(Bucket=bucket, Key=key)
        progress.done(f"Deleted s3://{bucket}/{key}")


def _delete_endpoint(
    sagemaker: "SageMakerClient", name: str, pauses: Iterator[float], progress: Progress
) -> None:
    """Delete an endpoint once it may be, and wait until it is gone."""
    deadline_s = time.monotonic() + limits.DEPLOY_TIMEOUT_S
    asked = False
    waited_for = ""
    while True:
        try:
            status: str = sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
        except ClientError as error:
            if refusals.is_missing(error):
                return
            raise
        # One that is being created or updated cannot be deleted yet.
        if not asked and status not in {"Creating", "Updating", "SystemUpdating", "RollingBack"}:
            if status != "Deleting":
                _if_there(partial(sagemaker.delete_endpoint, EndpointName=name))
            asked = True
            continue
        if not asked and status != waited_for:
            progress.step(f"Waiting to delete endpoint {name}: it is still {status}")
            waited_for = status
        if time.monotonic() > deadline_s:
            raise NotReadyError(f"Endpoint {name} is still {status}; try again later.")
        time.sleep(next(pauses))


def _if_there(delete: Callable[[], object]) -> None:
    """Delete something, and be content when somebody else did."""
    try:
        delete()
    except ClientError as error:
        if not refusals.is_missing(error):
            raise
