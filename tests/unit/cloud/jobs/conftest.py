"""Compilation jobs between a real store, a real S3 and real processes; the compiler is played."""

import asyncio
import functools
import io
import json
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from windtunnel.cloud.fleet.downloads import Downloads, ModelData
from windtunnel.cloud.foundation.s3 import unix
from windtunnel.cloud.foundation.s3.service import Service
from windtunnel.cloud.foundation.s3.storage import Storage
from windtunnel.cloud.jobs.compilation_jobs import CompilationJobs
from windtunnel.cloud.jobs.workshop import Workshop
from windtunnel.cloud.logs.service import Logs
from windtunnel.cloud.store.store import Store
from windtunnel.core.clock import SystemClock
from windtunnel.core.home import Home
from windtunnel.core.supervision import Supervisor, new_generation
from windtunnel.http.server import serve

PROGRAM = (sys.executable, "-S", str(Path(__file__).with_name("compiler_program.py")))
# Long enough for a slow machine; never waited for when all is well.
PATIENCE_S = 60.0
SETTLED = ("COMPLETED", "FAILED", "STOPPED")


class Rooms:
    """The jobs of one home, its S3 and its logs."""

    def __init__(self, home: Home, jobs: CompilationJobs, logs: Logs, socket: Path) -> None:
        self.home = home
        self.jobs = jobs
        self.logs = logs
        self._socket = str(socket)
        # What the played compiler notes of each order.
        self.note = home.path / "note"
        self.pids = home.path / "pids"
        self.until = home.path / "until"

    async def s3(self, method: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Ask S3; return the status and the body."""

        def ask() -> tuple[int, bytes]:
            opened = None if body is None else (lambda: (io.BytesIO(body), len(body)))
            response = unix.ask(self._socket, method, target, body=opened)
            return response.status, response.read()

        return await asyncio.to_thread(ask)

    async def keys(self) -> list[str]:
        """Return the keys of all objects, of uploads that were not finished too."""
        _, listing = await self.s3("GET", "/bucket?list-type=2")
        _, uploads = await self.s3("GET", "/bucket?uploads")
        keys = (listing + uploads).split(b"<Key>")[1:]
        return [key.partition(b"</Key>")[0].decode() for key in keys]

    async def create(
        self,
        name: str = "job",
        act: str = "complete",
        *,
        calibration: str | None = None,
        **more: Any,
    ) -> str:
        """Create a job whose compiler does as it is told; return its ARN."""
        options = {
            "act": act,
            "note": str(self.note),
            "pids": str(self.pids),
            "until": str(self.until),
        }
        if calibration is not None:
            options["calibration"] = calibration
        request: dict[str, Any] = {
            "compilation_job_name": name,
            "role_arn": "arn:aws:iam::000000000000:role/any",
            "input_config": {
                "s3_uri": "s3://bucket/in/model.tar.gz",
                "data_input_config": json.dumps({"name": name}),
                "framework": "TENSORFLOW",
                "framework_version": "2.9",
            },
            "output_config": {
                "s3_output_location": "s3://bucket/out/",
                "target_device": "ml_c5",
                "compiler_options": json.dumps(options),
            },
            "stopping_condition": {"max_runtime_in_seconds": 900},
        }
        for key, value in more.items():
            request[key] = {**request[key], **value} if isinstance(value, dict) else value
        answer = await self.jobs.create(request)
        return str(answer["compilation_job_arn"])

    async def describe(self, name: str = "job") -> dict[str, Any]:
        """Return a job's description."""
        return await self.jobs.describe({"compilation_job_name": name})

    async def stop(self, name: str = "job") -> None:
        """Stop a job."""
        await self.jobs.stop({"compilation_job_name": name})

    async def delete(self, name: str = "job") -> None:
        """Delete a job."""
        await self.jobs.delete({"compilation_job_name": name})

    async def status(self, name: str = "job") -> str:
        """Return a job's state."""
        return str((await self.describe(name))["compilation_job_status"])

    async def settled(self, name: str = "job") -> dict[str, Any]:
        """Wait until a job has ended; return its description."""
        await until(lambda: self._has_settled(name))
        return await self.describe(name)

    async def _has_settled(self, name: str) -> bool:
        return await self.status(name) in SETTLED

    async def hanging(self) -> list[psutil.Process]:
        """Wait until a compiler that was told to hang does; return its processes."""

        async def are_written() -> bool:
            return self.pids.exists() and self.pids.read_text().endswith(" ")

        await until(are_written)
        return [psutil.Process(int(pid)) for pid in self.pids.read_text().split()]

    async def ask_logs(self, operation: str, **request: Any) -> dict[str, Any]:
        """Ask the Logs API."""
        return await self.logs.operations()[operation](request)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition that other tasks and processes bring about."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():
            await asyncio.sleep(0.01)


def archive(**files: bytes) -> bytes:
    """Return a tar.gz of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            made.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


OpenRooms = Callable[..., Any]


@pytest.fixture
def open_rooms(tmp_path: Path) -> Iterator[OpenRooms]:
    """Open rooms over this test's home, with a model in S3; opening again is a restart."""
    home = Home(tmp_path / "home")
    home.prepare()
    clock = SystemClock()
    # A Unix socket's path must be shorter than pytest's own directories are.
    with tempfile.TemporaryDirectory(prefix="jobs-") as sockets:
        socket = Path(sockets) / "s3"

        @asynccontextmanager
        async def opened() -> AsyncIterator[Rooms]:
            supervisor = Supervisor(new_generation(home.id))
            storage = Storage(home.objects, clock)
            service = Service(storage)
            server = await serve(service, path=str(socket))
            store = await Store.open(home.database)
            downloads = Downloads(supervisor, socket, home.models)

            async def fetch(url: str, timeout_s: float) -> ModelData:
                return await downloads.get(url, "object", timeout_s)

            workshop = Workshop(home, supervisor, socket, fetch, clock, program=PROGRAM)
            jobs = CompilationJobs(store, workshop, clock, "us-east-1")
            logs = Logs(home.logs, clock, region="us-east-1")
            rooms = Rooms(home, jobs, logs, socket)
            await rooms.s3("PUT", "/bucket")
            await rooms.s3("PUT", "/bucket/in/model.tar.gz", archive(weights=b"weights"))
            await jobs.records.load()
            await jobs.resume()
            try:
                yield rooms
            finally:
                await jobs.close()
                await downloads.close()
                await logs.close()
                await supervisor.stop_all(5.0)
                supervisor.close()
                await server.drain(1.0)
                await service.close()
                storage.close()
                await store.close()
                socket.unlink(missing_ok=True)

        yield opened


Story = Callable[[Rooms], Awaitable[None]]


@pytest.fixture
def play(open_rooms: OpenRooms) -> Callable[[Story], None]:
    """Play a story in rooms of its own."""

    async def played(story: Story) -> None:
        async with open_rooms() as rooms:
            await story(rooms)

    return functools.partial(_run, played)


def _run(played: Callable[[Story], Any], story: Story) -> None:
    asyncio.run(played(story))
