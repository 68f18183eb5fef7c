"""The U-Net with JSON through InvokeEndpoint, signed, against FastAPI serving the same model.

Four connections, the same client and bytes for all, no cores pinned: the servers and the client
share the machine alike. Rounds are interleaved and medians taken. The CPU time of everything but
the engine is the servers' CPU time for a request less that of an inference in a bare loop.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import boto3

from benchmarks.endpoints import IMAGE, endpoint, upload
from benchmarks.machine import cpu_s, tree
from benchmarks.prepared_client import drive
from benchmarks.signed import invocation, plain
from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

ROUNDS = 5
DURATION_S = 8.0
CONNECTIONS = 4
PEERS = Path(__file__).parent / "peers"


@dataclass
class Contestant:
    """One server and what was measured of it."""

    name: str
    url: str
    # Made afresh for each round: a signature is accepted for five minutes.
    make_request: Callable[[], bytes]
    pid: int
    rates_rps: list[float] = field(default_factory=list)
    cpus_s: list[float] = field(default_factory=list)


def sample() -> Path:
    """Return a directory with the reference U-Net's archive and payload; made once."""
    directory = Path("runs/bench/sample")
    command = [sys.executable, "-m", "windtunnel", "sample", "unet", "--out", str(directory)]
    subprocess.run([*command, "--home", "runs/bench/home"], check=True)
    return directory


def main() -> list[str]:
    """Measure and return the lines of a table."""
    source = sample()
    body = (source / "payload.json").read_bytes()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        subprocess.run(["tar", "xzf", source / "model.tar.gz", "-C", directory], check=True)
        model_dir = next(directory.rglob("saved_model.pb")).parent
        cloud = stack.enter_context(
            running_cloud(Home(directory / "home"), log=directory / "up.log")
        )
        ours = stack.enter_context(_windtunnel(cloud, source / "model.tar.gz", body))
        contestants = [ours]
        for number, name in enumerate(("fastapi_plain", "fastapi_expert")):
            contestants.append(stack.enter_context(_peer(name, 18_100 + number, model_dir, body)))
        engines = [_bare_engine(model_dir)]
        for _ in range(ROUNDS):
            for contestant in contestants:
                measure(contestant)
        engines.append(_bare_engine(model_dir))
    return _table(contestants, engines)


@contextmanager
def _windtunnel(cloud: CloudProcess, archive: Path, body: bytes) -> Iterator[Contestant]:
    session = boto3.Session()
    url = upload(session, cloud, archive, "unet/model.tar.gz")
    with endpoint(session, cloud, {"Image": IMAGE, "ModelDataUrl": url}) as name:
        yield Contestant(
            "Windtunnel",
            cloud.url,
            lambda: invocation(cloud.home, cloud.url, name, body),
            cloud.process.pid,
        )


@contextmanager
def _peer(name: str, port: int, model_dir: Path, body: bytes) -> Iterator[Contestant]:
    process = subprocess.Popen(
        [sys.executable, str(PEERS / f"{name}.py"), str(port)],
        env={**os.environ, "MODEL_DIR": str(model_dir), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/ping", timeout=1).read()  # noqa: S310 - loopback
                break
            except OSError:
                time.sleep(0.1)
        yield Contestant(name, url, lambda: plain(url, "/invocations", body), process.pid)
    finally:
        process.terminate()
        process.wait()


def measure(contestant: Contestant) -> None:
    """Drive one server for a while, and keep its rate and its CPU time for each request."""
    host, _, port = contestant.url.removeprefix("http://").partition(":")
    processes = tree(contestant.pid)
    before_s = cpu_s(processes)
    count = drive(
        host, int(port), contestant.make_request(), connections=CONNECTIONS, duration_s=DURATION_S
    )
    spent_s = cpu_s(processes) - before_s
    if count.failures or not count.latencies_s:
        raise SystemExit(f"{contestant.name}: {count.failures} requests failed")
    contestant.rates_rps.append(count.rate_rps)
    contestant.cpus_s.append(spent_s / len(count.latencies_s))


def _bare_engine(model_dir: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, str(PEERS / "bare_engine.py"), str(DURATION_S)],
        env={
            **os.environ,
            "MODEL_DIR": str(model_dir),
            "THREADS": "2",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        stdout=subprocess.PIPE,
        check=True,
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _table(contestants: list[Contestant], engines: list[dict[str, float]]) -> list[str]:
    ours = contestants[0]
    engine_s = statistics.median(each["cpu_s"] for each in engines)
    engine_rps = statistics.median(each["rate_rps"] for each in engines)
    rows = [
        "| server | requests/s | Windtunnel is | CPU a request | of it not the engine |",
        "|---|---|---|---|---|",
        f"| the engine alone, 2 callers | {engine_rps:.1f} | | {engine_s * 1e3:.1f} ms | |",
    ]
    for each in contestants:
        ratios = [
            mine / theirs for mine, theirs in zip(ours.rates_rps, each.rates_rps, strict=True)
        ]
        used_s = statistics.median(each.cpus_s)
        rows.append(
            f"| {each.name} | {statistics.median(each.rates_rps):.1f} "
            f"({min(each.rates_rps):.1f} to {max(each.rates_rps):.1f}) "
            f"| {statistics.median(ratios):.1f}x | {used_s * 1e3:.1f} ms "
            f"| {(used_s - engine_s) * 1e3:.1f} ms |"
        )
    return rows
