"""The index's rows: every SQL statement about them, each a function of a connection.

Rules: functions that change rows run inside `Index.write`, those that only look also inside
`Index.read`. A function that forgets a content returns the blobs nothing refers to any more: the
caller removes them after the commit, and never before.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from windtunnel.cloud.foundation.s3.blobs import Segment
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.records import (
    Attributes,
    Bucket,
    Object,
    Part,
    Upload,
    dump_checksum,
    load_checksum,
    pairs,
)

_OBJECT = "bucket, key, content, payload_bytes, etag, modified_s, checksum, attributes"
_UPLOAD = "id, bucket, key, initiated_s, algorithm, kind, attributes"
_PART = "upload, number, content, payload_bytes, etag, modified_s, checksum"


# --- Buckets -------------------------------------------------------------------------------


def find_bucket(connection: sqlite3.Connection, name: str) -> Bucket | None:
    """Return a bucket, if it is there."""
    row = connection.execute("SELECT * FROM buckets WHERE name = ?", (name,)).fetchone()
    return None if row is None else _bucket(row)


def need_bucket(connection: sqlite3.Connection, name: str) -> Bucket:
    """Return a bucket, or refuse."""
    bucket = find_bucket(connection, name)
    if bucket is None:
        raise S3Error("NoSuchBucket", BucketName=name)
    return bucket


def list_buckets(connection: sqlite3.Connection, after: str, limit: int) -> list[Bucket]:
    """Return buckets in order of their names."""
    found = connection.execute(
        "SELECT * FROM buckets WHERE name > ? ORDER BY name LIMIT ?", (after, limit)
    )
    return [_bucket(row) for row in found]


def save_bucket(connection: sqlite3.Connection, bucket: Bucket) -> None:
    """Add a bucket, or change what is known of it."""
    connection.execute(
        "INSERT OR REPLACE INTO buckets VALUES (?, ?, ?, ?, ?)",
        (bucket.name, bucket.created_s, bucket.region, bucket.acl, json.dumps(bucket.tags)),
    )


def delete_bucket(connection: sqlite3.Connection, name: str) -> list[str]:
    """Forget an empty bucket and its unfinished uploads; return blobs that are free now."""
    need_bucket(connection, name)
    if connection.execute("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", (name,)).fetchone():
        raise S3Error("BucketNotEmpty", BucketName=name)
    freed: list[str] = []
    for (upload,) in connection.execute(
        "SELECT id FROM uploads WHERE bucket = ?", (name,)
    ).fetchall():
        freed += delete_upload(connection, upload)
    connection.execute("DELETE FROM buckets WHERE name = ?", (name,))
    return freed


def _bucket(row: tuple[str, float, str, str, str]) -> Bucket:
    name, created_s, region, acl, tags = row
    return Bucket(name, created_s, region, acl, pairs(json.loads(tags)))


# --- Objects -------------------------------------------------------------------------------


def find_object(connection: sqlite3.Connection, bucket: str, key: str) -> Object | None:
    """Return an object, if it is there."""
    row = connection.execute(
        f"SELECT {_OBJECT} FROM objects WHERE bucket = ? AND key = ?",  # noqa: S608 - a constant
        (bucket, key.encode()),
    ).fetchone()
    return None if row is None else _object(row)


def need_object(connection: sqlite3.Connection, bucket: str, key: str) -> Object:
    """Return an object, or refuse by what is missing: its bucket or itself."""
    need_bucket(connection, bucket)
    found = find_object(connection, bucket, key)
    if found is None:
        raise S3Error("NoSuchKey", Key=key)
    return found


def list_objects(
    connection: sqlite3.Connection, bucket: str, first: bytes, limit: int
) -> Iterator[Object]:
    """Yield objects in order of their keys, from `first` on; only those taken are read."""
    found = connection.execute(
        f"SELECT {_OBJECT} FROM objects "  # noqa: S608 - a constant
        "WHERE bucket = ? AND key >= ? ORDER BY key LIMIT ?",
        (bucket, first, limit),
    )
    return (_object(row) for row in found)


def save_object(connection: sqlite3.Connection, made: Object) -> list[str]:
    """Put an object in its place; return blobs that are free now."""
    freed = delete_object(connection, made.bucket, made.key, keep_content=made.content)
    connection.execute(
        f"INSERT INTO objects ({_OBJECT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            made.bucket,
            made.key.encode(),
            made.content,
            made.payload_bytes,
            made.etag,
            made.modified_s,
            dump_checksum(made.checksum),
            made.attributes.dump(),
        ),
    )
    return freed


def delete_object(
    connection: sqlite3.Connection, bucket: str, key: str, *, keep_content: int = 0
) -> list[str]:
    """Forget an object, if it is there; return blobs that are free now."""
    name = (bucket, key.encode())
    row = connection.execute(
        "DELETE FROM objects WHERE bucket = ? AND key = ? RETURNING content", name
    ).fetchone()
    return [] if row is None or row[0] == keep_content else _delete_content(connection, row[0])


def _object(row: tuple[str, bytes, int, int, str, float, str, str]) -> Object:
    bucket, key, content, payload_bytes, etag, modified_s, checksum, attributes = row
    return Object(
        bucket,
        key.decode(),
        content,
        payload_bytes,
        etag,
        modified_s,
        load_checksum(checksum),
        Attributes.load(attributes),
    )


# --- Contents ------------------------------------------------------------------------------


def add_content(connection: sqlite3.Connection, parts: Iterable[Sequence[Segment]]) -> int:
    """Add a content made of parts, each a row of segments; return its number."""
    content = connection.execute("INSERT INTO contents DEFAULT VALUES").lastrowid
    assert content is not None
    # Only the highest number matters, and AUTOINCREMENT remembers it.
    connection.execute("DELETE FROM contents")
    numbered = [
        (number, segment) for number, segments in enumerate(parts, 1) for segment in segments
    ]
    connection.executemany(
        "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)",
        [
            (content, position, number, segment.blob, segment.start, segment.length)
            for position, (number, segment) in enumerate(numbered)
        ],
    )
    return content


def find_segments(connection: sqlite3.Connection, content: int) -> list[tuple[int, Segment]]:
    """Return a content's segments in order, each with the number of the part it is in."""
    found = connection.execute(
        "SELECT part, blob, start, length FROM segments WHERE content = ? ORDER BY position",
        (content,),
    )
    return [(part, Segment(blob, start, length)) for part, blob, start, length in found]


