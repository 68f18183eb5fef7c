"""What a request names, found: its group, its stream, and the times it may see."""

import json
import re
from typing import Any

from windtunnel.aws.arn import Arn
from windtunnel.cloud.errors import InvalidError, NotFoundError
from windtunnel.cloud.logs.catalog import Catalog, Group, ShownStream
from windtunnel.cloud.logs.client_events import ClientStream
from windtunnel.cloud.logs.events import TIME_MS_END, Window
from windtunnel.core.clock import Clock

Document = dict[str, Any]


class View:
    """The catalog, as requests see it; `visible_after_s` hides what is younger."""

    def __init__(self, catalog: Catalog, clock: Clock, visible_after_s: float) -> None:
        self._catalog = catalog
        self._clock = clock
        self._visible_after_ms = int(visible_after_s * 1000)

    def now_ms(self) -> int:
        """Return the time in CloudWatch's unit."""
        return int(self._clock.now_s() * 1000)

    def group_name(self, request: Document) -> str:
        """Return the group that is named, by its name or its ARN."""
        name: str | None = request.get("log_group_name")
        identifier: str | None = request.get("log_group_identifier")
        if (name is None) == (identifier is None):
            raise InvalidError(
                "Exactly one of the parameters logGroupName and logGroupIdentifier is required."
            )
        if identifier is not None and identifier.startswith("arn:"):
            return self.name_of_arn(identifier)
        return name or identifier or ""

    def name_of_arn(self, text: str) -> str:
        """Return the name of the group that an ARN names."""
        arn = Arn.parse(text)
        kind, _, name = ("", "", "") if arn is None else arn.resource.partition(":")
        if kind != "log-group" or not re.fullmatch(r"[.\-_/#A-Za-z0-9]+", name):
            raise InvalidError(f"{text} is not the ARN of a log group.")
        if text != self._catalog.group_arn(name):
            # Of another region or account: not here.
            raise NotFoundError("The specified log group does not exist.")
        return name

    def group(self, request: Document) -> Group:
        """Return the group that a request names."""
        return self._found(self.group_name(request))

    def tagged(self, request: Document) -> Group:
        """Return the group whose ARN a request names."""
        return self._found(self.name_of_arn(request["resource_arn"]))

    def _found(self, name: str) -> Group:
        group = self._catalog.find(name, self.now_ms())
        if group is None:
            raise NotFoundError("The specified log group does not exist.")
        return group

    def _visible_ms(self) -> int:
        """Return the time before which events are shown."""
        return self.now_ms() - self._visible_after_ms + 1

    def shown(self, group: Group) -> list[ShownStream]:
        """Return the streams of a group, those of instances only with something to show."""
        visible_ms = self._visible_ms() if self._visible_after_ms else TIME_MS_END
        return [
            each
            for each in group.streams
            if isinstance(each.stream, ClientStream) or (each.first_ms or 0) < visible_ms
        ]

    def window(self, start_ms: int | None, end_ms: int | None) -> Window:
        """Return the stretch of time between two, as far as it is shown."""
        if end_ms is None:
            end_ms = TIME_MS_END
        if self._visible_after_ms:
            end_ms = min(end_ms, self._visible_ms())
        return Window(min(start_ms or 0, TIME_MS_END), min(end_ms, TIME_MS_END))


def stream_of(group: Group, name: str) -> ShownStream:
    """Return one of a group's streams."""
    found = group.find(name)
    if found is None:
        raise NotFoundError("The specified log stream does not exist.")
    return found


def question_of(kind: str, request: Document) -> str:
    """Return what a token belongs to: the request without the parts that may change."""
    kept = {key: part for key, part in request.items() if key not in ("next_token", "limit")}
    return json.dumps([kind, kept], sort_keys=True)
