"""An HTTP/1.1 server by callbacks, for the hot path.

A bare httptools protocol on uvloop answers several times what an ASGI server does, and the bodies
here are megabytes: they are kept as the chunks they came in and never copied by this file.

The life of one request on a connection:

    head in   -> handler.begin(exchange)     may answer at once; else says where the body goes
    body      -> kept in exchange.chunks up to the limit that begin() gave, or a BodySink's
    body in   -> handler.complete(exchange)  the answer may come now or later, on the loop's thread
    answer    -> exchange.respond(...)       or start / write / finish, for a stream

Rules. Answers leave in the order of the requests. Everything has a limit: the head, the body,
silence, pipelined requests, connections. An answer given before the body has come is sent at once
and the rest of the body is read and dropped (up to a limit), because closing a socket with unread
data destroys the answer on its way.
"""

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any, Protocol, cast

import httptools

from windtunnel.core import limits
from windtunnel.http.message import Head, Headers, status_line

log = logging.getLogger(__name__)

_HEADER_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# How often silence is looked for; a timer for each request would cost more than it tells.
_SWEEP_INTERVAL_S = 1.0
_NO_BODY_STATUSES = frozenset((204, 304))


class BodySink(Protocol):
    """Takes a body as it arrives."""

    def write(self, chunk: bytes) -> None:
        """Take the next piece."""

    def end(self) -> None:
        """The body is whole; the answer may now be given."""

    def abort(self) -> None:
        """The client went away, or sent what is not HTTP, before the body was whole."""


class Handler(Protocol):
    """What a server does with requests; all calls come on the loop's thread."""

    def begin(self, exchange: "Exchange") -> "int | BodySink":
        """Take a request's head: answer it, or return the body's limit in bytes, or its sink."""

    def complete(self, exchange: "Exchange") -> None:
        """Take a request whose body is whole in `exchange.chunks`; see that it is answered."""

    def overflow(self, exchange: "Exchange") -> None:
        """Answer a request whose body is, or grows, over the limit that `begin` gave."""

    def malformed(self, exchange: "Exchange", status: int, reason: str) -> None:
        """Answer what is not a request this server can read (400, 408, 431)."""


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_awaits_continue",
        "_connection",
        "_limit",
        "_out",
        "_sink",
        "_state",
        "body_bytes",
        "chunks",
        "context",
        "head",
        "is_abandoned",
        "is_received",
        "on_abandon",
        "on_chunk",
        "received_s",
    )

    def __init__(self, connection: "_Connection", head: Head) -> None:
        self._connection = connection
        self.head = head
        self.chunks: list[bytes] = []
        self.body_bytes = 0
        # When the head was whole, on the loop's clock.
        self.received_s = connection.loop.time()
        # Whatever the handler wants to keep with this request.
        self.context: Any = None
        # Called with each piece of a buffered body as it comes (a running hash, say).
        self.on_chunk: Callable[[bytes], object] | None = None
        self.on_abandon: Callable[[], None] | None = None
        self.is_abandoned = False
        self.is_received = False
        self._limit = 0
        self._sink: BodySink | None = None
        expectation = head.get(b"expect")
        self._awaits_continue = expectation is not None and expectation.lower() == b"100-continue"
        # "open": nothing answered; "stream": head given, body follows; "done".
        self._state = "open"
        # What is answered while an earlier request of the connection is not.
        self._out: list[bytes] = []

    @property
    def is_answered(self) -> bool:
        """Whether an answer was given, or begun."""
        return self._state != "open"

    @property
    def peer(self) -> str:
        """The client's address, for logs."""
        return self._connection.peer

    def body(self) -> bytes:
        """Return the whole body as one piece (one copy when it came in several)."""
        if len(self.chunks) > 1:
            self.chunks = [b"".join(self.chunks)]
        return self.chunks[0] if self.chunks else b""

    def respond(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes | Sequence[bytes] = b"",
    ) -> None:
        """Answer the request whole; Content-Length, Date and Connection are added here."""
        if self._state != "open":
            raise RuntimeError("This request was answered already.")
        self._state = "done"
        if self.is_abandoned:
            return
        chunks = (body,) if isinstance(body, bytes) else body
        if self.head.method == b"HEAD" or status in _NO_BODY_STATUSES:
            # A HEAD's answer carries the length of what a GET would bring, from the handler.
            head = self._connection.answer_head(self, status, headers, None)
            chunks = ()
        else:
            length = 0
            for chunk in chunks:
                length += len(chunk)
            head = self._connection.answer_head(self, status, headers, length)
            if length <= limits.JOIN_BYTES_MAX:
                head = b"".join((head, *chunks))
                chunks = ()
        self._connection.send(self, head, chunks)
        self._connection.finish(self)

    def start(self, status: int, headers: Sequence[tuple[bytes, bytes]], length: int) -> None:
        """Begin an answer of `length` bytes that comes in pieces."""
        if self._state != "open":
            raise RuntimeError("This request was answered already.")
        self._state = "stream"
        if not self.is_abandoned:
            head = self._connection.answer_head(self, status, headers, length)
            self._connection.send(self, head, ())

    def write(self, chunk: bytes) -> None:
        """Send a piece of the answer; await `drained()` between large pieces."""
        if not self.is_abandoned:
            self._connection.send(self, chunk, ())

    @property
    def is_congested(self) -> bool:
        """Whether the client takes its answer slower than it is written."""
        return self._connection.is_congested

    async def drained(self) -> None:
        """Wait until the client has taken most of what was written."""
        await self._connection.drained()

    def finish(self) -> None:
        """End an answer that was begun with `start`."""
        self._state = "done"
        if not self.is_abandoned:
            self._connection.finish(self)

    def drop(self) -> None:
        """Close the connection: the answer cannot be completed, and must not look complete."""
        self._state = "done"
        self._connection.close()

    def pause_reading(self) -> None:
        """Stop taking the body from the client, until `resume_reading`."""
        self._connection.pause(True)

    def resume_reading(self) -> None:
        """Take the body again."""
        self._connection.pause(False)


