"""The index: which buckets, keys and uploads there are, in one SQLite file.

    read(query)    on the calling thread and its own connection; WAL: it never waits for writers
    write(change)  on the one writer thread; returns when the change is on disk

Rules: this process alone opens the file; `synchronous=FULL`, so a returned write survives a power
cut; changes that wait together are committed together (group commit), each in a savepoint of its
own, so that one that is refused takes nothing with it. What is in the tables is `rows.py`'s matter.
"""

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

Value = TypeVar("Value")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    name TEXT PRIMARY KEY,
    created_s REAL NOT NULL,
    region TEXT NOT NULL,
    acl TEXT NOT NULL,
    tags TEXT NOT NULL
) WITHOUT ROWID;

-- Keys are UTF-8 bytes, so that their order is S3's.
CREATE TABLE IF NOT EXISTS objects (
    bucket TEXT NOT NULL,
    key BLOB NOT NULL,
    content INTEGER NOT NULL,
    payload_bytes INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified_s REAL NOT NULL,
    checksum TEXT NOT NULL,
    attributes TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY,
    bucket TEXT NOT NULL,
    key TEXT NOT NULL,
    place BLOB NOT NULL,
    initiated_s REAL NOT NULL,
    algorithm TEXT NOT NULL,
    kind TEXT NOT NULL,
    attributes TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uploads_by_place ON uploads (bucket, place);

CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL,
    number INTEGER NOT NULL,
    content INTEGER NOT NULL,
    payload_bytes INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified_s REAL NOT NULL,
    checksum TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;

-- A content's bytes: runs of blobs, in order; `part` is which part of a multipart object it is in.
CREATE TABLE IF NOT EXISTS segments (
    content INTEGER NOT NULL,
    position INTEGER NOT NULL,
    part INTEGER NOT NULL,
    blob TEXT NOT NULL,
    start INTEGER NOT NULL,
    length INTEGER NOT NULL,
    PRIMARY KEY (content, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS segments_by_blob ON segments (blob);

-- Numbers for contents are never used twice.
CREATE TABLE IF NOT EXISTS contents (id INTEGER PRIMARY KEY AUTOINCREMENT);
"""

_VERSION = 1
# Changes in one commit: enough to share an fsync among all worker threads.
_BATCH_MAX = 64

_Change = tuple[Callable[[sqlite3.Connection], Any], "Future[Any]"]


class Index:
    """The SQLite file, its one writer and its readers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._changes: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        connection = self._connect()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise ValueError(f"{path} was written by another version of Windtunnel ({version}).")
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
        self._writer = threading.Thread(
            target=self._write_on, args=(connection,), name="s3-index", daemon=True
        )
        self._writer.start()

    def _connect(self) -> sqlite3.Connection:
        # Threads hand connections over only at the end, to close them.
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def read(self, query: Callable[[sqlite3.Connection], Value]) -> Value:
        """Return what a query finds in the last committed state."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            with self._lock:
                self._readers.append(connection)
        # One snapshot, however many statements the query makes.
        connection.execute("BEGIN")
        try:
            return query(connection)
        finally:
            connection.execute("COMMIT")

    def write(self, change: Callable[[sqlite3.Connection], Value]) -> Value:
        """Return what a change returns, once it is durable; what it raises undoes it."""
        done: Future[Value] = Future()
        self._changes.put((change, done))
        return done.result()

    def close(self) -> None:
        """Finish the writes that wait, and close the file."""
        self._changes.put(None)
        self._writer.join()
        for connection in self._readers:
            connection.close()

    def _write_on(self, connection: sqlite3.Connection) -> None:
        is_open = True
        while is_open:
            batch = [self._changes.get()]
            with contextlib.suppress(queue.Empty):
                while len(batch) < _BATCH_MAX:
                    batch.append(self._changes.get_nowait())
            is_open = None not in batch
            _commit(connection, [item for item in batch if item is not None])
        connection.close()


def _commit(connection: sqlite3.Connection, batch: list[_Change]) -> None:
    """Carry out changes in one transaction, and tell each its outcome when that is on disk."""
    outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for change, done in batch:
            connection.execute("SAVEPOINT one")
            try:
                outcomes.append((done, change(connection), None))
            except Exception as error:  # noqa: BLE001 - it is handed to the one who asked
                connection.execute("ROLLBACK TO one")
                outcomes.append((done, None, error))
            connection.execute("RELEASE one")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        # Nothing of the batch is on disk: a full disk, most likely.
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        for _, done in batch:
            done.set_exception(error)
        return
    for done, value, failure in outcomes:
        if failure is None:
            done.set_result(value)
        else:
            done.set_exception(failure)
