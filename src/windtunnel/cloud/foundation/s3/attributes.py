"""What the headers of a request say about an object, beside its bytes.

Rule: pure; a header that asks for what this S3 does not do is refused by name, never ignored. One
exception, because every common script sends it: `x-amz-server-side-encryption` with AES256, S3's
own default, or with aws:kms and no key named, which the SageMaker SDK asks for when it repacks a
model with an entry point. Both are taken and not echoed: nothing is encrypted by this S3.
"""

from urllib.parse import parse_qsl

from windtunnel.cloud.foundation.s3 import documents
from windtunnel.cloud.foundation.s3.errors import S3Error, not_implemented
from windtunnel.cloud.foundation.s3.records import Attributes, Tags
from windtunnel.cloud.foundation.s3.request import Request
from windtunnel.core import limits

DEFAULT_CONTENT_TYPE = "binary/octet-stream"
_METADATA_PREFIX = "x-amz-meta-"
_KEPT = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
)
CANNED_ACLS = frozenset(
    {
        "private",
        "public-read",
        "public-read-write",
        "authenticated-read",
        "aws-exec-read",
        "bucket-owner-read",
        "bucket-owner-full-control",
    }
)
# Objects of these can be read at once; the archives' must be restored first.
_STORAGE_CLASSES = frozenset(
    {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER_IR",
    }
)
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE"})
_TAKEN_ENCRYPTIONS = frozenset({None, "AES256", "aws:kms"})
REFUSED_PREFIXES = (
    "x-amz-copy-source-server-side-encryption-",
    "x-amz-grant-",
    "x-amz-object-lock-",
    "x-amz-server-side-encryption-",
    "x-amz-write-offset-bytes",
    "x-amz-website-redirect-location",
)


def refuse_unoffered(request: Request) -> None:
    """Refuse a request whose headers or version ask for what this S3 does not do."""
    for name in request.headers:
        if name.startswith(REFUSED_PREFIXES):
            raise not_implemented(f"The header {name}")
    encryption = request.header("x-amz-server-side-encryption")
    if encryption not in _TAKEN_ENCRYPTIONS:
        raise not_implemented(f"Server-side encryption with {encryption}")
    if (request.header("x-amz-bucket-object-lock-enabled") or "").lower() == "true":
        raise not_implemented("Object lock")
    if request.query.get("versionId", "null") != "null":
        raise S3Error(
            "InvalidArgument",
            "Invalid version id specified",
            ArgumentName="versionId",
            ArgumentValue=request.query["versionId"],
        )


def attributes_of(request: Request) -> Attributes:
    """Return what a request says about the object it makes."""
    headers = []
    for name in _KEPT:
        value = request.header(name)
        if name == "content-encoding" and value is not None:
            value = _without_framing(value)
        if value:
            headers.append((name, value))
    return Attributes(
        headers=tuple(headers),
        metadata=_metadata(request),
        acl=acl_of(request),
        storage_class=storage_class_of(request),
        tags=tags_of(request),
    )


def _without_framing(value: str) -> str:
    """Return a Content-Encoding without `aws-chunked`, which is about the request alone."""
    encodings = [encoding.strip() for encoding in value.split(",")]
    return ",".join(encoding for encoding in encodings if encoding not in ("", "aws-chunked"))


def _metadata(request: Request) -> tuple[tuple[str, str], ...]:
    metadata = tuple(
        (name.removeprefix(_METADATA_PREFIX), value)
        for name, value in request.headers.items()
        if name.startswith(_METADATA_PREFIX)
    )
    size = sum(len(name) + len(value) for name, value in metadata)
    if size > limits.S3_METADATA_BYTES_MAX:
        raise S3Error("MetadataTooLarge", Size=size, MaxSizeAllowed=limits.S3_METADATA_BYTES_MAX)
    return metadata


def acl_of(request: Request) -> str:
    """Return the canned ACL that a request names."""
    acl = request.header("x-amz-acl") or "private"
    if acl not in CANNED_ACLS:
        raise S3Error("InvalidArgument", ArgumentName="x-amz-acl", ArgumentValue=acl)
    return acl


def storage_class_of(request: Request) -> str:
    """Return the storage class that a request names."""
    name = request.header("x-amz-storage-class") or "STANDARD"
    if name in _ARCHIVES:
        raise not_implemented(f"The storage class {name}")
    if name not in _STORAGE_CLASSES:
        raise S3Error("InvalidStorageClass", StorageClassRequested=name)
    return name


def tags_of(request: Request) -> Tags:
    """Return the tags in a request's `x-amz-tagging`."""
    text = request.header("x-amz-tagging")
    if not text:
        return ()
    try:
        tags = tuple(parse_qsl(text, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        raise S3Error(
            "InvalidArgument",
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
            "parameters without tag name duplicates.",
            ArgumentName="x-amz-tagging",
        ) from None
    return documents.check_tags(tags, count_max=limits.S3_OBJECT_TAG_COUNT_MAX)
