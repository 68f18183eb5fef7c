"""Who may do what: everything, with credentials; without, only read what was made public.

The gateway has verified signatures, and marks a request that showed none (`request.is_anonymous`).
Source: "Access control list (ACL) overview", S3 User Guide: READ on an object is GetObject and
HeadObject; READ on a bucket is listing it. Anonymous writes are refused, also where a bucket's ACL
is public-read-write: a local cloud has no use for them.
"""

from windtunnel.cloud.foundation.s3 import rows
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.operations.call import Call

_PUBLIC = frozenset({"public-read", "public-read-write"})
_OF_OBJECTS = frozenset({"GetObject", "HeadObject"})
_OF_BUCKETS = frozenset({"HeadBucket", "ListObjects", "ListObjectsV2"})


def check_access(call: Call, operation: str) -> None:
    """Refuse what this caller may not do."""
    request = call.request
    if not request.is_anonymous:
        return
    if operation not in _OF_OBJECTS | _OF_BUCKETS:
        raise S3Error("AccessDenied")
    bucket, found = call.storage.index.read(
        lambda connection: (
            rows.need_bucket(connection, request.bucket),
            rows.find_object(connection, request.bucket, request.key),
        )
    )
    if operation in _OF_BUCKETS:
        is_allowed = bucket.acl in _PUBLIC
    elif found is None:
        # Whether a key exists is told only to those who may list the bucket.
        is_allowed = bucket.acl in _PUBLIC
    else:
        is_allowed = found.is_public
    if not is_allowed:
        raise S3Error("AccessDenied")
