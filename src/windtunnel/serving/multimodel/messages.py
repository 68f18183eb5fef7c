"""What the door and the leader of a container of many models say to each other: JSON, one a packet.

A packet arrives whole or not at all, so no reader has half of one.
"""

import json
import socket
from collections.abc import Iterator
from typing import Any

from windtunnel.core import limits


def waiting(channel: socket.socket) -> Iterator[dict[str, Any]]:
    """Yield what the other side has said and nobody has read; the channel must not block."""
    while True:
        try:
            data = channel.recv(limits.STATUS_LINE_BYTES_MAX * 2)
        except BlockingIOError:
            return
        yield json.loads(data)
