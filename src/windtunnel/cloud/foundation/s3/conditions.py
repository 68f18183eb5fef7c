"""Whether a request's conditions hold, and which bytes of an object it wants.

Rule: pure. Source: RFC 9110 (13.2.2 for the order, 14.1.2 for ranges) with S3's own choices as
"GetObject" in the S3 API Reference states them: one range only; a range it cannot read is ignored.
"""

import re
from email.utils import parsedate_to_datetime

from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.records import Object
from windtunnel.cloud.foundation.s3.request import Request

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)


def check_read(request: Request, found: Object) -> None:
    """Refuse (412) or cut short (304) a read whose conditions do not hold."""
    header = request.header
    matched = header("if-match")
    if matched is not None:
        if not _names(matched, found.etag):
            raise S3Error("PreconditionFailed", Condition="If-Match")
    elif _is_changed_since(found, header("if-unmodified-since")):
        raise S3Error("PreconditionFailed", Condition="If-Unmodified-Since")
    unmatched = header("if-none-match")
    if unmatched is not None:
        if _names(unmatched, found.etag):
            raise S3Error("NotModified")
    elif _is_changed_since(found, header("if-modified-since")) is False:
        raise S3Error("NotModified")


def check_copy_source(request: Request, found: Object) -> None:
    """Refuse a copy whose conditions on its source do not hold."""
    prefix = "x-amz-copy-source-if-"
    header = request.header
    matched, unmatched = header(prefix + "match"), header(prefix + "none-match")
    is_held = all(
        (
            matched is None or _names(matched, found.etag),
            unmatched is None or not _names(unmatched, found.etag),
            matched is not None
            or not _is_changed_since(found, header(prefix + "unmodified-since")),
            unmatched is not None
            or _is_changed_since(found, header(prefix + "modified-since")) is not False,
        )
    )
    if not is_held:
        raise S3Error("PreconditionFailed", Condition="x-amz-copy-source-If")


def check_write(request: Request, present: Object | None) -> None:
    """Refuse a write whose conditions on what it replaces do not hold."""
    matched, unmatched = request.header("if-match"), request.header("if-none-match")
    if unmatched is not None:
        if unmatched.strip() != "*":
            raise S3Error(
                "NotImplemented", "If-None-Match of a write takes only `*`.", Header="If-None-Match"
            )
        if present is not None:
            raise S3Error("PreconditionFailed", Condition="If-None-Match")
    if matched is not None:
        if present is None:
            raise S3Error("NoSuchKey", Key=request.key)
        if not _names(matched, present.etag):
            raise S3Error("PreconditionFailed", Condition="If-Match")


def _names(header: str, etag: str) -> bool:
    """Say whether a list of entity tags names this one."""
    names = [name.strip().removeprefix("W/").strip('"') for name in header.split(",")]
    return "*" in names or etag in names


def _is_changed_since(found: Object, header: str | None) -> bool | None:
    """Say whether an object changed after a date; None when there is no readable date."""
    if header is None:
        return None
    try:
        since_s = parsedate_to_datetime(header).timestamp()
    except (TypeError, ValueError):
        return None
    # Last-Modified is given in whole seconds, and sent back by the client as it was given.
    return int(found.modified_s) > since_s


def range_of(header: str | None, size: int) -> tuple[int, int] | None:
    """Return start and length of the wanted bytes, None for all of them."""
    found = None if header is None else _RANGE.fullmatch(header.replace(" ", ""))
    if header is None or found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        start = size - length
    else:
        start = int(first)
        end = min(int(last), size - 1) if last else size - 1
        if last and int(last) < start:
            return None
        length = end - start + 1
    if start >= size or length <= 0:
        raise S3Error("InvalidRange", RangeRequested=header, ActualObjectSize=size)
    return start, length


def copied_range_of(header: str, size: int) -> tuple[int, int]:
    """Return start and length of what an UploadPartCopy wants: both ends, within the source."""
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", header, re.ASCII)
    if found is None or int(found[1]) > int(found[2]):
        raise S3Error(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
            "and last are the zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    first, last = int(found[1]), int(found[2])
    if last >= size:
        raise S3Error(
            "InvalidArgument",
            f"Range specified is not valid for source object of size: {size}",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    return first, last - first + 1
