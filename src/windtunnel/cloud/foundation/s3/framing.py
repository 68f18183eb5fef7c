r"""The aws-chunked framing of a body: chunks, their signatures, trailing headers.

    5;chunk-signature=SIGNATURE\\r\\n     the size in hexadecimal; signed bodies only have the rest
    hello\\r\\n
    0;chunk-signature=SIGNATURE\\r\\n
    x-amz-checksum-crc32:NhCmhg==\\r\\n   only when the body's kind says TRAILER
    x-amz-trailer-signature:SIGNATURE\\r\\n
    \\r\\n

Rule: pure, no I/O: bytes in, payload out, in pieces as they come. Source: "Signature calculations
for the Authorization header: transferring payload in multiple chunks" in the S3 API Reference.
"""

import hashlib
import hmac
from dataclasses import dataclass

from windtunnel.aws import sigv4
from windtunnel.cloud.foundation.s3.errors import S3Error

# A chunk's line is a size and a signature of 64 digits: 100 bytes. Trailers are a few short lines.
_LINE_BYTES_MAX = 1024
_TRAILER_BYTES_MAX = 8 * 1024
_SIGNATURE = b"chunk-signature="
_TRAILER_SIGNATURE = "x-amz-trailer-signature"
_HEX = frozenset(b"0123456789abcdefABCDEF")


@dataclass
class ChunkSigner:
    """What each chunk's signature must be: each is computed over the one before it."""

    key: bytes
    date: str
    scope: str
    previous: str

    def next_chunk(self, payload_hash: str) -> str:
        """Return the signature of the chunk with this hash of its bytes."""
        return self._next("AWS4-HMAC-SHA256-PAYLOAD", sigv4.EMPTY_PAYLOAD_HASH, payload_hash)

    def trailer(self, trailers: bytes) -> str:
        """Return the signature of the trailing headers, in their canonical form."""
        return self._next("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(trailers).hexdigest())

    def _next(self, *lines: str) -> str:
        kind, *hashes = lines
        text = "\n".join((kind, self.date, self.scope, self.previous, *hashes))
        self.previous = sigv4.signature(self.key, text)
        return self.previous


class Unframed:
    """Takes the framing off a body."""

    def __init__(self, signer: ChunkSigner | None = None) -> None:
        self._signer = signer
        self._pending = bytearray()
        self._state = "size"
        self._left = 0
        self._chunk_hash = hashlib.sha256()
        self._signature = ""
        self._trailer_bytes = 0
        self.trailers: dict[str, str] = {}

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payload in the next bytes of the body."""
        payload: list[bytes] = []
        if self._state == "payload" and not self._pending and len(data) <= self._left:
            # The common case: the middle of a chunk, passed on without a copy.
            self._take(data, payload)
            return payload
        self._pending += data
        while self._step(payload):
            pass
        return payload

    def finish(self) -> None:
        """Check that the body ended where its framing says."""
        if self._state != "done":
            raise S3Error("IncompleteBody")

    def _step(self, payload: list[bytes]) -> bool:
        """Take one line or run of payload off what is pending; say whether there was one."""
        if self._state == "payload":
            piece = bytes(self._pending[: self._left])
            del self._pending[: len(piece)]
            self._take(piece, payload)
            return bool(piece) and bool(self._pending)
        if self._state == "done":
            if self._pending:
                raise S3Error("IncompleteBody", "The body goes on after its last chunk.")
            return False
        line = self._line()
        if line is None:
            return False
        if self._state == "size":
            self._begin_chunk(line)
        elif self._state == "chunk end":
            if line:
                raise S3Error("IncompleteBody", "A chunk is longer than its declared size.")
            self._state = "size"
        else:
            self._take_trailer(line)
        return True

    def _line(self) -> bytes | None:
        end = self._pending.find(b"\n")
        if end > _LINE_BYTES_MAX or (end < 0 and len(self._pending) > _LINE_BYTES_MAX):
            raise S3Error("IncompleteBody", "The body's aws-chunked framing is not readable.")
        if end < 0:
            return None
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        return line.removesuffix(b"\r")

    def _begin_chunk(self, line: bytes) -> None:
        size, _, extension = line.partition(b";")
        if not size or len(size) > 16 or not _HEX.issuperset(size):  # noqa: PLR2004 - 64 bits
            raise S3Error("IncompleteBody", "The body's aws-chunked framing is not readable.")
        self._left = int(size, 16)
        self._signature = extension.strip().removeprefix(_SIGNATURE).decode("latin-1")
        self._state = "payload"
        if self._left == 0:
            self._check_chunk()
            self._state = "trailer"

    def _take(self, piece: bytes, payload: list[bytes]) -> None:
        self._left -= len(piece)
        if piece:
            payload.append(piece)
            if self._signer is not None:
                self._chunk_hash.update(piece)
        if self._left == 0:
            self._check_chunk()
            self._state = "chunk end"

    def _check_chunk(self) -> None:
        if self._signer is None:
            return
        wanted = self._signer.next_chunk(self._chunk_hash.hexdigest())
        self._chunk_hash = hashlib.sha256()
        if not hmac.compare_digest(wanted.encode(), self._signature.encode()):
            raise S3Error("SignatureDoesNotMatch")

    def _take_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line) + 2
        if self._trailer_bytes > _TRAILER_BYTES_MAX:
            raise S3Error("MalformedTrailerError")
        if not line:
            self._state = "done"
            self._check_trailers()
            return
        name, separator, value = line.partition(b":")
        if not separator:
            raise S3Error("MalformedTrailerError")
        self.trailers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")

    def _check_trailers(self) -> None:
        signed = self.trailers.pop(_TRAILER_SIGNATURE, None)
        if self._signer is None or (signed is None and not self.trailers):
            return
        lines = "".join(f"{name}:{value}\n" for name, value in sorted(self.trailers.items()))
        wanted = self._signer.trailer(lines.encode("latin-1"))
        if signed is None or not hmac.compare_digest(wanted.encode(), signed.encode()):
            raise S3Error("SignatureDoesNotMatch")
