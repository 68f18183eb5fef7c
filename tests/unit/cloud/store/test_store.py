"""What was acknowledged is there afterwards, whatever happens in between."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from windtunnel.cloud.errors import ThrottledError, UnavailableError
from windtunnel.cloud.store.store import Delete, Put, Store
from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError


def test_documents_are_there_after_a_new_start(tmp_path: Path) -> None:
    """A user's models are still there tomorrow."""

    async def scenario() -> dict[str, Any]:
        store = await Store.open(tmp_path / "db")
        await store.commit([Put("model", "a", {"n": 1}), Put("model", "b", {"text": "é"})])
        await store.commit([Put("model", "a", {"n": 2}), Put("endpoint", "a", {"n": 3})])
        await store.commit([Delete("model", "b"), Delete("model", "never")])
        await store.close()
        again = await Store.open(tmp_path / "db")
        try:
            return {kind: await again.load(kind) for kind in ("model", "endpoint", "nothing")}
        finally:
            await again.close()

    assert asyncio.run(scenario()) == {
        "model": {"a": {"n": 2}},
        "endpoint": {"a": {"n": 3}},
        "nothing": {},
    }


def test_commits_that_wait_together_share_a_transaction(tmp_path: Path) -> None:
    """A thousand CreateModel calls must not cost a thousand fsyncs."""

    async def scenario() -> tuple[int, int]:
        store = await Store.open(tmp_path / "db")
        begun = 0

        def count(statement: str) -> None:
            nonlocal begun
            begun += statement.startswith("BEGIN")

        store._database._connection.set_trace_callback(count)
        gate = threading.Event()
        # The thread waits here, so that everything behind it queues up.
        blocker = asyncio.ensure_future(store._database.ask(lambda _: gate.wait()))
        commits = [
            asyncio.ensure_future(store.commit([Put("model", str(number), {})]))
            for number in range(200)
        ]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(blocker, *commits)
        store._database._connection.set_trace_callback(None)
        found = len(await store.load("model"))
        await store.close()
        return found, begun

    found, begun = asyncio.run(scenario())
    assert found == 200
    # One for the blocker, one for what was caught with it at most, one for all the others.
    assert begun <= 3


def test_nobody_else_can_open_the_file(tmp_path: Path) -> None:
    """A second writer would make what the rooms remember untrue."""

    async def scenario() -> None:
        store = await Store.open(tmp_path / "db")
        try:
            with pytest.raises(NotReadyError, match="database is locked"):
                await Store.open(tmp_path / "db")
            other = sqlite3.connect(tmp_path / "db", timeout=0)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("SELECT * FROM documents")
            other.close()
        finally:
            await store.close()

    asyncio.run(scenario())


