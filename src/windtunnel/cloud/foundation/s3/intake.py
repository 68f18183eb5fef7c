"""A request's body: what was promised about it, and whether what came keeps the promise.

    plan     what the headers say: framing, length, hash, Content-MD5, checksums
    Intake   takes the body piece by piece, passes the payload on, and checks it at the end

Rules: nothing is acknowledged before `Intake.finish` has returned; an Intake is used by one thread
at a time; it knows no file and no socket. Source of the forms: "Authenticating Requests (AWS
Signature Version 4)" and "Checking object integrity" in the S3 documentation.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from windtunnel.cloud.foundation.s3 import checksums
from windtunnel.cloud.foundation.s3.checksums import Checksum
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.framing import ChunkSigner, Unframed
from windtunnel.cloud.foundation.s3.request import SIGNING_KEY_HEADER, Request

_UNSIGNED = "UNSIGNED-PAYLOAD"
_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
_FRAMED = frozenset({_UNSIGNED_TRAILER, _SIGNED, _SIGNED_TRAILER})
_SHA256 = re.compile(r"[0-9a-f]{64}")
_AUTHORIZATION = re.compile(
    r"Credential=[^/,\s]+/(?P<scope>[^,\s]+).*Signature=(?P<signature>[0-9a-f]+)"
)
_MD5_BYTES = 16


@dataclass(frozen=True)
class Plan:
    """What the headers promise about a body."""

    # Bytes of the payload; None when nobody said (chunked XML).
    payload_bytes: int | None
    sha256: str | None = None
    md5: bytes | None = None
    # What the client computed; with `is_trailing` its value comes behind the body.
    algorithm: str | None = None
    checksum: Checksum | None = None
    trailer: str | None = None
    is_framed: bool = False
    signer: ChunkSigner | None = None


@dataclass(frozen=True)
class Received:
    """A body that kept its promises."""

    payload_bytes: int
    md5: str
    checksum: Checksum | None


def plan_of(request: Request, *, is_checksum_of_object: bool = False) -> Plan:
    """Return what a request's headers promise.

    `is_checksum_of_object`: the checksum headers are about something else than this body.
    """
    hashed = request.header("x-amz-content-sha256") or request.query.get("X-Amz-Content-Sha256")
    is_framed = hashed in _FRAMED
    if hashed is not None and not is_framed and hashed != _UNSIGNED and not _SHA256.match(hashed):
        raise S3Error(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a "
            "valid sha256 value.",
            ArgumentName="x-amz-content-sha256",
            ArgumentValue=hashed,
        )
    checksum, trailer = (None, None) if is_checksum_of_object else _promised_checksum(request)
    algorithm = None if checksum is None else checksum.algorithm
    if trailer is not None:
        algorithm = checksums.named_in([trailer])[0]
    return Plan(
        payload_bytes=_promised_bytes(request, is_framed=is_framed),
        sha256=hashed if hashed is not None and _SHA256.fullmatch(hashed) else None,
        md5=_promised_md5(request),
        algorithm=algorithm,
        checksum=checksum,
        trailer=trailer,
        is_framed=is_framed,
        signer=_signer(request) if hashed in (_SIGNED, _SIGNED_TRAILER) else None,
    )


def _promised_bytes(request: Request, *, is_framed: bool) -> int | None:
    text = request.header("x-amz-decoded-content-length" if is_framed else "content-length")
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise S3Error("InvalidArgument", ArgumentValue=text)
    return int(text)


def _promised_md5(request: Request) -> bytes | None:
    text = request.header("content-md5")
    if text is None:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != _MD5_BYTES:
        raise S3Error("InvalidDigest", **{"Content-MD5": text})
    return digest


def _promised_checksum(request: Request) -> tuple[Checksum | None, str | None]:
    trailer = request.header("x-amz-trailer")
    named = checksums.named_in(list(request.headers))
    if trailer is not None:
        trailer = trailer.strip().lower()
        named += checksums.named_in([trailer])
        if not checksums.named_in([trailer]):
            raise S3Error(
                "InvalidRequest",
                "The value specified in the x-amz-trailer header is not supported",
            )
    if len(named) > 1:
        raise S3Error(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    if not named:
        if request.header("x-amz-sdk-checksum-algorithm") is not None:
            raise S3Error(
                "InvalidRequest",
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
                "x-amz-trailer headers were found.",
            )
        return None, None
    if trailer is not None:
        return None, trailer
    value = request.headers[checksums.HEADER_PREFIX + named[0].lower()]
    return checksums.check_value(named[0], value), None


def _signer(request: Request) -> ChunkSigner | None:
    """Return what the chunks must be signed with, when the gateway told the key of the day."""
    key = request.header(SIGNING_KEY_HEADER)
    found = _AUTHORIZATION.search(request.header("authorization") or "")
    if key is None or found is None:
        return None
    date = request.header("x-amz-date") or ""
    return ChunkSigner(bytes.fromhex(key), date, found["scope"], found["signature"])


class Intake:
    """A body that is being received."""

    def __init__(self, plan: Plan, write: Callable[[bytes], object], bytes_max: int) -> None:
        self._plan = plan
        self._write = write
        self._bytes_max = bytes_max
        if plan.payload_bytes is not None and plan.payload_bytes > bytes_max:
            raise too_large(plan.payload_bytes, bytes_max)
        self._unframed = Unframed(plan.signer) if plan.is_framed else None
        self._payload_bytes = 0
        # Not for security: it is what an ETag is.
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256() if plan.sha256 else None
        self._checksum = checksums.start(plan.algorithm) if plan.algorithm else None

    def take(self, pieces: list[bytes]) -> None:
        """Check the next pieces of the body and pass their payload on."""
        # One large piece keeps the hashes outside the interpreter's lock, many small ones do not.
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        for payload in (data,) if self._unframed is None else self._unframed.feed(data):
            self._take_payload(payload)

    def _take_payload(self, payload: bytes) -> None:
        self._payload_bytes += len(payload)
        if self._payload_bytes > self._bytes_max:
            raise too_large(self._payload_bytes, self._bytes_max)
        self._md5.update(payload)
        if self._sha256 is not None:
            self._sha256.update(payload)
        if self._checksum is not None:
            self._checksum.update(payload)
        self._write(payload)

    def finish(self) -> Received:
        """Return what was received, or refuse it because it is not what was promised."""
        plan = self._plan
        trailing = None
        if self._unframed is not None:
            self._unframed.finish()
            trailing = self._unframed.trailers.get(plan.trailer or "")
            if plan.trailer is not None and trailing is None:
                raise S3Error("MalformedTrailerError")
        if plan.payload_bytes is not None and self._payload_bytes != plan.payload_bytes:
            raise S3Error("IncompleteBody")
        self._check_hashes()
        return Received(self._payload_bytes, self._md5.hexdigest(), self._checked(trailing))

    def _check_hashes(self) -> None:
        plan = self._plan
        if self._sha256 is not None and self._sha256.hexdigest() != plan.sha256:
            raise S3Error(
                "XAmzContentSHA256Mismatch",
                ClientComputedContentSHA256=str(plan.sha256),
                S3ComputedContentSHA256=self._sha256.hexdigest(),
            )
        if plan.md5 is not None and self._md5.digest() != plan.md5:
            raise S3Error(
                "BadDigest",
                ExpectedDigest=checksums.encoded(plan.md5),
                CalculatedDigest=checksums.encoded(self._md5.digest()),
            )

    def _checked(self, trailing: str | None) -> Checksum | None:
        algorithm = self._plan.algorithm
        if algorithm is None or self._checksum is None:
            return None
        promised = self._plan.checksum
        if trailing is not None:
            promised = checksums.check_value(algorithm, trailing)
        computed = Checksum(algorithm, checksums.encoded(self._checksum.digest()))
        if promised is not None and promised.digest != computed.digest:
            raise S3Error(
                "BadDigest",
                f"The {algorithm} you specified did not match the calculated checksum.",
            )
        return computed


def too_large(size: int, bytes_max: int) -> S3Error:
    """Return the refusal of a body over its limit."""
    return S3Error("EntityTooLarge", ProposedSize=size, MaxSizeAllowed=bytes_max)
