"""The servers that others made, each in an environment of its own, and how they are asked.

`.peers/NAME` holds what `benchmarks/peers/NAME/requirements.lock` lists, made where it is not; the
lock file's hash is the stamp. A peer's own files lie beside that lock, import nothing of Windtunnel
and run with `served_model.py` on their path. Its first answer is held against the model's own:
a server that answers something else would be a fast one.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks.contest import Contestant
from benchmarks.load_process import free_port
from benchmarks.machine import tree
from benchmarks.signed import plain

PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = PEERS.parent.parent / ".peers"
# Ray took 25 s with the machine shared; what is late is said.
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 20.0
# Triton's Python stub is linked to Debian's libpython and works with no other.
_DEBIANS_PYTHON = "/usr/bin/python3.11"
_TOLERANCE = 1e-3
# Nothing that will be over when the server is ready.
_WRONG_QUESTION = {415, 422}


@dataclass(frozen=True)
class Peer:
    """A server, and how a list of instances is put to it."""

    title: str
    directory: str
    # With {kind}, {Kind} and {port} to be filled in.
    command: tuple[str, ...]
    # The paths of the documented and of the expert's API.
    documented_path: str
    expert_path: str
    # The documented API speaks the Open Inference Protocol ("v2").
    has_v2: bool = False
    expert_has_v2: bool = False
    # What its environment is made with.
    interpreter: str = sys.executable


_PYTHON = ("python", "server.py", "{port}", "{kind}")
PYTRITON = Peer(
    *("PyTriton", "pytriton", _PYTHON, "/v2/models/model/infer", "/v2/models/model/infer"),
    has_v2=True,
    expert_has_v2=True,
    interpreter=_DEBIANS_PYTHON,
)
PYTHON_PEERS = (
    Peer("Ray Serve", "ray_serve", _PYTHON, "/", "/"),
    Peer(
        *("BentoML", "bentoml", ("bentoml", "serve", "service:{Kind}", "--port", "{port}")),
        *("/predict", "/raw"),
    ),
    Peer(
        *("MLServer", "mlserver", ("mlserver", "start", "{kind}")),
        *("/v2/models/model/infer", "/raw"),
        has_v2=True,
    ),
    Peer("LitServe", "litserve", _PYTHON, "/predict", "/predict"),
)
ALL = (PYTRITON, *PYTHON_PEERS)


@dataclass(frozen=True)
class Question:
    """A model, what it is asked and what it answers."""

    model_dir: Path
    # The name of its input.
    source: str
    instances: npt.NDArray[np.generic]
    answers: npt.NDArray[np.generic]

    def body(self, peer: Peer, kind: str) -> bytes:
        """Return the JSON that puts the question to a peer."""
        is_expert = kind == "expert"
        if peer.expert_has_v2 if is_expert else peer.has_v2:
            # A number by itself is a tensor of one: Triton knows none of no dimensions.
            shape = self.instances.shape if self.instances.ndim > 1 else (-1, 1)
            tensor = {
                "name": self.source,
                "shape": self.instances.reshape(shape).shape,
                "datatype": "FP32",
                "data": self.instances.ravel().tolist(),
            }
            return json.dumps({"inputs": [tensor]}).encode()
        instances = self.instances.tolist()
        return json.dumps(instances if is_expert else {"instances": instances}).encode()

    def check(self, answer: bytes) -> None:
        """Raise unless an answer's numbers are the model's."""
        told: Any = json.loads(answer)
        if isinstance(told, dict):
            told = told["outputs"][0]["data"] if "outputs" in told else told["predictions"]
        numbers = np.array(told).ravel()
        expected = self.answers.ravel()
        if numbers.shape != expected.shape or np.abs(numbers - expected).max() > _TOLERANCE:
            raise PeerError(f"it answered {answer[:80]!r}")


class PeerError(Exception):
    """A peer could not be built or started, or answers something else than the model."""


def ensure_built(peer: Peer) -> None:
    """Make a peer's environment unless it is what its lock file says."""
    lock = PEERS / peer.directory / "requirements.lock"
    if shutil.which(peer.interpreter) is None:
        raise PeerError(f"it needs {peer.interpreter}, which is not here")
    environment = ENVIRONMENTS / peer.directory
    version = sys.version if peer.interpreter == sys.executable else peer.interpreter
    wanted = hashlib.sha256(lock.read_bytes() + version.encode()).hexdigest()
    stamp = environment / ".stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(environment, ignore_errors=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    pip += ["--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
    for command in ([peer.interpreter, "-m", "venv", str(environment)], pip):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerError(f"it could not be installed: {_last_line(done.stderr)}")
    stamp.write_text(wanted)


@contextlib.contextmanager
def serving(peer: Peer, kind: str, question: Question) -> Iterator[Contestant]:
    """Run a peer as its documentation or an expert has it; it has answered the question once."""
    assert kind in {"documented", "expert"}
    ensure_built(peer)
    port = free_port()
    words = {"kind": kind, "Kind": kind.capitalize(), "port": str(port)}
    program, *arguments = (word.format(**words) for word in peer.command)
    home, binaries = PEERS / peer.directory, ENVIRONMENTS / peer.directory / "bin"
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as scratch:
        log = Path(scratch) / "log"
        with log.open("wb") as said:
            process = subprocess.Popen(
                [str(binaries / program), *arguments],
                cwd=home,
                env={
                    **_environment(home, binaries, scratch, port),
                    "MODEL_DIR": str(question.model_dir),
                },
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        try:
            url = f"http://127.0.0.1:{port}"
            path = peer.expert_path if kind == "expert" else peer.documented_path
            body = question.body(peer, kind)
            question.check(_first_answer(process, url + path, body, log))
            name = peer.title if kind == "documented" else f"{peer.title}, by an expert"
            yield Contestant(name, url, lambda: plain(url, path, body), process.pid)
        finally:
            _stop(process)


def _environment(home: Path, binaries: Path, scratch: str, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(binaries), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(home), str(PEERS)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # What each would leave behind or tell its makers.
        "BENTOML_HOME": scratch,
        "BENTOML_DO_NOT_TRACK": "True",
        "RAY_TMPDIR": scratch,
        "RAY_USAGE_STATS_ENABLED": "0",
        # MLServer takes its ports from here.
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(free_port()),
        "MLSERVER_METRICS_PORT": str(free_port()),
    }


def _first_answer(process: subprocess.Popen[bytes], url: str, body: bytes, log: Path) -> bytes:
    end_s = time.monotonic() + _START_TIMEOUT_S
    reason = "it did not listen"
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - loopback
    while time.monotonic() < end_s and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
                told: bytes = answer.read()
                return told
        except urllib.error.HTTPError as error:
            reason = error.read(200).decode(errors="replace")
            if error.code in _WRONG_QUESTION:
                break
        except OSError as error:
            reason = str(error)
        time.sleep(0.2)
    raise PeerError(f"it did not start: {reason}; {_last_line(log.read_text(errors='replace'))}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and all that it started, some of which end only with a signal of their own."""
    family = tree(process.pid) if process.poll() is None else []
    process.terminate()
    _, left = psutil.wait_procs(family, timeout=_STOP_TIMEOUT_S)
    for each in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    process.wait()
