"""What clients wrote themselves: their log groups and streams, and the events in them.

An SQLite file of its own, beside the instances' logs: groups with their retention and tags, streams
and events. A cursor is an event's timestamp and its number.

Rules: every method is called in a thread and may wait for the disk; a change is durable when it
returns; the oldest events go when there are more bytes of them than `limits` allow.
"""

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from windtunnel.cloud.errors import UnavailableError
from windtunnel.cloud.logs.events import BEGINNING, TIME_MS_END, Cursor, Event, Window
from windtunnel.core import limits

_SCHEMA = """
CREATE TABLE IF NOT EXISTS groups (
    name TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    retention_days INTEGER,
    tags TEXT NOT NULL DEFAULT '{}',
    -- A client created it; else it only holds what clients said of an instance's group.
    is_created INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS streams (
    id INTEGER PRIMARY KEY,
    group_name TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    UNIQUE (group_name, name)
);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    ingestion_ms INTEGER NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_in_order ON events (stream_id, timestamp_ms, number);
-- Streams of instances that a client deleted: what they had by then is not shown any more.
CREATE TABLE IF NOT EXISTS cleared (
    group_name TEXT NOT NULL,
    stream_name TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (group_name, stream_name)
) WITHOUT ROWID;
"""
_STRETCH = (
    "SELECT timestamp_ms, number, ingestion_ms, message FROM events "
    "WHERE stream_id = ? AND timestamp_ms >= ? AND timestamp_ms < ? "
    "AND (timestamp_ms, number) >= (?, ?) AND (timestamp_ms, number) < (?, ?) "
)
_OLDEST_FIRST = _STRETCH + "ORDER BY timestamp_ms, number LIMIT ?"
_LATEST_FIRST = _STRETCH + "ORDER BY timestamp_ms DESC, number DESC LIMIT ?"
_FETCH_COUNT = 500
# Deleted at once when there is too much: few enough to be quick, many enough to be seldom.
_TRIM_COUNT = 5000
# The size of events counts 26 bytes for each beside its message (botocore's page on PutLogEvents).
EVENT_OVERHEAD_BYTES = 26


@dataclass(frozen=True)
class GroupNotes:
    """What clients said of a group."""

    name: str
    created_ms: int
    retention_days: int | None
    tags: dict[str, str]
    is_created: bool


@dataclass(frozen=True)
class Extent:
    """What a stream's events amount to."""

    first_ms: int | None
    last_ms: int | None
    last_ingestion_ms: int | None
    stored_bytes: int


