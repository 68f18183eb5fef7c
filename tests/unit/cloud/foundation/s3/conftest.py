"""A real S3 process, and boto3 as its client.

The process listens on a Unix socket and boto3 speaks only TCP, so a thread forwards bytes. The
gateway, which verifies signatures, is not there: the process takes any.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.validate import ParamValidator


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(256 * 1024):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Forwarder:
    """Listens on TCP and forwards every connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            try:
                server.connect(str(self._path))
            except OSError:
                return
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def _check_shape(parsed: dict[str, Any], model: Any, **_: object) -> None:
    """Hold every answer against the shape that botocore's model of S3 says it has."""
    # botocore itself tells us-east-1's location as None, which its own model does not know.
    told = {
        name: value
        for name, value in parsed.items()
        if name != "ResponseMetadata" and value is not None
    }
    if "Error" not in told and model.output_shape is not None:
        report = ParamValidator().validate(told, model.output_shape)
        assert not report.has_errors(), report.generate_report()


class LocalS3:
    """The S3 process on a directory; it can be killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "store"
        self.socket = directory / "s3.sock"
        self.forwarder = Forwarder(self.socket)
        self.url = f"http://127.0.0.1:{self.forwarder.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, prepare: Callable[[], object] | None = None) -> None:
        module = "windtunnel.cloud.foundation.s3"
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "--root", str(self.root), "--socket", str(self.socket)],
            preexec_fn=prepare,  # noqa: PLW1509 - it only sets a limit
        )
        process = self.process
        self.wait_until(lambda: self.is_reachable() or process.poll() is not None)
        assert self.is_reachable(), "the S3 process ended"

    def is_reachable(self) -> bool:
        try:
            self.connect().close()
        except OSError:
            return False
        return True

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 30
        while not is_so():
            assert time.monotonic() < end_s, "what was waited for did not come"
            time.sleep(0.01)

    def connect(self) -> socket.socket:
        """Return a connection to the process, past the forwarder."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        try:
            connection.connect(str(self.socket))
        except OSError:
            connection.close()
            raise
        return connection

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)
        self.forwarder.close()

    @property
    def blobs(self) -> list[Path]:
        """The files that hold objects' bytes."""
        return list((self.root / "blobs").iterdir())

    def client(self, region: str = "us-east-1", **options: Any) -> Any:
        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1, "mode": "standard"}, **options),
        )
        client.meta.events.register("after-call.s3", _check_shape)
        return client


@contextlib.contextmanager
def _local_s3() -> Iterator[LocalS3]:
    # Not pytest's own directory: its name is too long for a Unix socket.
    directory = Path(tempfile.mkdtemp(prefix="s3-"))
    local = LocalS3(directory)
    try:
        yield local
    finally:
        local.close()
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def shared_s3() -> Iterator[LocalS3]:
    """One process for all tests that leave it as it is."""
    with _local_s3() as local:
        local.start()
        yield local


@pytest.fixture
def own_s3() -> Iterator[LocalS3]:
    """A process of the test's own, not started yet."""
    with _local_s3() as local:
        yield local


@pytest.fixture
def s3(shared_s3: LocalS3) -> Any:
    return shared_s3.client()


@pytest.fixture
def bucket(s3: Any) -> str:
    """A new bucket."""
    name = f"bucket-{os.urandom(6).hex()}"
    s3.create_bucket(Bucket=name)
    return name
