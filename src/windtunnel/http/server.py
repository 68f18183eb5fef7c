"""An HTTP/1.1 server by callbacks, for the hot path.

A bare httptools protocol on uvloop answers several times what an ASGI server does, and the bodies
here are megabytes. What a handler sees is in `exchange.py`, what is done with bytes in
`connection.py`; here are the listening sockets, the count of connections and the end.
"""

import asyncio
import contextlib
import socket
import sys
from email.utils import formatdate
from typing import Any

from windtunnel.core import limits
from windtunnel.http.connection import Connection
from windtunnel.http.exchange import BodySink, Exchange, Handler, Member, Owner, Successor

__all__ = ["BodySink", "Exchange", "Handler", "Owner", "Server", "Successor", "serve"]

# How often silence is looked for; a timer for each request would cost more than it tells.
_SWEEP_INTERVAL_S = 1.0
# Who made a Unix socket removes its path; since Python 3.13 a server would do it when it ends.
_KEEP_PATH: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}


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
        self._connections: set[Member] = set()
        self._is_empty = asyncio.Event()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._sweep()

    def listen(self, listening: asyncio.Server) -> None:
        """Take the sockets that this server answers on."""
        self._listening = listening
        name = listening.sockets[0].getsockname()
        self.port = int(name[1]) if isinstance(name, tuple) else 0

    def admit(self, member: Member) -> bool:
        """Take a new connection, unless there are too many."""
        if self.is_draining or len(self._connections) >= limits.CONNECTION_COUNT_MAX:
            return False
        self._connections.add(member)
        self._is_empty.clear()
        return True

    def forget(self, member: Member) -> None:
        """Drop a connection that is closed."""
        self._connections.discard(member)
        if not self._connections:
            self._is_empty.set()

    def stop_listening(self) -> None:
        """Take no more connections; those that are there go on."""
        if self._listening is not None:
            self._listening.close()

    async def drain(self, grace_s: float) -> bool:
        """Stop listening, let answers leave for at most `grace_s`; say whether all of them did."""
        self.is_draining = True
        self.stop_listening()
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
            lambda: Connection(server), path, backlog=limits.CONNECTION_COUNT_MAX
        )
    elif sock is not None and sock.family == socket.AF_UNIX:
        listening = await loop.create_unix_server(
            lambda: Connection(server),
            sock=sock,
            backlog=limits.CONNECTION_COUNT_MAX,
            **_KEEP_PATH,
        )
    elif sock is not None:
        listening = await loop.create_server(
            lambda: Connection(server), sock=sock, backlog=limits.CONNECTION_COUNT_MAX
        )
    else:
        listening = await loop.create_server(
            lambda: Connection(server), host, port, backlog=limits.CONNECTION_COUNT_MAX
        )
    server.listen(listening)
    return server
