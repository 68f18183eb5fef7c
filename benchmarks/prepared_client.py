"""Sends one prepared request over and over on some connections, and counts.

A closed loop over raw sockets, or a constant rate: what it costs is a write, a read and a header's
parse, so that what is measured is the server. The bytes are prepared and signed once by the caller.
"""

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import uvloop

_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Count:
    """What one run saw; latencies in seconds, unsorted."""

    duration_s: float
    latencies_s: list[float]
    failures: int

    @property
    def rate_rps(self) -> float:
        """Answers in a second."""
        return len(self.latencies_s) / self.duration_s

    def quantile_s(self, share: float) -> float:
        """Return the latency that a share of the answers kept."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Client(asyncio.Protocol):
    """One connection: its next request is sent when the last is answered, and not before due."""

    def __init__(
        self,
        request: bytes,
        end_s: float,
        done: asyncio.Event,
        first_due_s: float = 0.0,
        interval_s: float = 0.0,
    ) -> None:
        self.request = request
        self.end_s = end_s
        self.done = done
        # Without an interval a request is due when the connection is free.
        self.due_s = first_due_s
        self.interval_s = interval_s
        self.latencies_s: list[float] = []
        self.failures = 0
        self.buffer = b""
        self.missing = -1
        self.is_good = False
        self.is_chunked = False
        self.tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        now_s = time.perf_counter()
        # Latency counts from here.
        self.sent_s = self.due_s if self.interval_s else now_s
        self.due_s += self.interval_s
        if max(self.sent_s, now_s) >= self.end_s:
            self.transport.close()
            self.done.set()
        elif self.sent_s > now_s:
            asyncio.get_running_loop().call_later(
                self.sent_s - now_s, self.transport.write, self.request
            )
        else:
            self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Read until the answer is whole, then send again."""
        if self.missing < 0:
            self.buffer += data
            head, found, body = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self.buffer = b""
            self.is_good = head.startswith(b"HTTP/1.1 200")
            self._begin(head.lower())
            data = body
        if self.is_chunked:
            # No answer that is asked for here has line ends of its own.
            self.tail = (self.tail + data[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]
            self.missing = int(self.tail != _LAST_CHUNK)
        else:
            self.missing -= len(data)
        if self.missing == 0:
            self.missing = -1
            if self.is_good:
                self.latencies_s.append(time.perf_counter() - self.sent_s)
            else:
                self.failures += 1
            self._send()

    def _begin(self, head: bytes) -> None:
        self.is_chunked = b"\r\ntransfer-encoding: chunked" in head
        if self.is_chunked:
            self.tail = b""
            return
        at = head.index(b"content-length: ") + 16
        self.missing = int(head[at : head.find(b"\r\n", at) if b"\r\n" in head[at:] else None])

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a connection lost early is a failure."""
        del exc
        if not self.done.is_set():
            self.failures += 1
            self.done.set()


@dataclass(frozen=True)
class Tunnel:
    """A host that is reached through the server as a proxy, and the authority to trust there."""

    host: str
    authority: Path

    def dig(self, host: str, port: int) -> socket.socket:
        """Return a connection through the proxy, for TLS to begin on."""
        opened = socket.create_connection((host, port))
        opened.sendall(f"CONNECT {self.host}:443 HTTP/1.1\r\n\r\n".encode())
        said = opened.recv(4096)
        if not said.startswith(b"HTTP/1.1 200 ") or not said.endswith(b"\r\n\r\n"):
            raise SystemExit(f"The proxy said {said!r}")
        opened.setblocking(False)
        return opened


async def _drive(
    host: str,
    port: int,
    request: bytes,
    connections: int,
    duration_s: float,
    rate_rps: float = 0.0,
    tunnel: Tunnel | None = None,
) -> Count:
    loop = asyncio.get_running_loop()
    begin_s = time.perf_counter()
    interval_s = connections / rate_rps if rate_rps else 0.0
    clients = []
    for number in range(connections):
        client = _Client(
            request,
            begin_s + duration_s,
            asyncio.Event(),
            begin_s + interval_s * number / connections,
            interval_s,
        )
        clients.append(client)
        made = lambda client=client: client  # noqa: E731 - what create_connection asks for
        if tunnel is None:
            await loop.create_connection(made, host, port)
        else:
            await loop.create_connection(
                made,
                sock=tunnel.dig(host, port),
                ssl=ssl.create_default_context(cafile=tunnel.authority),
                server_hostname=tunnel.host,
            )
    await asyncio.gather(*(client.done.wait() for client in clients))
    latencies_s = [each for client in clients for each in client.latencies_s]
    failures = sum(client.failures for client in clients)
    return Count(time.perf_counter() - begin_s, latencies_s, failures)


def drive(
    host: str,
    port: int,
    request: bytes,
    *,
    connections: int,
    duration_s: float,
    tunnel: Tunnel | None = None,
) -> Count:
    """Send the request in a closed loop on each connection for a while."""
    return uvloop.run(_drive(host, port, request, connections, duration_s, tunnel=tunnel))


def drive_at_rate(
    host: str, port: int, request: bytes, *, rate_rps: float, connections: int, duration_s: float
) -> Count:
    """Send the request at a constant rate, in turns on the connections; latency is from due."""
    return uvloop.run(_drive(host, port, request, connections, duration_s, rate_rps))
