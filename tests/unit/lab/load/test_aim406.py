"""The workshop's pair of scripts as it is in `examples/aim406`."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from windtunnel.core.home import Home

if TYPE_CHECKING:
    from tests.unit.lab.conftest import Asked, FakeAws

SCRIPT = Path(__file__).parents[4] / "examples" / "aim406" / "distributed.sh"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(home: Home, aws: "FakeAws", payload_file: Path, tmp_path: Path) -> Start:
    """Return a function that starts the script in an empty directory, with some variables set."""

    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.005)
        return 200, {}, b"1"

    aws.answer = answer
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    fixed = {
        **os.environ,
        "PATH": path,
        "WINDTUNNEL_HOME": str(home.path),
        "PAYLOAD": str(payload_file),
        # Tests that run beside this one have ports of their own.
        "MASTER_PORT": str(28_000 + os.getpid() % 2_000),
    }

    def begin(*words: str, **variables: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["bash", str(SCRIPT), *words],
            env={**fixed, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
        )

    return begin


@pytest.mark.slow
def test_all_users_are_reached_and_every_request_is_in_the_files(
    start: Start, aws: "FakeAws", payload_file: Path, tmp_path: Path
) -> None:
    """In the workshop's minute 60 of 240 users came, and three of four would have sent nothing."""
    process = start("unet", USERS="6", WORKERS="2", RUN_TIME="3s")
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 0, said
    assert said.endswith("distributed.sh: 6 of 6 users were reached.\n")
    with (tmp_path / "results_stats.csv").open() as file:
        (row, _) = csv.DictReader(file)
    assert (row["Type"], row["Name"], row["Failure Count"]) == ("InvokeEndpoint", "unet", "0")
    assert 0 < int(row["Request Count"]) <= len(aws.asked)
    assert {asked.body for asked in aws.asked} == {payload_file.read_bytes()}
    # And the one that asked first whether the endpoint is there.
    assert len({asked.port for asked in aws.asked}) == 6 + 1


@pytest.mark.slow
def test_an_interrupt_ends_every_worker_and_keeps_what_was_measured(
    start: Start, aws: "FakeAws", tmp_path: Path
) -> None:
    """Sixty workers left behind go on sending, and nobody sees them."""
    process = start("unet", USERS="4", WORKERS="2", RUN_TIME="5m")
    deadline_s = time.monotonic() + 60
    # Locust writes down each second how many users there are, and later which it has written.
    history = tmp_path / "results_stats_history.csv"
    while not history.exists() or ",4," not in history.read_text():
        assert time.monotonic() < deadline_s, f"{len(aws.asked)} requests"
        time.sleep(0.1)
    below = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)

    assert said.endswith("distributed.sh: 4 of 4 users were reached.\n")
    assert psutil.wait_procs(below, timeout=30)[1] == []
    assert (tmp_path / "results_stats.csv").exists()


@pytest.mark.slow
def test_where_no_cloud_is_nothing_starts(start: Start, tmp_path: Path) -> None:
    """A pipeline goes by the exit status: a run without users is no success."""
    process = start("unet", USERS="2", WORKERS="2", RUN_TIME="1s", WINDTUNNEL_HOME=str(tmp_path))
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 4
    assert "No local cloud is up in" in said
    assert "of 2 users" not in said


@pytest.mark.slow
def test_an_endpoint_that_is_not_there_is_asked_once(start: Start, aws: "FakeAws") -> None:
    """Sixty workers who are told so each find out fifty thousand times."""
    message = b'{"Message": "Endpoint unet of account 0 not found."}'
    aws.answer = lambda _asked: (400, {"x-amzn-ErrorType": "ValidationError"}, message)

    process = start("https://unet", USERS="2", WORKERS="2", RUN_TIME="1s")
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 4
    assert "There is no endpoint unet" in said
    assert len(aws.asked) == 1


@pytest.mark.parametrize(
    ("words", "variables", "sentence"),
    [
        ([], {}, "name the endpoint:  bash distributed.sh ENDPOINT"),
        (["unet"], {"RUN_TIME": "1mg"}, "RUN_TIME is like 90s, 1m or 1h30m, not '1mg'."),
        (["unet"], {"USERS": "many"}, "USERS is a number of users, not 'many'."),
        (["unet"], {"WORKERS": "0"}, "WORKERS is a number of processes, not '0'."),
        (
            ["unet"],
            {"USERS": "10", "WORKERS": "4"},
            "10 users cannot be shared evenly by 4 workers: choose a multiple.",
        ),
        (["unet"], {"PAYLOAD": "no.txt"}, "the payload no.txt is empty or not there"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(
    start: Start, words: list[str], variables: dict[str, str], sentence: str
) -> None:
    """The workshop's `1mg` was taken for a minute by one Locust and refused by the next."""
    process = start(*words, **variables)
    said, _ = process.communicate(timeout=60)

    assert process.returncode == 2
    assert said.startswith(f"distributed.sh: {sentence}")
