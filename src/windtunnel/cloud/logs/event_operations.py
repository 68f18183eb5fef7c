"""The operations on log events: read, searched, written."""

from collections.abc import Iterable
from itertools import pairwise

from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.logs import tokens
from windtunnel.cloud.logs.client_events import ClientEvents, ClientStream, size_of
from windtunnel.cloud.logs.events import BEGINNING, Event
from windtunnel.cloud.logs.filter_patterns import compile_filter
from windtunnel.cloud.logs.search import search
from windtunnel.cloud.logs.view import Document, View, question_of, stream_of
from windtunnel.core import limits

_DAY_MS = 86_400_000
# "Events older than 14 days", "more than 2 hours in the future", "cannot exceed 24 hours" (its page
# on PutLogEvents).
_OLDEST_MS = 14 * _DAY_MS
_NEWEST_MS = 2 * 3_600_000


class EventOperations:
    """Events of a stream, or of several."""

    def __init__(self, view: View, client: ClientEvents) -> None:
        self._view = view
        self._client = client

    def get_log_events(self, request: Document) -> Document:
        """Return a page of a stream's events, from a cursor on or back."""
        stream = stream_of(self._view.group(request), request["log_stream_name"])
        window = self._view.window(request.get("start_time"), request.get("end_time"))
        token = request.get("next_token")
        if token is None:
            is_forward, cursor = bool(request.get("start_from_head")), None
        else:
            is_forward, cursor = tokens.read_stream_token(token)
        count = request.get("limit", limits.LOG_PAGE_EVENT_COUNT_MAX)
        if is_forward:
            events = _taken(stream.forward(window, cursor), count)
        else:
            events = _taken(stream.backward(window, cursor), count)[::-1]
        # An empty page leads to where it began: the same token says that this is the end.
        begin, end = cursor or BEGINNING, cursor or BEGINNING
        if events:
            begin, end = events[0].begin, events[-1].end
        return {
            "events": [
                {
                    "timestamp": event.timestamp_ms,
                    "message": event.message,
                    "ingestion_time": event.ingestion_ms,
                }
                for event in events
            ],
            "next_forward_token": tokens.stream_token(end, is_forward=True),
            "next_backward_token": tokens.stream_token(begin, is_forward=False),
        }

    def filter_log_events(self, request: Document) -> Document:
        """Return the events of a group's streams that a pattern wants, by their times."""
        names, prefix = request.get("log_stream_names"), request.get("log_stream_name_prefix")
        if names is not None and prefix is not None:
            raise InvalidError("You can only specify one of logStreamNamePrefix, logStreamNames.")
        wanted = compile_filter(request.get("filter_pattern", ""))
        group = self._view.group(request)
        if names is None:
            streams = [
                each for each in self._view.shown(group) if each.name.startswith(prefix or "")
            ]
        else:
            streams = [stream_of(group, name) for name in sorted(set(names))]
        end_ms = request.get("end_time")
        # "Events with a timestamp later than this time are not returned", unlike GetLogEvents.
        window = self._view.window(
            request.get("start_time"), None if end_ms is None else end_ms + 1
        )
        question = question_of("events", request)
        token = request.get("next_token")
        found, after = search(
            streams,
            window,
            wanted,
            None if token is None else tokens.read_search_token(token, question),
            request.get("limit", limits.LOG_PAGE_EVENT_COUNT_MAX),
        )
        return {
            "events": [
                {
                    "log_stream_name": name,
                    "timestamp": event.timestamp_ms,
                    "message": event.message,
                    "ingestion_time": event.ingestion_ms,
                    "event_id": tokens.event_id(name, event),
                }
                for name, event in found
            ],
            # Always empty since 2019 (botocore's page).
            "searched_log_streams": [],
            "next_token": None if after is None else tokens.search_token(after, question),
        }

    def put_log_events(self, request: Document) -> Document:
        """Keep events of a client's; those too old or too new are left out, and said."""
        group, name = self._view.group(request), request["log_stream_name"]
        shown = stream_of(group, name)
        if not isinstance(shown.stream, ClientStream):
            raise InvalidError(
                f"The log stream {name} is written by an instance: write into one of your own."
            )
        events = [(each["timestamp"], each["message"]) for each in request["log_events"]]
        _check_batch(events)
        now_ms = self._view.now_ms()
        days = group.notes.retention_days
        expired_ms = 0 if days is None else now_ms - days * _DAY_MS
        times_ms = [timestamp_ms for timestamp_ms, _ in events]
        oldest_ms = now_ms - _OLDEST_MS
        too_old = sum(timestamp_ms < oldest_ms for timestamp_ms in times_ms)
        expired = sum(timestamp_ms < expired_ms for timestamp_ms in times_ms)
        too_new = sum(timestamp_ms > now_ms + _NEWEST_MS for timestamp_ms in times_ms)
        first, last = max(too_old, expired), len(events) - too_new
        if first < last:
            if times_ms[last - 1] - times_ms[first] > _DAY_MS:
                raise InvalidError(
                    "The batch of log events in a single PutLogEvents request cannot span more "
                    "than 24 hours."
                )
            self._client.add(shown.stream, events[first:last], now_ms)
        rejected = {
            "too_new_log_event_start_index": last if too_new else None,
            "too_old_log_event_end_index": too_old or None,
            "expired_log_event_end_index": expired or None,
        }
        return {
            # Ignored when it comes back; older clients look for it.
            "next_sequence_token": f"{now_ms:056d}",
            "rejected_log_events_info": rejected if first or too_new else None,
        }


def _taken(events: Iterable[Event], count: int) -> list[Event]:
    """Return as many events as a page holds."""
    taken: list[Event] = []
    left_bytes = limits.LOG_PAGE_BYTES_MAX
    for event in events:
        left_bytes -= size_of(event.message)
        if taken and left_bytes < 0:
            break
        taken.append(event)
        if len(taken) >= count:
            break
    return taken


def _check_batch(events: list[tuple[int, str]]) -> None:
    if any(before > after for (before, _), (after, _) in pairwise(events)):
        raise InvalidError(
            "Log events in a single PutLogEvents request must be in chronological order."
        )
    sizes = [size_of(message) for _, message in events]
    if max(sizes) > limits.LOG_EVENT_BYTES_MAX:
        raise InvalidError(
            f"Log event too large: {max(sizes)} bytes exceeds limit of {limits.LOG_EVENT_BYTES_MAX}"
        )
    if sum(sizes) > limits.LOG_PAGE_BYTES_MAX:
        raise InvalidError(
            f"Upload too large: {sum(sizes)} bytes exceeds limit of {limits.LOG_PAGE_BYTES_MAX}"
        )
