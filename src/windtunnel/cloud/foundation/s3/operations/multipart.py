"""Operations on multipart uploads: begin, part, complete, abort.

Completing writes no bytes: the object's content is its parts' blobs in a row. Limits and order of
checks are those of "Amazon S3 multipart upload limits" and of CompleteMultipartUpload's page.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Sequence
from urllib.parse import quote

from windtunnel.cloud.foundation.s3 import checksums, conditions, documents, rows
from windtunnel.cloud.foundation.s3.answers import (
    Answer,
    checksum_headers,
    checksum_leaves,
    document,
    leaf,
    quoted,
)
from windtunnel.cloud.foundation.s3.attributes import attributes_of
from windtunnel.cloud.foundation.s3.blobs import Segment
from windtunnel.cloud.foundation.s3.checksums import COMPOSITE, Checksum
from windtunnel.cloud.foundation.s3.documents import NamedPart
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.names import check_key
from windtunnel.cloud.foundation.s3.operations.call import Call
from windtunnel.cloud.foundation.s3.records import Object, Part, Upload
from windtunnel.cloud.foundation.s3.request import Request
from windtunnel.core import limits


def create_multipart_upload(call: Call) -> Answer:
    """Begin an upload in parts."""
    request = call.request
    check_key(request.key)
    named = request.header("x-amz-checksum-algorithm")
    algorithm, kind = "", ""
    if named is not None:
        algorithm = checksums.check_algorithm(named.upper())
        kind = checksums.kind_wanted(algorithm, request.header("x-amz-checksum-type"))
    now_s = call.storage.clock.now_s()
    upload = Upload(
        # The time comes first, so that uploads of one key are listed in the order they began.
        id=f"{int(now_s * 1e6):016x}{secrets.token_hex(16)}",
        bucket=request.bucket,
        key=request.key,
        initiated_s=now_s,
        algorithm=algorithm,
        kind=kind,
        attributes=attributes_of(request),
    )

    def change(connection: sqlite3.Connection) -> None:
        rows.need_bucket(connection, request.bucket)
        rows.save_upload(connection, upload)

    call.storage.index.write(change)
    answer = document(
        "InitiateMultipartUploadResult",
        leaf("Bucket", upload.bucket),
        leaf("Key", upload.key),
        leaf("UploadId", upload.id),
    )
    if algorithm:
        answer.headers += [
            ("x-amz-checksum-algorithm", algorithm),
            ("x-amz-checksum-type", kind),
        ]
    return answer


def part_number(request: Request) -> int:
    """Return the number of the part that a request is about."""
    text = request.query.get("partNumber", "")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= limits.S3_PART_COUNT_MAX):
        raise S3Error(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {limits.S3_PART_COUNT_MAX}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=text,
        )
    return int(text)


def admit_part(call: Call) -> None:
    """Refuse a part before its body is read."""
    request = call.request
    part_number(request)
    call.storage.index.read(
        lambda connection: rows.need_upload(
            connection, request.bucket, request.key, request.query["uploadId"]
        )
    )


def upload_part(call: Call) -> Answer:
    """Store a part."""
    received = call.received
    assert received is not None
    part = save_part(
        call,
        part_number(call.request),
        call.segments,
        received.md5,
        received.payload_bytes,
        received.checksum,
    )
    headers = [("etag", quoted(part.etag))]
    # A part's checksum has no kind.
    headers += checksum_headers(part.checksum)[:1]
    return Answer(headers=headers)


def save_part(
    call: Call,
    number: int,
    segments: Sequence[Segment],
    etag: str,
    payload_bytes: int,
    checksum: Checksum | None,
) -> Part:
    """Put a part into its upload, in place of one with its number."""
    request = call.request

    def change(connection: sqlite3.Connection) -> tuple[Part, list[str]]:
        upload = rows.need_upload(
            connection, request.bucket, request.key, request.query["uploadId"]
        )
        _check_algorithm(upload, checksum)
        part = Part(
            upload.id,
            number,
            rows.add_content(connection, [segments]),
            payload_bytes,
            etag,
            call.storage.clock.now_s(),
            checksum,
        )
        return part, rows.save_part(connection, part)

    return call.storage.change(change)


def _check_algorithm(upload: Upload, checksum: Checksum | None) -> None:
    actual = "null" if checksum is None else checksum.algorithm
    if upload.algorithm and actual != upload.algorithm:
        raise S3Error(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: "
            f"{upload.algorithm.lower()}, actual checksum Type: {actual.lower()}",
        )


def complete_multipart_upload(call: Call) -> Answer:
    """Make one object of the parts of an upload."""
    request = call.request
    named = documents.read_completion(request.body)

    def change(connection: sqlite3.Connection) -> tuple[Object, list[str]]:
        upload = rows.need_upload(
            connection, request.bucket, request.key, request.query["uploadId"]
        )
        present = {
            part.number: part
            for part in rows.list_parts(connection, upload.id, 0, limits.S3_PART_COUNT_MAX)
        }
        parts = chosen_parts(upload, named, present)
        conditions.check_write(request, rows.find_object(connection, request.bucket, request.key))
        contents = [
            [segment for _, segment in rows.find_segments(connection, part.content)]
            for part in parts
        ]
        size = sum(part.payload_bytes for part in parts)
        checksum = _checksum(request, upload, parts)
        _check_size(request, size)
        made = Object(
            upload.bucket,
            upload.key,
            rows.add_content(connection, contents),
            size,
            etag_of(parts),
            call.storage.clock.now_s(),
            checksum,
            upload.attributes,
        )
        freed = rows.save_object(connection, made)
        return made, freed + rows.delete_upload(connection, upload.id)

    made = call.storage.change(change)
    host = request.header("host") or "s3.amazonaws.com"
    return document(
        "CompleteMultipartUploadResult",
        leaf("Location", f"http://{host}/{made.bucket}/{quote(made.key)}"),
        leaf("Bucket", made.bucket),
        leaf("Key", made.key),
        leaf("ETag", quoted(made.etag)),
        *checksum_leaves(made.checksum),
    )


def chosen_parts(
    upload: Upload, named: Sequence[NamedPart], present: dict[int, Part]
) -> list[Part]:
    """Return the parts that a completion names, or refuse it."""
    numbers = [part.number for part in named]
    if sorted(set(numbers)) != numbers:
        raise S3Error("InvalidPartOrder", UploadId=upload.id)
    parts = []
    for wanted in named:
        part = present.get(wanted.number)
        if part is None or part.etag != wanted.etag or not _is_checksum_held(part, wanted):
            raise S3Error(
                "InvalidPart", UploadId=upload.id, PartNumber=wanted.number, ETag=wanted.etag
            )
        if upload.kind == COMPOSITE and not wanted.checksums:
            algorithm = upload.algorithm.lower()
            raise S3Error(
                "InvalidRequest",
                f"The upload was created using a {algorithm} checksum. The complete request must "
                "include the checksum for each part. It was missing for part "
                f"{wanted.number} in the request.",
            )
        parts.append(part)
    for part in parts[:-1]:
        if part.payload_bytes < limits.S3_PART_BYTES_MIN:
            raise S3Error(
                "EntityTooSmall",
                ProposedSize=part.payload_bytes,
                MinSizeAllowed=limits.S3_PART_BYTES_MIN,
                PartNumber=part.number,
                ETag=part.etag,
            )
    return parts


def _is_checksum_held(part: Part, wanted: NamedPart) -> bool:
    known = () if part.checksum is None else ((part.checksum.algorithm, part.checksum.value),)
    return all(checksum in known for checksum in wanted.checksums)


def etag_of(parts: Sequence[Part]) -> str:
    """Return the entity tag of an object in parts: the MD5 of their MD5s, and how many."""
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def _checksum(request: Request, upload: Upload, parts: Sequence[Part]) -> Checksum | None:
    """Return the object's checksum, or refuse what the client says it is."""
    known = [(part.checksum, part.payload_bytes) for part in parts if part.checksum is not None]
    if not upload.algorithm or len(known) != len(parts):
        return None
    computed = checksums.of_parts(upload.kind, known)
    promised = request.header(computed.header)
    if promised is not None and promised != computed.value:
        raise S3Error(
            "BadDigest",
            f"The {computed.algorithm.lower()} you specified did not match the calculated "
            "checksum.",
        )
    return computed


def _check_size(request: Request, size: int) -> None:
    promised = request.header("x-amz-mp-object-size")
    if promised is not None and promised != str(size):
        raise S3Error(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {promised} does not match what was "
            f"computed: {size}",
        )


def abort_multipart_upload(call: Call) -> Answer:
    """Forget an upload and its parts."""
    request = call.request

    def change(connection: sqlite3.Connection) -> tuple[None, list[str]]:
        upload = rows.need_upload(
            connection, request.bucket, request.key, request.query["uploadId"]
        )
        return None, rows.delete_upload(connection, upload.id)

    call.storage.change(change)
    return Answer(status=204)
