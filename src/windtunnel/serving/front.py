"""One TCP port before several model servers: what nginx is in the original container.

Used only where a container runs alone; a cloud's router speaks to the model servers itself. Rules:
the one with the fewest requests in hand gets the next; a request that was sent is never sent again,
but one that found nobody listening goes to the next server.
"""

import asyncio
import functools
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson
import uvloop

from windtunnel.core import limits
from windtunnel.core.allocator import keep_freed_memory
from windtunnel.http.message import Head, Headers
from windtunnel.http.server import Exchange, serve
from windtunnel.http.upstream import Call, Upstream
from windtunnel.serving.children import Reports
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
    addresses: Sequence[str],
    listen: socket.socket,
    meters: MeterPlan,
    reports: Reports,
    lifeline: int,
) -> int:
    """Forward until SIGTERM; return the exit status. Runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    handler = functools.partial(FrontHandler, addresses, meters.open())
    return uvloop.run(_serve(handler, listen, reports, lifeline))


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


@dataclass
class FrontHandler:
    """Forwards every request as it is."""

    addresses: Sequence[str]
    meter: Meter
    servers: list[_Server] = field(init=False)
    _turn: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.servers = [
            _Server(Upstream(address, answer_bytes_max=limits.CONTAINER_BODY_BYTES_MAX))
            for address in self.addresses
        ]

    def begin(self, exchange: Exchange) -> int:
        """Take the head; the body is kept whole."""
        if exchange.head.path == METRICS_PATH:
            # Of all processes: each sees what the others count.
            kind = ((b"content-type", CONTENT_TYPE),)
            exchange.respond(200, kind, render_metrics(self.meter))
            return 0
        return limits.CONTAINER_BODY_BYTES_MAX

    def complete(self, exchange: Exchange) -> None:
        """Send the request to the server that has the fewest."""
        # Equals take turns.
        self._turn = (self._turn + 1) % len(self.servers)
        turned = self.servers[self._turn :] + self.servers[: self._turn]
        _Forwarding(self, exchange, sorted(turned, key=lambda server: server.outstanding)).send()

    def overflow(self, exchange: Exchange) -> None:
        """Refuse a body that is too large."""
        self.refuse(exchange, 413, f"The body is over {limits.CONTAINER_BODY_BYTES_MAX} bytes.")

    def malformed(self, exchange: Exchange, status: int, reason: str) -> None:
        """Refuse what is not HTTP."""
        self.refuse(exchange, status, reason)

    def refuse(self, exchange: Exchange, status: int, message: str) -> None:
        """Answer in the model servers' own form."""
        # What a model server or a worker answered, it has counted itself.
        self.meter.note_answer(NO_MODEL, str(status), time.monotonic() - exchange.received_s)
        body = orjson.dumps({"error": message})
        exchange.respond(status, ((b"content-type", b"application/json"),), body)


class _Forwarding:
    """One request on its way to the first of `servers` that can be reached."""

    def __init__(self, handler: FrontHandler, exchange: Exchange, servers: list[_Server]) -> None:
        self._handler = handler
        self._exchange = exchange
        self._servers = servers
        self._server = servers[0]
        self._call: Call | None = None
        exchange.on_abandon = self._on_abandon

    def send(self) -> None:
        """Try the next server."""
        self._server = self._servers.pop(0)
        self._server.outstanding += 1
        head = render_head(self._exchange.head, self._exchange.body_bytes)
        self._call = self._server.upstream.send((head, *self._exchange.chunks), self)

    def on_answer(self, status: int, headers: Headers, chunks: list[bytes], size: int) -> None:
        """Hand the answer on."""
        del size
        self._server.outstanding -= 1
        kept = [pair for pair in headers if pair[0] not in _NOT_REPEATED]
        self._exchange.respond(status, kept, chunks)

    def on_failure(self, reason: str) -> None:
        """Try another server if this one was never reached; else say what happened."""
        self._server.outstanding -= 1
        if reason.startswith(_UNREACHABLE) and self._servers:
            self.send()
            return
        logger.error("a model server gave no answer: %s", reason)
        self._handler.refuse(self._exchange, 502, f"The model server gave no answer: {reason}.")

    def _on_abandon(self) -> None:
        if self._call is not None and not self._call.is_over:
            self._call.cancel()
            self._server.outstanding -= 1


def render_head(head: Head, body_bytes: int) -> bytes:
    """Return the head of a request as it goes to a model server."""
    lines = [b"%s %s HTTP/1.1\r\n" % (head.method, head.target)]
    lines += [b"%s: %s\r\n" % pair for pair in head.headers if pair[0] not in _NOT_REPEATED]
    lines.append(b"content-length: %d\r\n\r\n" % body_bytes)
    return b"".join(lines)
