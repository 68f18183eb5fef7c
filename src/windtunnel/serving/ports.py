"""The loopback ports of a container whose script calls its model servers.

The original gives server i the ports lo + 2i (gRPC) and lo + 2i + 1 (REST) of
SAGEMAKER_SAFE_PORT_RANGE. There a container has its host to itself; here all share one, so a pair
that somebody else holds is passed over. Without a range any free ports do, for any count.

Rule: what is chosen is held from then on by this process and its forks. A server that is replaced
answers on the same numbers, and requests that come meanwhile wait in its queue.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from windtunnel.core import limits
from windtunnel.serving.errors import SettingsError

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class PortRange:
    """SAGEMAKER_SAFE_PORT_RANGE, both ends included."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low}-{self.high}"


@dataclass(frozen=True, slots=True)
class ServerPorts:
    """What one model server answers on."""

    # Bound, and not listening: the gRPC server binds the same number itself, with SO_REUSEPORT.
    grpc: socket.socket
    # Listening already, so that nobody else can have bound the number, too.
    rest: socket.socket
    grpc_port: int
    rest_port: int

    def close(self) -> None:
        """Let others have the ports."""
        self.grpc.close()
        self.rest.close()


def claim_ports(wanted: PortRange | None, count: int) -> list[ServerPorts]:
    """Return held ports for so many model servers; raise SettingsError when the range has fewer."""
    found: list[ServerPorts] = []
    for grpc_port, rest_port in _pairs(wanted, count):
        pair = _bind_pair(grpc_port, rest_port)
        if pair is not None:
            found.append(pair)
        if len(found) == count:
            return found
    for pair in found:
        pair.close()
    where = f"SAGEMAKER_SAFE_PORT_RANGE={wanted}" if wanted else "This machine"
    raise SettingsError(
        f"{where} has too few free ports: {count} model servers need two each, and only"
        f" {len(found)} pairs of neighbours are free."
    )


def _pairs(wanted: PortRange | None, count: int) -> Iterator[tuple[int, int]]:
    if wanted is None:
        # 0 stands for a port of the kernel's choice.
        yield from [(0, 0)] * count
        return
    # The original wants one port more than it uses (lo + 2 * count <= hi), so no script that starts
    # here fails to start there.
    for low in range(wanted.low, wanted.high - 1, 2):
        yield low, low + 1


def _bind_pair(grpc_port: int, rest_port: int) -> ServerPorts | None:
    rest = _bind(rest_port, socket.SO_REUSEADDR)
    if rest is None:
        return None
    grpc = _bind(grpc_port, socket.SO_REUSEPORT)
    if grpc is None:
        rest.close()
        return None
    return ServerPorts(grpc, rest, grpc.getsockname()[1], rest.getsockname()[1])


def _bind(port: int, option: int) -> socket.socket | None:
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind((HOST, port))
        if option == socket.SO_REUSEADDR:
            # Two sockets with this option may bind one port, but only one of them may listen.
            bound.listen(limits.CONNECTION_COUNT_MAX)
    except OSError:
        bound.close()
        return None
    return bound
