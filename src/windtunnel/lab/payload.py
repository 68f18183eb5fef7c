"""What requests carry, read once and checked before anything is sent."""

import hashlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
# `FILE:3` is sent three times as often as a file without.
_WEIGHTED = re.compile(r"(.+):(\d+(?:\.\d+)?)")
# What a header can carry: anything else would be another header, or bytes that nobody agrees on.
_HEADER_VALUE = re.compile(r"[ -~]*[!-~][ -~]*")


@dataclass(frozen=True)
class Payload:
    """A request's body and what it claims to be."""

    name: str
    body: bytes
    content_type: str
    sha256: str
    # How often it is sent, beside the others of its set.
    weight: float = 1.0


def read_payload(path: Path, content_type: str | None = None) -> Payload:
    """Return a file's bytes as a request's body, or say why they cannot be one."""
    check_header("content type", content_type)
    body = _read(path, "payload", limits.INVOKE_BODY_BYTES_MAX + 1)
    return _payload(str(path.absolute()), body, content_type or content_type_of(path))


def read_payloads(
    words: Sequence[str], lines: Path | None, content_type: str | None = None
) -> list[Payload]:
    """Return a set of payloads, or say what cannot be sent.

    `words` are files or folders, each with a weight behind a colon if it has one; a folder stands
    for each file in it, and its weight is shared among them. `lines` is a file of which each line
    is a body of its own.
    """
    check_header("content type", content_type)
    found: list[Payload] = []
    size = 0
    for payload in _each(words, lines, content_type):
        found.append(payload)
        size += len(payload.body)
        # Now: a folder may have more than memory does.
        _check_size(len(found), size)
    if not found:
        raise UsageError("Name what to send: --payload FILE, or --payload-lines FILE.")
    return found


def content_type_of(path: Path) -> str:
    """Return the content type that a file's name says; JSON where it says none.

    JSON, because that is what SageMaker's TensorFlow container takes a request without a type for.
    """
    return _CONTENT_TYPES.get(path.suffix.lower(), "application/json")


def check_header(name: str, value: str | None) -> None:
    """Refuse what cannot be sent as a header's value."""
    if value is not None and not _HEADER_VALUE.fullmatch(value):
        raise UsageError(
            f"The {name} {value!r} cannot be sent: a header is one line of printable ASCII."
        )


def _each(words: Sequence[str], lines: Path | None, content_type: str | None) -> Iterator[Payload]:
    for word in words:
        path, weight = _weighted(word)
        files = _files_in(path) if path.is_dir() else [path]
        for file in files:
            yield replace(read_payload(file, content_type), weight=weight / len(files))
    if lines is not None:
        yield from _lines_of(lines, content_type)


def _weighted(word: str) -> tuple[Path, float]:
    """Return a path and its weight; a file that is named so with its colon is that file."""
    match = _WEIGHTED.fullmatch(word)
    if match is None or Path(word).exists():
        return Path(word), 1.0
    weight = float(match[2])
    if weight <= 0 or not math.isfinite(weight):
        raise UsageError(f"--payload {word}: a weight is more than 0.")
    return Path(match[1]), weight


def _files_in(path: Path) -> list[Path]:
    try:
        files = sorted(
            file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")
        )
    except OSError as error:
        raise UsageError(f"The folder {path} cannot be read: {error.strerror}.") from error
    if not files:
        raise UsageError(f"The folder {path} has no file to send.")
    return files


def _lines_of(path: Path, content_type: str | None) -> Iterator[Payload]:
    """Yield each line of a file as a body; lines of nothing are left out."""
    whole = _read(path, "file", limits.LOAD_PAYLOADS_BYTES_MAX + 1)
    if len(whole) > limits.LOAD_PAYLOADS_BYTES_MAX:
        raise _too_large()
    if not whole.strip():
        raise UsageError(f"The file {path} has no line to send.")
    for number, line in enumerate(io.BytesIO(whole), start=1):
        if line.strip():
            name = f"{path.absolute()}:{number}"
            yield _payload(name, line.rstrip(b"\r\n"), content_type or "application/json")


def _read(path: Path, what: str, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(size)
    except OSError as error:
        raise UsageError(f"The {what} {path} cannot be read: {error.strerror}.") from error
    if not body:
        raise UsageError(f"The {what} {path} is empty: every request would be, too.")
    return body


def _payload(name: str, body: bytes, content_type: str) -> Payload:
    if len(body) > limits.INVOKE_BODY_BYTES_MAX:
        raise UsageError(
            f"The payload {name} has more than {limits.INVOKE_BODY_BYTES_MAX:,} bytes "
            f"({format_bytes(limits.INVOKE_BODY_BYTES_MAX)}): InvokeEndpoint takes no more."
        )
    return Payload(name, body, content_type, hashlib.sha256(body).hexdigest())


def _check_size(count: int, size: int) -> None:
    if count > limits.LOAD_PAYLOADS_COUNT_MAX:
        raise UsageError(
            f"A run sends at most {limits.LOAD_PAYLOADS_COUNT_MAX:,} different payloads: take "
            "fewer, chosen at random."
        )
    if size > limits.LOAD_PAYLOADS_BYTES_MAX:
        raise _too_large()


def _too_large() -> UsageError:
    return UsageError(
        f"The payloads of a run have at most {format_bytes(limits.LOAD_PAYLOADS_BYTES_MAX)} in "
        "all, as every load process keeps them ready: take fewer, chosen at random."
    )
