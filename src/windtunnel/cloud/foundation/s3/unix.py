"""One request to the S3 process over its socket, from a process that may wait for it.

What moves whole archives does it in processes of its own (`fleet/fetch.py`, `jobs/deliver.py`), and
there plain blocking HTTP is the simplest thing. The cloud itself asks through `client.py`.
"""

import contextlib
import http.client
import socket
import time
from collections.abc import Callable
from typing import IO

from windtunnel.core import limits

# The S3 process may be restarting; it takes about a second.
_CONNECT_TIMEOUT_S = 10.0
_CONNECT_INTERVAL_S = 0.1
_BLOCK_BYTES = 256 * limits.KIB


class _UnixConnection(http.client.HTTPConnection):
    """HTTP to a server on a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s, blocksize=_BLOCK_BYTES)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(
    socket_path: str,
    method: str,
    target: str,
    *,
    body: Callable[[], tuple[IO[bytes], int]] | None = None,
) -> http.client.HTTPResponse:
    """Return S3's answer, waiting for a process that is being started; OSError when none comes.

    `body` opens what is sent and says how long it is; it is called again for another try.
    """
    deadline_s = time.monotonic() + _CONNECT_TIMEOUT_S
    while True:
        connection = _UnixConnection(socket_path, limits.MODEL_DATA_STALL_TIMEOUT_S)
        file, length = (None, 0) if body is None else body()
        # One question a connection: the answer's end closes it.
        headers = {"Connection": "close"}
        if file is not None:
            headers["Content-Length"] = str(length)
        try:
            with file or contextlib.nullcontext():
                connection.request(method, target, file, headers)
            return connection.getresponse()
        except (FileNotFoundError, ConnectionError):
            connection.close()
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(_CONNECT_INTERVAL_S)
