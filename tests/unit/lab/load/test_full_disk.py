"""A load run whose disk takes no more: what can be kept is, and nothing passes for whole."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from windtunnel.core import limits
from windtunnel.core.home import Home

if TYPE_CHECKING:
    from tests.unit.lab.conftest import Asked, FakeAws, Ran

    Command = Callable[..., Ran]

pytestmark = pytest.mark.slow

# No file that this process, or one that it starts, writes may be larger than so many bytes.
_LIMITED = """
import resource, sys
size = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
from windtunnel.cli.main import main
main()
"""


@pytest.fixture
def words(aws: "FakeAws", in_service: str, payload_file: Path) -> list[object]:
    """Return the words of a load on an endpoint in service, less where it is kept."""

    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.002)
        return 200, {}, b"{}"

    aws.answer = answer
    return ["load", in_service, "--payload", payload_file, "--users", 8, "--warmup", "0s"]


def _start(home: Home, size: int, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _LIMITED, str(size), *map(str, words)],
        env={**os.environ, "WINDTUNNEL_HOME": str(home.path)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_run_that_cannot_be_kept_says_so_and_leaves_nothing_that_looks_like_one(
    home: Home, words: list[object], tmp_path: Path
) -> None:
    """Half a run beside a summary that calls it valid would be believed."""
    out = tmp_path / "run"

    process = _start(home, 1000, *words, "--duration", "10m", "--out", out)
    said, complaint = process.communicate(timeout=60)

    assert process.returncode == 4, complaint
    assert f"The run could not be kept in {out}: File too large. What it measured, " in complaint
    assert "Traceback" not in complaint
    assert said == ""
    assert list(out.iterdir()) == []


def test_a_report_that_does_not_fit_costs_the_report_alone(
    home: Home, windtunnel: "Command", words: list[object], tmp_path: Path
) -> None:
    """The hour of measuring is in the other files; the page can be made of them at any time."""
    out = tmp_path / "run"

    process = _start(home, 500 * limits.KIB, *words, "--duration", "1s", "--out", out)
    said, complaint = process.communicate(timeout=60)

    assert process.returncode in {0, 3}, complaint
    assert f"warning   The report {out}/report.html cannot be written: File too large." in complaint
    assert f"`windtunnel report {out}` makes it when it can be" in complaint
    assert "good answers/s by 8 of 8 users" in said
    assert {path.name for path in out.iterdir()} == {
        "run.json",
        "summary.json",
        "requests.parquet",
    }
    assert windtunnel("report", out).code == 0
    assert (out / "report.html").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a directory with a file system of 8 MiB of its own."""
    if os.geteuid() != 0:
        pytest.skip("mounting a file system takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=8m", "windtunnel-test", str(disk)]
    done = subprocess.run(mounting, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_fills_up_in_the_middle_ends_the_run_and_what_was_kept_counts(
    home: Home, aws: "FakeAws", words: list[object], small_disk: Path
) -> None:
    """Others fill disks, too; an hour until then is worth keeping, and no more than that hour."""
    out = small_disk / "run"
    process = _start(home, 10**9, *words, "--duration", "10m", "--out", out)
    assert process.stderr is not None
    seen = ""
    while "requests/s" not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line

    _fill(small_disk)
    _, complaint = process.communicate(timeout=60)

    assert process.returncode == 3, seen + complaint
    assert "INVALID   the disk took no more (No space left on device): requests" in complaint
    assert "Traceback" not in complaint
    summary = json.loads((out / "summary.json").read_text())
    assert summary["valid"] is False
    rows = pq.read_table(out / "requests.parquet").num_rows
    assert 0 < rows == summary["requests"] <= aws.actions().count("InvokeEndpoint")
    assert "report.html cannot be written: No space left on device" in complaint
    assert not list(out.glob(".*"))


def _fill(disk: Path) -> None:
    """Write until not a byte goes in any more."""
    with (disk / "other").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
