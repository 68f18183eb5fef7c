"""What one request carries, read once and checked before anything is sent."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.quantities import format_bytes

_CONTENT_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".npy": "application/x-npy",
}


@dataclass(frozen=True)
class Payload:
    """A request's body and what it claims to be."""

    path: Path
    body: bytes
    content_type: str
    sha256: str


def read_payload(path: Path, content_type: str | None = None) -> Payload:
    """Return a file's bytes as a request's body, or say why they cannot be one."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise UsageError(f"The payload {path} cannot be read: {error.strerror}.") from error
    if not body:
        raise UsageError(f"The payload {path} is empty: every request would be, too.")
    if len(body) > limits.INVOKE_BODY_BYTES_MAX:
        raise UsageError(
            f"The payload {path} has {len(body):,} bytes; InvokeEndpoint takes at most "
            f"{limits.INVOKE_BODY_BYTES_MAX:,} ({format_bytes(limits.INVOKE_BODY_BYTES_MAX)})."
        )
    return Payload(
        path=path,
        body=body,
        content_type=content_type or content_type_of(path),
        sha256=hashlib.sha256(body).hexdigest(),
    )


def content_type_of(path: Path) -> str:
    """Return the content type that a file's name says; JSON where it says none.

    JSON, because that is what SageMaker's TensorFlow container takes a request without a type for.
    """
    return _CONTENT_TYPES.get(path.suffix.lower(), "application/json")
