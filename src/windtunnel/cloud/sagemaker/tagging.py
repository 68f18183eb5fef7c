"""Tags on models, endpoint configs, endpoints and compilation jobs, by their ARN."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from windtunnel.aws.arn import Arn
from windtunnel.cloud.errors import InvalidError, UnsupportedError
from windtunnel.cloud.jobs.compilation_jobs import CompilationJobs
from windtunnel.cloud.sagemaker import wording
from windtunnel.cloud.sagemaker.collection import Collection
from windtunnel.cloud.sagemaker.endpoint_configs import EndpointConfigs
from windtunnel.cloud.sagemaker.endpoints import Endpoints
from windtunnel.cloud.sagemaker.models import Models
from windtunnel.cloud.sagemaker.records import Document, Tags, tags_of

# "max": 50 on TagList in botocore's model, for a resource as for a request.
_TAG_COUNT_MAX = 50


@dataclass(frozen=True)
class _Tagged:
    """A resource with tags, and where it is kept."""

    collection: "Collection[Any]"
    record: Any


class Tagging:
    """The operations on tags."""

    def __init__(
        self,
        models: Models,
        configs: EndpointConfigs,
        endpoints: Endpoints,
        compilation_jobs: CompilationJobs,
    ) -> None:
        self._collections: dict[str, Collection[Any]] = {
            "model": models.records,
            "endpoint-config": configs.records,
            "endpoint": endpoints.records,
            "compilation-job": compilation_jobs.records,
        }

    async def add(self, request: Document) -> Document:
        """Add tags or overwrite their values; return all there are then."""
        added = tags_of(request)
        tags = await self._change(request["resource_arn"], lambda tags: {**tags, **added})
        return {"tags": _listed(tags)}

    async def list(self, request: Document) -> Document:
        """Return a resource's tags; they always fit on one page."""
        if request.get("next_token"):
            raise InvalidError("There is no further page of tags: the NextToken is not one.")
        return {"tags": _listed(self._find(request["resource_arn"]).record.tags)}

    async def delete(self, request: Document) -> Document:
        """Remove tags by their keys; keys that are not there are passed over."""
        keys = set(request["tag_keys"])
        await self._change(
            request["resource_arn"],
            lambda tags: {key: value for key, value in tags.items() if key not in keys},
        )
        return {}

    async def _change(self, arn: str, change: Callable[[Tags], Tags]) -> Tags:
        found = self._find(arn)
        async with found.collection.held(found.record.name):
            # It may have changed, or gone, while others held it.
            record = self._find(arn).record
            tags = change(record.tags)
            if len(tags) > _TAG_COUNT_MAX:
                raise InvalidError(
                    f"A resource has up to {_TAG_COUNT_MAX} tags: {len(tags)} would be too many."
                )
            await found.collection.put(replace(record, tags=tags))
            return tags

    def _find(self, text: str) -> _Tagged:
        """Return what an ARN names, or say that there is no such resource."""
        arn = Arn.parse(text)
        kind, _, name = ("", "", "") if arn is None else arn.resource.partition("/")
        collection = self._collections.get(kind)
        if collection is None:
            raise UnsupportedError(
                f"Windtunnel's local cloud does not offer tags on {text}: it has models, endpoint "
                "configs, endpoints and compilation jobs."
            )
        record = collection.find(name)
        # The ARN of another region or account names another resource.
        if record is None or record.arn != text.lower():
            raise wording.not_found(kind, text)
        return _Tagged(collection, record)


def _listed(tags: Tags) -> "list[dict[str, str]]":
    return [{"key": key, "value": value} for key, value in tags.items()]
