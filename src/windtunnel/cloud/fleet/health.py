"""Ask a container how it is: one small HTTP request over a connection of its own.

Addresses are `unix:/path.sock` or `tcp:127.0.0.1:port`. Nothing here raises: a server that does
not answer is an answer.
"""

import asyncio
from dataclasses import dataclass, field
from enum import Enum

from windtunnel.core import limits


class Pulse(Enum):
    """What came of a ping."""

    ANSWERED = "answered 200"
    SILENT = "did not answer 200 in time"
    GONE = "nothing listens"


@dataclass(frozen=True)
class Reply:
    """The head of an answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


async def ping(address: str) -> Pulse:
    """Ask GET /ping, as SageMaker does."""
    try:
        reply = await ask(address, "GET", "/ping", limits.PING_TIMEOUT_S)
    except TimeoutError:
        return Pulse.SILENT
    except OSError:
        return Pulse.GONE
    return Pulse.ANSWERED if reply is not None and reply.status == 200 else Pulse.SILENT  # noqa: PLR2004 - the contract's number


async def ask(address: str, method: str, target: str, timeout_s: float) -> Reply | None:
    """Return the head of the answer to a request without a body; None for one that is not HTTP.

    Raises OSError when nothing listens there, TimeoutError when nothing answers.
    """
    async with asyncio.timeout(timeout_s):
        reader, writer = await _open(address)
        try:
            # Closed by us whatever the other side would do: no ping leaves a connection behind.
            headers = "Host: localhost\r\nConnection: close\r\n"
            writer.write(f"{method} {target} HTTP/1.1\r\n{headers}\r\n".encode())
            return _parse(await reader.readuntil(b"\r\n\r\n"))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return None
        finally:
            writer.transport.abort()


async def read(address: str, target: str) -> bytes | None:
    """Return the body of a GET's answer, None where a good one does not come whole and in time."""
    try:
        async with asyncio.timeout(limits.PING_TIMEOUT_S):
            reader, writer = await _open(address)
            try:
                headers = "Host: localhost\r\nConnection: close\r\n"
                writer.write(f"GET {target} HTTP/1.1\r\n{headers}\r\n".encode())
                reply = _parse(await reader.readuntil(b"\r\n\r\n"))
                if reply is None or reply.status != 200:  # noqa: PLR2004 - the one good answer
                    return None
                length = int(reply.headers.get("content-length", 0))
                if length > limits.SCRAPE_BYTES_MAX:
                    return None
                return await reader.readexactly(length)
            finally:
                writer.transport.abort()
    except (TimeoutError, OSError, ValueError, EOFError, asyncio.LimitOverrunError):
        return None


async def _open(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    kind, _, place = address.partition(":")
    if kind == "unix":
        return await asyncio.open_unix_connection(place, limit=limits.HEAD_BYTES_MAX)
    assert kind == "tcp", address
    host, _, port = place.rpartition(":")
    return await asyncio.open_connection(host, int(port), limit=limits.HEAD_BYTES_MAX)


def _parse(head: bytes) -> Reply | None:
    lines = head.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/") or not status.isdecimal():
        return None
    pairs = (line.partition(":") for line in lines[1:])
    return Reply(int(status), {name.lower(): value.strip() for name, _, value in pairs})
