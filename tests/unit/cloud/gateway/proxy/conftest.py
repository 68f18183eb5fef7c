"""A gateway's port with its proxy, in this process, and clients that speak to it in bytes."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

from windtunnel.cloud.gateway.api import Api
from windtunnel.cloud.gateway.gateway import Gateway
from windtunnel.cloud.gateway.proxy.authority import Authority
from windtunnel.cloud.gateway.proxy.proxy import Proxy
from windtunnel.cloud.gateway.request import Request
from windtunnel.core.clock import SystemClock
from windtunnel.core.home import Credentials, Home
from windtunnel.http.server import Server, serve

OWNER = Credentials("AKIA", "the home's own secret")
HOST = "sagemaker.us-west-2.amazonaws.com"
BODY_BYTES_MAX = 16 * 1024 * 1024

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def take_body(gateway: Gateway, request: Request) -> None:
    """A step: any body is kept."""
    del gateway
    request.plan = BODY_BYTES_MAX


def say_what_came(gateway: Gateway, request: Request) -> None:
    """A step: answer with the method, the host, the target and the body."""
    del gateway
    head = request.head
    words = (head.method, head.get(b"host") or b"-", head.target, request.exchange.body())
    request.exchange.respond(200, [], b" ".join(words))


@dataclass
class Port:
    """A listening proxy, and what a client needs to use it."""

    server: Server
    home: Home

    async def connect(self) -> Streams:
        """Open a connection to it."""
        return await asyncio.open_connection("127.0.0.1", self.server.port)

    def trusting(self) -> ssl.SSLContext:
        """Return a client's TLS settings that trust the home."""
        return ssl.create_default_context(cafile=self.home.authority_certificate)

    async def tunnel(self, host: str = HOST) -> Streams:
        """Open a connection through it to one of AWS's hosts, secured."""
        reader, writer = await self.connect()
        writer.write(b"CONNECT %b:443 HTTP/1.1\r\n\r\n" % host.encode())
        assert await read_head(reader) == b"HTTP/1.1 200 Connection established\r\n\r\n"
        await writer.start_tls(self.trusting(), server_hostname=host)
        return reader, writer


Play = Callable[[Port], Awaitable[None]]


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """Return the head of an answer."""
    return await reader.readuntil(b"\r\n\r\n")


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    head = await read_head(reader)
    lines = head.decode().lower().split("\r\n")
    length = next(line for line in lines if line.startswith("content-length:"))
    return int(lines[0].split()[1]), await reader.readexactly(int(length.split(":")[1]))


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Play], None]:
    """Run a test's client against a proxy of its own."""
    home = Home(tmp_path / "home")

    async def run(client: Play) -> None:
        authority = Authority(home, SystemClock())
        await authority.open()
        gateway = Gateway(Api({}), [take_body], [say_what_came])
        proxy = Proxy(gateway, authority, OWNER)
        server = await serve(proxy, host="127.0.0.1")
        proxy.port = server.port
        try:
            async with asyncio.timeout(30):
                await client(Port(server, home))
            # Whatever the client did, nothing of it stays.
            async with asyncio.timeout(10):
                while server._connections:
                    await asyncio.sleep(0.005)
        finally:
            await server.drain(0)
            await gateway.close()
            authority.close()

    return lambda client: uvloop.run(run(client))
