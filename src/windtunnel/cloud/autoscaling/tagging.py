"""Tags on scalable targets, by their ARN."""

from dataclasses import replace
from typing import Any

from windtunnel.cloud.autoscaling.book import TAG_COUNT_MAX, Book
from windtunnel.cloud.autoscaling.records import Target
from windtunnel.cloud.errors import NotFoundError
from windtunnel.cloud.sagemaker.errors import LimitExceededError

Document = dict[str, Any]


class Tagging:
    """The operations on tags."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def list(self, request: Document) -> Document:
        """Return a target's tags."""
        return {"tags": dict(self._find(request["resource_arn"]).tags)}

    async def tag(self, request: Document) -> Document:
        """Add tags or overwrite their values."""
        async with self._book.lock:
            target = self._find(request["resource_arn"])
            tags = {**target.tags, **request["tags"]}
            if len(tags) > TAG_COUNT_MAX:
                raise LimitExceededError(
                    f"A scalable target has up to {TAG_COUNT_MAX} tags: "
                    f"{len(tags)} would be too many."
                )
            await self._book.note(self._book.targets.edit([replace(target, tags=tags)]))
        return {}

    async def untag(self, request: Document) -> Document:
        """Remove tags by their keys; keys that are not there are passed over."""
        async with self._book.lock:
            target = self._find(request["resource_arn"])
            gone = set(request["tag_keys"])
            tags = {key: value for key, value in target.tags.items() if key not in gone}
            await self._book.note(self._book.targets.edit([replace(target, tags=tags)]))
        return {}

    def _find(self, arn: str) -> Target:
        for target in self._book.targets.all():
            if target.arn == arn:
                return target
        raise NotFoundError(f"No scalable target found for the ARN {arn}")
