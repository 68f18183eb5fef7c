"""Events of several streams in the order of their times, as far as a filter wants them.

One search reads a bounded amount, however little it finds: where it stopped is a place (the time,
the stream, the cursor behind the last event that was looked at), and the next one goes on there.
Events of the same moment are taken stream by stream, in the order of names, so that a place says
exactly which were seen.
"""

import contextlib
import heapq
import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

from windtunnel.cloud.logs.catalog import ShownStream
from windtunnel.cloud.logs.client_events import size_of
from windtunnel.cloud.logs.events import Cursor, Event, Window
from windtunnel.cloud.logs.filter_patterns import Filter
from windtunnel.core import limits

# Looked at together: filters are quicker by the hundred.
_BATCH_COUNT = 256

Found = tuple[str, Event]


@dataclass(frozen=True)
class Place:
    """Behind an event: its time, its stream, and the cursor behind it."""

    timestamp_ms: int
    stream_name: str
    cursor: Cursor


def search(
    streams: Sequence[ShownStream], window: Window, wanted: Filter, after: Place | None, count: int
) -> tuple[list[Found], Place | None]:
    """Return up to `count` events that are wanted, and where to go on, None at the end."""
    found: list[Found] = []
    found_bytes = looked_at_bytes = 0
    with contextlib.closing(_merged(streams, window, after)) as merged:
        while batch := list(itertools.islice(merged, _BATCH_COUNT)):
            flags = wanted([event.message for _, event in batch])
            for (name, event), is_wanted in zip(batch, flags, strict=True):
                size = size_of(event.message)
                if is_wanted and found and found_bytes + size > limits.LOG_PAGE_BYTES_MAX:
                    return found, after
                looked_at_bytes += size
                after = Place(event.timestamp_ms, name, event.end)
                if is_wanted:
                    found.append((name, event))
                    found_bytes += size
                if len(found) >= count or looked_at_bytes > limits.LOG_SEARCH_BYTES_MAX:
                    return found, after
    return found, None


def _merged(
    streams: Sequence[ShownStream], window: Window, after: Place | None
) -> Generator[Found]:
    """Yield the events of all streams in order; a stream is opened when its time has come."""
    waiting = []
    for stream in streams:
        start_ms, cursor = window.start_ms, None
        if after is not None:
            if stream.name == after.stream_name:
                cursor = after.cursor
            start_ms = after.timestamp_ms + (stream.name < after.stream_name)
        if stream.first_ms is not None:
            earliest_ms = max(stream.first_ms, start_ms)
            asked = replace(window, start_ms=max(start_ms, window.start_ms))
            waiting.append((earliest_ms, stream.name, stream, asked, cursor))
    waiting.sort(key=lambda each: each[:2], reverse=True)
    heads: list[tuple[int, str, Cursor, Event, Iterator[Event]]] = []

    def push(name: str, events: Iterator[Event]) -> None:
        event = next(events, None)
        if event is not None:
            heapq.heappush(heads, (event.timestamp_ms, name, event.begin, event, events))

    while heads or waiting:
        while waiting and (not heads or waiting[-1][0] <= heads[0][0]):
            _, name, stream, asked, cursor = waiting.pop()
            push(name, stream.forward(asked, cursor))
        if heads:
            _, name, _, event, events = heapq.heappop(heads)
            yield name, event
            push(name, events)
