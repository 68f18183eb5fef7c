"""`python -m windtunnel.compiler` and `windtunnel compile`, as processes."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.compiler.conftest import SHAPE, Compiler, Models
from tests.serving.harness import PATIENCE_S, Lines, wait_until

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start programs of ours with a /tmp of their own; what is left of them is killed."""
    started: list[subprocess.Popen[bytes]] = []
    (tmp_path / "tmp").mkdir()

    def run(*words: str, stderr: Any = subprocess.PIPE) -> "subprocess.Popen[bytes]":
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "TMPDIR": str(tmp_path / "tmp"),
        }
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", *words],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def write(path: Path, said: dict[str, Any]) -> str:
    path.write_text(json.dumps(said))
    return str(path)


def test_a_job_tells_in_lines_and_the_second_is_answered_from_the_cache(
    start: Start, compiler: Compiler, models: Models, tmp_path: Path
) -> None:
    """Nothing else is on stdout, whatever libraries print; and nobody waits twice."""
    cache_dir = str(tmp_path / "cache")
    said = compiler.job_file(models.masks, data_input_config=SHAPE, cache_dir=cache_dir)

    process = start("windtunnel.compiler", write(tmp_path / "job.json", said))
    output, log = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0, log
    *progress, last = map(json.loads, output.decode().splitlines())
    assert progress
    assert all(each.keys() == {"event", "text", "done"} for each in progress)
    assert {each["event"] for each in progress} == {"progress"}
    assert last.keys() == {"event", "output", "derived_data_input_config", "engine", "summary"}
    assert last["event"] == "completed"
    assert last["output"] == said["output"]
    assert Path(said["output"]).is_file()
    assert not [*(tmp_path / "tmp").iterdir()]

    again = compiler.run(
        compiler.job_file(models.masks, data_input_config=SHAPE, cache_dir=cache_dir)
    )
    assert again.outcome.is_cached
    assert again.outcome.summary == last["summary"]
    assert "answered from the cache" in again.told[-1][0]
    assert again.outcome.output.read_bytes() == Path(said["output"]).read_bytes()


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"framework": "MXNET"}, "ClientError", "MXNET is not offered"),
        ({"archive": "/nowhere.tar.gz"}, "ClientError", "/nowhere.tar.gz does not exist"),
        ({"target": None}, "ClientError", "is not offered"),
        ({"effort": "much"}, "InternalError", "cannot be read"),
    ],
)
def test_a_job_that_cannot_be_tells_by_whose_doing(
    start: Start,
    compiler: Compiler,
    models: Models,
    tmp_path: Path,
    changes: dict[str, Any],
    kind: str,
    reason: str,
) -> None:
    """FailureReason begins with it."""
    said = compiler.job_file(models.masks) | changes

    process = start("windtunnel.compiler", write(tmp_path / "job.json", said))
    output, _ = process.communicate(timeout=PATIENCE_S)

    (event,) = map(json.loads, output.decode().splitlines())
    assert process.returncode == 1
    assert event["event"] == "failed"
    assert event["kind"] == kind
    assert reason in event["reason"]


def test_a_job_that_is_killed_leaves_nothing_at_the_output(
    start: Start, compiler: Compiler, models: Models, tmp_path: Path
) -> None:
    """StopCompilationJob, or the kernel when memory runs out."""
    said = compiler.job_file(models.masks, data_input_config=SHAPE)
    with (tmp_path / "log").open("wb") as log:
        process = start("windtunnel.compiler", write(tmp_path / "job.json", said), stderr=log)
    assert process.stdout is not None
    Lines(process.stdout.fileno()).wait("progress", text="loading the model")

    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_S)

    assert not [*Path(said["output"]).parent.iterdir()]


def test_a_command_that_is_interrupted_leaves_nothing_at_all(
    start: Start, models: Models, tmp_path: Path
) -> None:
    """Ctrl-C in the middle of a minute's work."""
    work = tmp_path / "work"
    work.mkdir()
    process = start(
        *("windtunnel", "compile", str(models.masks), "--input-shape", SHAPE),
        *("--out", str(work / "compiled.tar.gz"), "--home", str(tmp_path / "home")),
    )
    assert process.stderr is not None
    log = b""
    while b"loading the model" not in log:
        line = process.stderr.readline()
        assert line, log
        log += line
    # What it goes on to say has to go somewhere.
    reader = threading.Thread(target=process.stderr.read)
    reader.start()

    process.send_signal(signal.SIGINT)
    status = process.wait(PATIENCE_S)
    reader.join()

    assert status == 130
    assert not [*work.iterdir()]
    assert not [*(tmp_path / "tmp").iterdir()]


