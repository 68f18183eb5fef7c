"""Where else a run can be looked at: Locust's page and files, and Prometheus."""

import csv
import json
import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from windtunnel.core.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.lab.conftest import FakeAws, Ran

    Command = Callable[..., Ran]

pytestmark = pytest.mark.slow


@pytest.fixture
def endpoint(aws: "FakeAws", in_service: str) -> str:
    """Return an endpoint that is in service; every tenth answer of its model is a failure."""
    count = iter(range(10**9))

    def answer(_asked: object) -> tuple[int, dict[str, str], bytes]:
        return (500 if next(count) % 10 == 9 else 200), {}, b"1"

    aws.answer = answer
    return in_service


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.mark.parametrize("processes", [1, 2])
def test_locusts_files_hold_every_request_that_counts(
    windtunnel: "Command", endpoint: str, payload_file: Path, tmp_path: Path, processes: int
) -> None:
    """Dashboards that read Locust's CSV must see what was measured, failures by their kind too."""
    ran = windtunnel(
        *("load", endpoint, "--payload", payload_file, "--out", tmp_path / "run", "--json"),
        *("--users", 2, "--think-time", "5ms", "--duration", "1s", "--warmup", "300ms"),
        *("--processes", processes, "--csv", tmp_path / "results", "--html", tmp_path / "l.html"),
    )

    assert ran.out, ran.err
    summary = json.loads(ran.out)
    rows = {row["Name"]: row for row in _rows(tmp_path / "results_stats.csv")}
    for name in (endpoint, "Aggregated"):
        assert int(rows[name]["Request Count"]) == summary["requests"]
        assert int(rows[name]["Failure Count"]) == summary["failures"] > 0
    assert summary["warmup_requests"] > 0
    row = rows[endpoint]
    assert float(row["50%"]) == pytest.approx(summary["latency_s"]["p50"] * 1000, abs=1.1)
    assert any("." in row[f"{share}%"] for share in (50, 66, 75, 80, 90)), row
    # Of what counts, too: the warm-up's time is not in between.
    assert float(row["Requests/s"]) == pytest.approx(summary["requests"], rel=0.3)
    (failure,) = _rows(tmp_path / "results_failures.csv")
    assert int(failure["Occurrences"]) == summary["failures"]
    (error,) = summary["errors"]
    assert failure["Error"] == f"{error['kind']}: {error['example']}".rstrip(": ")
    report = (tmp_path / "l.html").read_text()
    assert f'"num_requests": {summary["requests"]}' in report


def test_the_page_shows_a_run_and_its_stop_button_ends_it(
    home: Home, endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """People stop a test when they have seen enough; what was measured is theirs all the same."""
    ui_port, metrics_port = _free_port(), _free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "windtunnel", "load", endpoint, "--home", str(home.path)),
            *("--payload", str(payload_file), "--out", str(tmp_path / "run")),
            *("--rate", "50", "--duration", "60s", "--warmup", "0s"),
            *("--ui", "--ui-port", str(ui_port), "--prometheus", str(metrics_port)),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "counting" in line:
                break
        page = f"http://127.0.0.1:{ui_port}"
        while not (seen := _get_json(f"{page}/stats/requests"))["stats"][0]["num_requests"]:
            pass
        metrics = _get(f"http://127.0.0.1:{metrics_port}/metrics")
        refused = _post(f"{page}/swarm")
        _post(f"{page}/stop")
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()

    assert seen["state"] == "running"
    assert seen["stats"][0]["name"] == endpoint
    assert re.search(r'windtunnel_requests_total\{endpoint="unet",error="none"\} \d', metrics)
    assert 'windtunnel_schedule_lag_seconds_bucket{endpoint="unet",le="+Inf"}' in metrics
    assert "command line's" in refused
    assert process.returncode == 130, err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["requests"] > 0


def test_what_cannot_be_written_or_listened_on_is_refused_first(
    windtunnel: "Command", endpoint: str, payload_file: Path, tmp_path: Path
) -> None:
    """An hour of load whose CSV cannot be opened at the end is an hour lost."""
    words = ("load", endpoint, "--payload", payload_file, "--users", 1, "--duration", "1s")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = [
            windtunnel(*words, "--out", tmp_path / "run", *more)
            for more in (
                ("--csv", tmp_path / "none" / "results"),
                ("--html", tmp_path),
                ("--ui", "--ui-port", port),
                ("--prometheus", port),
            )
        ]

    assert [ran.code for ran in found] == [2, 2, 4, 4]
    assert "results_stats.csv cannot be written" in found[0].err
    assert f"--ui cannot listen at 127.0.0.1:{port}" in found[2].err
    assert not (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ui", "--ui-port", 99999), "--ui-port is a number from 1 to 65535"),
        (("--prometheus", 0), "--prometheus is a number from 1 to 65535"),
        (("--ui-port", 8089), "--ui-port means nothing without --ui"),
        (("--web-host", "0.0.0.0"), "--web-host means nothing without --ui or --prometheus"),  # noqa: S104
    ],
)
def test_servers_that_cannot_be_meant_are_refused(
    windtunnel: "Command", payload_file: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    """Who names a port and forgets --ui waits for a page that never comes."""
    ran = windtunnel(
        *("load", "unet", "--payload", payload_file, "--users", 1, "--duration", "1s"),
        *("--out", tmp_path / "run", *words),
    )

    assert ran.code == 2
    assert said in ran.err


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
        text: str = answer.read().decode()
    return text


def _get_json(url: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_get(url))
    return found


def _post(url: str) -> str:
    asked = urllib.request.Request(url, data=b"user_count=1", method="POST")  # noqa: S310
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
        text: str = answer.read().decode()
    return text
