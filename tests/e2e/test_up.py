"""`windtunnel up` starts, says so, and ends without a trace."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.e2e.play import client_of

from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.cloud]


def up(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `windtunnel up` that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "windtunnel", "up", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_sigterm_ends_it_with_0_and_no_process_stays(tmp_path: Path) -> None:
    """A supervisor, a container or a shell can end it like any program."""
    with running_cloud(Home(tmp_path / "home"), log=tmp_path / "log") as cloud:
        below = psutil.Process(cloud.process.pid).children(recursive=True)
        cloud.process.send_signal(signal.SIGTERM)

        assert cloud.process.wait(30) == 0
        gone, alive = psutil.wait_procs(below, timeout=10)
        assert not alive
        assert gone
        assert cloud.process.stdout is not None
        assert cloud.process.stdout.read() == b"", "nothing follows the ready line on stdout"


def test_a_second_up_of_the_same_home_is_refused(cloud: CloudProcess) -> None:
    """Two clouds over one store would corrupt it."""
    second = up("--home", str(cloud.home.path))

    assert second.returncode == 4
    assert "in use by another `windtunnel up`" in second.stderr
    assert second.stdout == ""
    assert client_of(cloud, "sts").get_caller_identity()["Account"] == "000000000000"


def test_a_port_already_taken_is_said(tmp_path: Path) -> None:
    """The sentence names the port and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = up("--home", str(tmp_path / "home"), "--port", str(port))

    assert done.returncode == 4
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_a_usage_error(tmp_path: Path, port: str) -> None:
    """Nothing is started for nonsense."""
    assert up("--home", str(tmp_path / "home"), "--port", port).returncode == 2


def test_a_region_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    """It would stand in every ARN of this home for ever."""
    done = up("--home", str(tmp_path / "home"), "--region", "x y")

    assert done.returncode == 2
    assert "us-east-1" in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_full_disk_behind_stdout_is_one_sentence(cloud: CloudProcess) -> None:
    """A script that keeps the output learns that it did not get it."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "windtunnel", "env", "--home", str(cloud.home.path)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 4
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """No stack trace for a file in the way."""
    (tmp_path / "home").write_text("a file")
    done = up("--home", str(tmp_path / "home"))

    assert done.returncode == 4
    assert str(tmp_path / "home") in done.stderr
    assert "Traceback" not in done.stderr


def test_env_without_a_cloud_says_how_to_start_one(tmp_path: Path) -> None:
    """`eval "$(windtunnel env)"` must not silently export half."""
    done = subprocess.run(
        [sys.executable, "-m", "windtunnel", "env", "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 4
    assert f"windtunnel up --home {tmp_path}" in done.stderr
    assert done.stdout == ""
