"""Archives, and an S3 that serves them on a Unix socket."""

import asyncio
import http.server
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import pytest
from tests.archives import Archives
from tests.unit.cloud.fleet.played import LOOPS, SERVER, Cloud, Play, Story, opened

from windtunnel.core import limits
from windtunnel.core.home import Home


@pytest.fixture(scope="session")
def archives() -> Archives:
    return Archives()


class FakeS3(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The outside world's side of S3's GET and HEAD, on a Unix socket."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Objects)
        self.path = path
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.hold: Callable[[], Any] = lambda: None
        self.cut_bytes = 0
        self.stall: threading.Event | None = None

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that give up: some tests do just that."""

    def put(self, bucket: str, key: str, body: bytes) -> str:
        """Store an object; return its address."""
        self.objects[f"/{bucket}/{key}"] = body
        return f"s3://{bucket}/{key}"


class _Objects(http.server.BaseHTTPRequestHandler):
    server: FakeS3
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        self.server.requests.append((self.command, self.path))
        if with_body:
            self.server.hold()
        path, _, query = self.path.partition("?")
        body = self.server.objects.get(unquote(path))
        if "list-type=2" in query:
            body = self._listed(path, parse_qs(query))
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.send_header("ETag", _etag(body))
        self.end_headers()
        if with_body and body is not None:
            self.wfile.write(body[: len(body) - self.server.cut_bytes])
            self.wfile.flush()
            if self.server.stall is not None:
                self.server.stall.wait()
            self.close_connection = self.server.cut_bytes > 0

    def _listed(self, bucket: str, query: dict[str, list[str]]) -> bytes:
        """Answer ListObjectsV2, two keys a page."""
        prefix = f"{bucket}/{query['prefix'][0]}"
        after = query.get("continuation-token", [""])[0]
        found = sorted(
            name
            for name in self.server.objects
            if name.startswith(prefix) and (not after or name > after)
        )
        rows = "".join(
            f"<Contents><Key>{quote(name.removeprefix(f'{bucket}/'))}</Key>"
            f"<ETag>{_etag(self.server.objects[name])}</ETag>"
            f"<Size>{len(self.server.objects[name])}</Size></Contents>"
            for name in found[:2]
        )
        more = f"<NextContinuationToken>{found[1]}</NextContinuationToken>" if found[2:] else ""
        return (
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"{rows}{more}</ListBucketResult>"
        ).encode()


def _etag(body: bytes | None) -> str:
    return f'"{hash(body) & 0xFFFFFFFF:x}"'


@pytest.fixture
def socket_dir() -> Iterator[Path]:
    """A directory whose path is short enough for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="wt-") as path:
        yield Path(path)


@pytest.fixture
def s3(socket_dir: Path) -> Iterator[FakeS3]:
    with FakeS3(socket_dir / "s3.sock") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def loop_name() -> str:
    return "uvloop"


@pytest.fixture
def play(
    loop_name: str,
    tmp_path: Path,
    socket_dir: Path,
    s3: Any,
    archives: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Play:
    """Play a story on an open fleet; afterwards no process of it may be left."""
    monkeypatch.setattr(limits, "RESTART_BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(limits, "PING_INTERVAL_SERVING_S", 0.02)
    home = Home(tmp_path / "home")
    home.prepare()
    script = tmp_path / "server.py"
    script.write_text(SERVER)

    def run(story: Story) -> None:
        async def whole() -> Cloud:
            async with opened(Cloud(home, s3, archives, socket_dir, script)) as cloud:
                await story(cloud)
            return cloud

        with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
            cloud = runner.run(whole())
        assert cloud.processes() == []

    return run
