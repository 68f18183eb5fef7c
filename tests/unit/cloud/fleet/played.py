"""A fleet of real processes to play stories on: what it is made of, and how to wait for it."""

import asyncio
import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop
from tests import processes

from windtunnel.cloud.fleet.fleet import Fleet, Instance, InstanceSpec
from windtunnel.core.clock import SystemClock
from windtunnel.core.home import Home
from windtunnel.core.supervision import Supervisor, _kill_marked, new_generation

ZYGOTE = [sys.executable, str(Path(__file__).with_name("zygote_program.py"))]
# What a user's own server might be; what it does is in its variables.
SERVER = """
import http.server, json, os, signal, sys, time
mode = os.environ.get("MODE", "ok")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os._exit(9)
        known = {name: os.environ.get(name) for name in ("A", "SAGEMAKER_SAFE_PORT_RANGE")}
        known["cpus"] = sorted(os.sched_getaffinity(0))
        known["nice"] = os.nice(0)
        known["files"] = sorted(os.listdir())
        known["variables"] = sorted(os.environ)
        body = json.dumps(known).encode()
        self.send_response(503 if mode == "sick" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
if mode == "crash":
    print("Traceback: no such model", flush=True)
    sys.exit(4)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        while True:
            signal.pause()
print("serving", flush=True)
address = ("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""


class Cloud:
    """What a test holds: a fleet, and what it is made of."""

    def __init__(self, home: Home, s3: Any, archives: Any, socket_dir: Path, script: Path) -> None:
        self.home = home
        self.s3 = s3
        self.archives = archives
        self.script = script
        self.generation = new_generation(home.id)
        self.supervisor = Supervisor(self.generation)
        self.fleet = Fleet(
            home, self.supervisor, s3.path, socket_dir, SystemClock(), zygote_program=ZYGOTE
        )
        self.changes: list[tuple[str, bool]] = []

    def command(self, mode: str = "ok", **changes: Any) -> InstanceSpec:
        """Ask for the server above, with other values where given."""
        spec = InstanceSpec(
            endpoint_name="echo",
            variant_name="AllTraffic",
            instance_type="ml.c5.large",
            image="local/command",
            environment={"WINDTUNNEL_COMMAND": f"{sys.executable} {self.script}", "MODE": mode},
            model_data_url=None,
        )
        environment = {**spec.environment, **changes.pop("environment", {})}
        return dataclasses.replace(spec, environment=environment, **changes)

    def tensorflow(self, mode: str = "ok", **environment: str) -> InstanceSpec:
        """Ask for a fork of the zygote."""
        return InstanceSpec(
            endpoint_name="unet",
            variant_name="AllTraffic",
            instance_type="ml.g4dn.16xlarge",
            image="registry/tensorflow-inference:2.19",
            environment={"MODE": mode, **environment},
            model_data_url=self.model(),
        )

    def model(self, key: str = "model.tar.gz") -> str:
        """Upload a model; return its address."""
        body = self.archives.tar_gz({"weights.bin": b"weights"})
        return str(self.s3.put("bucket", key, body))

    async def start(self, spec: InstanceSpec) -> Instance:
        return await self.fleet.start(spec, self.note)

    def note(self, instance: Instance) -> None:
        self.changes.append((instance.id, instance.is_healthy))

    def processes(self) -> list[psutil.Process]:
        return processes.marked(self.generation)


Story = Callable[[Cloud], Awaitable[None]]
Play = Callable[[Story], None]


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
# For what depends on how a loop starts processes, passes descriptors and reads pipes.
on_both_loops = pytest.mark.parametrize("loop_name", list(LOOPS))


@contextlib.asynccontextmanager
async def opened(cloud: Cloud) -> AsyncIterator[Cloud]:
    cloud.fleet.open()
    try:
        yield cloud
    finally:
        await cloud.fleet.close()
        # What was killed takes the kernel a moment to take down.
        with contextlib.suppress(TimeoutError, AssertionError):
            await wait_until(lambda: not cloud.processes(), "all have ended")
        left = cloud.processes()
        await cloud.supervisor.stop_all(grace_s=0)
        cloud.supervisor.close()
        _kill_marked(cloud.generation)
        assert left == [], "close() ends everything by itself"


async def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain: {what}"
        await asyncio.sleep(0.005)


async def fetch(address: str, path: str = "/ping") -> dict[str, Any]:
    _, host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    body = answer.partition(b"\r\n\r\n")[2]
    told: dict[str, Any] = json.loads(body or b"{}")
    return told
