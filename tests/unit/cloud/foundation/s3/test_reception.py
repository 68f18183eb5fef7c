"""A request from its body's first byte to its answer, without a socket."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from windtunnel.cloud.foundation.s3.answers import Answer
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.intake import plan_of
from windtunnel.cloud.foundation.s3.operations import OPERATIONS
from windtunnel.cloud.foundation.s3.reception import Reception, explained
from windtunnel.cloud.foundation.s3.request import Request
from windtunnel.cloud.foundation.s3.routes import operation_name
from windtunnel.cloud.foundation.s3.storage import Storage
from windtunnel.core import limits
from windtunnel.core.clock import ManualClock


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    made = Storage(tmp_path, ManualClock())
    yield made
    made.close()


def asked(storage: Storage, method: str, target: str, body: bytes = b"") -> Answer:
    length = str(len(body)).encode()
    request = Request(method, target.encode(), [(b"content-length", length)])
    name = operation_name(request)
    return Reception(storage, request, name, OPERATIONS[name], plan_of(request)).whole([body])


def files(storage: Storage) -> int:
    return len(list(storage.blobs._path.iterdir()))


def test_a_body_larger_than_what_is_free_is_refused_before_it_is_read(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after an hour of uploading; and some room is kept for the index."""
    asked(storage, "PUT", "/bucket")
    monkeypatch.setattr(limits, "S3_DISK_RESERVE_BYTES", 2**62)
    with pytest.raises(S3Error, match="InsufficientStorage"):
        asked(storage, "PUT", "/bucket/k", b"x")

    assert files(storage) == 0


def test_a_failure_after_the_commit_keeps_the_bytes(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that is in the index must never lose its file, whatever else goes wrong."""
    asked(storage, "PUT", "/bucket")
    change = storage.change

    def broken(work: object) -> None:
        change(work)  # type: ignore[arg-type]
        raise MemoryError

    monkeypatch.setattr(storage, "change", broken)
    with pytest.raises(MemoryError):
        asked(storage, "PUT", "/bucket/k", b"kept")
    monkeypatch.undo()

    assert asked(storage, "GET", "/bucket/k").body == b"kept"


def test_a_refused_change_takes_its_bytes_with_it(storage: Storage) -> None:
    """The bucket was there when the upload began, and gone when it ended."""
    asked(storage, "PUT", "/bucket")
    request = Request("PUT", b"/bucket/k", [(b"content-length", b"1")])
    reception = Reception(storage, request, "PutObject", OPERATIONS["PutObject"], plan_of(request))
    reception.open()
    reception.take([b"x"])
    asked(storage, "DELETE", "/bucket")
    with pytest.raises(S3Error, match="NoSuchBucket"):
        reception.finish()
    reception.drop()

    assert files(storage) == 0


def test_a_full_index_is_a_full_disk_to_the_client(tmp_path: Path) -> None:
    """SQLite says it in its own words."""
    connection = sqlite3.connect(tmp_path / "small")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as full:
        connection.executescript("CREATE TABLE a (b); CREATE TABLE c (d); CREATE TABLE e (f);")
    connection.close()
    known = explained(full.value)

    assert known is not None
    assert known.code == "InsufficientStorage"


def test_a_start_sweeps_what_nothing_refers_to(tmp_path: Path) -> None:
    """What a killed process was writing; and nothing that is referred to."""
    first = Storage(tmp_path, ManualClock())
    asked(first, "PUT", "/bucket")
    asked(first, "PUT", "/bucket/k", b"kept")
    draft = first.blobs.draft()
    draft.write(b"half of something")
    draft._file.close()
    first.close()
    second = Storage(tmp_path, ManualClock())

    assert files(second) == 1
    assert asked(second, "GET", "/bucket/k").body == b"kept"
    second.close()
