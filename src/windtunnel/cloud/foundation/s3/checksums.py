"""The checksums a client may send with a body, and S3 keeps with an object.

Two kinds (Checking object integrity, S3 User Guide): FULL_OBJECT is over all bytes; COMPOSITE, of
a multipart object, is the checksum of its parts' checksums, written with `-N`. Only CRCs can be
joined into a FULL_OBJECT one from the parts' own.

Rule: pure. What cannot be verified is refused, never stored unverified: the XXHASH family has no
implementation in the standard library and is refused by name.
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from windtunnel.cloud.foundation.s3 import crc
from windtunnel.cloud.foundation.s3.errors import S3Error

HEADER_PREFIX = "x-amz-checksum-"
FULL_OBJECT = "FULL_OBJECT"
COMPOSITE = "COMPOSITE"

_POLYNOMIALS = {"CRC32": crc.CRC32, "CRC32C": crc.CRC32C, "CRC64NVME": crc.CRC64NVME}
_HASHES = ("MD5", "SHA1", "SHA256", "SHA512")
ALGORITHMS = (*_POLYNOMIALS, *_HASHES)
_REFUSED = ("XXHASH3", "XXHASH64", "XXHASH128")
# Headers with the prefix that carry no checksum.
_OTHER_HEADERS = frozenset(
    {"x-amz-checksum-mode", "x-amz-checksum-algorithm", "x-amz-checksum-type"}
)


class Running(Protocol):
    """A checksum that is being computed."""

    def update(self, data: bytes, /) -> object:
        """Take the next piece."""

    def digest(self) -> bytes:
        """Return the checksum of what was taken."""


class _Crc32:
    """CRC-32, which zlib computes."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


@dataclass(frozen=True)
class Checksum:
    """A checksum as S3 writes it: base64, with `-N` behind it when composite."""

    algorithm: str
    value: str
    kind: str = FULL_OBJECT

    @property
    def header(self) -> str:
        """The header that carries it."""
        return HEADER_PREFIX + self.algorithm.lower()

    @property
    def element(self) -> str:
        """The XML element that carries it."""
        return "Checksum" + self.algorithm

    @property
    def digest(self) -> bytes:
        """The bytes it stands for."""
        return base64.b64decode(self.value.partition("-")[0])


def check_algorithm(name: str) -> str:
    """Return an algorithm's name as given, or refuse it."""
    if name in _REFUSED:
        raise S3Error("NotImplemented", f"The checksum {name} is not offered by this local S3.")
    if name not in ALGORITHMS:
        raise S3Error(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with any of the valid "
            f"types: [{', '.join(ALGORITHMS)}]",
        )
    return name


def start(algorithm: str) -> Running:
    """Begin a checksum."""
    if algorithm == "CRC32":
        return _Crc32()
    if algorithm in _POLYNOMIALS:
        return crc.Crc(_POLYNOMIALS[algorithm])
    return hashlib.new(algorithm.lower(), usedforsecurity=False)


def encoded(digest: bytes) -> str:
    """Return a checksum's bytes as S3 writes them."""
    return base64.b64encode(digest).decode()


def check_value(algorithm: str, value: str) -> Checksum:
    """Return a checksum that a client sent, or refuse what cannot be one."""
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != len(start(algorithm).digest()):
        name = HEADER_PREFIX + algorithm.lower()
        raise S3Error("InvalidRequest", f"Value for {name} header is invalid.")
    return Checksum(algorithm, value)


def named_in(headers: Sequence[str]) -> list[str]:
    """Return the algorithms whose headers are among these names."""
    names = [name for name in headers if name.startswith(HEADER_PREFIX)]
    return [
        check_algorithm(name.removeprefix(HEADER_PREFIX).upper())
        for name in names
        if name not in _OTHER_HEADERS
    ]


def kind_wanted(algorithm: str, kind: str | None) -> str:
    """Return the kind of checksum a multipart upload will have, or refuse the pair."""
    if kind is None:
        # "CRC64NVME: full object only"; the others' default is composite (same page).
        return FULL_OBJECT if algorithm == "CRC64NVME" else COMPOSITE
    if kind not in (FULL_OBJECT, COMPOSITE):
        raise S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
    is_possible = algorithm in _POLYNOMIALS if kind == FULL_OBJECT else algorithm != "CRC64NVME"
    if not is_possible:
        raise S3Error(
            "InvalidRequest",
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} "
            "checksum algorithm.",
        )
    return kind


def of_parts(kind: str, parts: Sequence[tuple[Checksum, int]]) -> Checksum:
    """Return the checksum of an object from those of its parts, each with its part's length."""
    algorithm = parts[0][0].algorithm
    if kind == COMPOSITE:
        running = start(algorithm)
        for checksum, _ in parts:
            running.update(checksum.digest)
        return Checksum(algorithm, f"{encoded(running.digest())}-{len(parts)}", COMPOSITE)
    polynomial = _POLYNOMIALS[algorithm]
    value = int.from_bytes(parts[0][0].digest, "big")
    for checksum, size in parts[1:]:
        value = crc.joined(polynomial, value, int.from_bytes(checksum.digest, "big"), size)
    return Checksum(algorithm, encoded(value.to_bytes(polynomial.width // 8, "big")))
