"""A tiny model end to end, signed, on one core; and beside it the same model in other servers.

`half_plus_two`, three numbers in JSON, 16 connections, the same client of prepared bytes for all.
All that serves has the last core, the client the first: what is measured is one core of server.
One peer is up at a time, as its documentation has it, and its rounds and Windtunnel's alternate:
Windtunnel as it comes, and once more with TensorFlow Serving's batching, because PyTriton's
documentation begins with batching on. CPU time for a request is the steadier figure on a machine
that others use, too.
"""

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

import boto3
import numpy as np

from benchmarks.contest import PROMISES, Contestant, Duel, duel, promise, table
from benchmarks.endpoints import IMAGE, endpoint, upload
from benchmarks.load_process import on_core
from benchmarks.peer_servers import ALL, PYTRITON, PeerError, Question, serving
from benchmarks.signed import invocation
from windtunnel.cli.cloud_process import running_cloud
from windtunnel.core.home import Home

ROUNDS = 3
DURATION_S = 3.0
CONNECTIONS = 16
PROMISED_RPS = 2500
BODY = b'{"instances": [1.0, 2.0, 5.0]}'
# As large as in PyTriton's quick start; with one core the container's own queue holds one batch.
BATCHING = {
    "SAGEMAKER_TFS_ENABLE_BATCHING": "true",
    "SAGEMAKER_TFS_MAX_BATCH_SIZE": "128",
    "SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES": "16",
}
INSTANCES = np.array([1.0, 2.0, 5.0])


def main() -> list[str]:
    """Measure and return the lines of three tables."""
    duels: list[list[Duel]] = []
    skipped: list[str] = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        question, archive = _half_plus_two(directory)
        ours = _windtunnel(stack, directory, archive)
        for peer in ALL:
            try:
                with ExitStack() as round_stack:
                    with on_core(-1):
                        theirs = round_stack.enter_context(serving(peer, "documented", question))
                    round_stack.enter_context(on_core(0))
                    duels.append(
                        duel(
                            theirs,
                            *ours,
                            rounds=ROUNDS,
                            connections=CONNECTIONS,
                            duration_s=DURATION_S,
                        )
                    )
            except PeerError as error:
                skipped.append(f"{peer.title} was not measured: {error}.")
    if not duels:
        raise SystemExit("\n".join(skipped))
    lines, promises = [], PROMISES.copy()
    for side in map(list, zip(*duels, strict=True)):
        lines += [*table(side, 1e-6, "µs"), ""]
        promises += _promises(side)
    return [*lines, *promises, *([""] if skipped else []), *skipped]


def _promises(duels: list[Duel]) -> list[str]:
    of_pytriton = [each for each in duels if each.theirs.name == PYTRITON.title]
    of_others = [each for each in duels if each.theirs.name != PYTRITON.title]
    rate_rps = median(rate for each in duels for rate in each.ours.rates_rps)
    # What a core would answer that had nothing else to do.
    core_rps = 1 / median(each.ours.cpu_s for each in duels)
    ours = duels[0].ours.name
    return [
        f"| {ours}, in a second | {PROMISED_RPS:,} | {rate_rps:,.0f} | {core_rps:,.0f} |",
        promise(f"{ours}, of PyTriton's", of_pytriton, 2.0),
        promise(f"{ours}, of the best other's", of_others, 4.0),
    ]


def _half_plus_two(directory: Path) -> tuple[Question, Path]:
    """Write the model; TensorFlow stays out of this process."""
    subprocess.run(
        [sys.executable, "-m", "windtunnel.sample.tiny", str(directory)],
        check=True,
        capture_output=True,
    )
    archive = directory / "half_plus_two.tar.gz"
    subprocess.run(["tar", "xzf", archive, "-C", directory], check=True)
    model_dir = next(directory.rglob("half_plus_two/*/saved_model.pb")).parent
    return Question(model_dir, "x", INSTANCES, INSTANCES / 2 + 2), archive


def _windtunnel(stack: ExitStack, directory: Path, archive: Path) -> list[Contestant]:
    """Put the model into service twice in a cloud that has one core, the second time batching."""
    home = Home(directory / "home")
    with on_core(-1):
        cloud = stack.enter_context(running_cloud(home, log=directory / "up.log"))
    session = boto3.Session()
    url = upload(session, cloud, archive, "tiny/model.tar.gz")
    contestants = []
    for title, environment in (
        ("Windtunnel", {}),
        ("Windtunnel, batching", BATCHING),
    ):
        container = {"Image": IMAGE, "ModelDataUrl": url, "Environment": environment}
        name = stack.enter_context(endpoint(session, cloud, container))
        send = partial(invocation, home, cloud.url, name, BODY)
        contestants.append(Contestant(title, cloud.url, send, cloud.process.pid))
    return contestants
