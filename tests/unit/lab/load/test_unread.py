"""Runs that outlive whoever watched them, and directories that two want."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from windtunnel.core.errors import UsageError
from windtunnel.core.home import Home
from windtunnel.lab.run_directory import RunDirectory


@pytest.mark.slow
def test_a_run_is_kept_when_nobody_reads_its_output_any_more(
    home: Home, in_service: str, payload_file: Path, tmp_path: Path
) -> None:
    """`| head` shows the first lines of an hour's run; it must not throw the hour away."""
    out = tmp_path / "run"
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "windtunnel", "load", in_service, "--home", str(home.path)),
            *("--payload", str(payload_file), "--out", str(out)),
            *("--users", "1", "--think-time", "20ms", "--duration", "2s", "--warmup", "0s"),
            *("--slo", "p50=5s"),
        ],
        stdout=write_end,
        stderr=write_end,
    )
    os.close(write_end)
    # The first line is read, and then nobody is there.
    os.read(read_end, 1)
    threading.Timer(0.1, os.close, [read_end]).start()
    status = process.wait(timeout=60)

    summary = json.loads((out / "summary.json").read_text())
    assert summary["requests"] > 0
    # And the status is what the run came to.
    assert status == (0 if summary["valid"] else 3)


def test_two_runs_cannot_be_kept_in_one_directory(tmp_path: Path) -> None:
    """The one that ended first would be gone, and both would have said that all was well."""
    first, second = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    first.prepare()

    with pytest.raises(UsageError, match="another run is kept at this moment"):
        second.prepare()

    # However the first one ends, nothing of its claim is left.
    del first
    second.prepare()
    assert list((tmp_path / "run").iterdir()) == []
