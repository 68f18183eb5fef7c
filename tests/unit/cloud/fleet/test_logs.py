"""What instances write, bounded and quoted."""

import os
import subprocess
from pathlib import Path

import pytest

from windtunnel.cloud.fleet import logs
from windtunnel.cloud.fleet.environment import base_environment
from windtunnel.cloud.fleet.logs import Log
from windtunnel.cloud.logs import line_index
from windtunnel.core import limits


def test_a_tail_is_what_a_person_needs(tmp_path: Path) -> None:
    """The end of the container's own words, printable, within a FailureReason."""
    log = Log(tmp_path / "a" / "i.log")
    os.write(log.descriptor, b"x" * 10_000 + b"\n")
    os.write(log.descriptor, b"\x1b[31mValueError: bad\xff shape\x1b[0m\n\n")
    log.say("start 2", now_s=0.0)

    tail = log.tail()

    assert tail.endswith("[31mValueError: bad\ufffd shape[0m")
    assert "start 2" not in tail
    assert len(tail) == limits.FAILURE_LOG_CHARACTERS_MAX
    assert "[windtunnel 1970-01-01T00:00:00.000+00:00] start 2" in log.path.read_text("latin-1")
    assert log.path.stat().st_mode & 0o077 == 0
    log.close()
    log.close()


def test_an_empty_log_has_an_empty_tail(tmp_path: Path) -> None:
    """A container that said nothing is not quoted."""
    log = Log(tmp_path / "i.log")

    assert log.tail() == ""
    log.close()


def test_a_full_log_is_cut_under_its_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container keeps its descriptor and writes on; disk use has a ceiling."""
    monkeypatch.setattr(limits, "INSTANCE_LOG_BYTES_MAX", 10)
    log = Log(tmp_path / "i.log")
    for text in (b"0123456789a", b"0123456789b"):
        os.write(log.descriptor, text)
        logs.tend([log], now_s=1.0)
    os.write(log.descriptor, b"c")
    logs.tend([log], now_s=2.0)

    assert log.path.read_bytes() == b"c"
    assert (tmp_path / "i.log.1").read_bytes() == b"0123456789b"
    log.close()


def test_a_log_that_somebody_deleted_is_no_error(tmp_path: Path) -> None:
    """`rm` in the home does not stop the rotation of the others."""
    log = Log(tmp_path / "i.log")
    log.path.unlink()

    logs.tend([log], now_s=1.0)
    log.finish(now_s=1.0)


def test_an_instance_s_environment_is_not_the_user_s() -> None:
    """No credential and no proxy of whoever runs `up` reaches a model's code."""
    ours = {
        "AWS_SECRET_ACCESS_KEY": "secret",
        "HTTP_PROXY": "http://proxy",
        "PYTHONPATH": "/somewhere",
        "LC_ALL": "C.UTF-8",
        "HOME": "/root",
        "PATH": "/usr/bin",
    }

    seen = base_environment(ours)

    assert set(seen) == {"LC_ALL", "HOME", "PATH"}
    assert seen["PATH"].endswith(":/usr/bin")


def test_a_look_notes_only_what_is_new(tmp_path: Path) -> None:
    """An idle instance costs a glance at its file's size, and no disk."""
    log = Log(tmp_path / "i.log")
    index = line_index.index_path(log.path)
    for second in range(3):
        logs.tend([log], now_s=second)
    assert not index.exists()
    os.write(log.descriptor, b"a\n")
    for second in range(3, 6):
        logs.tend([log], now_s=second)
    log.close()

    assert line_index.span(index) == line_index.Span(3000, 3000, 2)


def test_an_index_is_bounded_like_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that prints a dot every quarter of a second must not fill the disk with times."""
    monkeypatch.setattr(limits, "INSTANCE_LOG_INDEX_BYTES_MAX", 100)
    log = Log(tmp_path / "i.log")
    for second in range(50):
        os.write(log.descriptor, b".\n")
        logs.tend([log], now_s=second)
    log.close()

    for path in tmp_path.glob("*.index"):
        assert path.stat().st_size <= 100 + 16
    assert (tmp_path / "i.log.1").stat().st_size < 50


def test_what_a_killed_cloud_left_is_noted_by_the_next(tmp_path: Path) -> None:
    """The last words before a crash are those one wants to read."""
    log = Log(tmp_path / "v" / "i.log")
    os.write(log.descriptor, b"one\n")
    logs.tend([log], now_s=100.0)
    os.write(log.descriptor, b"two\nhalf a li")
    log.close()
    os.utime(log.path, (200.0, 200.0))
    never_noted = Log(tmp_path / "v" / "other.log")
    os.write(never_noted.descriptor, b"x\n")
    never_noted.close()
    os.utime(never_noted.path, (300.0, 300.0))
    for _ in range(2):
        logs.settle(tmp_path)

    assert log.path.read_bytes() == b"one\ntwo\nhalf a li\n"
    index = line_index.read(line_index.index_path(log.path))
    assert index is not None
    assert (list(index.ends), list(index.times_ms)) == ([4, 18], [100_000, 200_000])
    other = line_index.span(line_index.index_path(never_noted.path))
    assert other == line_index.Span(300_000, 300_000, 2)


def test_a_log_is_written_as_long_as_any_process_holds_it(tmp_path: Path) -> None:
    """A child that outlives its parent's descriptor must not write into nothing."""
    log = Log(tmp_path / "i.log")
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=log.descriptor)
    log.close()
    assert logs.is_written(log.path)
    child.communicate()

    assert not logs.is_written(log.path)
    assert not logs.is_written(tmp_path / "none")


def test_pruning_takes_the_oldest_with_all_their_files_and_none_in_use(tmp_path: Path) -> None:
    """A quiet instance keeps its log; what is gone is gone whole."""
    open_log = Log(tmp_path / "quiet.log")
    for number, name in enumerate(("old", "new")):
        for suffix in (".log", ".log.1", ".log.index", ".log.1.index"):
            (tmp_path / (name + suffix)).write_bytes(b"x")
            os.utime(tmp_path / (name + suffix), (100 + number, 100 + number))
    os.utime(open_log.path, (1, 1))
    logs.prune(tmp_path, 1)
    open_log.close()

    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"new", "quiet"}
    assert len(list(tmp_path.glob("new.*"))) == 4
