"""Passes one request on to another process of this cloud as it streams, and its answer back.

S3's bodies are gigabytes: they go through here in pieces, in both directions only as fast as the
slower side takes them and in turns with each other, and are never held.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

import httptools

from windtunnel.cloud.errors import CloudError, UnavailableError
from windtunnel.cloud.gateway.turns import Turns
from windtunnel.core import limits
from windtunnel.http.message import Head, Headers
from windtunnel.http.server import Exchange

log = logging.getLogger(__name__)

# RFC 9110, 7.6.1: what concerns one connection only; Expect was already honoured at the door.
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"expect",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    )
)
# What the gateway tells the process behind; nobody else may.
_OURS = b"x-windtunnel-"
_NOT_REPEATED = _HOP_BY_HOP | {b"content-length", b"date"}

Failed = Callable[[CloudError], None]


class Forwarding(asyncio.Protocol):
    """One request on its way: the sink of its body, and the protocol of the connection behind.

    `failed` answers the client when the process behind does not.
    """

    def __init__(
        self, exchange: Exchange, socket_path: str, extra: Headers, turns: Turns, failed: Failed
    ) -> None:
        self._exchange = exchange
        self._turns = turns
        self._failed = failed
        # Why a side may not be read just now: the other is full, or it has had its turn.
        self._is_behind_full = False
        self._is_client_in_line = False
        self._is_answer_in_line = False
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: Headers = []
        self._is_chunked = False
        self._is_over = False
        self._resuming: asyncio.Task[None] | None = None
        self._early: list[bytes] = [self._request_head(exchange.head, extra)]
        # The body waits with the client until there is somewhere to put it.
        exchange.pause_reading()
        self._opening = self._loop.create_task(self._open(socket_path))

    def _request_head(self, head: Head, extra: Headers) -> bytes:
        lines = [b"%s %s HTTP/1.1\r\n" % (head.method, head.target)]
        for name, value in head.headers:
            if name not in _HOP_BY_HOP and not name.startswith(_OURS):
                lines.append(b"%s: %s\r\n" % (name, value))
        lines += [b"%s: %s\r\n" % pair for pair in extra]
        if head.content_length is None and head.get(b"transfer-encoding") is not None:
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        # One connection a request: opening a Unix socket costs less than a pool's questions.
        lines.append(b"connection: close\r\n\r\n")
        return b"".join(lines)

    async def _open(self, socket_path: str) -> None:
        try:
            await self._loop.create_unix_connection(lambda: self, socket_path)
        except OSError as error:
            self._fail(f"cannot connect: {error}")

    # --- the body, from the client -----------------------------------------------------------

    def write(self, chunk: bytes) -> None:
        """Send the next piece of the body on."""
        if self._is_chunked:
            self._send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        else:
            self._send(chunk)
        if len(chunk) >= limits.FORWARD_TURN_BYTES and not self._is_client_in_line:
            self._is_client_in_line = True
            self._read_client()
            self._turns.wait(self._take_client_turn)

    def _take_client_turn(self) -> None:
        if self._is_client_in_line:
            self._is_client_in_line = False
            self._read_client()

    def _read_client(self) -> None:
        """Read the client's body, or leave it where it is for now."""
        if self._is_behind_full or self._is_client_in_line:
            self._exchange.pause_reading()
        else:
            self._exchange.resume_reading()

    def end(self) -> None:
        """End the body."""
        # What the client sends next is another request's.
        self._take_client_turn()
        if self._is_chunked:
            self._send(b"0\r\n\r\n")

    def abort(self) -> None:
        """Drop it all: the client is gone, and half a body must not look whole."""
        self._is_over = True
        self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _send(self, data: bytes) -> None:
        if self._transport is None:
            self._early.append(data)
        elif not self._is_over:
            self._transport.write(data)

    # --- the connection behind ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what has waited, and go on reading the client."""
        self._transport = cast("asyncio.Transport", transport)
        if self._is_over:
            self._transport.abort()
            return
        self._transport.writelines(self._early)
        self._early.clear()
        self._exchange.on_abandon = self.abort
        self._exchange.resume_reading()

    def pause_writing(self) -> None:
        """Hold the client: the process behind takes no more now."""
        self._is_behind_full = True
        self._read_client()

    def resume_writing(self) -> None:
        """Let the client go on."""
        self._is_behind_full = False
        self._read_client()

    def data_received(self, data: bytes) -> None:
        """Take a piece of the answer."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            log.exception("The answer from behind cannot be read.")
            self._fail(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """See that the client hears of a lost answer."""
        self._fail(f"the connection was lost: {exc or 'closed'}")

    # --- httptools -----------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the answer."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Begin the answer to the client."""
        status = self._parser.get_status_code()
        length = next((int(v) for n, v in self._headers if n == b"content-length"), None)
        kept = [pair for pair in self._headers if pair[0] not in _NOT_REPEATED]
        if self._exchange.head.method == b"HEAD":
            if length is not None:
                kept.append((b"content-length", b"%d" % length))
            self._is_over = True
            self._exchange.respond(status, kept)
        else:
            self._exchange.start(status, kept, length or 0)

    def on_body(self, chunk: bytes) -> None:
        """Pass a piece on, no faster than the client takes it."""
        if self._is_over:
            return
        self._exchange.write(chunk)
        if self._transport is None or self._is_answer_in_line:
            return
        if self._exchange.is_congested:
            self._is_answer_in_line = True
            self._transport.pause_reading()
            self._resuming = self._loop.create_task(self._resume_when_drained())
        elif len(chunk) >= limits.FORWARD_TURN_BYTES:
            self._is_answer_in_line = True
            self._transport.pause_reading()
            self._turns.wait(self._take_answer_turn)

    async def _resume_when_drained(self) -> None:
        await self._exchange.drained()
        self._take_answer_turn()

    def _take_answer_turn(self) -> None:
        self._is_answer_in_line = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def on_message_complete(self) -> None:
        """End the answer."""
        if not self._is_over:
            self._is_over = True
            self._exchange.finish()
        if self._transport is not None:
            # After an early answer the process behind would wait for a body that nobody sends on.
            self._transport.close()

    def _fail(self, reason: str) -> None:
        """Answer 503 if nothing was answered; else cut, so that half does not look whole."""
        if self._is_over:
            return
        self._is_over = True
        log.warning("A forwarded request failed: %s", reason)
        # What the client still sends is read and dropped.
        self._exchange.resume_reading()
        if self._exchange.is_answered:
            self._exchange.drop()
        else:
            self._failed(
                UnavailableError("This part of the local cloud is not answering; please try again.")
            )
