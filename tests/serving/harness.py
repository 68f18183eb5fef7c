"""What tests of real model servers are made with: clients, and processes to talk to."""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from windtunnel.core.lifeline import MARK_VARIABLE, PARENT_VARIABLE
from windtunnel.serving.zygote import ENVIRONMENT

# Long enough for a machine that runs something else besides; nothing here waits for it to pass.
PATIENCE_S = 60.0
MARK = "test:generation"


def wait_until(is_so: Callable[[], Any], what: str) -> Any:
    """Return what a condition returns once it is true; fail when it does not come true."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (found := is_so()):
        assert time.monotonic() < deadline_s, f"waited in vain for {what}"
        time.sleep(0.01)
    return found


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    address: str,
    method: str,
    path: str,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request to `unix:/path` or `http://host:port`."""
    connection = (
        UnixConnection(address.removeprefix("unix:"))
        if address.startswith("unix:")
        else http.client.HTTPConnection(address.removeprefix("http://"), timeout=PATIENCE_S)
    )
    try:
        # http.client would encode text as latin-1.
        data = body.encode() if isinstance(body, str) else body
        connection.request(method, path, data, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.read(), dict(response.getheaders()))
    finally:
        connection.close()


def invoke(address: str, body: bytes | str, content_type: str = "application/json") -> Answer:
    return request(address, "POST", "/invocations", body, {"Content-Type": content_type})


@dataclass
class Lines:
    """Events that come on a socket or pipe, as they come."""

    descriptor: int
    rest: bytes = b""
    events: list[dict[str, Any]] = field(default_factory=list)

    def wait(self, event: str, **details: Any) -> dict[str, Any]:
        """Return the next event of this name and details, leaving others where they are."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            for found in self.events:
                if found["event"] == event and details.items() <= found.items():
                    self.events.remove(found)
                    return found
            left_s = deadline_s - time.monotonic()
            ready, _, _ = select.select([self.descriptor], [], [], max(0.0, left_s))
            assert ready, f"waited in vain for {event} {details}; came: {self.events}"
            data = os.read(self.descriptor, 65536)
            assert data, f"the end came before {event} {details}; came: {self.events}"
            *lines, self.rest = (self.rest + data).split(b"\n")
            self.events += map(json.loads, lines)


@dataclass
class Container:
    """A container that was asked for."""

    id: str
    pid: int
    reports: Lines
    log_file: Path
    zygote: "Zygote"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def wait_listening(self) -> list[str]:
        addresses: list[str] = self.reports.wait("listening")["addresses"]
        return addresses

    def servers(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children()

    def stop(self) -> int:
        """End it as a cloud does; return its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait_exit()

    def wait_exit(self) -> int:
        status: int = self.zygote.lines.wait("exited", id=self.id)["status"]
        return status


class Zygote:
    """A zygote process and the parent's end of its control socket."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._control, theirs = socket.socketpair()
        with theirs:
            program = [sys.executable, "-I", "-m", "windtunnel.serving.zygote"]
            self.process = subprocess.Popen(
                [*program, "--control-fd", str(theirs.fileno())],
                env={
                    "PATH": os.environ["PATH"],
                    **ENVIRONMENT,
                    PARENT_VARIABLE: str(os.getpid()),
                    MARK_VARIABLE: MARK,
                },
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.lines = Lines(self._control.fileno())
        self._count = 0

    def start(self, model_dir: Path, *, nice: int = 0, **environment: str) -> Container:
        self._count += 1
        identity = f"c{self._count}"
        sockets = self._directory / identity
        sockets.mkdir()
        log_file = self._directory / f"{identity}.log"
        reader, writer = os.pipe()
        order = {
            "start": identity,
            "model_dir": str(model_dir),
            "environment": environment,
            "socket_dir": str(sockets),
            "cache_dir": str(self._directory / "cache"),
            "cpus": [min(os.sched_getaffinity(0))],
            "nice": nice,
        }
        with log_file.open("wb") as log:
            line = json.dumps(order).encode() + b"\n"
            socket.send_fds(self._control, [line], [log.fileno(), writer])
        os.close(writer)
        pid = self.lines.wait("started", id=identity)["pid"]
        return Container(identity, pid, Lines(reader), log_file, self)

    def close(self) -> int:
        """Close the control socket and return the exit status that follows."""
        self._control.close()
        return self.process.wait(PATIENCE_S)


class Alone:
    """A container run from the command line."""

    def __init__(
        self, model_dir: Path, options: tuple[str, ...], environment: Mapping[str, str]
    ) -> None:
        program = [sys.executable, "-m", "windtunnel", "container", f"--model-dir={model_dir}"]
        self.process = subprocess.Popen(
            [*program, *options],
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self) -> str:
        """Return the address that the ready line names."""
        output: IO[str] | None = self.process.stdout
        assert output is not None
        line = output.readline()
        if not line.startswith("ready "):
            pytest.fail(f"no ready line: {line!r}; {self.process.communicate()[1]}")
        return line.removeprefix("ready ").strip()

    def wait_grpc(self) -> str:
        """Return the gRPC address, which follows the ready line."""
        output: IO[str] | None = self.process.stdout
        assert output is not None
        return output.readline().removeprefix("grpc ").strip()

    def wait_exit(self) -> tuple[int, str]:
        """Return the exit status and what was written to stderr."""
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, errors


@dataclass(frozen=True)
class Addresses:
    """Where one container answers, and its first process."""

    rest: str
    grpc: str
    leader_pid: int
