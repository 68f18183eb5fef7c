"""The index: one writer, many readers, changes that stand alone."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from windtunnel.cloud.foundation.s3 import rows
from windtunnel.cloud.foundation.s3.index import Index
from windtunnel.cloud.foundation.s3.records import Bucket


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "index.sqlite3")
    yield made
    made.close()


def names(index: Index) -> list[str]:
    return [bucket.name for bucket in index.read(lambda c: rows.list_buckets(c, "", 1000))]


def save(index: Index, name: str) -> None:
    index.write(lambda connection: rows.save_bucket(connection, Bucket(name, 0.0, "us-east-1")))


def test_a_refused_change_is_undone_and_takes_nobody_with_it(index: Index) -> None:
    """Requests of several clients share a commit; one's failure is not the others'."""
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        def change(connection: sqlite3.Connection) -> None:
            rows.save_bucket(connection, Bucket(f"bucket-{number}", 0.0, "us-east-1"))
            if number % 2:
                raise ValueError(number)

        barrier.wait()
        if number % 2:
            with pytest.raises(ValueError, match=str(number)):
                index.write(change)
        else:
            index.write(change)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert names(index) == ["bucket-0", "bucket-2", "bucket-4", "bucket-6"]


def test_what_a_write_returned_from_every_reader_sees(index: Index) -> None:
    """S3 is strongly consistent: what was acknowledged is listed."""
    save(index, "first")
    seen: list[list[str]] = []
    reader = threading.Thread(target=lambda: seen.append(names(index)))
    reader.start()
    reader.join()

    assert seen == [["first"]]


def test_a_query_sees_one_moment(index: Index) -> None:
    """An object's facts and its bytes must be of the same object."""
    save(index, "first")

    def query(connection: sqlite3.Connection) -> tuple[int, int]:
        before = len(rows.list_buckets(connection, "", 10))
        writer = threading.Thread(target=save, args=(index, "second"))
        writer.start()
        writer.join()
        return before, len(rows.list_buckets(connection, "", 10))

    assert index.read(query) == (1, 1)
    assert names(index) == ["first", "second"]


def test_an_index_of_another_version_is_not_touched(tmp_path: Path) -> None:
    """A home of a later Windtunnel is not damaged by an older one."""
    path = tmp_path / "index.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(ValueError, match="another version"):
        Index(path)
