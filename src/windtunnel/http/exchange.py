"""One request and its answer, and what handles them.

The life of one request on a connection:

    head in   -> handler.begin(exchange)     may answer at once; else says where the body goes
    body      -> kept in exchange.chunks up to the limit that begin() gave, or a BodySink's
    body in   -> handler.complete(exchange)  the answer may come now or later, on the loop's thread
    answer    -> exchange.respond(...)       or start / write / finish, for a stream

Bodies are kept as the chunks they came in and never copied here.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from windtunnel.core import limits
from windtunnel.http.message import NO_BODY_STATUSES, Head


class Line(Protocol):
    """What an exchange needs of the connection it came on."""

    loop: asyncio.AbstractEventLoop
    peer: str
    is_tunnelled: bool

    def answer_head(
        self,
        exchange: "Exchange",
        status: int,
        headers: Sequence[tuple[bytes, bytes]],
        length: int | None,
    ) -> bytes:
        """Return the head of an answer."""

    def send(self, exchange: "Exchange", first: bytes, rest: Sequence[bytes]) -> None:
        """Write to the client, or keep what comes before its turn."""

    def finish(self, exchange: "Exchange") -> None:
        """An answer is whole: let the next one leave, or close."""

    @property
    def is_congested(self) -> bool:
        """Whether the transport holds more than it likes to."""

    async def drained(self) -> None:
        """Wait until the transport takes more."""

    def pause(self, wanted: bool) -> None:  # noqa: FBT001 - named by its two callers
        """Stop or go on reading, for a handler that is fuller than its client."""

    def close(self) -> None:
        """Send what was written, then close."""


class BodySink(Protocol):
    """Takes a body as it arrives."""

    def write(self, chunk: bytes) -> None:
        """Take the next piece."""

    def end(self) -> None:
        """The body is whole; the answer may now be given."""

    def abort(self) -> None:
        """The client went away, or sent what is not HTTP, before the body was whole."""


class Successor(Protocol):
    """Goes on with a connection that stops speaking HTTP: a tunnel, for a CONNECT."""

    def take(self, server: "Owner", transport: asyncio.Transport, early: bytes) -> None:
        """Take the connection; `early` is what its client sent behind the request."""


class Member(Protocol):
    """What a server keeps count of: a connection, or what has taken one over."""

    def check(self, now_s: float) -> None:
        """End what has been silent too long; called about once a second."""

    def begin_drain(self) -> None:
        """Close now if idle; else when what is under way is done."""

    def close(self) -> None:
        """Send what was written, then close."""

    @property
    def is_busy(self) -> bool:
        """Whether an answer is owed."""


class Owner(Protocol):
    """What a connection, and what takes it over, needs of the server it belongs to."""

    loop: asyncio.AbstractEventLoop
    handler: "Handler"
    is_draining: bool
    date_line: bytes

    def admit(self, member: Member) -> bool:
        """Take a new connection, unless there are too many."""

    def forget(self, member: Member) -> None:
        """Drop a connection that is closed."""


class Handler(Protocol):
    """What a server does with requests; all calls come on the loop's thread."""

    def begin(self, exchange: "Exchange") -> "int | BodySink":
        """Take a request's head: answer it, or return the body's limit in bytes, or its sink.

        A CONNECT is neither answered nor has it a body: set `exchange.successor`.
        """

    def complete(self, exchange: "Exchange") -> None:
        """Take a request whose body is whole in `exchange.chunks`; see that it is answered."""

    def overflow(self, exchange: "Exchange") -> None:
        """Answer a request whose body is, or grows, over the limit that `begin` gave."""

    def malformed(self, exchange: "Exchange", status: int, reason: str) -> None:
        """Answer what is not a request this server can read (400, 408, 431)."""


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_connection",
        "awaits_continue",
        "body_bytes",
        "chunks",
        "context",
        "head",
        "held",
        "is_abandoned",
        "is_received",
        "limit",
        "on_abandon",
        "on_chunk",
        "received_s",
        "sink",
        "state",
        "successor",
    )

    def __init__(self, connection: "Line", head: Head) -> None:
        self._connection = connection
        self.head = head
        self.chunks: list[bytes] = []
        self.body_bytes = 0
        # When the head was whole, on the loop's clock.
        # Not the loop's time: uvloop counts that in milliseconds.
        self.received_s = time.monotonic()
        # Whatever the handler wants to keep with this request.
        self.context: Any = None
        # Called with each piece of a buffered body as it comes (a running hash, say).
        self.on_chunk: Callable[[bytes], object] | None = None
        self.on_abandon: Callable[[], None] | None = None
        self.is_abandoned = False
        self.is_received = False
        self.limit = 0
        self.sink: BodySink | None = None
        # What takes the connection over, once the head of a CONNECT is read.
        self.successor: Successor | None = None
        expectation = head.get(b"expect")
        self.awaits_continue = expectation is not None and expectation.lower() == b"100-continue"
        # "open": nothing answered; "stream": head given, body follows; "done".
        self.state = "open"
        # What is answered while an earlier request of the connection is not.
        self.held: list[bytes] = []

    @property
    def is_answered(self) -> bool:
        """Whether an answer was given, or begun."""
        return self.state != "open"

    @property
    def peer(self) -> str:
        """The client's address, for logs."""
        return self._connection.peer

    @property
    def is_tunnelled(self) -> bool:
        """Whether the request came through a tunnel of this server's own."""
        return self._connection.is_tunnelled

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
        if self.state != "open":
            raise RuntimeError("This request was answered already.")
        self.state = "done"
        if self.is_abandoned:
            return
        chunks = (body,) if isinstance(body, bytes) else body
        if self.head.method == b"HEAD" or status in NO_BODY_STATUSES:
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
        if self.state != "open":
            raise RuntimeError("This request was answered already.")
        self.state = "stream"
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
        self.state = "done"
        if not self.is_abandoned:
            self._connection.finish(self)

    def drop(self) -> None:
        """Close the connection: the answer cannot be completed, and must not look complete."""
        self.state = "done"
        self._connection.close()

    def pause_reading(self) -> None:
        """Stop taking the body from the client, until `resume_reading`."""
        self._connection.pause(True)

    def resume_reading(self) -> None:
        """Take the body again."""
        self._connection.pause(False)
