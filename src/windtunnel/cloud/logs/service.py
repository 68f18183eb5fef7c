"""CloudWatch Logs: the room's parts, wired.

Everything that reads or writes a log runs in threads of this room's own: the gateway's loop only
hands requests over. `visible_after_s` hides what is younger, as AWS does not show it at once.

Not offered, and refused by name: metric and subscription filters, Insights, exports, Live Tail, and
what else the API has.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from windtunnel.cloud.logs.catalog import Catalog
from windtunnel.cloud.logs.client_events import ClientEvents
from windtunnel.cloud.logs.event_operations import EventOperations
from windtunnel.cloud.logs.groups import Groups
from windtunnel.cloud.logs.view import Document, View
from windtunnel.core import limits
from windtunnel.core.clock import Clock


class Logs:
    """The Logs of one home, whose `folder` is where instances write."""

    def __init__(
        self, folder: Path, clock: Clock, *, region: str, visible_after_s: float = 0.0
    ) -> None:
        self._client = ClientEvents(folder / "events.sqlite3")
        catalog = Catalog(folder, self._client, region)
        view = View(catalog, clock, visible_after_s)
        self._groups = Groups(view, catalog, self._client)
        self._events = EventOperations(view, self._client)
        self._threads = ThreadPoolExecutor(limits.LOG_THREAD_COUNT, "logs")

    def operations(self) -> Mapping[str, Callable[[Document], Awaitable[Document]]]:
        """Return what the API can ask for."""
        operations: dict[str, Callable[[Document], Document]] = {
            "CreateLogGroup": self._groups.create_log_group,
            "CreateLogStream": self._groups.create_log_stream,
            "DeleteLogGroup": self._groups.delete_log_group,
            "DeleteLogStream": self._groups.delete_log_stream,
            "DeleteRetentionPolicy": self._groups.delete_retention_policy,
            "DescribeLogGroups": self._groups.describe_log_groups,
            "DescribeLogStreams": self._groups.describe_log_streams,
            "FilterLogEvents": self._events.filter_log_events,
            "GetLogEvents": self._events.get_log_events,
            "ListTagsForResource": self._groups.list_tags_for_resource,
            "PutLogEvents": self._events.put_log_events,
            "PutRetentionPolicy": self._groups.put_retention_policy,
            "TagResource": self._groups.tag_resource,
            "UntagResource": self._groups.untag_resource,
        }
        return {name: functools.partial(self._in_thread, run) for name, run in operations.items()}

    async def _in_thread(self, run: Callable[[Document], Document], request: Document) -> Document:
        return await asyncio.get_running_loop().run_in_executor(self._threads, run, request)

    async def close(self) -> None:
        """Finish what is under way, and let the files go."""
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._client.close)
