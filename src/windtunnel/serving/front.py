"""One TCP port before model servers or script workers: what nginx is in the original container.

Used only where a container runs alone; a cloud's router speaks to the model servers itself. Rules:
the one with the fewest requests in hand gets the next; a request that was sent is never sent again,
but one that found nobody listening goes to the next server.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import uvloop

from windtunnel.core import limits
from windtunnel.core.allocator import keep_freed_memory
from windtunnel.http.message import Head, Headers
from windtunnel.http.server import Exchange, serve
from windtunnel.http.upstream import Call, Upstream
from windtunnel.serving.answering import Answering
from windtunnel.serving.children import Reports
from windtunnel.serving.errors import render_error
from windtunnel.serving.exposition import CONTENT_TYPE, render_metrics
from windtunnel.serving.exposition import PATH as METRICS_PATH
from windtunnel.serving.meters import NO_MODEL, Meter, MeterPlan

logger = logging.getLogger(__name__)

# RFC 9110, 7.6.1: what concerns one connection only; lengths and dates are written anew.
_NOT_REPEATED = frozenset(
    (
        b"connection",
        b"content-length",
        b"date",
        b"expect",
        b"keep-alive",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    )
)
_UNREACHABLE = "cannot connect"


def run_front(
    make_handler: Callable[[Meter], "FrontHandler"],
    listen: socket.socket,
    meters: MeterPlan,
    reports: Reports,
    lifeline: int,
) -> int:
    """Forward until SIGTERM; return the exit status. Runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    meter = meters.open()
    return uvloop.run(_serve(lambda: make_handler(meter), listen, reports, lifeline))


async def _serve(
    make_handler: "Callable[[], FrontHandler]",
    listen: socket.socket,
    reports: Reports,
    lifeline: int,
) -> int:
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, end.set)
    loop.add_reader(lifeline, os._exit, 1)
    server = await serve(make_handler(), sock=listen)
    reports.send("available")
    await end.wait()
    await server.drain(limits.STOP_GRACE_S)
    return 0


@dataclass(eq=False)
class _Server:
    """One model server, and how many requests it has."""

    upstream: Upstream
    outstanding: int = 0


class FrontHandler(Answering):
    """Forwards every request as it is."""

    def __init__(
        self,
        addresses: Sequence[str],
        # None where what is behind it is a container of its own, which counts.
        meter: Meter | None = None,
        *,
        idle_timeout_s: float | None = None,
    ) -> None:
        self.meter = meter
        most = limits.CONTAINER_BODY_BYTES_MAX
        self.servers = [
            _Server(Upstream(address, answer_bytes_max=most, idle_timeout_s=idle_timeout_s))
            for address in addresses
        ]
        self._turn = 0

    def begin(self, exchange: Exchange) -> int:
        """Take the head; the body is kept whole."""
        if exchange.head.path == METRICS_PATH and self.meter is not None:
            # Of all processes: each sees what the others count.
            kind = ((b"content-type", CONTENT_TYPE),)
            exchange.respond(200, kind, render_metrics(self.meter))
            return 0
        return limits.CONTAINER_BODY_BYTES_MAX

    def complete(self, exchange: Exchange) -> None:
        """Send the request on as it is."""
        self.forward(exchange, render_head(exchange.head, exchange.body_bytes), exchange.chunks)

    def forward(self, exchange: Exchange, head: bytes, chunks: Sequence[bytes]) -> None:
        """Send a request to the server that has the fewest."""
        # Equals take turns.
        self._turn = (self._turn + 1) % len(self.servers)
        turned = self.servers[self._turn :] + self.servers[: self._turn]
        servers = sorted(turned, key=lambda server: server.outstanding)
        _Forwarding(self, exchange, servers, (head, *chunks)).send()

    def answer(
        self, exchange: Exchange, status: int, headers: Headers, chunks: list[bytes]
    ) -> None:
        """Hand a server's answer on."""
        kept = [pair for pair in headers if pair[0] not in _NOT_REPEATED]
        exchange.respond(status, kept, chunks)

    def refuse(self, exchange: Exchange, status: int, message: str) -> None:
        """Answer in the model servers' own form."""
        self.note_refusal(exchange, status)
        exchange.respond(status, ((b"content-type", b"application/json"),), render_error(message))

    def note_load(self) -> None:
        """Take note of how many requests the servers have."""
        if self.meter is not None:
            self.meter.note_queue(sum(server.outstanding for server in self.servers), 0)

    def note_refusal(self, exchange: Exchange, status: int) -> None:
        """Count a request that no server answered; what they answer they count themselves."""
        if self.meter is not None:
            took_s = time.monotonic() - exchange.received_s
            self.meter.note_answer(NO_MODEL, str(status), took_s)


class _Forwarding:
    """One request on its way to the first of `servers` that can be reached."""

    def __init__(
        self,
        handler: FrontHandler,
        exchange: Exchange,
        servers: list[_Server],
        message: Sequence[bytes],
    ) -> None:
        self._handler = handler
        self._exchange = exchange
        self._servers = servers
        self._server = servers[0]
        self._message = message
        self._call: Call | None = None
        exchange.on_abandon = self._on_abandon

    def send(self) -> None:
        """Try the next server."""
        self._server = self._servers.pop(0)
        self._move(+1)
        self._call = self._server.upstream.send(self._message, self)

    def on_answer(self, status: int, headers: Headers, chunks: list[bytes], size: int) -> None:
        """Hand the answer on."""
        del size
        self._move(-1)
        self._handler.answer(self._exchange, status, headers, chunks)

    def on_failure(self, reason: str) -> None:
        """Try another server if this one was never reached; else say what happened."""
        self._move(-1)
        if reason.startswith(_UNREACHABLE) and self._servers:
            self.send()
            return
        logger.error("a process gave no answer: %s", reason)
        self._handler.refuse(
            self._exchange,
            502,
            f"The process that had the request gave no answer: {reason}. The log may say why.",
        )

    def _on_abandon(self) -> None:
        if self._call is not None and not self._call.is_over:
            self._call.cancel()
            self._move(-1)

    def _move(self, change: int) -> None:
        self._server.outstanding += change
        self._handler.note_load()


def render_head(head: Head, body_bytes: int) -> bytes:
    """Return the head of a request as it goes to a model server."""
    # An answer does not say that it is a HEAD's, and has no body: the front asks for the whole, and
    # leaves the body away itself.
    method = b"GET" if head.method == b"HEAD" else head.method
    lines = [b"%s %s HTTP/1.1\r\n" % (method, head.target)]
    lines += [b"%s: %s\r\n" % pair for pair in head.headers if pair[0] not in _NOT_REPEATED]
    lines.append(b"content-length: %d\r\n\r\n" % body_bytes)
    return b"".join(lines)
