"""The U-Net through InvokeEndpoint, signed, against FastAPI and against the engine in a bare loop.

Four connections, the same client and bytes for all, no cores pinned: the servers and the client
share the machine alike. Rounds are interleaved and medians taken. The CPU time of everything but
the engine is the servers' CPU time for a request less that of an inference in a bare loop, which
takes its turn in every round. Beside JSON, Windtunnel is asked with .npy both ways.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from statistics import median

import boto3
import numpy as np

from benchmarks.contest import Contestant, measure
from benchmarks.endpoints import IMAGE, client, endpoint, upload
from benchmarks.signed import invocation, plain
from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

ROUNDS = 5
DURATION_S = 4.0
CONNECTIONS = 4
NPY = "application/x-npy"
PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class _Bare:
    """The engine in a loop of its own; a line asks it for a round."""

    process: subprocess.Popen[str]
    rounds: list[dict[str, float]]

    def measure(self) -> None:
        """Run one round."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{DURATION_S}\n")
        self.process.stdin.flush()
        self.rounds.append(json.loads(self.process.stdout.readline()))

    def of(self, name: str) -> list[float]:
        """Return one figure of every round."""
        return [each[name] for each in self.rounds]


def sample() -> Path:
    """Return a directory with the reference U-Net's archive and payload; made once."""
    directory = Path("runs/bench/sample")
    command = [sys.executable, "-m", "windtunnel", "sample", "unet", "--out", str(directory)]
    subprocess.run([*command, "--home", "runs/bench/home"], check=True)
    return directory


def unpacked(source: Path, directory: Path) -> Path:
    """Unpack the archive and return where the SavedModel is."""
    subprocess.run(["tar", "xzf", source / "model.tar.gz", "-C", directory], check=True)
    return next(directory.rglob("saved_model.pb")).parent


def main() -> list[str]:
    """Measure and return the lines of two tables."""
    source = sample()
    body = (source / "payload.json").read_bytes()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model_dir = unpacked(source, directory)
        cloud = stack.enter_context(
            running_cloud(Home(directory / "home"), log=directory / "up.log")
        )
        ours, name = stack.enter_context(windtunnel(cloud, source / "model.tar.gz", body))
        contestants = [ours]
        binary = _npy(cloud, name, ours, body)
        if binary is not None:
            contestants.append(binary)
        for number, peer in enumerate(("fastapi_plain", "fastapi_expert")):
            contestants.append(stack.enter_context(_peer(peer, 18_100 + number, model_dir, body)))
        bare = stack.enter_context(_bare_engine(model_dir))
        for _ in range(ROUNDS):
            bare.measure()
            for contestant in contestants:
                measure(contestant, connections=CONNECTIONS, duration_s=DURATION_S)
    return _table(contestants, bare)


@contextmanager
def windtunnel(cloud: CloudProcess, archive: Path, body: bytes) -> Iterator[tuple[Contestant, str]]:
    """Hold the model in service; the value is the contestant and its endpoint's name."""
    session = boto3.Session()
    url = upload(session, cloud, archive, "unet/model.tar.gz")
    with endpoint(session, cloud, {"Image": IMAGE, "ModelDataUrl": url}) as name:
        contestant = Contestant(
            "Windtunnel",
            cloud.url,
            lambda: invocation(cloud.home, cloud.url, name, body),
            cloud.process.pid,
        )
        yield contestant, name


def _npy(cloud: CloudProcess, name: str, ours: Contestant, body: bytes) -> Contestant | None:
    """Return the same endpoint asked with .npy, if it takes that."""
    written = BytesIO()
    np.save(written, np.array(json.loads(body), np.float32))
    array = written.getvalue()
    runtime = client(boto3.Session(), cloud, "sagemaker-runtime")
    try:
        runtime.invoke_endpoint(EndpointName=name, Body=array, ContentType=NPY, Accept=NPY)
    except runtime.exceptions.ModelError:
        return None
    return replace(
        ours,
        name="Windtunnel, .npy",
        make_request=lambda: invocation(
            cloud.home, cloud.url, name, array, content_type=NPY, accept=NPY
        ),
        rates_rps=[],
        cpus_s=[],
    )


@contextmanager
def _peer(name: str, port: int, model_dir: Path, body: bytes) -> Iterator[Contestant]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.peers.{name}", str(port)],
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


@contextmanager
def _bare_engine(model_dir: Path) -> Iterator[_Bare]:
    process = subprocess.Popen(
        [sys.executable, str(PEERS / "bare_engine.py")],
        env={
            **os.environ,
            "MODEL_DIR": str(model_dir),
            "THREADS": "2",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield _Bare(process, [])
        # It ends with its input.


def _table(contestants: list[Contestant], bare: _Bare) -> list[str]:
    ours = contestants[0]
    engine_s, engine_rps = median(bare.of("cpu_s")), median(bare.of("rate_rps"))
    rows = [
        "| server | requests/s | of the bare loop | Windtunnel is | CPU a request "
        "| of it not the engine |",
        "|---|---|---|---|---|---|",
        f"| the engine alone, 2 callers | {engine_rps:.1f} | 100% | | {engine_s * 1e3:.1f} ms | |",
    ]
    for each in contestants:
        ratio = median(a / b for a, b in zip(ours.rates_rps, each.rates_rps, strict=True))
        share = median(a / b for a, b in zip(each.rates_rps, bare.of("rate_rps"), strict=True))
        tax_s = median(a - b for a, b in zip(each.cpus_s, bare.of("cpu_s"), strict=True))
        rows.append(
            f"| {each.name} | {each.rates_range} | {share:.0%} | {ratio:.1f}x "
            f"| {each.cpu_s * 1e3:.1f} ms | {tax_s * 1e3:.1f} ms |"
        )
    if len(contestants) < 4:
        rows += ["", "This Windtunnel takes no .npy, so that was not measured."]
    return rows
