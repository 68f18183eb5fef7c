"""One SQLite file of the home: one thread owns it, commits that wait share an fsync.

What was acknowledged is durable: `commit` returns when its work is on the disk, all or none of it.
Works that wait at the same time share one transaction.

Rules: one thread owns the connection; nothing here runs on the event loop but queueing; nobody else
can open the file (SQLite's exclusive lock); work that fails says so to the one who asked, and the
thread goes on; whoever asks after a commit was queued sees it.
"""

import asyncio
import contextlib
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from windtunnel.cloud.errors import ThrottledError, UnavailableError
from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError

log = logging.getLogger(__name__)

T = TypeVar("T")

# Another `up` of this home would hold the lock for as long as it lives: no use in waiting.
_LOCK_TIMEOUT_S = 0.0


@dataclass(frozen=True)
class Layout:
    """What a file holds, and which version of it this is."""

    schema: str
    # Written into the file; a newer Windtunnel may raise it and must then be able to read older
    # ones.
    version: int
    # Beyond this SQLite says that the file is full, and nothing of what was asked is kept.
    bytes_max: int | None = None


@dataclass
class _Job:
    """What the thread is to do, and who waits for it."""

    work: Callable[[sqlite3.Connection], Any]
    answer: "asyncio.Future[Any]"
    # Whether it may share its transaction with others.
    is_commit: bool = False


class Database:
    """One open file and its thread."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, path: Path, layout: Layout, name: str) -> "Database":
        """Open the file, or make it."""
        return cls(await asyncio.to_thread(_connect, path, layout), name)

    async def ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what work in a transaction of its own returns."""
        return cast("T", await self._queue(work, is_commit=False))

    async def commit(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Make work durable, all of it or, when this raises, none."""
        await self._queue(work, is_commit=True)

    async def close(self) -> None:
        """Finish what was asked for, and let the file go."""
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _queue(self, work: Callable[[sqlite3.Connection], Any], *, is_commit: bool) -> Any:  # noqa: ANN401 - whatever the work returns
        if self._is_closed:
            raise UnavailableError("The store is closed.")
        if self._jobs.qsize() >= limits.STORE_QUEUE_COUNT_MAX:
            raise ThrottledError("Too many changes wait to be saved.")
        job = _Job(work, self._loop.create_future(), is_commit)
        self._jobs.put(job)
        return await job.answer

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
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
            except Exception:  # noqa: BLE001, S110 - who is to blame is told below
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


def _connect(path: Path, layout: Layout) -> sqlite3.Connection:
    """Open a database that only this process may use, durable at each commit."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(descriptor)
    # Only the thread uses it, but it is made in another.
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=_LOCK_TIMEOUT_S
    )
    try:
        # Before WAL is entered: then no shared memory is used, and the lock is never let go.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if layout.bytes_max is not None:
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute(f"PRAGMA max_page_count = {layout.bytes_max // page_bytes}")
        connection.execute("BEGIN IMMEDIATE")
        _check_version(connection, path, layout)
        for statement in layout.schema.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {layout.version}")
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


def _check_version(connection: sqlite3.Connection, path: Path, layout: Layout) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > layout.version:
        raise NotReadyError(
            f"{path} was written by a newer Windtunnel: use that one, or another home."
        )
