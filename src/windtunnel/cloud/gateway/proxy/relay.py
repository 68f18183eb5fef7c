"""One CONNECT to an allowed host: bytes both ways, unread, as fast as the slower side takes."""

import asyncio
import logging
from typing import cast

from windtunnel.cloud.gateway.proxy.tunnel import ESTABLISHED
from windtunnel.core import limits
from windtunnel.http.exchange import Owner

log = logging.getLogger(__name__)

_UNREACHABLE = (
    "HTTP/1.1 502 {phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
    "content-length: {length}\r\nconnection: close\r\n\r\n{text}"
)


class Relay:
    """Two connections that are one."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._server: Owner
        self._near: _Side
        self._far: _Side
        self._opening: asyncio.Task[None] | None = None
        self._heard_s = 0.0
        self.is_over = False

    # --- http.exchange.Successor, http.exchange.Member -----------------------------------------

    def take(self, server: Owner, transport: asyncio.Transport, early: bytes) -> None:
        """Reach the host before the client is told that it is through."""
        self._server = server
        self._near, self._far = _Side(self), _Side(self)
        self._near.other, self._far.other = self._far, self._near
        self._near.transport = transport
        if not server.admit(self):
            self.is_over = True
            transport.abort()
            return
        transport.pause_reading()
        transport.set_protocol(self._near)
        self._heard_s = server.loop.time()
        self._opening = server.loop.create_task(self._open(early))

    def check(self, now_s: float) -> None:
        """End a relay on which nothing was said for too long."""
        if now_s - self._heard_s >= limits.RELAY_IDLE_TIMEOUT_S:
            self.close()

    def begin_drain(self) -> None:
        """Close: what is inside cannot be told, and the cloud ends."""
        self.close()

    def close(self) -> None:
        """Close both sides."""
        if self._opening is not None:
            self._opening.cancel()
        for side in (self._near, self._far):
            if side.transport is not None:
                side.transport.abort()

    @property
    def is_busy(self) -> bool:
        """Whether an answer is owed: nobody can tell."""
        return False

    # --- its sides -----------------------------------------------------------------------------

    def heard(self) -> None:
        """Note that something was said."""
        self._heard_s = self._server.loop.time()

    def lost(self) -> None:
        """One side is gone: the other has nobody to speak to."""
        self.is_over = True
        self._server.forget(self)
        if self._opening is not None:
            self._opening.cancel()
        for side in (self._near, self._far):
            if side.transport is not None:
                # What was written still leaves.
                side.transport.close()

    async def _open(self, early: bytes) -> None:
        loop = self._server.loop
        near = cast("asyncio.Transport", self._near.transport)
        try:
            async with asyncio.timeout(limits.RELAY_CONNECT_TIMEOUT_S):
                await loop.create_connection(lambda: self._far, self._host, self._port)
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "no answer in time"
            log.warning("%s:%d cannot be reached: %s", self._host, self._port, reason)
            text = f"{self._host}:{self._port} cannot be reached: {reason}\n"
            phrase = "Host cannot be reached"
            answer = _UNREACHABLE.format(phrase=phrase, length=len(text.encode()), text=text)
            near.write(answer.encode())
            near.close()
            return
        if near.is_closing():
            self.lost()
            return
        near.write(ESTABLISHED)
        if early and self._far.transport is not None:
            self._far.transport.write(early)
        near.resume_reading()


class _Side(asyncio.Protocol):
    """One of the two connections."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.transport: asyncio.Transport | None = None
        self.other: _Side
        self.has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        self._relay.heard()
        if self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Pass on that this side has said all it will; the other may still speak."""
        self.has_ended = True
        other = self.other.transport
        if other is None or self.other.has_ended or not other.can_write_eof():
            return False
        other.write_eof()
        return True

    def pause_writing(self) -> None:
        """This side takes no more for now: the other must wait."""
        if self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """This side takes more."""
        if self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the relay."""
        del exc
        self._relay.lost()
