"""Where model data lies in S3, and what is said of it when it cannot be used."""

from typing import Literal
from urllib.parse import unquote, urlsplit

from windtunnel.core.archive.contents import UnpackError, show

# How an object of S3 becomes files: unpacked, as it is, or all that begin with a prefix.
Form = Literal["archive", "object", "prefix"]


class ModelDataError(UnpackError):
    """Model data that cannot be used, with a reason that a person can act on."""

    def __init__(self, reason: str, *, is_unusable: bool = False) -> None:
        super().__init__(reason)
        # Whether it was there, and is not what a model's data may be.
        self.is_unusable = is_unusable


def key_name(remainder: str) -> str:
    """Return the file that an object becomes, named by its key behind the prefix.

    AWS splits it at slashes and takes no name that is empty, blank, `.` or `..` (botocore's page on
    S3ModelDataSource, `CompressionType`); lengths and zero bytes are `Contents`' to refuse.
    """
    for part in remainder.split("/"):
        if part in {".", ".."} or not part.strip():
            raise ModelDataError(
                f"the key behind its prefix, {show(remainder)}, has an empty or dotted name in it "
                "(S3's console makes such objects as folders)"
            )
    return remainder


def split_url(url: str, *, is_prefix: bool = False) -> tuple[str, str]:
    """Return the bucket and key that a URL names, in S3's form or one of its https forms.

    A prefix may be empty: all objects of the bucket.

    The https forms are those of AWS's page "Methods for accessing a bucket": the bucket in the
    path or before the host.
    """
    parts = urlsplit(url)
    bucket, _, key = parts.path.lstrip("/").partition("/")
    if parts.scheme == "s3":
        # Taken as it stands: a key may hold `?`, `#` and `%`.
        bucket, _, key = url.removeprefix("s3://").partition("/")
    elif parts.scheme == "https" and parts.hostname is not None:
        bucket, key = unquote(bucket), unquote(key)
        labels = parts.hostname.split(".")
        s3_label = next(
            (i for i, label in enumerate(labels) if label == "s3" or label.startswith("s3-")), None
        )
        if s3_label is None:
            bucket = ""
        elif s3_label > 0:
            bucket, key = ".".join(labels[:s3_label]), unquote(parts.path.removeprefix("/"))
    else:
        bucket = ""
    if not bucket or not (key or is_prefix):
        raise ModelDataError(f"{show(url)} is not the address of an S3 object (s3://bucket/key)")
    return bucket, key