def all_blobs(connection: sqlite3.Connection) -> set[str]:
    """Return every blob that something refers to."""
    return {blob for (blob,) in connection.execute("SELECT blob FROM segments")}


def is_used(connection: sqlite3.Connection, blob: str) -> bool:
    """Say whether something refers to a blob."""
    found = connection.execute("SELECT 1 FROM segments WHERE blob = ? LIMIT 1", (blob,))
    return found.fetchone() is not None


def _delete_content(connection: sqlite3.Connection, content: int) -> list[str]:
    blobs = {
        blob
        for (blob,) in connection.execute(
            "DELETE FROM segments WHERE content = ? RETURNING blob", (content,)
        ).fetchall()
    }
    # A copy, or an upload that was made into an object, may still refer to a blob.
    return [blob for blob in blobs if not is_used(connection, blob)]


# --- Uploads and parts -----------------------------------------------------------------------


def need_upload(connection: sqlite3.Connection, bucket: str, key: str, upload: str) -> Upload:
    """Return an upload, or refuse."""
    need_bucket(connection, bucket)
    row = connection.execute(
        f"SELECT {_UPLOAD} FROM uploads "  # noqa: S608 - a constant
        "WHERE id = ? AND bucket = ? AND key = ?",
        (upload, bucket, key),
    ).fetchone()
    if row is None:
        raise S3Error("NoSuchUpload", UploadId=upload)
    return _upload(row)


def list_uploads(
    connection: sqlite3.Connection, bucket: str, first: bytes, limit: int
) -> Iterator[Upload]:
    """Yield uploads in order of their places, from `first` on; only those taken are read."""
    found = connection.execute(
        f"SELECT {_UPLOAD} FROM uploads "  # noqa: S608 - a constant
        "WHERE bucket = ? AND place >= ? ORDER BY place LIMIT ?",
        (bucket, first, limit),
    )
    return (_upload(row) for row in found)


def save_upload(connection: sqlite3.Connection, upload: Upload) -> None:
    """Add an upload."""
    connection.execute(
        f"INSERT INTO uploads ({_UPLOAD}, place) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            upload.id,
            upload.bucket,
            upload.key,
            upload.initiated_s,
            upload.algorithm,
            upload.kind,
            upload.attributes.dump(),
            upload.place,
        ),
    )


def delete_upload(connection: sqlite3.Connection, upload: str) -> list[str]:
    """Forget an upload and its parts; return blobs that are free now."""
    contents = connection.execute(
        "DELETE FROM parts WHERE upload = ? RETURNING content", (upload,)
    ).fetchall()
    connection.execute("DELETE FROM uploads WHERE id = ?", (upload,))
    return [blob for (content,) in contents for blob in _delete_content(connection, content)]


def _upload(row: tuple[str, str, str, float, str, str, str]) -> Upload:
    identity, bucket, key, initiated_s, algorithm, kind, attributes = row
    return Upload(identity, bucket, key, initiated_s, algorithm, kind, Attributes.load(attributes))


def list_parts(connection: sqlite3.Connection, upload: str, after: int, limit: int) -> list[Part]:
    """Return parts in order of their numbers."""
    found = connection.execute(
        f"SELECT {_PART} FROM parts "  # noqa: S608 - a constant
        "WHERE upload = ? AND number > ? ORDER BY number LIMIT ?",
        (upload, after, limit),
    )
    return [_part(row) for row in found]


def _part(row: tuple[str, int, int, int, str, float, str]) -> Part:
    upload, number, content, payload_bytes, etag, modified_s, checksum = row
    return Part(upload, number, content, payload_bytes, etag, modified_s, load_checksum(checksum))


def save_part(connection: sqlite3.Connection, part: Part) -> list[str]:
    """Put a part in its place; return blobs that are free now."""
    row = connection.execute(
        "DELETE FROM parts WHERE upload = ? AND number = ? RETURNING content",
        (part.upload, part.number),
    ).fetchone()
    freed = [] if row is None else _delete_content(connection, row[0])
    connection.execute(
        f"INSERT INTO parts ({_PART}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        (
            part.upload,
            part.number,
            part.content,
            part.payload_bytes,
            part.etag,
            part.modified_s,
            dump_checksum(part.checksum),
        ),
    )
    return freed
