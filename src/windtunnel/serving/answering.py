"""What all that answers HTTP in a container has in common: which requests it refuses, what it logs.

Each handler routes for itself; a body that is too large, and what is no HTTP, are the same to all.
"""

import logging
import time
from abc import ABC, abstractmethod

from windtunnel.core import limits
from windtunnel.http.exchange import Exchange

# For the count of a request whose client left before its answer: nginx's own.
STATUS_CLIENT_CLOSED = 499


class Answering(ABC):
    """A handler of requests that refuses in a form of its own."""

    @abstractmethod
    def refuse(self, exchange: Exchange, status: int, message: str) -> None:
        """Answer with an error."""

    def overflow(self, exchange: Exchange) -> None:
        """Refuse a body that is too large."""
        self.refuse(exchange, 413, f"The body is over {limits.CONTAINER_BODY_BYTES_MAX} bytes.")

    def malformed(self, exchange: Exchange, status: int, reason: str) -> None:
        """Refuse what is not HTTP."""
        self.refuse(exchange, status, reason)


def log_answer(logger: logging.Logger, exchange: Exchange, status: int, body_bytes: int) -> None:
    """Log a request and its answer in a line."""
    logger.info(
        "%s %s %d, %d bytes in, %d out, %.1f ms",
        exchange.head.method.decode("latin-1"),
        exchange.head.path.decode("latin-1"),
        status,
        exchange.body_bytes,
        body_bytes,
        (time.monotonic() - exchange.received_s) * 1000,
    )
