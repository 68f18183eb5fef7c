"""The U-Net with JSON, signed, beside the same model in other servers, documented and by experts.

Four connections, the same client and numbers for all, TensorFlow of the same version, no cores
pinned. Each peer runs once as its documentation has it and once by an expert: JSON read and written
without an object for any number (`peers/served_model.py`), raw bodies, threads. One is up at a
time, and its rounds and Windtunnel's alternate. TensorFlow Serving's own binary is not compared:
no package registry carries it.
"""

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

import boto3
import numpy as np

from benchmarks.contest import PROMISES, Duel, duel, promise, table
from benchmarks.endpoints import client
from benchmarks.peer_servers import ALL, PYTRITON, PeerError, Question, serving
from benchmarks.unet import CONNECTIONS, sample, unpacked, windtunnel
from windtunnel.cli.cloud_process import running_cloud
from windtunnel.core.home import Home

ROUNDS = 3
DURATION_S = 4.0


def main() -> list[str]:
    """Measure and return the lines of two tables."""
    source = sample()
    body = (source / "payload.json").read_bytes()
    documented: list[Duel] = []
    expert: list[Duel] = []
    skipped: list[str] = []
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        model_dir = unpacked(source, directory)
        cloud = stack.enter_context(
            running_cloud(Home(directory / "home"), log=directory / "up.log")
        )
        ours, name = stack.enter_context(windtunnel(cloud, source / "model.tar.gz", body))
        runtime = client(boto3.Session(), cloud, "sagemaker-runtime")
        told = runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/json")
        answers = np.array(json.loads(told["Body"].read())["predictions"])
        question = Question(model_dir, "inputs", np.array(json.loads(body)), answers)
        for peer in ALL:
            for kind, duels in (("documented", documented), ("expert", expert)):
                try:
                    with serving(peer, kind, question) as theirs:
                        one = duel(
                            theirs,
                            ours,
                            rounds=ROUNDS,
                            connections=CONNECTIONS,
                            duration_s=DURATION_S,
                        )
                        duels.extend(one)
                except PeerError as error:
                    skipped.append(f"{peer.title}, {kind}, was not measured: {error}.")
    return _lines(documented, expert, skipped)


def _lines(documented: list[Duel], expert: list[Duel], skipped: list[str]) -> list[str]:
    duels = documented + expert
    if not duels:
        raise SystemExit("\n".join(skipped))
    of_pytriton = [each for each in duels if each.theirs.name.startswith(PYTRITON.title)]

    def others(kind: list[Duel]) -> list[Duel]:
        return [each for each in kind if each not in of_pytriton]

    return [
        *table(duels, 1e-3, "ms"),
        "",
        *PROMISES,
        promise("of the best documented one in Python", others(documented), 3.0),
        promise("of the best expert one in Python", others(expert), 1.25),
        promise("of PyTriton's", of_pytriton, 1.1),
        *([""] if skipped else []),
        *skipped,
    ]
