"""One keep-alive connection over gevent's sockets: one write a request, bodies counted not kept.

Only for processes that run gevent. Nothing is retried and nothing is hidden: a connection that
breaks is an error of the request that met it, and is opened anew for the next.
"""

import functools
import os
import select
import socket as standard_socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import gevent.socket
import gevent.ssl
from gevent.monkey import get_original

from windtunnel.core import limits
from windtunnel.lab.load.answer import AnswerReader
from windtunnel.lab.load.failures import ClosedConnectionError

# What one read may bring. One buffer serves all connections of a process: between a read and the
# end of `feed` no other greenlet runs. Linux's receive buffers grow to 6 MB (tcp_rmem), 256 KiB a
# read keeps the number of reads small beside the work they bring.
_BUFFER = memoryview(bytearray(256 * 1024))


@dataclass(frozen=True)
class Address:
    """Where to connect, and how."""

    host: str
    port: int
    is_tls: bool

    @classmethod
    def of(cls, url: str) -> "Address":
        """Return the address of an http or https URL."""
        parts = urlsplit(url)
        is_tls = parts.scheme == "https"
        return cls(parts.hostname or "", parts.port or (443 if is_tls else 80), is_tls)


class Connection:
    """One user's connection; opened when it is first needed."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: gevent.socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """Say whether a connection stands."""
        return self._socket is not None

    def exchange(self, wire: bytes) -> AnswerReader:
        """Send one request and return its whole answer."""
        try:
            if self._socket is None:
                self._socket = _connect(self._address)
            self._socket.sendall(wire)
            answer = self._read_answer(self._socket)
        except BaseException:
            self.close()
            raise
        if not answer.is_reusable:
            self.close()
        return answer

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close_if_ended(self) -> None:
        """Close a connection that was idle and that the other side has ended.

        Between requests nothing is due to come: whatever can be read is its end, or makes what
        follows unreadable.
        """
        if self._socket is not None:
            poller = get_original("select", "poll")()
            poller.register(self._socket.fileno(), select.POLLIN)
            if poller.poll(0):
                self.close()

    def _read_answer(self, connection: "gevent.socket.socket") -> AnswerReader:
        answer = AnswerReader()
        while True:
            size = connection.recv_into(_BUFFER)
            if size == 0:
                if answer.end():
                    return answer
                raise ClosedConnectionError("the connection was closed before the answer was whole")
            if answer.feed(_BUFFER[:size]):
                return answer


def _connect(address: Address) -> "gevent.socket.socket":
    connection = gevent.socket.create_connection(
        (address.host, address.port), timeout=limits.INVOKE_CONNECT_TIMEOUT_S
    )
    try:
        connection.setsockopt(standard_socket.IPPROTO_TCP, standard_socket.TCP_NODELAY, 1)
        if address.is_tls:
            connection = _tls().wrap_socket(connection, server_hostname=address.host)
        connection.settimeout(limits.INVOKE_CLIENT_TIMEOUT_S)
    except BaseException:
        connection.close()
        raise
    return connection


@functools.cache
def _tls() -> "gevent.ssl.SSLContext":
    """Return the context of all TLS connections; AWS_CA_BUNDLE is honoured as boto3 does it."""
    context = gevent.ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    context.set_alpn_protocols(["http/1.1"])
    return context