def test_the_command_writes_the_archive_and_its_report_and_shows_what_was_tried(
    start: Start, models: Models, tmp_path: Path
) -> None:
    """The first thing that a user does, and the second, which is answered from the cache."""
    home = ("--home", str(tmp_path / "home"), "--target", "ml_c5")

    process = start(
        *("windtunnel", "compile", str(models.pair), *home, "--json"),
        *("--out", str(tmp_path / "first.tar.gz")),
    )
    output, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, log
    told = json.loads(output)
    assert told["output"] == str(tmp_path / "first.tar.gz")
    assert told["report"]["chosen"] == "f32"
    assert told["report"] == json.loads((tmp_path / "first-report" / "report.json").read_text())
    with tarfile.open(tmp_path / "first.tar.gz") as tar:
        assert "pair/1/windtunnel.json" in tar.getnames()

    process = start(
        *("windtunnel", "compile", str(models.pair), *home),
        *("--out", str(tmp_path / "second.tar.gz")),
    )
    output, log = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, log
    assert b"answered from the cache" in log
    assert b"note: int8 was not tried" in log
    shown = output.decode()
    for word in ("TensorFlow", "f32", "not measured on the target", "second-report/report.html"):
        assert word in shown
    assert (tmp_path / "second-report" / "report.html").is_file()
    assert not [*(tmp_path / "tmp").iterdir()]


def test_a_compiler_that_runs_out_of_memory_is_explained(
    start: Start, models: Models, tmp_path: Path
) -> None:
    """The kernel kills without a word."""
    process = start(
        *("windtunnel", "compile", str(models.masks), "--input-shape", SHAPE),
        *("--out", str(tmp_path / "compiled.tar.gz"), "--home", str(tmp_path / "home")),
    )
    assert process.stderr is not None
    while b"loading the model" not in (line := process.stderr.readline()):
        assert line
    (compiler,) = psutil.Process(process.pid).children()

    compiler.kill()
    _, log = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 1
    assert b"The compiler was killed, as the kernel does when memory runs out." in log
    assert not (tmp_path / "compiled.tar.gz").exists()


def test_a_command_that_fails_says_why_and_points_to_no_older_report(
    start: Start, tmp_path: Path
) -> None:
    """What stands in that one is true of another model."""
    (tmp_path / "compiled-report").mkdir()
    (tmp_path / "compiled-report" / "report.html").write_text("of an earlier run")
    (tmp_path / "model.tar.gz").write_text("no archive")

    process = start(
        *("windtunnel", "compile", str(tmp_path / "model.tar.gz")),
        *("--out", str(tmp_path / "compiled.tar.gz"), "--home", str(tmp_path / "home")),
    )
    output, log = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 1
    assert output == b""
    told = log.decode().splitlines()[-1]
    assert told.startswith("windtunnel: The archive model.tar.gz ")
    assert "Report" not in told
    assert not (tmp_path / "compiled.tar.gz").exists()
    assert (tmp_path / "compiled-report" / "report.html").read_text() == "of an earlier run"


def test_our_openvino_and_nncf_tell_nobody_and_start_no_thread() -> None:
    """Nothing leaves this machine, and a zygote with threads cannot be forked."""
    program = """
import os, socket, sys

def refuse(*arguments):
    os._exit(7)

socket.socket.connect = socket.getaddrinfo = refuse
import psutil
from windtunnel.serving.openvino_library import ov
assert ov.Core and sys.modules["openvino_telemetry"] is None
threads = psutil.Process().num_threads()
import nncf
print(threads)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
    )

    assert done.stdout.split()[-1] == b"1"


def test_a_measurement_that_goes_on_is_waited_for(
    compiler: Compiler, models: Models, tmp_path: Path
) -> None:
    """Two that measure at once measure each other."""
    from windtunnel.core.lease import holding

    lease = tmp_path / "lease"
    told: list[tuple[str, float]] = []
    said = compiler.job_file(models.pair, lease=str(lease))
    job = threading.Thread(target=compiler.run, args=(said, told))
    with holding(lease, "a load run", lambda _: None):
        job.start()
        wait_until(
            lambda: any(text.startswith("waiting for a load run") for text, _ in told),
            "the job to say that it waits",
        )
        assert not any("measuring" in text for text, _ in told)
    job.join(PATIENCE_S)

    assert Path(said["output"]).is_file()
    assert any("measuring" in text for text, _ in told)
