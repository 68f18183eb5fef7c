"""Which names buckets and keys may have.

Rule: pure. Keys never become paths on disk, so nothing here is about what a file system can hold.
Source: "General purpose bucket naming rules" and "Naming Amazon S3 objects" in the S3 User Guide.
"""

import ipaddress
import re

from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.core import limits

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def is_bucket_name(name: str) -> bool:
    """Say whether a bucket may be created under this name."""
    if not _BUCKET.fullmatch(name) or ".." in name:
        return False
    if name.startswith(_RESERVED_PREFIXES) or name.endswith(_RESERVED_SUFFIXES):
        return False
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return True
    return False


def check_bucket_name(name: str) -> None:
    """Refuse a name that no bucket may be created under."""
    if not is_bucket_name(name):
        raise S3Error("InvalidBucketName", BucketName=name)


def check_key(key: str) -> None:
    """Refuse a key that is longer than S3's keys are, counted in bytes of UTF-8."""
    size = len(key.encode())
    if size > limits.S3_KEY_BYTES_MAX:
        raise S3Error("KeyTooLongError", Size=size, MaxSizeAllowed=limits.S3_KEY_BYTES_MAX)
