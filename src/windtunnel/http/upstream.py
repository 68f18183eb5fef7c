"""Connections to one server behind this process: a pool, by callbacks.

Addresses are `unix:/path` or `tcp:host:port`. A request is a list of chunks that are sent as they
are; an answer is collected whole and handed over as the chunks it came in.

Rules: one request at a time on a connection; nothing is ever sent twice (an invocation is not
idempotent, and a hidden retry would be a hidden latency); every call ends in exactly one of
`on_answer` and `on_failure`, or was cancelled.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from typing import Protocol, cast

import httptools

from windtunnel.http.message import Headers


class Caller(Protocol):
    """What waits for an answer; all calls come on the loop's thread."""

    def on_answer(self, status: int, headers: Headers, chunks: list[bytes], size: int) -> None:
        """Take the whole answer; `size` is the length of its body in bytes."""

    def on_failure(self, reason: str) -> None:
        """No answer came: the server refused, closed, or sent what is not HTTP."""


class Upstream:
    """The connections to one address."""

    def __init__(
        self,
        address: str,
        *,
        answer_bytes_max: int,
        idle_timeout_s: float | None = None,
    ) -> None:
        self.address = address
        self.answer_bytes_max = answer_bytes_max
        self._idle_timeout_s = idle_timeout_s
        self._loop = asyncio.get_running_loop()
        self._idle: deque[_Connection] = deque()
        self._busy: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def send(self, chunks: Sequence[bytes], caller: Caller) -> "Call":
        """Send a request on an idle connection, or on a new one; return the call, to cancel it."""
        call = Call(self, caller)
        connection = self._take_idle()
        if connection is not None:
            connection.send(chunks, call)
        else:
            task = self._loop.create_task(self._open_and_send(chunks, call))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        return call

    def close(self) -> None:
        """Close what is idle; what is busy closes behind its answer."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def _take_idle(self) -> "_Connection | None":
        """Return the connection that was used last, so that surplus ones grow old."""
        if not self._idle:
            return None
        if self._idle_timeout_s is None:
            return self._idle.pop()
        old_s = self._loop.time() - self._idle_timeout_s
        while self._idle and self._idle[0].idle_since_s < old_s:
            self._idle.popleft().close()
        return self._idle.pop() if self._idle else None

    async def _open_and_send(self, chunks: Sequence[bytes], call: "Call") -> None:
        kind, _, where = self.address.partition(":")
        try:
            if kind == "unix":
                _, connection = await self._loop.create_unix_connection(
                    lambda: _Connection(self), where
                )
            else:
                host, _, port = where.rpartition(":")
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self), host, int(port)
                )
        except OSError as error:
            call.fail(f"cannot connect: {error.strerror or error}")
            return
        if call.is_over:
            connection.close()
        else:
            connection.send(chunks, call)

    def release(self, connection: "_Connection", *, is_reusable: bool) -> None:
        """Take back a connection whose answer is whole."""
        self._busy.discard(connection)
        if is_reusable and not self._is_closed:
            connection.idle_since_s = self._loop.time()
            self._idle.append(connection)
        else:
            connection.close()

    def occupy(self, connection: "_Connection") -> None:
        """Note that a connection carries a request."""
        self._busy.add(connection)

    def forget(self, connection: "_Connection") -> None:
        """Drop a connection that is closed."""
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)


class Call:
    """One request on its way."""

    __slots__ = ("_caller", "_upstream", "connection", "is_over")

    def __init__(self, upstream: Upstream, caller: Caller) -> None:
        self._upstream = upstream
        self._caller = caller
        self.connection: _Connection | None = None
        self.is_over = False

    def cancel(self) -> None:
        """Give the call up: nobody is told, and its connection is closed."""
        if not self.is_over:
            self.is_over = True
            if self.connection is not None:
                self.connection.close()

    def answer(self, status: int, headers: Headers, chunks: list[bytes], size: int) -> None:
        """Hand the answer over, once."""
        if not self.is_over:
            self.is_over = True
            self._caller.on_answer(status, headers, chunks, size)

    def fail(self, reason: str) -> None:
        """Say that no answer will come, once."""
        if not self.is_over:
            self.is_over = True
            self._caller.on_failure(reason)


class _Connection(asyncio.Protocol):
    """One connection to the server."""

    __slots__ = (
        "_call",
        "_chunks",
        "_headers",
        "_is_framed",
        "_parser",
        "_size",
        "_status",
        "_transport",
        "_upstream",
        "idle_since_s",
    )

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._transport = cast("asyncio.Transport", None)
        self._parser = httptools.HttpResponseParser(self)
        self._call: Call | None = None
        self._status = 0
        self._headers: Headers = []
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_framed = False
        self.idle_since_s = 0.0

    def send(self, chunks: Sequence[bytes], call: Call) -> None:
        """Send a request; the connection is busy until its answer is whole."""
        self._call = call
        call.connection = self
        self._upstream.occupy(self)
        self._status = 0
        self._headers = []
        self._chunks = []
        self._size = 0
        if len(chunks) == 1:
            self._transport.write(chunks[0])
        else:
            self._transport.writelines(list(chunks))

    def close(self) -> None:
        """Close at once, without waiting for what is still to be sent."""
        self._transport.abort()

    # --- asyncio.Protocol -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        opened = transport.get_extra_info("socket")
        if opened is not None and opened.family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream.forget(self)
        call, self._call = self._call, None
        if call is None:
            return
        if self._status and not self._is_framed and exc is None:
            # Neither a length nor chunks: the end of the connection is the end of the body.
            call.answer(self._status, self._headers, self._chunks, self._size)
        else:
            call.fail("the server closed the connection before its answer was whole")

    def data_received(self, data: bytes) -> None:
        if self._call is None:
            # Bytes that nobody asked for: whatever this server speaks, it is out of step.
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("the server answered with an upgrade")
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, Exception) and not isinstance(cause, httptools.HttpParserError):
                self.close()
                raise cause from None
            self._fail(f"the server's answer is not valid HTTP: {error}")

    # --- httptools ----------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._is_framed = any(
            name in (b"content-length", b"transfer-encoding") for name, _ in self._headers
        )

    def on_body(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._upstream.answer_bytes_max:
            self._fail(f"the answer is over {self._upstream.answer_bytes_max} bytes")
        elif self._call is not None:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        if self._status < 200:  # noqa: PLR2004 - 1xx: an interim answer, the real one follows
            self._status = 0
            self._headers = []
            return
        call, self._call = self._call, None
        if call is None:
            return
        status, headers, chunks, size = self._status, self._headers, self._chunks, self._size
        # Back in the pool before the caller runs: it may send its next request at once.
        self._upstream.release(self, is_reusable=self._parser.should_keep_alive())
        call.answer(status, headers, chunks, size)

    def _fail(self, reason: str) -> None:
        call, self._call = self._call, None
        self.close()
        if call is not None:
            call.fail(reason)
