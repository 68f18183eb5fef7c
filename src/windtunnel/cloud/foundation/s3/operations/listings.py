"""Operations that list: objects (both versions), uploads, parts."""

import base64
import binascii

from windtunnel.cloud.foundation.s3 import rows
from windtunnel.cloud.foundation.s3.answers import (
    Answer,
    branch,
    checksum_leaves,
    document,
    iso_date,
    key_text,
    leaf,
    quoted,
)
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.listing import Page, after, page_of
from windtunnel.cloud.foundation.s3.operations.acls import owner_leaves
from windtunnel.cloud.foundation.s3.operations.call import Call
from windtunnel.cloud.foundation.s3.records import Object, Part, Upload, upload_place
from windtunnel.core import limits


class _Asked:
    """The parameters that all listings of keys have."""

    def __init__(self, call: Call, limit_name: str) -> None:
        query = call.request.query
        self.prefix = query.get("prefix", "")
        self.delimiter = query.get("delimiter", "")
        self.encoding = query.get("encoding-type", "")
        if self.encoding not in ("", "url"):
            raise S3Error(
                "InvalidArgument",
                "Invalid Encoding Method specified in Request",
                ArgumentName="encoding-type",
                ArgumentValue=self.encoding,
            )
        wanted = call.request.integer(limit_name, limits.S3_PAGE_KEYS_MAX)
        self.limit = min(wanted, limits.S3_PAGE_KEYS_MAX)

    def text(self, name: str, value: str) -> str:
        """Return an element that holds a key or a piece of one."""
        return leaf(name, key_text(value, self.encoding))

    def common(self, page: "Page[Object] | Page[Upload]") -> list[str]:
        """Return the elements that all listings of keys have."""
        told = [self.text("Prefix", self.prefix)]
        if self.delimiter:
            told.append(self.text("Delimiter", self.delimiter))
        if self.encoding:
            told.append(leaf("EncodingType", self.encoding))
        told.append(leaf("IsTruncated", page.next_first is not None))
        told += [branch("CommonPrefixes", self.text("Prefix", name)) for name in page.prefixes]
        return told

    def objects(self, call: Call, first: bytes, skipped_prefix: str = "") -> Page[Object]:
        """Return a page of objects."""
        bucket = call.request.bucket
        if self.limit == 0:
            call.storage.index.read(lambda connection: rows.need_bucket(connection, bucket))
            return Page()
        return call.storage.index.read(
            lambda connection: (
                rows.need_bucket(connection, bucket),
                page_of(
                    lambda place, limit: rows.list_objects(connection, bucket, place, limit),
                    prefix=self.prefix,
                    delimiter=self.delimiter,
                    first=first,
                    limit=self.limit,
                    skipped_prefix=skipped_prefix,
                ),
            )
        )[1]

    def entry(self, found: Object, *, is_owned: bool) -> str:
        """Return the element of one object."""
        checksum = found.checksum
        return branch(
            "Contents",
            self.text("Key", found.key),
            leaf("LastModified", iso_date(found.modified_s)),
            leaf("ETag", quoted(found.etag)),
            *([leaf("ChecksumAlgorithm", checksum.algorithm)] if checksum else []),
            *([leaf("ChecksumType", checksum.kind)] if checksum else []),
            leaf("Size", found.payload_bytes),
            *([branch("Owner", *owner_leaves())] if is_owned else []),
            leaf("StorageClass", found.attributes.storage_class),
        )


def list_objects_v2(call: Call) -> Answer:
    """List a bucket's objects, with a token to go on."""
    asked = _Asked(call, "max-keys")
    query = call.request.query
    token, start_after = query.get("continuation-token"), query.get("start-after", "")
    first = after(start_after.encode()) if start_after else b""
    if token is not None:
        first = _token_place(token)
    page = asked.objects(call, first)
    told = [leaf("Name", call.request.bucket), leaf("MaxKeys", asked.limit)]
    told.append(leaf("KeyCount", page.count))
    if token is not None:
        told.append(leaf("ContinuationToken", token))
    if start_after:
        told.append(asked.text("StartAfter", start_after))
    if page.next_first is not None:
        told.append(leaf("NextContinuationToken", _token(page.next_first)))
    is_owned = query.get("fetch-owner", "").lower() == "true"
    told += [asked.entry(found, is_owned=is_owned) for found in page.entries]
    return document("ListBucketResult", *told, *asked.common(page))


def _token(place: bytes) -> str:
    """Return a place as a token that clients cannot be tempted to read."""
    return base64.urlsafe_b64encode(place).decode()


def _token_place(token: str) -> bytes:
    try:
        place = base64.urlsafe_b64decode(token.encode("ascii"))
    except (binascii.Error, ValueError):
        place = b""
    if not place:
        raise S3Error(
            "InvalidArgument",
            "The continuation token provided is incorrect",
            ArgumentName="continuation-token",
        )
    return place


