"""What an operation is given, and what it may say about itself before it runs."""

from collections.abc import Callable
from dataclasses import dataclass

from windtunnel.cloud.foundation.s3.answers import Answer
from windtunnel.cloud.foundation.s3.blobs import Segment
from windtunnel.cloud.foundation.s3.intake import Received
from windtunnel.cloud.foundation.s3.request import Request
from windtunnel.cloud.foundation.s3.storage import Storage
from windtunnel.core import limits


@dataclass(frozen=True)
class Call:
    """A request with its store, and its body once that has been received."""

    storage: Storage
    request: Request
    # For operations that stream: what came, and where it lies, sealed but not yet in the index.
    received: Received | None = None
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One operation: what carries it out, and how its body is to be received."""

    run: Callable[[Call], Answer]
    # The body goes to a blob; every other is XML, small, and kept in memory.
    streams: bool = False
    # Refuses what can be refused before the body is read.
    admit: Callable[[Call], object] | None = None
    # The request's checksum headers are about the finished object, not about the body.
    is_checksum_of_object: bool = False

    @property
    def body_bytes_max(self) -> int:
        """The most that a body may hold."""
        return limits.S3_PUT_BYTES_MAX if self.streams else limits.S3_XML_BODY_BYTES_MAX
