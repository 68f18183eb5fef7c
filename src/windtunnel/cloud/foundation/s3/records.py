"""What the index knows of buckets, objects, uploads and parts, as values."""

import json
from dataclasses import dataclass, field
from typing import Any

from windtunnel.cloud.foundation.s3.checksums import Checksum

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Attributes:
    """What a client says about an object beside its bytes."""

    # Content-Type and its kin, sent back as they came.
    headers: tuple[tuple[str, str], ...] = ()
    # Names without the prefix `x-amz-meta-`.
    metadata: tuple[tuple[str, str], ...] = ()
    acl: str = "private"
    storage_class: str = "STANDARD"
    tags: Tags = ()

    def dump(self) -> str:
        """Return the attributes as text for a column."""
        return json.dumps(
            {
                "headers": self.headers,
                "metadata": self.metadata,
                "acl": self.acl,
                "storage_class": self.storage_class,
                "tags": self.tags,
            }
        )

    @classmethod
    def load(cls, text: str) -> "Attributes":
        """Return the attributes that a column holds."""
        known: dict[str, Any] = json.loads(text)
        for name in ("headers", "metadata", "tags"):
            known[name] = pairs(known[name])
        return cls(**known)


@dataclass(frozen=True)
class Bucket:
    """A bucket."""

    name: str
    created_s: float
    region: str
    acl: str = "private"
    tags: Tags = ()


@dataclass(frozen=True)
class Object:
    """An object: the facts, without its bytes."""

    bucket: str
    key: str
    content: int
    payload_bytes: int
    etag: str
    modified_s: float
    checksum: Checksum | None = None
    attributes: Attributes = field(default_factory=Attributes)

    @property
    def is_public(self) -> bool:
        """Whether anybody may read it, credentials or not."""
        return self.attributes.acl in ("public-read", "public-read-write")

    @property
    def place(self) -> bytes:
        """Its place in a listing: S3 orders keys by their UTF-8 bytes."""
        return self.key.encode()

    @property
    def is_multipart(self) -> bool:
        """Whether it was uploaded in parts."""
        return "-" in self.etag


@dataclass(frozen=True)
class Upload:
    """A multipart upload that is neither completed nor aborted."""

    id: str
    bucket: str
    key: str
    initiated_s: float
    # The checksum every part must have, "" for none, and its kind.
    algorithm: str
    kind: str
    attributes: Attributes

    @property
    def place(self) -> bytes:
        """Its place in a listing: by key, then by id, which begins with the time."""
        return upload_place(self.key, self.id)


@dataclass(frozen=True)
class Part:
    """A part of a multipart upload."""

    upload: str
    number: int
    content: int
    payload_bytes: int
    etag: str
    modified_s: float
    checksum: Checksum | None = None


def upload_place(key: str, upload: str) -> bytes:
    """Return where an upload stands in a listing."""
    return key.encode() + b"\0" + upload.encode()


def pairs(rows: list[list[str]]) -> Tags:
    """Return pairs that came back from JSON as the tuples they were."""
    return tuple((name, value) for name, value in rows)


def dump_checksum(checksum: Checksum | None) -> str:
    """Return a checksum as text for a column."""
    if checksum is None:
        return ""
    return f"{checksum.algorithm} {checksum.kind} {checksum.value}"


def load_checksum(text: str) -> Checksum | None:
    """Return the checksum that a column holds."""
    if not text:
        return None
    algorithm, kind, value = text.split(" ")
    return Checksum(algorithm, value, kind)
