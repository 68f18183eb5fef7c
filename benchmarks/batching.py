"""One model server with and without SAGEMAKER_TFS_ENABLE_BATCHING, with the container's defaults.

A model whose own work is nothing, a U-Net whose work is everything; JSON in and out, one client and
sixteen. The two servers take turns within each round, medians are taken, no cores are pinned.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.machine import cpu_s, tree
from benchmarks.prepared_client import drive
from benchmarks.signed import plain
from benchmarks.unet import sample

ROUNDS = 5
DURATION_S = 3.0
CONNECTIONS = (1, 16)
SWITCH = "SAGEMAKER_TFS_ENABLE_BATCHING"


def main() -> list[str]:
    """Measure and return the lines of a table."""
    rows = [
        "| model | clients | off | on | on/off | p50 off | p50 on | CPU a request off | on |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        subprocess.run([sys.executable, "-m", "windtunnel.sample.tiny", directory], check=True)
        source = sample()
        for archive, body in (
            (directory / "half_plus_two.tar.gz", b'{"instances":[1.0]}'),
            (source / "model.tar.gz", (source / "payload.json").read_bytes()),
        ):
            title = "U-Net" if archive.name == "model.tar.gz" else "x / 2 + 2"
            rows += _compare(title, archive, body, directory / title.replace(" / ", " "))
    return rows


def _compare(title: str, archive: Path, body: bytes, directory: Path) -> list[str]:
    directory.mkdir()
    subprocess.run(["tar", "xzf", archive, "-C", directory], check=True)
    rows = []
    with ExitStack() as stack:
        servers = [stack.enter_context(_server(directory, value)) for value in ("false", "true")]
        for connections in CONNECTIONS:
            rounds = [
                [_measure(url, pid, body, connections) for url, pid in servers]
                for _ in range(ROUNDS)
            ]
            off, on = zip(*rounds, strict=True)
            ratio = statistics.median(
                after[0] / before[0] for before, after in zip(off, on, strict=True)
            )
            (rate, p50_s, used_s), (rate_on, p50_on_s, used_on_s) = (
                [statistics.median(each) for each in zip(*side, strict=True)] for side in (off, on)
            )
            rows.append(
                f"| {title} | {connections} | {rate:,.1f}/s | {rate_on:,.1f}/s | {ratio:.2f} "
                f"| {p50_s * 1e3:.2f} ms | {p50_on_s * 1e3:.2f} ms "
                f"| {used_s * 1e3:.2f} ms | {used_on_s * 1e3:.2f} ms |"
            )
    return rows


@contextmanager
def _server(directory: Path, is_batching: str) -> Iterator[tuple[str, int]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "windtunnel", "container", f"--model-dir={directory}", "--port=0"],
        env={**os.environ, SWITCH: is_batching},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("ready ").strip(), process.pid
    finally:
        process.terminate()
        process.wait()


def _measure(url: str, pid: int, body: bytes, connections: int) -> tuple[float, float, float]:
    """Return requests a second, their median latency, and the server's CPU time for one."""
    host, _, port = url.removeprefix("http://").partition(":")
    processes = tree(pid)
    before_s = cpu_s(processes)
    count = drive(
        host,
        int(port),
        plain(url, "/invocations", body),
        connections=connections,
        duration_s=DURATION_S,
    )
    if count.failures or not count.latencies_s:
        raise SystemExit(f"{url}: {count.failures} requests failed")
    spent_s = cpu_s(processes) - before_s
    return count.rate_rps, count.quantile_s(0.5), spent_s / len(count.latencies_s)
