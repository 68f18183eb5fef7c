"""Ports for local commands: to each instance a block of its own.

On AWS every container has its host to itself; here all share one. A block is locked by holding its
first port, so that two clouds on one machine, which know nothing of each other, never share one
either; the kernel lets go of the lock when this process ends, however it ends.
"""

import socket
from dataclasses import dataclass

from windtunnel.core import limits

_HOST = "127.0.0.1"


class NoPortsError(Exception):
    """Every block is taken."""


def block_count() -> int:
    """Return how many blocks there are."""
    return (limits.PORT_LAST - limits.PORT_FIRST + 1) // limits.PORT_BLOCK_SIZE


@dataclass
class PortBlock:
    """A locked block: one port to serve on, and a range that is safe to use besides."""

    number: int
    lock: socket.socket

    @property
    def bind_port(self) -> int:
        """The port of SAGEMAKER_BIND_TO_PORT."""
        return int(self.lock.getsockname()[1]) + 1

    @property
    def safe_range(self) -> str:
        """The value of SAGEMAKER_SAFE_PORT_RANGE."""
        return f"{self.bind_port + 1}-{self.bind_port + limits.PORT_BLOCK_SIZE - 2}"

    def release(self) -> None:
        """Let others have the block."""
        self.lock.close()


class Blocks:
    """Claims blocks one after the other.

    What was claimed last is not claimed next, so that a restarted server does not find its port
    still lingering.
    """

    def __init__(self, start: int = 0) -> None:
        self._next = start

    def claim(self) -> PortBlock:
        """Lock the next free block."""
        block = claim(self._next)
        self._next = block.number + 1
        return block


def claim(start: int = 0) -> PortBlock:
    """Lock a free block, looking from number `start` on; its port to serve on is free as well."""
    for step in range(block_count()):
        number = (start + step) % block_count()
        first_port = limits.PORT_FIRST + number * limits.PORT_BLOCK_SIZE
        lock = socket.socket()
        try:
            lock.bind((_HOST, first_port))
            with socket.socket() as probe:
                # As servers do: ports whose last connections linger are free all the same.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((_HOST, first_port + 1))
        except OSError:
            lock.close()
        else:
            return PortBlock(number, lock)
    raise NoPortsError(
        f"No ports are left for another local command: all {block_count()} blocks between "
        f"{limits.PORT_FIRST} and {limits.PORT_LAST} are taken."
    )
