"""Operations that make bytes from bytes that are here already: CopyObject and UploadPartCopy.

A copy refers to its source's blobs; nothing is written but the index. Bytes are read only where
their hash is not known yet (a part of an object, a copy of a multipart object, another checksum).
"""

import hashlib
import sqlite3
from dataclasses import replace
from urllib.parse import unquote_to_bytes

from windtunnel.cloud.foundation.s3 import checksums, conditions, rows
from windtunnel.cloud.foundation.s3.answers import (
    Answer,
    checksum_leaves,
    document,
    iso_date,
    leaf,
    quoted,
)
from windtunnel.cloud.foundation.s3.attributes import (
    acl_of,
    attributes_of,
    storage_class_of,
    tags_of,
)
from windtunnel.cloud.foundation.s3.blobs import Segment, part_of
from windtunnel.cloud.foundation.s3.checksums import FULL_OBJECT, Checksum
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.names import check_key
from windtunnel.cloud.foundation.s3.operations.call import Call
from windtunnel.cloud.foundation.s3.operations.multipart import part_number, save_part
from windtunnel.cloud.foundation.s3.records import Attributes, Object, Part
from windtunnel.core import limits

_DIRECTIVES = ("COPY", "REPLACE")


def source_of(header: str) -> tuple[str, str]:
    """Return the bucket and key that an `x-amz-copy-source` names."""
    text, _, query = header.partition("?")
    try:
        path = unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeDecodeError:
        path = ""
    bucket, _, key = path.removeprefix("/").partition("/")
    if not bucket or not key or query not in ("", "versionId=null"):
        raise S3Error(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=header,
        )
    return bucket, key


def copy_object(call: Call) -> Answer:
    """Make an object of another one's bytes."""
    request, storage = call.request, call.storage
    check_key(request.key)
    bucket, key = source_of(request.headers["x-amz-copy-source"])
    wanted = request.header("x-amz-checksum-algorithm")
    algorithm = None if wanted is None else checksums.check_algorithm(wanted.upper())
    source, numbered = storage.open(lambda connection: rows.need_object(connection, bucket, key))
    segments = [segment for _, segment in numbered]
    try:
        conditions.check_copy_source(request, source)
        attributes = _attributes(call, source)
        if source.payload_bytes > limits.S3_PUT_BYTES_MAX:
            raise S3Error(
                "InvalidRequest",
                "The specified copy source is larger than the maximum allowable size for a copy "
                f"source: {limits.S3_PUT_BYTES_MAX}",
            )
        etag, checksum = _identity(call, source, segments, algorithm)

        def change(connection: sqlite3.Connection) -> tuple[Object, list[str]]:
            rows.need_bucket(connection, request.bucket)
            conditions.check_write(
                request, rows.find_object(connection, request.bucket, request.key)
            )
            made = Object(
                request.bucket,
                request.key,
                rows.add_content(connection, [segments]),
                source.payload_bytes,
                etag,
                storage.clock.now_s(),
                checksum,
                attributes,
            )
            return made, rows.save_object(connection, made)

        # The blobs are held until the copy names them, so the source may be deleted meanwhile.
        made = storage.change(change)
    finally:
        storage.blobs.release(segments)
    return _document("CopyObjectResult", made)


def _attributes(call: Call, source: Object) -> Attributes:
    """Return what the copy is said to be: the source's own words, or the request's."""
    request = call.request
    for name in ("x-amz-metadata-directive", "x-amz-tagging-directive"):
        directive = request.header(name) or "COPY"
        if directive not in _DIRECTIVES:
            raise S3Error(
                "InvalidArgument",
                f"Unknown {name.removeprefix('x-amz-')}.",
                ArgumentName=name,
                ArgumentValue=directive,
            )
    replaces = request.header("x-amz-metadata-directive") == "REPLACE"
    is_itself = (source.bucket, source.key) == (request.bucket, request.key)
    if is_itself and not replaces and request.header("x-amz-storage-class") is None:
        raise S3Error(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself "
            "without changing the object's metadata, storage class, website redirect location or "
            "encryption attributes.",
        )
    said = attributes_of(request) if replaces else source.attributes
    tags = source.attributes.tags
    if request.header("x-amz-tagging-directive") == "REPLACE":
        tags = tags_of(request)
    return replace(said, acl=acl_of(request), storage_class=storage_class_of(request), tags=tags)


def _identity(
    call: Call, source: Object, segments: list[Segment], algorithm: str | None
) -> tuple[str, Checksum | None]:
    """Return the copy's entity tag and checksum: those of one piece, however it was uploaded."""
    kept = source.checksum
    is_kept = kept is None or (kept.kind == FULL_OBJECT and algorithm in (None, kept.algorithm))
    if not source.is_multipart and is_kept and (kept is not None or algorithm is None):
        return source.etag, kept
    wanted = algorithm or (kept.algorithm if kept else None)
    return _hashed(call, segments, wanted)


def _hashed(
    call: Call, segments: list[Segment], algorithm: str | None
) -> tuple[str, Checksum | None]:
    md5 = hashlib.md5(usedforsecurity=False)
    running = None if algorithm is None else checksums.start(algorithm)
    for piece in call.storage.blobs.read(segments, limits.S3_READ_PIECE_BYTES):
        md5.update(piece)
        if running is not None:
            running.update(piece)
    if algorithm is None or running is None:
        return md5.hexdigest(), None
    return md5.hexdigest(), Checksum(algorithm, checksums.encoded(running.digest()))


def upload_part_copy(call: Call) -> Answer:
    """Make a part of an object's bytes, or of some of them."""
    request, storage = call.request, call.storage
    upload_id, number = request.query["uploadId"], part_number(request)
    bucket, key = source_of(request.headers["x-amz-copy-source"])
    upload = storage.index.read(
        lambda connection: rows.need_upload(connection, request.bucket, request.key, upload_id)
    )
    source, numbered = storage.open(lambda connection: rows.need_object(connection, bucket, key))
    held = [segment for _, segment in numbered]
    try:
        conditions.check_copy_source(request, source)
        start, length = 0, source.payload_bytes
        header = request.header("x-amz-copy-source-range")
        if header is not None:
            start, length = conditions.copied_range_of(header, source.payload_bytes)
        if length > limits.S3_PUT_BYTES_MAX:
            raise S3Error(
                "InvalidRequest",
                "The specified copy source is larger than the maximum allowable size for a copy "
                f"source: {limits.S3_PUT_BYTES_MAX}",
            )
        segments = part_of(held, start, length)
        etag, checksum = _hashed(call, segments, upload.algorithm or None)
        made = save_part(call, number, segments, etag, length, checksum)
    finally:
        storage.blobs.release(held)
    return _document("CopyPartResult", made)


def _document(name: str, made: Object | Part) -> Answer:
    return document(
        name,
        leaf("LastModified", iso_date(made.modified_s)),
        leaf("ETag", quoted(made.etag)),
        *checksum_leaves(made.checksum),
    )