class ClientEvents:
    """The file, opened when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._bytes = 0

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # --- groups -----------------------------------------------------------------------------------

    def groups(self) -> dict[str, GroupNotes]:
        """Return what there is of groups, by name."""
        with self._using() as connection:
            rows = connection.execute(
                "SELECT name, created_ms, retention_days, tags, is_created FROM groups"
            ).fetchall()
        return {
            name: GroupNotes(name, created_ms, days, json.loads(tags), bool(is_created))
            for name, created_ms, days, tags, is_created in rows
        }

    def put_group(self, group: GroupNotes) -> None:
        """Write what there is of a group."""
        with self._using() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO groups VALUES (?, ?, ?, ?, ?)",
                (
                    group.name,
                    group.created_ms,
                    group.retention_days,
                    json.dumps(group.tags),
                    int(group.is_created),
                ),
            )

    def delete_group(self, name: str, cleared: Sequence[str], now_ms: int) -> None:
        """Forget a group and all in it; `cleared` are the instances' streams that it has."""
        with self._using() as connection:
            connection.execute(
                "DELETE FROM events WHERE stream_id IN "
                "(SELECT id FROM streams WHERE group_name = ?)",
                (name,),
            )
            connection.execute("DELETE FROM streams WHERE group_name = ?", (name,))
            connection.execute("DELETE FROM groups WHERE name = ?", (name,))
            connection.executemany(
                "INSERT OR REPLACE INTO cleared VALUES (?, ?, ?)",
                [(name, stream, now_ms) for stream in cleared],
            )
            self._count(connection)

    def cleared(self, group_name: str) -> dict[str, int]:
        """Return until when each instance's stream was deleted."""
        with self._using() as connection:
            return dict(
                connection.execute(
                    "SELECT stream_name, until_ms FROM cleared WHERE group_name = ?", (group_name,)
                )
            )

    # --- streams ----------------------------------------------------------------------------------

    def streams(self, group_name: str) -> "list[ClientStream]":
        """Return the streams of a group that clients created."""
        with self._using() as connection:
            rows = connection.execute(
                "SELECT id, name, created_ms FROM streams WHERE group_name = ?", (group_name,)
            ).fetchall()
        return [ClientStream(self, *row) for row in rows]

    def create_stream(self, group_name: str, name: str, now_ms: int) -> bool:
        """Make a stream; say whether there was none."""
        with self._using() as connection:
            made = connection.execute(
                "INSERT OR IGNORE INTO streams (group_name, name, created_ms) VALUES (?, ?, ?)",
                (group_name, name, now_ms),
            )
            return made.rowcount == 1

    def stream_count(self) -> int:
        """Return how many streams clients have."""
        with self._using() as connection:
            (count,) = connection.execute("SELECT count(*) FROM streams").fetchone()
            return int(count)

    def delete_stream(self, stream: "ClientStream") -> None:
        """Forget a stream and its events."""
        with self._using() as connection:
            connection.execute("DELETE FROM events WHERE stream_id = ?", (stream.id,))
            connection.execute("DELETE FROM streams WHERE id = ?", (stream.id,))
            self._count(connection)

    def clear_stream(self, group_name: str, name: str, now_ms: int) -> None:
        """Take note that an instance's stream was deleted."""
        with self._using() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO cleared VALUES (?, ?, ?)", (group_name, name, now_ms)
            )

    # --- events -----------------------------------------------------------------------------------

    def add(self, stream: "ClientStream", events: Sequence[tuple[int, str]], now_ms: int) -> None:
        """Keep events; the oldest of all go when there are too many bytes."""
        with self._using() as connection:
            connection.executemany(
                "INSERT INTO events (stream_id, timestamp_ms, ingestion_ms, message) "
                "VALUES (?, ?, ?, ?)",
                [(stream.id, timestamp_ms, now_ms, message) for timestamp_ms, message in events],
            )
            self._bytes += sum(size_of(message) for _, message in events)
            while self._bytes > limits.LOG_CLIENT_BYTES_MAX:
                connection.execute(
                    "DELETE FROM events WHERE number IN "
                    "(SELECT number FROM events ORDER BY number LIMIT ?)",
                    (_TRIM_COUNT,),
                )
                self._count(connection)

    def rows(
        self, stream_id: int, window: Window, after: Cursor, before: Cursor, *, is_backward: bool
    ) -> list[Event]:
        """Return the next events of a stream from either end of a stretch."""
        with self._using() as connection:
            rows = connection.execute(
                _LATEST_FIRST if is_backward else _OLDEST_FIRST,
                (stream_id, window.start_ms, window.end_ms, *after, *before, _FETCH_COUNT),
            ).fetchall()
        return [
            Event((time_ms, number), (time_ms, number + 1), time_ms, ingestion_ms, message)
            for time_ms, number, ingestion_ms, message in rows
        ]

    def extent(self, stream_id: int) -> "Extent":
        """Return what a stream's events amount to."""
        with self._using() as connection:
            first_ms, last_ms = connection.execute(
                "SELECT min(timestamp_ms), max(timestamp_ms) FROM events WHERE stream_id = ?",
                (stream_id,),
            ).fetchone()
            ingestion_ms, stored_bytes = connection.execute(
                "SELECT max(ingestion_ms), coalesce(sum(length(CAST(message AS BLOB)) + ?), 0) "
                "FROM events WHERE stream_id = ?",
                (EVENT_OVERHEAD_BYTES, stream_id),
            ).fetchone()
        return Extent(first_ms, last_ms, ingestion_ms, stored_bytes)

    # --- the file ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection for one transaction."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = _connect(self._path)
                    self._count(self._connection)
                connection = self._connection
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    # SQLite has already rolled back after some errors (a full disk is one).
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise UnavailableError(
                    f"The log events cannot be read or saved: {error}."
                ) from error

    def _count(self, connection: sqlite3.Connection) -> None:
        (self._bytes,) = connection.execute(
            "SELECT coalesce(sum(length(CAST(message AS BLOB)) + ?), 0) FROM events",
            (EVENT_OVERHEAD_BYTES,),
        ).fetchone()


class ClientStream:
    """One stream that a client created."""

    def __init__(self, events: ClientEvents, stream_id: int, name: str, created_ms: int) -> None:
        self._events = events
        self.id = stream_id
        self.name = name
        self.created_ms = created_ms

    @cached_property
    def _extent(self) -> Extent:
        return self._events.extent(self.id)

    @property
    def first_ms(self) -> int | None:
        """The earliest timestamp."""
        return self._extent.first_ms

    @property
    def last_ms(self) -> int | None:
        """The latest timestamp."""
        return self._extent.last_ms

    @property
    def last_ingestion_ms(self) -> int | None:
        """When events came last."""
        return self._extent.last_ingestion_ms

    @property
    def stored_bytes(self) -> int:
        """The size of all its events."""
        return self._extent.stored_bytes

    def forward(self, window: Window, cursor: Cursor | None) -> Iterator[Event]:
        """Yield events, oldest first."""
        after = cursor or BEGINNING
        while events := self._events.rows(self.id, window, after, _END, is_backward=False):
            yield from events
            after = events[-1].end

    def backward(self, window: Window, cursor: Cursor | None) -> Iterator[Event]:
        """Yield events, latest first."""
        before = cursor or _END
        while events := self._events.rows(self.id, window, BEGINNING, before, is_backward=True):
            yield from events
            before = events[-1].begin


_END: Cursor = (TIME_MS_END, 0)


def size_of(message: str) -> int:
    """Return an event's size as CloudWatch counts it."""
    size = len(message) if message.isascii() else len(message.encode())
    return size + EVENT_OVERHEAD_BYTES


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    # Used by one thread at a time, not always the same.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