def list_objects(call: Call) -> Answer:
    """List a bucket's objects, from a marker on."""
    asked = _Asked(call, "max-keys")
    marker = call.request.query.get("marker", "")
    page = asked.objects(call, after(marker.encode()) if marker else b"", marker)
    told = [leaf("Name", call.request.bucket), leaf("MaxKeys", asked.limit)]
    told.append(asked.text("Marker", marker))
    # "returned only if you have the delimiter request parameter specified" (ListObjects).
    if page.next_first is not None and asked.delimiter:
        told.append(asked.text("NextMarker", page.last))
    told += [asked.entry(found, is_owned=True) for found in page.entries]
    return document("ListBucketResult", *told, *asked.common(page))


def list_multipart_uploads(call: Call) -> Answer:
    """List a bucket's unfinished uploads."""
    asked = _Asked(call, "max-uploads")
    request = call.request
    key_marker = request.query.get("key-marker", "")
    # "Together with key-marker ... If key-marker is not specified, it is ignored" (same name).
    id_marker = request.query.get("upload-id-marker", "") if key_marker else ""
    first = b""
    if id_marker:
        first = after(upload_place(key_marker, id_marker))
    elif key_marker:
        # Beyond all uploads of that key: their places go on with a zero byte.
        first = key_marker.encode() + b"\1"
    page: Page[Upload] = call.storage.index.read(
        lambda connection: (
            rows.need_bucket(connection, request.bucket),
            page_of(
                lambda place, limit: rows.list_uploads(connection, request.bucket, place, limit),
                prefix=asked.prefix,
                delimiter=asked.delimiter,
                first=first,
                limit=max(1, asked.limit),
                skipped_prefix=key_marker,
            ),
        )
    )[1]
    told = [leaf("Bucket", request.bucket), asked.text("KeyMarker", key_marker)]
    told += [leaf("UploadIdMarker", id_marker), leaf("MaxUploads", asked.limit)]
    if page.next_first is not None:
        told.append(asked.text("NextKeyMarker", page.last))
        last_id = page.entries[-1].id if page.entries and page.last == page.entries[-1].key else ""
        told.append(leaf("NextUploadIdMarker", last_id))
    told += [_upload(asked, upload) for upload in page.entries]
    return document("ListMultipartUploadsResult", *told, *asked.common(page))


def _upload(asked: _Asked, upload: Upload) -> str:
    kinds = [leaf("ChecksumAlgorithm", upload.algorithm), leaf("ChecksumType", upload.kind)]
    return branch(
        "Upload",
        asked.text("Key", upload.key),
        leaf("UploadId", upload.id),
        branch("Initiator", *owner_leaves()),
        branch("Owner", *owner_leaves()),
        leaf("StorageClass", upload.attributes.storage_class),
        leaf("Initiated", iso_date(upload.initiated_s)),
        *(kinds if upload.algorithm else []),
    )


def list_parts(call: Call) -> Answer:
    """List the parts that an upload has so far."""
    request = call.request
    wanted = request.integer("max-parts", limits.S3_PAGE_KEYS_MAX)
    limit = min(wanted, limits.S3_PAGE_KEYS_MAX)
    marker = request.integer("part-number-marker", 0)
    upload, parts = call.storage.index.read(
        lambda connection: (
            known := rows.need_upload(
                connection, request.bucket, request.key, request.query["uploadId"]
            ),
            rows.list_parts(connection, known.id, marker, limit + 1),
        )
    )
    shown = parts[:limit]
    kinds = [leaf("ChecksumAlgorithm", upload.algorithm), leaf("ChecksumType", upload.kind)]
    return document(
        "ListPartsResult",
        leaf("Bucket", upload.bucket),
        leaf("Key", upload.key),
        leaf("UploadId", upload.id),
        branch("Initiator", *owner_leaves()),
        branch("Owner", *owner_leaves()),
        leaf("StorageClass", upload.attributes.storage_class),
        leaf("PartNumberMarker", marker),
        leaf("NextPartNumberMarker", shown[-1].number if shown else marker),
        leaf("MaxParts", limit),
        leaf("IsTruncated", len(parts) > limit),
        *(kinds if upload.algorithm else []),
        *(_part(part) for part in shown),
    )


def _part(part: Part) -> str:
    return branch(
        "Part",
        leaf("PartNumber", part.number),
        leaf("LastModified", iso_date(part.modified_s)),
        leaf("ETag", quoted(part.etag)),
        leaf("Size", part.payload_bytes),
        # A part's checksum has no kind.
        *checksum_leaves(part.checksum)[:1],
    )