def test_a_full_disk_is_told_to_who_asked_and_the_store_goes_on(tmp_path: Path) -> None:
    """One change that does not fit must not cost those that do."""

    async def scenario() -> set[str]:
        store = await Store.open(tmp_path / "db")
        await store.commit([Put("model", "first", {})])

        def fill(connection: sqlite3.Connection) -> None:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + 2}")

        await store._database.ask(fill)
        gate = threading.Event()
        blocker = asyncio.ensure_future(store._database.ask(lambda _: gate.wait()))
        commits = [
            asyncio.ensure_future(store.commit([Put("model", "small", {})])),
            asyncio.ensure_future(
                store.commit([Put("model", "half", {}), Put("model", "huge", {"x": "y" * 10**6})])
            ),
            asyncio.ensure_future(store.commit([Put("model", "other", {})])),
        ]
        await asyncio.sleep(0)
        gate.set()
        await blocker
        outcomes = await asyncio.gather(*commits, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [
            type(None),
            UnavailableError,
            type(None),
        ]
        assert "disk is full" in str(outcomes[1])
        await store.commit([Put("model", "after", {})])
        names = set(await store.load("model"))
        await store.close()
        return names

    # Of the commit that failed, nothing is there: not its smaller half either.
    assert asyncio.run(scenario()) == {"first", "small", "other", "after"}


def test_what_cannot_be_written_as_json_hurts_nobody_else(tmp_path: Path) -> None:
    """A bug in one room must not stop another's commit."""

    async def scenario() -> dict[str, Any]:
        store = await Store.open(tmp_path / "db")
        with pytest.raises(TypeError):
            await store.commit([Put("model", "bad", {"x": object()})])
        await store.commit([Put("model", "good", {})])
        documents = await store.load("model")
        await store.close()
        return documents

    assert asyncio.run(scenario()) == {"good": {}}


def test_a_closed_store_and_a_full_queue_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for ever is worse than a refusal."""

    async def scenario() -> None:
        store = await Store.open(tmp_path / "db")
        monkeypatch.setattr(limits, "STORE_QUEUE_COUNT_MAX", 0)
        with pytest.raises(ThrottledError):
            await store.commit([])
        monkeypatch.undo()
        await store.close()
        await store.close()
        with pytest.raises(UnavailableError):
            await store.commit([])

    asyncio.run(scenario())


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b""])
def test_a_file_that_is_no_database_is_named(tmp_path: Path, content: bytes) -> None:
    """An empty file is a new database; anything else must not be overwritten."""
    path = tmp_path / "db"
    path.write_bytes(content)

    async def scenario() -> None:
        await (await Store.open(path)).close()

    if content:
        with pytest.raises(NotReadyError, match=f"{path} cannot be used"):
            asyncio.run(scenario())
        assert path.read_bytes() == content
    else:
        asyncio.run(scenario())


def test_a_newer_format_is_not_touched(tmp_path: Path) -> None:
    """Going back to an older Windtunnel must not damage what the newer one wrote."""
    connection = sqlite3.connect(tmp_path / "db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(NotReadyError, match="newer Windtunnel"):
        asyncio.run(Store.open(tmp_path / "db"))


_WRITER = """
import asyncio, sys
from windtunnel.cloud.store.store import Put, Store

async def main(path, prefix):
    store = await Store.open(path)
    async def write(worker):
        number = 0
        while True:
            name = f"{prefix}-{worker}-{number}"
            # Two documents a commit: both are there afterwards, or neither.
            await store.commit([Put("left", name, {"n": number}), Put("right", name, {})])
            sys.stdout.write(name + "\\n")
            sys.stdout.flush()
            number += 1
    await asyncio.gather(*(write(worker) for worker in range(8)))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.mark.slow
def test_everything_acknowledged_is_there_after_kill_9(tmp_path: Path) -> None:
    """The cloud may die at any moment; what a client was told is done stays done."""
    path = tmp_path / "db"
    chance = random.Random(7)  # noqa: S311 - any moment will do
    acknowledged: set[str] = set()
    for start in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), str(start)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 400)):
                acknowledged.add(process.stdout.readline().strip())
            os.kill(process.pid, signal.SIGKILL)
            # What it still said before it died counts too, but for a line cut off.
            rest = process.stdout.read()
            acknowledged.update(rest[: rest.rfind("\n") + 1].split())
    acknowledged.discard("")

    async def read() -> tuple[dict[str, Any], dict[str, Any]]:
        store = await Store.open(path)
        documents = await store.load("left"), await store.load("right")
        await store.close()
        return documents

    left, right = asyncio.run(read())
    assert acknowledged - set(left) == set()
    assert set(left) == set(right)


_CRAMPED = """
import asyncio, resource, sys
from windtunnel.cloud.errors import UnavailableError
from windtunnel.cloud.store.store import Put, Store

async def main(path):
    store = await Store.open(path)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))
    number = 0
    while True:
        try:
            await store.commit([Put("model", str(number), {"x": "y" * 20_000})])
        except UnavailableError as error:
            reason = str(error)
            break
        number += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    await store.commit([Put("model", "after", {})])
    names = await store.load("model")
    assert set(names) == {*(str(done) for done in range(number)), "after"}, names.keys()
    await store.close()
    print(number, reason)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_write_that_the_system_refuses_loses_nothing(tmp_path: Path) -> None:
    """Held against a real refusal by the kernel (a limit on the file's size), not SQLite's own."""
    done = subprocess.run(
        [sys.executable, "-c", _CRAMPED, str(tmp_path / "db")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, _, reason = done.stdout.partition(" ")
    assert int(count) >= 1
    assert "could not be saved" in reason
