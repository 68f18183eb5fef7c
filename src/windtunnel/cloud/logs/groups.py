"""The operations on log groups and streams: what there is, how long it is kept, how it is tagged.

Wording: as public threads show it (cloudwatchlogs-ros1#1 and lawgs#11 for what exists and what
does not).
"""

from dataclasses import replace
from typing import Any

from windtunnel.cloud.errors import ConflictError, InvalidError
from windtunnel.cloud.logs.catalog import Catalog, Group, ShownStream
from windtunnel.cloud.logs.client_events import ClientEvents, GroupNotes
from windtunnel.cloud.logs.view import Document, View, question_of, stream_of
from windtunnel.cloud.paging import page
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.core import limits

# "the default is up to 50 items" (botocore's pages on both Describe operations).
_PAGE_COUNT = 50
# "Possible values are …" (botocore's page on PutRetentionPolicy).
_RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
)  # fmt: skip
_TAG_COUNT_MAX = 50


class Groups:
    """Groups and their streams."""

    def __init__(self, view: View, catalog: Catalog, client: ClientEvents) -> None:
        self._view = view
        self._catalog = catalog
        self._client = client

    def create_log_group(self, request: Document) -> Document:
        """Make a group."""
        name: str = request["log_group_name"]
        if name.startswith("aws/"):
            raise InvalidError("Log group names can't start with the string aws/.")
        if self._catalog.find(name, self._view.now_ms()) is not None:
            raise ConflictError("The specified log group already exists")
        kept = self._client.groups()
        if len(kept) >= limits.RESOURCE_COUNT_MAX:
            raise LimitExceededError("Resource limit exceeded.")
        tags = _checked_tags(request.get("tags") or {})
        self._client.put_group(GroupNotes(name, self._view.now_ms(), None, tags, is_created=True))
        return {}

    def delete_log_group(self, request: Document) -> Document:
        """Delete a group and all in it."""
        self._catalog.delete_group(self._view.group(request), self._view.now_ms())
        return {}

    def describe_log_groups(self, request: Document) -> Document:
        """List groups by name."""
        prefix, part = request.get("log_group_name_prefix"), request.get("log_group_name_pattern")
        if prefix is not None and part is not None:
            raise InvalidError(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
            )
        names = [
            name
            for name in self._catalog.names(self._view.now_ms())
            if name.startswith(prefix or "") and (part or "") in name
        ]
        listed, token = page(
            names,
            lambda name: [name],
            question=question_of("groups", request),
            token=request.get("next_token"),
            size=request.get("limit", _PAGE_COUNT),
            member="nextToken",
        )
        groups = (self._catalog.find(name, self._view.now_ms()) for name in listed)
        described = [self._described_group(group) for group in groups if group is not None]
        return {"log_groups": described, "next_token": token}

    def _described_group(self, group: Group) -> Document:
        arn = self._catalog.group_arn(group.name)
        return {
            "log_group_name": group.name,
            "creation_time": group.notes.created_ms,
            "retention_in_days": group.notes.retention_days,
            "metric_filter_count": 0,
            "arn": f"{arn}:*",
            "stored_bytes": group.stored_bytes,
            "log_group_class": "STANDARD",
            "log_group_arn": arn,
        }

    def put_retention_policy(self, request: Document) -> Document:
        """Say how long a group's events are kept."""
        days: int = request["retention_in_days"]
        if days not in _RETENTION_DAYS:
            raise InvalidError(
                f"The retentionInDays {days} is not one of {', '.join(map(str, _RETENTION_DAYS))}."
            )
        self._client.put_group(replace(self._view.group(request).notes, retention_days=days))
        return {}

    def delete_retention_policy(self, request: Document) -> Document:
        """Keep a group's events for as long as there is room."""
        self._client.put_group(replace(self._view.group(request).notes, retention_days=None))
        return {}

    def tag_resource(self, request: Document) -> Document:
        """Add tags to a group or overwrite their values."""
        notes = self._view.tagged(request).notes
        tags = _checked_tags({**notes.tags, **request["tags"]})
        self._client.put_group(replace(notes, tags=tags))
        return {}

    def untag_resource(self, request: Document) -> Document:
        """Remove tags from a group; keys that are not there are passed over."""
        notes = self._view.tagged(request).notes
        left = {key: tag for key, tag in notes.tags.items() if key not in request["tag_keys"]}
        self._client.put_group(replace(notes, tags=left))
        return {}

    def list_tags_for_resource(self, request: Document) -> Document:
        """Return a group's tags."""
        return {"tags": self._view.tagged(request).notes.tags}

    # --- streams ----------------------------------------------------------------------------------

    def create_log_stream(self, request: Document) -> Document:
        """Make a stream in a group."""
        group, name = self._view.group(request), request["log_stream_name"]
        if self._client.stream_count() >= limits.RESOURCE_COUNT_MAX:
            raise InvalidError(
                f"This local cloud holds up to {limits.RESOURCE_COUNT_MAX} log streams of clients: "
                "delete some first."
            )
        is_taken = self._catalog.is_instance_stream(group.name, name)
        if is_taken or not self._client.create_stream(group.name, name, self._view.now_ms()):
            raise ConflictError("The specified log stream already exists")
        return {}

    def delete_log_stream(self, request: Document) -> Document:
        """Delete a stream and its events."""
        group = self._view.group(request)
        stream = stream_of(group, request["log_stream_name"])
        self._catalog.delete_stream(group, stream, self._view.now_ms())
        return {}

    def describe_log_streams(self, request: Document) -> Document:
        """List a group's streams, by name or by the time of their last event."""
        prefix = request.get("log_stream_name_prefix")
        is_by_time = request.get("order_by") == "LastEventTime"
        if is_by_time and prefix is not None:
            raise InvalidError("Cannot order by LastEventTime with a logStreamNamePrefix.")
        is_descending = bool(request.get("descending"))

        def place_of(shown: ShownStream) -> list[Any]:
            return [shown.stream.last_ms or 0, shown.name] if is_by_time else [shown.name]

        found = [
            shown
            for shown in self._view.shown(self._view.group(request))
            if prefix is None or shown.name.startswith(prefix)
        ]
        listed, token = page(
            sorted(found, key=place_of, reverse=is_descending),
            place_of,
            question=question_of("streams", request),
            token=request.get("next_token"),
            size=request.get("limit", _PAGE_COUNT),
            is_descending=is_descending,
            member="nextToken",
        )
        arn = self._catalog.group_arn(self._view.group_name(request))
        return {
            "log_streams": [_described_stream(shown, arn) for shown in listed],
            "next_token": token,
        }


def _described_stream(shown: ShownStream, group_arn: str) -> Document:
    return {
        "log_stream_name": shown.name,
        "creation_time": shown.created_ms,
        "first_event_timestamp": shown.first_ms,
        "last_event_timestamp": shown.stream.last_ms,
        "last_ingestion_time": shown.stream.last_ingestion_ms,
        "upload_sequence_token": f"{shown.created_ms:056d}",
        "arn": f"{group_arn}:log-stream:{shown.name}",
        # "This value is no longer updated, and always 0" (botocore's page on LogStream).
        "stored_bytes": 0,
    }


def _checked_tags(tags: dict[str, str]) -> dict[str, str]:
    if any(key.lower().startswith("aws:") for key in tags):
        raise InvalidError("aws: prefixed tag key names are not allowed for external use.")
    if len(tags) > _TAG_COUNT_MAX:
        raise LimitExceededError(f"A log group has up to {_TAG_COUNT_MAX} tags.")
    return tags
