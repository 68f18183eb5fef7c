"""gRPC channels to the model servers, made when a script first uses them.

gRPC starts threads with the first channel, and most scripts never use one.
"""

import functools
import threading
from typing import Any


class LazyChannel:
    """Everything that a grpc.Channel can do, from its first use on."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a channel's own
        return getattr(self._open(), name)

    def _open(self) -> Any:  # noqa: ANN401 - grpc is imported with the first use
        with self._lock:
            return self._channel

    @functools.cached_property
    def _channel(self) -> Any:  # noqa: ANN401 - grpc is imported with the first use
        import grpc

        return grpc.insecure_channel(f"localhost:{self._port}")
