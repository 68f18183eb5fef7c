"""One client's connection: bytes in, exchanges, bytes out in the order of the requests.

Everything has a limit: the head, the body, silence, pipelined requests. An answer given before the
body has come is sent at once and the rest of the body is read and dropped (up to a limit), because
closing a socket with unread data destroys the answer on its way.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Sequence
from typing import cast

import httptools

from windtunnel.core import limits
from windtunnel.http.exchange import Exchange, Owner
from windtunnel.http.message import NO_BODY_STATUSES, Head, Headers, status_line

log = logging.getLogger(__name__)

# How every TLS connection begins (RFC 8446, 5.1: a handshake record), and a fatal alert,
# handshake_failure (6.2), which every TLS library understands.
_TLS_HANDSHAKE = b"\x16\x03"
_TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x28"
_HEADER_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client's connection: bytes in, exchanges, bytes out in order."""

    def __init__(self, server: Owner, below: asyncio.Transport | None = None) -> None:
        self.loop = server.loop
        # What carries the TLS of a tunnel's inside.
        self._below = below
        self.is_tunnelled = below is not None
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
        """Begin, unless the server is full."""
        self._transport = cast("asyncio.Transport", transport)
        self.peer = str(transport.get_extra_info("peername") or "unix")
        opened = transport.get_extra_info("socket")
        if opened is not None and opened.family in (socket.AF_INET, socket.AF_INET6):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._server.admit(self):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everyone who still wanted to answer."""
        del exc
        self._server.forget(self)
        self._is_closing = True
        if self._writable is not None:
            self._writable.set()
        reading = self._reading
        self._reading = None
        for exchange in self._waiting:
            exchange.is_abandoned = True
            if exchange is reading and exchange.sink is not None:
                exchange.sink.abort()
            if exchange.on_abandon is not None:
                exchange.on_abandon()
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        if self._is_closing:
            return
        if not self._is_head_begun and self._reading is None:
            self._is_head_begun = True
            self.deadline_s = self.loop.time() + limits.HEAD_TIMEOUT_S
        if self._is_head_begun:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._hand_over(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._give_up(error, data)
        else:
            if self._is_head_begun and self._head_bytes > limits.HEAD_BYTES_MAX:
                self._refuse(431, f"The head is over {limits.HEAD_BYTES_MAX} bytes.")
            elif self._reading is not None:
                self.deadline_s = self.loop.time() + limits.BODY_STALL_TIMEOUT_S

    def eof_received(self) -> bool:
        """Close, too."""
        # A client that has closed and one that has only half-closed look alike; nginx, too, takes
        # both as gone, so that nothing is computed for nobody.
        return False

    def pause_writing(self) -> None:
        """Note that the client takes its answer slowly."""
        self._writable = asyncio.Event()
        self._write_stalled_s = self.loop.time()

    def resume_writing(self) -> None:
        """Note that the client has caught up."""
        self._write_stalled_s = None
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    # --- httptools -------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target = b""
        self._headers = []
        self._is_head_begun = True

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Hand the head to the handler, which says where the body goes."""
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
        if exchange.is_answered or exchange.successor is not None:
            return
        if isinstance(plan, int):
            exchange.limit = plan
            length = head.content_length
            if length is not None and length > plan:
                self._handler.overflow(exchange)
                return
        else:
            exchange.sink = plan
        if exchange.awaits_continue:
            exchange.awaits_continue = False
            self._transport.write(_HEADER_CONTINUE)

    def on_body(self, chunk: bytes) -> None:
        """Take a piece of the body to where it goes."""
        exchange = self._reading
        if exchange is None:
            return
        if exchange.is_answered:
            self._discard_bytes += len(chunk)
            if self._discard_bytes > limits.BODY_DISCARD_BYTES_MAX:
                self.close()
            return
        exchange.body_bytes += len(chunk)
        if exchange.sink is not None:
            exchange.sink.write(chunk)
        elif exchange.body_bytes > exchange.limit:
            exchange.chunks.clear()
            self._handler.overflow(exchange)
        else:
            exchange.chunks.append(chunk)
            if exchange.on_chunk is not None:
                exchange.on_chunk(chunk)

    def on_message_complete(self) -> None:
        """Hand the whole request over."""
        exchange = self._reading
        if exchange is None:
            return
        self._reading = None
        self._discard_bytes = 0
        exchange.is_received = True
        if exchange.successor is not None:
            return
        # The next head may take its time: the time-out that counts now is the keep-alive one.
        self.deadline_s = self.loop.time() + limits.KEEP_ALIVE_TIMEOUT_S
        if exchange.is_answered:
            # Its answer left before its body had come; the connection was kept open for the rest.
            if exchange.state == "done":
                self._release()
        elif exchange.sink is not None:
            exchange.sink.end()
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
        if length is not None and status not in NO_BODY_STATUSES:
            parts.append(b"content-length: %d\r\n" % length)
            line_count += 1
        if exchange.awaits_continue:
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
            exchange.held.append(first)
            exchange.held.extend(rest)
        elif rest:
            self._transport.writelines([first, *rest])
        else:
            self._transport.write(first)

    def finish(self, exchange: Exchange) -> None:
        """An answer is whole: let the next one leave, or close."""
        if exchange.awaits_continue:
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
        while waiting and waiting[0].is_received and waiting[0].state == "done":
            done = waiting.popleft()
            if not done.head.keep_alive or self._server.is_draining:
                self.close()
                return
            if waiting and waiting[0].held:
                self._transport.writelines(waiting[0].held)
                waiting[0].held.clear()
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
            below = self._below
            if below is not None and not (
                self._transport.get_write_buffer_size() or below.get_write_buffer_size()
            ):
                # All is sent; TLS's own goodbye would wait for the client's.
                self._transport.abort()

    @property
    def is_busy(self) -> bool:
        """Whether an answer is owed."""
        return bool(self._waiting)

    def _hand_over(self, early: bytes) -> None:
        """Leave the connection to what the handler named, or refuse the upgrade."""
        if self._is_closing:
            return
        exchange = self._waiting[-1] if self._waiting else None
        if exchange is None or exchange.successor is None:
            self._refuse(400, "Upgrade is not spoken here.")
        elif len(self._waiting) > 1:
            self._waiting.pop()
            self._refuse(400, "A CONNECT must wait until what was asked before it is answered.")
        else:
            self._is_closing = True
            self._waiting.clear()
            self._server.forget(self)
            exchange.successor.take(self._server, self._transport, early)

    def _give_up(self, error: httptools.HttpParserError, data: bytes) -> None:
        """Say what is wrong with what came, in TLS to who speaks it, and close."""
        cause = error.__context__
        if isinstance(cause, Exception) and not isinstance(cause, httptools.HttpParserError):
            log.error("The handler failed.", exc_info=cause)
            self.close()
        elif data.startswith(_TLS_HANDSHAKE) and self._head_bytes == len(data):
            log.warning("%s spoke TLS to a port that speaks plain HTTP: use http://.", self.peer)
            self._transport.write(_TLS_ALERT)
            self.close()
        else:
            self._refuse(400, f"The request is not valid HTTP/1.1: {error}.")

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what cannot be read, and close: what follows on the line has no meaning."""
        exchange = self._reading
        if exchange is None:
            exchange = Exchange(self, Head(b"", b"", [], keep_alive=False))
            self._waiting.append(exchange)
        if exchange.sink is not None:
            exchange.sink.abort()
        self._reading = None
        exchange.head.keep_alive = False
        exchange.is_received = True
        if exchange.is_answered:
            self.close()
            return
        self._handler.malformed(exchange, status, reason)
        self._is_closing = True
