"""The fetcher as the fleet runs it: a process, a socket, one line of JSON."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from windtunnel.core.archive import unpack

pytestmark = pytest.mark.slow


@pytest.fixture
def models(tmp_path: Path) -> Path:
    made = tmp_path / "models"
    made.mkdir()
    return made


def arguments(s3: Any, key: str, models: Path, *more: str) -> list[str]:
    module = [sys.executable, "-I", "-m", "windtunnel.cloud.fleet.fetch"]
    place = ["--socket", str(s3.path), "--bucket", "bucket", "--key", key, "--into", str(models)]
    return [*module, *place, *more]


def fetch(s3: Any, key: str, models: Path, *more: str) -> dict[str, Any]:
    done = subprocess.run(
        arguments(s3, key, models, *more), stdout=subprocess.PIPE, check=True, timeout=60
    )
    [line] = done.stdout.splitlines()
    answer: dict[str, Any] = json.loads(line)
    return answer


def test_an_archive_is_fetched_once_and_shared(archives: Any, s3: Any, models: Path) -> None:
    """Ten instances of one model cost one folder on disk, whatever the object is called."""
    body = archives.tar_gz({"export/Servo/1/saved_model.pb": os.urandom(100_000)})
    s3.put("bucket", "a/model.tar.gz", body)
    s3.put("bucket", "b c/ü%20?.tar.gz", body)

    first = fetch(s3, "a/model.tar.gz", models)
    os.utime(first["directory"], (0, 0))
    again = fetch(s3, "b c/ü%20?.tar.gz", models)

    directory = Path(first["directory"])
    assert directory == models / hashlib.sha256(body).hexdigest()
    assert (directory / "export/Servo/1/saved_model.pb").stat().st_size == 100_000
    assert directory.stat().st_mode & 0o777 == 0o555
    assert (first["archive_bytes"], first["unpacked_bytes"]) == (len(body), 100_000)
    assert again == first
    assert directory.stat().st_mtime > 0, "a folder in use is not the first to be pruned"
    assert list(models.iterdir()) == [directory]


def test_a_missing_object_is_named(s3: Any, models: Path) -> None:
    """The FailureReason says which object to upload."""
    answer = fetch(s3, "none.tar.gz", models)

    assert answer == {
        "reason": "There is no object at s3://bucket/none.tar.gz.",
        "is_unusable": False,
    }


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b"text", "it is not a tar.gz"),
        (b"\x1f\x8b\x08", "it is cut off or damaged"),
    ],
)
def test_a_bad_archive_leaves_a_reason_and_nothing_else(
    s3: Any, models: Path, body: bytes, reason: str
) -> None:
    """A wrong upload is told within seconds, by name."""
    s3.put("bucket", "bad.tar.gz", body)

    answer = fetch(s3, "bad.tar.gz", models)

    assert answer["reason"].startswith("The archive s3://bucket/bad.tar.gz cannot be used: it is")
    assert reason in answer["reason"]
    assert list(models.iterdir()) == []


def test_limits_are_arguments(archives: Any, s3: Any, models: Path) -> None:
    """A bomb is refused by the limit it was given."""
    s3.put("bucket", "bomb.tar.gz", archives.tar_gz({"zeros": bytes(1_000_001)}))

    answer = fetch(s3, "bomb.tar.gz", models, "--unpacked-bytes-max", "1000000")

    assert "it unpacks to more than 1,000,000 bytes" in answer["reason"]


def test_a_transfer_that_breaks_off_is_told_from_a_bad_archive(
    archives: Any, s3: Any, models: Path
) -> None:
    """Nobody is sent to mend an archive that is whole."""
    s3.put("bucket", "model.tar.gz", archives.tar_gz({"a": os.urandom(500_000)}))
    s3.cut_bytes = 1000

    answer = fetch(s3, "model.tar.gz", models)

    assert "S3 ended before the object did" in answer["reason"]
    assert list(models.iterdir()) == []


def test_an_s3_that_restarts_is_waited_for(archives: Any, s3: Any, models: Path) -> None:
    """An endpoint created while S3 comes back does not fail."""
    path = s3.path
    away = path.with_suffix(".away")
    path.rename(away)
    s3.put("bucket", "m.tar.gz", archives.tar_gz({"a": b"x"}))
    with subprocess.Popen(arguments(s3, "m.tar.gz", models), stdout=subprocess.PIPE) as fetcher:
        with socket.socket(socket.AF_UNIX) as dying:
            dying.bind(str(path))
            dying.listen()
            dying.accept()[0].close()
        path.unlink()
        away.rename(path)
        out, _ = fetcher.communicate(timeout=60)

    assert "directory" in json.loads(out)


def test_a_fetch_given_up_leaves_nothing(archives: Any, s3: Any, models: Path) -> None:
    """DeleteEndpoint during a download leaves no half-unpacked folder."""
    s3.put("bucket", "m.tar.gz", archives.tar_gz({"a": os.urandom(1_000_000)}))
    s3.cut_bytes = 900_000
    # The connection stays open after the cut, as a stalled transfer does.
    s3.stall = threading.Event()
    with subprocess.Popen(arguments(s3, "m.tar.gz", models), stdout=subprocess.PIPE) as fetcher:
        while not any(models.glob(".incoming-*")):
            assert fetcher.poll() is None
        fetcher.send_signal(signal.SIGTERM)
        out, _ = fetcher.communicate(timeout=60)
    s3.stall.set()

    assert (out, fetcher.returncode) == (b"", 128 + signal.SIGTERM)
    assert list(models.iterdir()) == []


def test_a_sealed_folder_can_be_removed_by_its_owner(tmp_path: Path) -> None:
    """The cache is pruned by the same user who sealed it, root or not."""
    folder = tmp_path / "sealed"
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/c").write_text("x")
    (folder / "link").symlink_to(tmp_path)
    unpack.seal(folder)

    unpack.remove(folder)

    assert list(tmp_path.iterdir()) == []


def test_objects_behind_a_prefix_become_files_below_the_model(s3: Any, models: Path) -> None:
    """An uncompressed model keeps the folders of its keys; the same objects share one folder."""
    s3.put("bucket", "m/v1/1/saved_model.pb", b"graph")
    s3.put("bucket", "m/v1/1/variables/variables ü.index", b"index")
    s3.put("bucket", "m/v10/other", b"no")

    first = fetch(s3, "m/v1/", models, "--form", "prefix")
    s3.requests.clear()
    again = fetch(s3, "m/v1/", models, "--form", "prefix")
    s3.put("bucket", "m/v1/1/saved_model.pb", b"another graph")
    changed = fetch(s3, "m/v1/", models, "--form", "prefix")

    directory = Path(first["directory"])
    files = {path.relative_to(directory).as_posix() for path in directory.rglob("*.*")}
    assert files == {"1/saved_model.pb", "1/variables/variables ü.index"}
    assert (directory / "1/saved_model.pb").read_bytes() == b"graph"
    assert directory.stat().st_mode & 0o777 == 0o555
    assert first["unpacked_bytes"] == 10
    assert again == first
    assert (Path(changed["directory"]) / "1/saved_model.pb").read_bytes() == b"another graph"
    assert {path.name for path in models.iterdir()} == {
        Path(answer["directory"]).name for answer in (first, changed)
    }


def test_one_object_is_a_file_of_its_last_name(s3: Any, models: Path) -> None:
    """AWS names it by the last part of its key, and does not unpack it."""
    s3.put("bucket", "a/model.tar.gz", b"not unpacked")
    s3.put("bucket", "a/model.tar.gz.old", b"no")

    answer = fetch(s3, "a/model.tar.gz", models, "--form", "object")

    directory = Path(answer["directory"])
    assert [path.name for path in directory.iterdir()] == ["model.tar.gz"]
    assert (directory / "model.tar.gz").read_bytes() == b"not unpacked"


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ([], "There is no object behind s3://bucket/m/."),
        (["m/"], "has an empty or dotted name"),
        (["m/folder/"], "has an empty or dotted name"),
        (["m/a//b"], "has an empty or dotted name"),
        (["m/../b"], "has an empty or dotted name"),
        (["m/weights", "m/weights/part1"], "lies inside a file"),
        (["m/" + "x" * 256], "has a part longer than 255 bytes"),
    ],
)
def test_objects_that_cannot_be_files_are_refused(
    s3: Any, models: Path, keys: list[str], reason: str
) -> None:
    """The names that AWS refuses, each with what is wrong; nothing is left behind."""
    for key in keys:
        s3.put("bucket", key, b"x")

    answer = fetch(s3, "m/", models, "--form", "prefix")

    assert reason in answer["reason"]
    assert list(models.iterdir()) == []


def test_more_objects_than_an_archive_may_hold_are_refused(s3: Any, models: Path) -> None:
    """A prefix that is too short names half a bucket."""
    for number in range(5):
        s3.put("bucket", f"m/{number}", b"x")

    answer = fetch(s3, "m/", models, "--form", "prefix", "--member-count-max", "4")

    assert "more than 4 files" in answer["reason"]
