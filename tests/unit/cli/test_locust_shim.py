"""The `locust` that is found first inside the wind tunnel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from windtunnel.cli import left_behind
from windtunnel.cli.locust_shim import with_locust_watched
from windtunnel.core.home import Home
from windtunnel.lab.load import locust_launch

pytestmark = pytest.mark.slow


def _run(words: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_locust_inside_is_the_users_own(tmp_path: Path) -> None:
    """Which Locust runs, and what it can import, must not depend on who started it."""
    home = Home(tmp_path / "home")
    mine = Path(sys.executable).with_name("locust")
    base = {"PATH": f"{mine.parent}:{os.environ['PATH']}"}

    environment = with_locust_watched(base, home)
    again = with_locust_watched(base, home)
    done = _run(["locust", "--version"], environment)

    assert environment == again
    assert home.shims.name == locust_launch.SHIMS
    assert done.stdout == _run([str(mine), "--version"], base).stdout
    assert "windtunnel" not in done.stderr


def test_without_a_locust_a_sentence_says_so(tmp_path: Path) -> None:
    """`not found`, of a file that is there, would send its user astray."""
    environment = with_locust_watched({"PATH": "/usr/bin:/bin"}, Home(tmp_path))

    done = _run(["locust", "-f", "x.py"], environment)

    assert done.returncode == 127
    assert done.stderr.startswith("windtunnel: there is no locust on PATH")


def test_a_locust_that_is_no_python_script_runs_unwatched(tmp_path: Path) -> None:
    """Whoever has wrapped Locust in a script of his own keeps it."""
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "locust"
    wrapper.write_text('#!/bin/sh\necho wrapped "$@"\n')
    wrapper.chmod(0o700)
    environment = with_locust_watched({"PATH": f"{wrapper.parent}:/usr/bin:/bin"}, Home(tmp_path))

    done = _run(["locust", "-u", "1 2"], environment)

    assert done.stdout == "wrapped -u 1 2\n"
    assert "runs unwatched" in done.stderr


def test_locust_processes_that_a_script_left_are_waited_for(tmp_path: Path) -> None:
    """The workshop's script ends at once; the cloud would end under its sixty workers."""
    shims = tmp_path / "windtunnel-shims"
    shims.mkdir()
    program = shims / "locust"
    program.write_text("#!/bin/sh\nread line\n")
    program.chmod(0o700)
    said: list[str] = []

    def say(sentence: str) -> None:
        said.append(sentence)
        process.communicate("go on\n")

    # As `run` starts what it runs; another run's is not this one's business.
    for word, other in (("mine", False), ("another's", True)):
        process = subprocess.Popen(
            [str(program)],
            stdin=subprocess.PIPE,
            text=True,
            env={**os.environ, left_behind.RUN_VARIABLE: word},
        )
        left_behind.wait_left_behind("mine", shims, say)
        assert (process.poll() is None) == other
        process.communicate("")

    assert len(said) == 1
    assert "waiting for them" in said[0]


def test_what_else_a_command_leaves_running_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell inside may start an agent that is meant to stay."""
    monkeypatch.setattr("windtunnel.core.limits.LEFT_BEHIND_GRACE_S", 0.1)
    with subprocess.Popen(
        ["cat"],
        stdin=subprocess.PIPE,
        env={**os.environ, left_behind.RUN_VARIABLE: "mine"},
    ) as process:
        left_behind.wait_left_behind("mine", tmp_path, pytest.fail)
        assert process.poll() is None
