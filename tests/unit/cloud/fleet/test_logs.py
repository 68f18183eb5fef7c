"""What instances write, bounded and quoted."""

import os
from pathlib import Path

import pytest

from windtunnel.cloud.fleet import logs
from windtunnel.cloud.fleet.environment import base_environment
from windtunnel.cloud.fleet.logs import Log
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
        logs.rotate_full([log])
    os.write(log.descriptor, b"c")
    logs.rotate_full([log])

    assert log.path.read_bytes() == b"c"
    assert (tmp_path / "i.log.1").read_bytes() == b"0123456789b"
    log.close()


def test_a_log_that_somebody_deleted_is_no_error(tmp_path: Path) -> None:
    """`rm` in the home does not stop the rotation of the others."""
    log = Log(tmp_path / "i.log")
    log.path.unlink()

    logs.rotate_full([log])
    log.close()


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
