"""One CONNECT to an AWS host: from its 200 to the requests inside, which this cloud answers.

    take            the 200; then the client speaks first
    first bytes     a ClientHello, or the client is told in plain HTTP what it got wrong
    TLS handshake   by the event loop's own `start_tls`, with the certificate of the CONNECT's host
    inside          an ordinary `http.connection.Connection`, on the same server, over the TLS

Every wait has a limit; whatever fails is one line in the log that says why.
"""

import asyncio
import logging
import ssl
from typing import cast

from windtunnel.cloud.gateway.proxy.authority import Authority
from windtunnel.core import limits
from windtunnel.http.connection import Connection
from windtunnel.http.exchange import Owner

log = logging.getLogger(__name__)

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
# The first byte of a TLS connection: the type of a handshake record (RFC 8446, 5.1).
_HANDSHAKE = 0x16
_NOT_TLS = (
    b"This tunnel leads to an HTTPS port and speaks TLS; plain HTTP came through it. Send plain "
    b"HTTP to the proxy itself (GET http://HOST/...), without CONNECT.\n"
)
_NOT_TLS_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_NOT_TLS), _NOT_TLS)
)

_TRUST = (
    "`windtunnel run` tells clients whom to trust by AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, "
    "SSL_CERT_FILE, CURL_CA_BUNDLE and NODE_EXTRA_CA_CERTS; does this one read any of them?"
)


class Tunnel(asyncio.Protocol):
    """A connection from its CONNECT until it is secured."""

    def __init__(self, host: str, authority: Authority) -> None:
        self._host = host
        self._authority = authority
        self._server: Owner
        self._transport: asyncio.Transport
        self._early: list[bytes] = []
        self._deadline_s: float | None = None
        self._securing: asyncio.Task[None] | None = None

    # --- http.exchange.Successor, http.exchange.Member -----------------------------------------

    def take(self, server: Owner, transport: asyncio.Transport, early: bytes) -> None:
        """Tell the client that it is through, and wait for its first bytes."""
        self._server = server
        self._transport = transport
        if not server.admit(self):
            transport.abort()
            return
        self._deadline_s = server.loop.time() + limits.TUNNEL_FIRST_BYTES_TIMEOUT_S
        transport.set_protocol(self)
        transport.write(ESTABLISHED)
        if early:
            self.data_received(early)

    def check(self, now_s: float) -> None:
        """End a tunnel whose client says nothing; a handshake has a time-out of its own."""
        if self._deadline_s is not None and now_s >= self._deadline_s:
            log.info("A tunnel to %s is closed: nothing came through it.", self._host)
            self.close()

    def begin_drain(self) -> None:
        """Close: nothing was asked yet."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._securing is not None:
            self._securing.cancel()
        self._transport.abort()

    @property
    def is_busy(self) -> bool:
        """Whether an answer is owed: not yet."""
        return False

    # --- asyncio.Protocol ----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """See how the client begins."""
        self._early.append(data)
        if self._securing is not None:
            return
        self._deadline_s = None
        if data[0] != _HANDSHAKE:
            log.warning("Plain HTTP came through a tunnel to %s, which speaks TLS.", self._host)
            self._transport.write(_NOT_TLS_ANSWER)
            self._transport.close()
            return
        self._transport.pause_reading()
        self._securing = self._server.loop.create_task(self._secure())

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a client that left before it said anything."""
        del exc
        self._server.forget(self)

    # --- TLS -------------------------------------------------------------------------------------

    async def _secure(self) -> None:
        inside = _Inside()
        try:
            context = await self._authority.context(self._host)
            secured = await self._start_tls(context, inside)
        except (OSError, ValueError) as error:
            log.warning("A tunnel to %s is closed: %s", self._host, _reason(error))
            self._transport.abort()
            return
        finally:
            self._server.forget(self)
        inside.hand_over(Connection(self._server, self._transport), secured)

    async def _start_tls(self, context: ssl.SSLContext, inside: "_Inside") -> asyncio.Transport:
        """Have the loop speak TLS on the connection, beginning with the bytes that came already."""
        loop = self._server.loop
        securing = loop.create_task(
            loop.start_tls(
                self._transport,
                inside,
                context,
                server_side=True,
                ssl_handshake_timeout=limits.TLS_HANDSHAKE_TIMEOUT_S,
                ssl_shutdown_timeout=limits.WRITE_STALL_TIMEOUT_S,
            )
        )
        # The task's first step puts TLS's own protocol on the transport and schedules that it
        # learns of the transport and that reading resumes. What came before is handed over right
        # behind that, in the same turn of the loop: no byte from the network comes between.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if not securing.done():
            _feed(cast("asyncio.BufferedProtocol", self._transport.get_protocol()), self._early)
        return cast("asyncio.Transport", await securing)


class _Inside(asyncio.Protocol):
    """Keeps what comes out of TLS until there is a connection to read it.

    The handshake's last bytes and the first request may come in one piece.
    """

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._is_lost = False

    def data_received(self, data: bytes) -> None:
        """Keep it; it is no more than what one read brought."""
        self._kept.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nobody is there any more."""
        del exc
        self._is_lost = True

    def hand_over(self, connection: Connection, transport: asyncio.Transport) -> None:
        """Begin the connection with what was kept."""
        if self._is_lost:
            transport.abort()
            return
        transport.set_protocol(connection)
        connection.connection_made(transport)
        for data in self._kept:
            connection.data_received(data)


def _feed(protocol: asyncio.BufferedProtocol, pieces: list[bytes]) -> None:
    """Hand a protocol bytes as a transport would that has just read them."""
    data = memoryview(b"".join(pieces))
    while data:
        buffer = memoryview(protocol.get_buffer(len(data)))
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]


def _reason(error: Exception) -> str:
    """Return what a failed handshake means to who sees the log."""
    text = str(error)
    if "UNKNOWN_CA" in text or "CERTIFICATE_UNKNOWN" in text or "BAD_CERTIFICATE" in text:
        return f"its client does not trust this home's authority. {_TRUST}"
    if isinstance(error, ConnectionError):
        return f"its client left in the middle of the handshake, maybe for lack of trust. {_TRUST}"
    return text or type(error).__name__