class _Connection(asyncio.Protocol):
    """One client's connection: bytes in, exchanges, bytes out in order."""

    def __init__(self, server: "Server") -> None:
        self.loop = server.loop
        self.peer = ""
        self._server = server
        self._handler = server.handler
        self._transport = cast("asyncio.Transport", None)
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: Headers = []
        self._head_bytes = 0
        self._is_head_begun = False
        # The request whose body is being read, and those that wait for their answer to leave.
        self._reading: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._discard_bytes = 0
        self._is_closing = False
        self._is_paused_by_handler = False
        self._is_paused_by_depth = False
        self._writable: asyncio.Event | None = None
        self._write_stalled_s: float | None = None
        # When silence becomes too long, on the loop's clock.
        self.deadline_s = server.loop.time() + limits.HEAD_TIMEOUT_S

    # --- asyncio.Protocol ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.peer = str(transport.get_extra_info("peername") or "unix")
        opened = transport.get_extra_info("socket")
        if opened is not None and opened.family in (socket.AF_INET, socket.AF_INET6):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._server.admit(self):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._server.forget(self)
        self._is_closing = True
        if self._writable is not None:
            self._writable.set()
        reading = self._reading
        self._reading = None
        for exchange in self._waiting:
            exchange.is_abandoned = True
            if exchange is reading and exchange._sink is not None:  # noqa: SLF001 - one file, two halves
                exchange._sink.abort()  # noqa: SLF001
            if exchange.on_abandon is not None:
                exchange.on_abandon()
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        if not self._is_head_begun and self._reading is None:
            self._is_head_begun = True
            self.deadline_s = self.loop.time() + limits.HEAD_TIMEOUT_S
        if self._is_head_begun:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "Upgrade is not spoken here.")
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, Exception) and not isinstance(cause, httptools.HttpParserError):
                log.error("The handler failed.", exc_info=cause)  # noqa: TRY400 - its cause matters
                self.close()
                return
            self._refuse(400, f"The request is not valid HTTP/1.1: {error}.")
        else:
            if self._is_head_begun and self._head_bytes > limits.HEAD_BYTES_MAX:
                self._refuse(431, f"The head is over {limits.HEAD_BYTES_MAX} bytes.")
            elif self._reading is not None:
                self.deadline_s = self.loop.time() + limits.BODY_STALL_TIMEOUT_S

    def eof_received(self) -> bool:
        # A client that has closed and one that has only half-closed look alike; nginx, too, takes
        # both as gone, so that nothing is computed for nobody.
        return False

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()
        self._write_stalled_s = self.loop.time()

    def resume_writing(self) -> None:
        self._write_stalled_s = None
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    # --- httptools -------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = []
        self._is_head_begun = True

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._is_head_begun = False
        self._head_bytes = 0
        if self._is_closing:
            return
        size = len(self._target)
        for name, value in self._headers:
            size += len(name) + len(value) + 4
        head = Head(
            self._parser.get_method(),
            self._target,
            self._headers,
            keep_alive=self._parser.should_keep_alive(),
        )
        exchange = Exchange(self, head)
        self._reading = exchange
        self._waiting.append(exchange)
        if size > limits.HEAD_BYTES_MAX or len(self._headers) > limits.HEADER_COUNT_MAX:
            self._refuse(431, f"The head is over {limits.HEAD_BYTES_MAX} bytes.")
            return
        plan = self._handler.begin(exchange)
        if exchange.is_answered:
            return
        if isinstance(plan, int):
            exchange._limit = plan  # noqa: SLF001
            length = head.content_length
            if length is not None and length > plan:
                self._handler.overflow(exchange)
                return
        else:
            exchange._sink = plan  # noqa: SLF001
        if exchange._awaits_continue:  # noqa: SLF001
            exchange._awaits_continue = False  # noqa: SLF001
            self._transport.write(_HEADER_CONTINUE)

    def on_body(self, chunk: bytes) -> None:
        exchange = self._reading
        if exchange is None:
            return
        if exchange.is_answered:
            self._discard_bytes += len(chunk)
            if self._discard_bytes > limits.BODY_DISCARD_BYTES_MAX:
                self.close()
            return
        exchange.body_bytes += len(chunk)
        if exchange._sink is not None:  # noqa: SLF001
            exchange._sink.write(chunk)  # noqa: SLF001
        elif exchange.body_bytes > exchange._limit:  # noqa: SLF001
            exchange.chunks.clear()
            self._handler.overflow(exchange)
        else:
            exchange.chunks.append(chunk)
            if exchange.on_chunk is not None:
                exchange.on_chunk(chunk)

    def on_message_complete(self) -> None:
        exchange = self._reading
        if exchange is None:
            return
        self._reading = None
        self._discard_bytes = 0
        exchange.is_received = True
        # The next head may take its time: the time-out that counts now is the keep-alive one.
        self.deadline_s = self.loop.time() + limits.KEEP_ALIVE_TIMEOUT_S
        if exchange.is_answered:
            # Its answer left before its body had come; the connection was kept open for the rest.
            if exchange._state == "done":  # noqa: SLF001
                self._release()
        elif exchange._sink is not None:  # noqa: SLF001
            exchange._sink.end()  # noqa: SLF001
        else:
            self._handler.complete(exchange)
        if len(self._waiting) >= limits.PIPELINE_DEPTH_MAX and not self._is_paused_by_depth:
            self._is_paused_by_depth = True
            self._set_reading()

    # --- answers -----------------------------------------------------------------------------

    def answer_head(
        self,
        exchange: Exchange,
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        length: int | None,
    ) -> bytes:
        """Return the head of an answer."""
        parts = [status_line(status), self._server.date_line]
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        line_count = len(headers) + 2
        if length is not None and status not in _NO_BODY_STATUSES:
            parts.append(b"content-length: %d\r\n" % length)
            line_count += 1
        if exchange._awaits_continue:  # noqa: SLF001
            # The client may now send its body or not: what follows could not be told apart.
            exchange.head.keep_alive = False
        if not exchange.head.keep_alive or self._is_closing or self._server.is_draining:
            parts.append(b"connection: close\r\n")
            line_count += 1
        parts.append(b"\r\n")
        head = b"".join(parts)
        if head.count(b"\n") != line_count + 1:
            raise ValueError("A header's value holds a line break.")
        return head

    def send(self, exchange: Exchange, first: bytes, rest: Sequence[bytes]) -> None:
        """Write to the client, or keep what comes before its turn."""
        if self._waiting and self._waiting[0] is not exchange:
            exchange._out.append(first)  # noqa: SLF001
            exchange._out.extend(rest)  # noqa: SLF001
        elif rest:
            self._transport.writelines([first, *rest])
        else:
            self._transport.write(first)

    def finish(self, exchange: Exchange) -> None:
        """An answer is whole: let the next one leave, or close."""
        if exchange._awaits_continue:  # noqa: SLF001
            exchange.is_received = True
            self._reading = None
        if exchange.is_received:
            self._release()
        elif not exchange.head.keep_alive and self._reading is exchange:
            # Nothing more is owed to this client but reading out what it still sends.
            self.deadline_s = self.loop.time() + limits.BODY_STALL_TIMEOUT_S

    def _release(self) -> None:
        """Drop what is answered from the front of the line; send what waited behind it."""
        waiting = self._waiting
        while waiting and waiting[0].is_received and waiting[0]._state == "done":  # noqa: SLF001
            done = waiting.popleft()
            if not done.head.keep_alive or self._server.is_draining:
                self.close()
                return
            if waiting and waiting[0]._out:  # noqa: SLF001
                self._transport.writelines(waiting[0]._out)  # noqa: SLF001
                waiting[0]._out.clear()  # noqa: SLF001
        self.deadline_s = self.loop.time() + limits.KEEP_ALIVE_TIMEOUT_S
        if self._is_paused_by_depth and len(waiting) < limits.PIPELINE_DEPTH_MAX:
            self._is_paused_by_depth = False
            self._set_reading()

    @property
    def is_congested(self) -> bool:
        """Whether the transport holds more than it likes to."""
        return self._writable is not None

    async def drained(self) -> None:
        """Wait until the transport takes more."""
        if self._writable is not None:
            await self._writable.wait()

    def pause(self, wanted: bool) -> None:  # noqa: FBT001 - named by its two callers
        """Stop or go on reading, for a handler that is fuller than its client."""
        self._is_paused_by_handler = wanted
        self._set_reading()

    def _set_reading(self) -> None:
        if self._is_closing:
            return
        if self._is_paused_by_handler or self._is_paused_by_depth:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
            self.deadline_s = self.loop.time() + limits.BODY_STALL_TIMEOUT_S

    def close(self) -> None:
        """Send what was written, then close."""
        self._is_closing = True
        if self._transport is not None:
            self._transport.close()

    # --- silence and nonsense ----------------------------------------------------------------

    def check(self, now_s: float) -> None:
        """End the connection when it has been silent too long; called about once a second."""
        stalled_s = self._write_stalled_s
        if stalled_s is not None and now_s - stalled_s > limits.WRITE_STALL_TIMEOUT_S:
            self._transport.abort()
            return
        if now_s < self.deadline_s or self._is_closing:
            return
        if self._reading is not None:
            if self._is_paused_by_handler or self._is_paused_by_depth:
                return
            if self._reading.is_answered:
                self.close()
            else:
                self._refuse(408, "The body did not come in time.")
        elif self._is_head_begun:
            self._refuse(408, "The head did not come in time.")
        elif not self._waiting:
            self.close()

    def begin_drain(self) -> None:
        """Close now if idle; else each answer closes behind it."""
        if not self._waiting and not self._is_head_begun:
            self.close()

    @property
    def is_busy(self) -> bool:
        """Whether an answer is owed."""
        return bool(self._waiting)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what cannot be read, and close: what follows on the line has no meaning."""
        exchange = self._reading
        if exchange is None:
            exchange = Exchange(self, Head(b"", b"", [], keep_alive=False))
            self._waiting.append(exchange)
        if exchange._sink is not None:  # noqa: SLF001
            exchange._sink.abort()  # noqa: SLF001
        self._reading = None
        exchange.head.keep_alive = False
        exchange.is_received = True
        if exchange.is_answered:
            self.close()
            return
        self._handler.malformed(exchange, status, reason)
        self._is_closing = True


class Server:
    """A listening server and its connections."""

    def __init__(self, handler: Handler, loop: asyncio.AbstractEventLoop) -> None:
        self.handler = handler
        self.loop = loop
        self.is_draining = False
        # The TCP port that is listened on; 0 for a Unix socket.
        self.port = 0
        self.date_line = b""
        self._listening: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._is_empty = asyncio.Event()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._sweep()

    def listen(self, listening: asyncio.Server) -> None:
        """Take the sockets that this server answers on."""
        self._listening = listening
        name = listening.sockets[0].getsockname()
        self.port = int(name[1]) if isinstance(name, tuple) else 0

    def admit(self, connection: _Connection) -> bool:
        """Take a new connection, unless there are too many."""
        if self.is_draining or len(self._connections) >= limits.CONNECTION_COUNT_MAX:
            return False
        self._connections.add(connection)
        self._is_empty.clear()
        return True

    def forget(self, connection: _Connection) -> None:
        """Drop a connection that is closed."""
        self._connections.discard(connection)
        if not self._connections:
            self._is_empty.set()

    async def drain(self, grace_s: float) -> bool:
        """Stop listening, let answers leave for at most `grace_s`; say whether all of them did."""
        self.is_draining = True
        if self._listening is not None:
            self._listening.close()
        for connection in list(self._connections):
            connection.begin_drain()
        if self._connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_empty.wait(), grace_s)
        is_drained = not any(connection.is_busy for connection in self._connections)
        for connection in list(self._connections):
            connection.close()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        return is_drained

    def _sweep(self) -> None:
        self.date_line = b"date: " + formatdate(usegmt=True).encode() + b"\r\n"
        now_s = self.loop.time()
        for connection in list(self._connections):
            connection.check(now_s)
        self._sweep_timer = self.loop.call_later(_SWEEP_INTERVAL_S, self._sweep)


async def serve(
    handler: Handler,
    *,
    host: str | None = None,
    port: int = 0,
    path: str | None = None,
    sock: socket.socket | None = None,
) -> Server:
    """Listen on a TCP address, a Unix socket's path or a given socket; return the server."""
    loop = asyncio.get_running_loop()
    server = Server(handler, loop)
    if path is not None:
        listening = await loop.create_unix_server(
            lambda: _Connection(server), path, backlog=limits.CONNECTION_COUNT_MAX
        )
    elif sock is not None:
        listening = await loop.create_server(
            lambda: _Connection(server), sock=sock, backlog=limits.CONNECTION_COUNT_MAX
        )
    else:
        listening = await loop.create_server(
            lambda: _Connection(server), host, port, backlog=limits.CONNECTION_COUNT_MAX
        )
    server.listen(listening)
    return server
