"""Which log groups and streams there are.

    home/logs/endpoints/NAME/VARIANT/INSTANCE.log    group /aws/sagemaker/Endpoints/NAME,
                                                     stream VARIANT/INSTANCE
    home/logs/compilations/NAME.log                  group /aws/sagemaker/CompilationJobs,
                                                     stream NAME
    home/logs/events.sqlite3                         what clients made and wrote, and what they
                                                     said of either: retention, tags, deletions

Whatever writes one of these files is called an instance here, a compilation job too. Its group is
there as soon as it has said something. Deleting its stream removes the files when nobody writes
them any more; else what it has is hidden, and the stream comes back with the next line, as on AWS.
What is older than a group's retention is hidden, too.

Rules: every method is called in a thread and reads the disk; nothing is remembered between calls.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from windtunnel.aws.arn import Arn
from windtunnel.cloud.fleet import logs as files
from windtunnel.cloud.logs.client_events import ClientEvents, ClientStream, GroupNotes
from windtunnel.cloud.logs.events import Cursor, Event, Stream, Window
from windtunnel.cloud.logs.instance_stream import InstanceStream
from windtunnel.core.home import ACCOUNT_ID

_ENDPOINT_GROUP = "/aws/sagemaker/Endpoints/"
_ENDPOINT_NAME = re.compile(r"[A-Za-z0-9-]+")
_INSTANCE = re.compile(r"([A-Za-z0-9-]+)/([\w-]+)", re.ASCII)
_JOB_GROUP = "/aws/sagemaker/CompilationJobs"
_JOB = re.compile(r"[A-Za-z0-9-]+")
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class ShownStream:
    """A stream, as far as it is shown: nothing before `floor_ms`."""

    stream: Stream
    floor_ms: int

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.stream.name

    @property
    def created_ms(self) -> int:
        """When it was created."""
        return self.stream.created_ms

    @property
    def first_ms(self) -> int | None:
        """The time of its first event that is shown, or a little earlier."""
        first_ms = self.stream.first_ms
        return None if first_ms is None else max(first_ms, self.floor_ms)

    def forward(self, window: Window, cursor: Cursor | None) -> Iterator[Event]:
        """Yield events, oldest first."""
        return self.stream.forward(self._shown(window), cursor)

    def backward(self, window: Window, cursor: Cursor | None) -> Iterator[Event]:
        """Yield events, latest first."""
        return self.stream.backward(self._shown(window), cursor)

    def _shown(self, window: Window) -> Window:
        return replace(window, start_ms=max(window.start_ms, self.floor_ms))


@dataclass(frozen=True)
class Group:
    """A log group and its streams."""

    notes: GroupNotes
    streams: tuple[ShownStream, ...]

    @property
    def name(self) -> str:
        """The group's name."""
        return self.notes.name

    @property
    def stored_bytes(self) -> int:
        """How much all its streams hold."""
        return sum(each.stream.stored_bytes for each in self.streams)

    def find(self, name: str) -> ShownStream | None:
        """Return one of its streams."""
        return next((each for each in self.streams if each.name == name), None)


