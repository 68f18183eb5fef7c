"""Operations on objects: put, get, head, delete."""

import sqlite3

from windtunnel.cloud.foundation.s3 import conditions, documents, rows
from windtunnel.cloud.foundation.s3.answers import (
    Answer,
    branch,
    check_header_value,
    checksum_headers,
    document,
    leaf,
    object_headers,
    quoted,
)
from windtunnel.cloud.foundation.s3.attributes import DEFAULT_CONTENT_TYPE, attributes_of
from windtunnel.cloud.foundation.s3.blobs import Segment, part_of
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.names import check_key
from windtunnel.cloud.foundation.s3.operations.call import Call
from windtunnel.cloud.foundation.s3.records import Object
from windtunnel.core import limits

_OVERRIDES = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)


def admit_put(call: Call) -> None:
    """Refuse a PUT before its body is read."""
    request = call.request
    check_key(request.key)
    attributes_of(request)
    call.storage.index.read(lambda connection: rows.need_bucket(connection, request.bucket))


def put_object(call: Call) -> Answer:
    """Store an object."""
    request, received = call.request, call.received
    assert received is not None
    attributes = attributes_of(request)

    def change(connection: sqlite3.Connection) -> tuple[Object, list[str]]:
        rows.need_bucket(connection, request.bucket)
        conditions.check_write(request, rows.find_object(connection, request.bucket, request.key))
        made = Object(
            request.bucket,
            request.key,
            rows.add_content(connection, [call.segments]),
            received.payload_bytes,
            received.md5,
            call.storage.clock.now_s(),
            received.checksum,
            attributes,
        )
        return made, rows.save_object(connection, made)

    made = call.storage.change(change)
    return Answer(headers=[("etag", quoted(made.etag)), *checksum_headers(made.checksum)])


def head_object(call: Call) -> Answer:
    """Tell everything about an object but its bytes."""
    request = call.request
    found, segments = call.storage.index.read(
        lambda connection: (
            known := rows.need_object(connection, request.bucket, request.key),
            rows.find_segments(connection, known.content) if "partNumber" in request.query else [],
        )
    )
    return _reading(call, found, segments)


def get_object(call: Call) -> Answer:
    """Send an object's bytes, or some of them."""
    request = call.request
    found, segments = call.storage.open(
        lambda connection: rows.need_object(connection, request.bucket, request.key)
    )
    held = [segment for _, segment in segments]
    try:
        answer = _reading(call, found, segments)
        answer.held = held
        return answer
    except BaseException:
        call.storage.blobs.release(held)
        raise


def _reading(call: Call, found: Object, segments: list[tuple[int, Segment]]) -> Answer:
    """Return the answer to a read; its body is in `segments`."""
    request = call.request
    conditions.check_read(request, found)
    headers = _overridden(call, object_headers(found))
    start, length = 0, found.payload_bytes
    status = 200
    number = request.integer("partNumber", 0, least=1, most=limits.S3_PART_COUNT_MAX)
    wanted = conditions.range_of(request.header("range"), found.payload_bytes)
    if number:
        if wanted is not None:
            raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber")
        wanted = _part_range(found, segments, number)
        if found.is_multipart:
            headers.append(("x-amz-mp-parts-count", found.etag.partition("-")[2]))
    if wanted is not None:
        start, length = wanted
        status = 206
        last = start + length - 1
        headers.append(("content-range", f"bytes {start}-{last}/{found.payload_bytes}"))
    elif (request.header("x-amz-checksum-mode") or "").upper() == "ENABLED":
        headers += checksum_headers(found.checksum)
    answer = Answer(status=status, headers=headers, segment_bytes=length)
    if request.method == "GET":
        answer.segments = part_of([segment for _, segment in segments], start, length)
    return answer


def _part_range(
    found: Object, segments: list[tuple[int, Segment]], number: int
) -> tuple[int, int] | None:
    """Return where a part of an object begins, and its length; None for an empty object."""
    count = int(found.etag.partition("-")[2] or 1)
    if number > count:
        raise S3Error("InvalidPartNumber", PartNumberRequested=number, ActualPartCount=count)
    start = sum(segment.length for part, segment in segments if part < number)
    length = sum(segment.length for part, segment in segments if part == number)
    return (start, length) if length else None


def _overridden(call: Call, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers of a read, some replaced as the query asks."""
    request = call.request
    replaced = {
        name: check_header_value(f"response-{name}", request.query[f"response-{name}"])
        for name in _OVERRIDES
        if f"response-{name}" in request.query
    }
    if replaced and request.is_anonymous:
        raise S3Error(
            "InvalidRequest",
            "Request specific response headers cannot be used for anonymous GET requests.",
        )
    kept = [(name, value) for name, value in headers if name not in replaced]
    kept += replaced.items()
    if not any(name == "content-type" for name, _ in kept):
        kept.append(("content-type", DEFAULT_CONTENT_TYPE))
    return kept


def delete_object(call: Call) -> Answer:
    """Remove an object; that it is not there is no error."""
    request = call.request
    etag = request.header("if-match")
    call.storage.change(
        lambda connection: (None, _delete(connection, request.bucket, request.key, etag))
    )
    return Answer(status=204)


def _delete(connection: sqlite3.Connection, bucket: str, key: str, etag: str | None) -> list[str]:
    rows.need_bucket(connection, bucket)
    if etag is not None:
        found = rows.find_object(connection, bucket, key)
        if found is None:
            raise S3Error("NoSuchKey", Key=key)
        if etag.strip().strip('"') not in ("*", found.etag):
            raise S3Error("PreconditionFailed", Condition="If-Match")
    return rows.delete_object(connection, bucket, key)


def delete_objects(call: Call) -> Answer:
    """Remove up to 1,000 objects, and tell each one's outcome."""
    request = call.request
    if not _has_integrity(call):
        raise S3Error(
            "InvalidRequest",
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
        )
    named, is_quiet = documents.read_deletion(request.body)

    def change(connection: sqlite3.Connection) -> tuple[list[str], list[str]]:
        rows.need_bucket(connection, request.bucket)
        told: list[str] = []
        freed: list[str] = []
        for wanted in named:
            try:
                freed += _delete(connection, request.bucket, wanted.key, wanted.etag)
                if not is_quiet:
                    told.append(branch("Deleted", leaf("Key", wanted.key)))
            except S3Error as error:
                code, message = leaf("Code", error.code), leaf("Message", error.message)
                told.append(branch("Error", leaf("Key", wanted.key), code, message))
        return told, freed

    return document("DeleteResult", *call.storage.change(change))


def _has_integrity(call: Call) -> bool:
    return call.request.header("content-md5") is not None or (
        call.received is not None and call.received.checksum is not None
    )
