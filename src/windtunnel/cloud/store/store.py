"""What must outlive the cloud: documents by kind and name, in one SQLite file.

What was acknowledged is durable: `commit` returns when its changes are on the disk, all or none of
them. Commits that wait at the same time share one transaction and one fsync.

Rules: one thread owns the connection; nothing here runs on the event loop but queueing; nobody else
can open the file (SQLite's exclusive lock); a commit that fails says so to the one who asked, and
the store goes on.
"""

import asyncio
import contextlib
import json
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windtunnel.cloud.errors import ThrottledError, UnavailableError
from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError

log = logging.getLogger(__name__)

# Written into the file; a newer Windtunnel may raise it and must then be able to read the older.
_FORMAT_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID
"""

# Another `up` of this home would hold the lock for as long as it lives: no use in waiting.
_LOCK_TIMEOUT_S = 0.0

Document = dict[str, Any]


@dataclass(frozen=True)
class Put:
    """Write a document, whether or not there was one of its name."""

    kind: str
    name: str
    document: Document


@dataclass(frozen=True)
class Delete:
    """Remove a document, whether or not there was one of its name."""

    kind: str
    name: str


Change = Put | Delete


@dataclass
class _Job:
    """What the writer thread is to do, and who waits for it."""

    work: Callable[[sqlite3.Connection], Any]
    answer: "asyncio.Future[Any]"
    # Whether it may share its transaction with others.
    is_commit: bool = False


class Store:
    """The documents of one home."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, path: Path) -> "Store":
        """Open the file, or make it."""
        return cls(await asyncio.to_thread(_connect, path))

    async def load(self, kind: str) -> dict[str, Document]:
        """Return every document of a kind, by name."""

        def read(connection: sqlite3.Connection) -> dict[str, Document]:
            rows = connection.execute("SELECT name, body FROM documents WHERE kind = ?", (kind,))
            return {name: json.loads(body) for name, body in rows}

        documents: dict[str, Document] = await self._ask(read)
        return documents

    async def commit(self, changes: Sequence[Change]) -> None:
        """Make changes durable, all of them or, when this raises, none."""
        # Written as text here, so that what cannot be written hurts nobody else.
        rows = [
            (change.kind, change.name, json.dumps(change.document))
            if isinstance(change, Put)
            else (change.kind, change.name, None)
            for change in changes
        ]

        def write(connection: sqlite3.Connection) -> None:
            for kind, name, body in rows:
                if body is None:
                    connection.execute(
                        "DELETE FROM documents WHERE kind = ? AND name = ?", (kind, name)
                    )
                else:
                    connection.execute(
                        "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, name, body)
                    )

        await self._ask(write, is_commit=True)

    async def close(self) -> None:
        """Finish what was asked for, and let the file go."""
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _ask(
        self, work: Callable[[sqlite3.Connection], Any], *, is_commit: bool = False
    ) -> Any:  # noqa: ANN401 - whatever the work returns
        if self._is_closed:
            raise UnavailableError("The store is closed.")
        if self._jobs.qsize() >= limits.STORE_QUEUE_COUNT_MAX:
            raise ThrottledError("Too many changes wait to be saved.")
        job = _Job(work, self._loop.create_future(), is_commit)
        self._jobs.put(job)
        return await job.answer

    # --- the writer thread ------------------------------------------------------------------------

    def _write(self) -> None:
        is_open = True
        while is_open:
            jobs: list[_Job] = []
            job = self._jobs.get()
            while True:
                if job is None:
                    is_open = False
                else:
                    jobs.append(job)
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            self._carry_out(jobs)
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _carry_out(self, jobs: list[_Job]) -> None:
        commits = [job for job in jobs if job.is_commit]
        if len(commits) > 1:
            try:
                self._transact(commits)
            except sqlite3.Error:
                # One of them may be too large where the others are not: each on its own.
                pass
            else:
                for job in commits:
                    self._tell(job, None, None)
                jobs = [job for job in jobs if not job.is_commit]
        for job in jobs:
            try:
                result = self._transact([job])
            except sqlite3.Error as error:
                log.error("the store cannot do what it was asked: %s", error)  # noqa: TRY400 - SQLite's words say all
                reason = f"What you asked for could not be saved: {error}."
                self._tell(job, None, UnavailableError(reason))
            except Exception as error:  # noqa: BLE001 - the thread must live; the caller is told
                self._tell(job, None, error)
            else:
                self._tell(job, result, None)

    def _transact(self, jobs: list[_Job]) -> Any:  # noqa: ANN401 - whatever the work returns
        """Run jobs in one transaction; return what the last of them returned."""
        result = None
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for job in jobs:
                result = job.work(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite has already rolled back after some errors (a full disk is one).
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return result

    def _tell(self, job: _Job, result: object, error: Exception | None) -> None:
        def settle() -> None:
            if job.answer.done():
                return
            if error is not None:
                job.answer.set_exception(error)
            else:
                job.answer.set_result(result)

        # The loop may be gone when the process is ending: then nobody waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(settle)


def _connect(path: Path) -> sqlite3.Connection:
    """Open a database that only this process may use, durable at each commit."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(descriptor)
    # Only the writer thread uses it, but it is made in another.
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=_LOCK_TIMEOUT_S
    )
    try:
        # Before WAL is entered: then no shared memory is used, and the lock is never let go.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        _check_version(connection, path)
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {_FORMAT_VERSION}")
        connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise NotReadyError(
            f"{path} cannot be used ({error}): if no other program has it open, move it away to "
            "start afresh."
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _FORMAT_VERSION:
        raise NotReadyError(
            f"{path} was written by a newer Windtunnel: use that one, or another home."
        )
