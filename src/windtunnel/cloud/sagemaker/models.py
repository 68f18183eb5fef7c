"""Models: which container with which archive and environment."""

from typing import Any

from windtunnel.aws.arn import sagemaker_arn
from windtunnel.cloud.errors import InvalidError, NotFoundError
from windtunnel.cloud.fleet.images import check_container
from windtunnel.cloud.fleet.model_data import ModelDataError, split_url
from windtunnel.cloud.foundation.s3.client import S3Client
from windtunnel.cloud.sagemaker import wording
from windtunnel.cloud.sagemaker.collection import Collection
from windtunnel.cloud.sagemaker.listing import listed
from windtunnel.cloud.sagemaker.records import (
    Document,
    Model,
    is_multi_model,
    model_data_of,
    tags_of,
)
from windtunnel.cloud.store.store import Store
from windtunnel.core.clock import Clock
from windtunnel.core.home import ACCOUNT_ID


class Models:
    """The operations on models."""

    def __init__(self, store: Store, s3: S3Client, clock: Clock, region: str) -> None:
        self.records = Collection(store, "model", Model.from_document)
        self._s3 = s3
        self._clock = clock
        self._region = region

    def arn(self, name: str) -> str:
        """Return the ARN that a name has or would have."""
        return sagemaker_arn(self._region, ACCOUNT_ID, "model", name)

    def find(self, name: str) -> Model:
        """Return a model, or say that there is none."""
        model = self.records.find(name)
        if model is None:
            raise wording.not_found("model", self.arn(name))
        return model

    async def create(self, request: Document) -> Document:
        """Remember a model whose image runs here and whose archive is there."""
        name = request["model_name"]
        arn = self.arn(name)
        conflict = wording.already_exists("model", arn)
        if self.records.find(name) is not None:
            raise conflict
        await self._check_container(request.get("primary_container"))
        kept = {key: value for key, value in request.items() if key != "tags"}
        model = Model(name, arn, round(self._clock.now_s(), 3), kept, tags_of(request))
        await self.records.create(model, conflict)
        return {"model_arn": arn}

    async def _check_container(self, container: dict[str, Any] | None) -> None:
        if container is None:
            raise InvalidError("PrimaryContainer is required: it says which image runs the model.")
        image = container.get("image")
        if image is None:
            raise InvalidError("PrimaryContainer.Image is required.")
        check_container(image, container.get("environment") or {})
        _check_source(container)
        if is_multi_model(container):
            _check_models_url(container)
            return
        if container.get("multi_model_config") is not None:
            raise InvalidError("MultiModelConfig goes with Mode MultiModel.")
        url, form = model_data_of(container)
        if url is None:
            return
        try:
            bucket, key = split_url(url, is_prefix=form == "prefix")
        except ModelDataError as error:
            member = "ModelDataUrl" if form == "archive" else "S3Uri"
            raise InvalidError(f"{member}: {error.reason}.") from error
        if form == "prefix":
            is_there = await self._s3.has_prefix(bucket, key)
        else:
            is_there = await self._s3.head_object(bucket, key) is not None
        if not is_there:
            raise NotFoundError(f"Could not find model data at {url}.")

    async def describe(self, request: Document) -> Document:
        """Return what a model was made with."""
        model = self.find(request["model_name"])
        return {
            **model.request,
            "enable_network_isolation": False,
            "model_arn": model.arn,
            "creation_time": model.created_s,
        }

    async def list(self, request: Document) -> Document:
        """Return a page of the models."""
        chosen, token = listed(self.records.all(), request)
        summaries = [
            {"model_name": each.name, "model_arn": each.arn, "creation_time": each.created_s}
            for each in chosen
        ]
        return {"models": summaries, "next_token": token}

    async def delete(self, request: Document) -> Document:
        """Forget a model; endpoints that run it keep it."""
        name = request["model_name"]
        async with self.records.held(name):
            await self.records.remove(self.find(name).name)
        return {}


def _check_models_url(container: Document) -> None:
    """Refuse a multi-model container whose models could not be found; they may come later."""
    if container.get("model_data_source") is not None:
        # "Currently you cannot use ModelDataSource in conjunction with … multi-model endpoints".
        raise InvalidError("ModelDataSource cannot be used with Mode MultiModel: use ModelDataUrl.")
    url = container.get("model_data_url")
    if url is None:
        raise InvalidError("ModelDataUrl is required with Mode MultiModel: the prefix of models.")
    try:
        split_url(url, is_prefix=True)
    except ModelDataError as error:
        raise InvalidError(f"ModelDataUrl: {error.reason}.") from error


def _check_source(container: Document) -> None:
    """Refuse a ModelDataSource that says two things, or one that AWS does not have."""
    source = (container.get("model_data_source") or {}).get("s3_data_source")
    if source is None:
        return
    if container.get("model_data_url") is not None:
        raise InvalidError("Only one of ModelDataUrl and ModelDataSource can be given.")
    if source["s3_data_type"] == "S3Prefix":
        if source["compression_type"] == "Gzip":
            raise InvalidError(
                "CompressionType Gzip goes with S3DataType S3Object: name the archive itself."
            )
        if not source["s3_uri"].endswith("/"):
            raise InvalidError(
                f"An S3Uri with S3DataType S3Prefix ends with a slash: {source['s3_uri']} does not."
            )