class Catalog:
    """The groups of one home."""

    def __init__(self, folder: Path, client: ClientEvents, region: str) -> None:
        self._folder = folder / "endpoints"
        self._job_folder = folder / "compilations"
        self._client = client
        self._region = region

    def group_arn(self, name: str) -> str:
        """Return a group's ARN, without the `:*` that stands for its streams."""
        return str(Arn("logs", self._region, ACCOUNT_ID, f"log-group:{name}"))

    def names(self, now_ms: int) -> list[str]:
        """Return the names of all groups, sorted."""
        names = {name for name, notes in self._client.groups().items() if notes.is_created}
        folders = self._folder.iterdir() if self._folder.is_dir() else ()
        for name in (_JOB_GROUP, *(_ENDPOINT_GROUP + folder.name for folder in folders)):
            if name not in names and self._instance_streams(name, now_ms, None):
                names.add(name)
        return sorted(names)

    def find(self, name: str, now_ms: int) -> Group | None:
        """Return the group of a name, None when there is none."""
        notes = self._client.groups().get(name)
        retention_days = None if notes is None else notes.retention_days
        instances = self._instance_streams(name, now_ms, retention_days)
        if notes is None or not notes.is_created:
            if not instances:
                return None
            created_ms = min(stream.created_ms for stream in instances)
            notes = replace(
                notes or GroupNotes(name, 0, None, {}, is_created=False), created_ms=created_ms
            )
        floor_ms = _floor_ms(now_ms, notes.retention_days)
        clients = [ShownStream(each, floor_ms) for each in self._client.streams(name)]
        return Group(notes, (*instances, *clients))

    def is_instance_stream(self, group_name: str, stream_name: str) -> bool:
        """Say whether a stream is written by an instance."""
        path = self._path(group_name, stream_name)
        return path is not None and path.exists()

    def delete_group(self, group: Group, now_ms: int) -> None:
        """Forget a group and what is in it."""
        written = [
            shown.name
            for shown in group.streams
            if isinstance(shown.stream, InstanceStream) and not self._remove(group, shown)
        ]
        self._client.delete_group(group.name, written, now_ms)

    def delete_stream(self, group: Group, shown: ShownStream, now_ms: int) -> None:
        """Forget a stream and what is in it."""
        if isinstance(shown.stream, ClientStream):
            self._client.delete_stream(shown.stream)
        elif not self._remove(group, shown):
            self._client.clear_stream(group.name, shown.name, now_ms)

    def _remove(self, group: Group, shown: ShownStream) -> bool:
        """Remove an instance's log; say whether that could be done."""
        path = self._path(group.name, shown.name)
        if path is None or files.is_written(path):
            return False
        files.remove(path)
        return True

    def _path(self, group_name: str, stream_name: str) -> Path | None:
        if group_name == _JOB_GROUP and _JOB.fullmatch(stream_name):
            return self._job_folder / f"{stream_name}.log"
        folder = self._endpoint_folder(group_name)
        found = _INSTANCE.fullmatch(stream_name)
        if folder is None or found is None:
            return None
        return folder / found[1] / f"{found[2]}.log"

    def _endpoint_folder(self, group_name: str) -> Path | None:
        name = group_name.removeprefix(_ENDPOINT_GROUP)
        if name == group_name or not _ENDPOINT_NAME.fullmatch(name):
            return None
        return self._folder / name

    def _paths(self, group_name: str) -> dict[str, Path]:
        """Return the files of a group's instances by the names of their streams."""
        if group_name == _JOB_GROUP:
            return {path.stem: path for path in sorted(self._job_folder.glob("*.log"))}
        folder = self._endpoint_folder(group_name)
        if folder is None:
            return {}
        return {f"{path.parent.name}/{path.stem}": path for path in sorted(folder.glob("*/*.log"))}

    def _instance_streams(
        self, group_name: str, now_ms: int, retention_days: int | None
    ) -> list[ShownStream]:
        """Return the streams of a group's instances that have something to show."""
        paths = self._paths(group_name)
        cleared = self._client.cleared(group_name) if paths else {}
        floor_ms = _floor_ms(now_ms, retention_days)
        streams = []
        for stream_name, path in paths.items():
            stream = InstanceStream(stream_name, path)
            first_shown_ms = max(floor_ms, cleared.get(stream.name, -1) + 1)
            is_cleared = stream.name in cleared
            if stream.last_ms is None or (is_cleared and stream.last_ms < first_shown_ms):
                continue
            streams.append(ShownStream(stream, first_shown_ms))
        return streams


def _floor_ms(now_ms: int, retention_days: int | None) -> int:
    return 0 if retention_days is None else now_ms - retention_days * _DAY_MS
