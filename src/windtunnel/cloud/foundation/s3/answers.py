"""Answers in S3's form: XML documents, header values, errors.

Rule: pure; every text that came from outside goes through `leaf` or `Answer.check`, so that no key
can end an element and no parameter can begin a header.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from time import gmtime, strftime
from urllib.parse import quote
from xml.sax.saxutils import escape

from windtunnel.cloud.foundation.s3.blobs import Segment
from windtunnel.cloud.foundation.s3.checksums import Checksum
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.records import Object

Headers = list[tuple[str, str]]

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
# XML 1.0 has no way to write most control characters. S3 writes them as references all the same,
# and clients that may meet them ask for `encoding-type=url`.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass
class Answer:
    """What goes back: a body in memory, or bytes of blobs."""

    status: int = 200
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    # Held blobs; the one who sends them releases them.
    segments: Sequence[Segment] = ()
    segment_bytes: int = 0
    held: Sequence[Segment] = ()


def leaf(name: str, value: str | float | bool) -> str:  # noqa: FBT001 - the value is the point
    """Return an element that holds text."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    text = _CONTROLS.sub(lambda found: f"&#x{ord(found[0]):x};", escape(str(value)))
    return f"<{name}>{text}</{name}>"


def branch(name: str, *children: str) -> str:
    """Return an element that holds elements."""
    return f"<{name}>{''.join(children)}</{name}>"


def document(name: str, *children: str) -> Answer:
    """Return the answer whose body is one XML document."""
    text = f'{_DECLARATION}<{name} xmlns="{NAMESPACE}">{"".join(children)}</{name}>'
    return Answer(headers=[("content-type", "application/xml")], body=text.encode())


def error_answer(error: S3Error, *, resource: str, request_id: str) -> Answer:
    """Return the answer to a request that failed."""
    if error.status == 304:  # noqa: PLR2004 - Not Modified: the one failure that is none
        return Answer(status=304)
    details = {"Resource": resource, **error.details}
    text = branch(
        "Error",
        leaf("Code", error.code),
        leaf("Message", error.message),
        *(leaf(name, value) for name, value in details.items()),
        leaf("RequestId", request_id),
        leaf("HostId", host_id(request_id)),
    )
    return Answer(
        status=error.status,
        headers=[("content-type", "application/xml")],
        body=(_DECLARATION + text).encode(),
    )


def host_id(request_id: str) -> str:
    """Return the second identity of a request, which AWS's support asks for beside the first."""
    return "windtunnel/" + request_id


def iso_date(time_s: float) -> str:
    """Return a time as S3's XML writes it: whole seconds, with milliseconds of zero."""
    return strftime("%Y-%m-%dT%H:%M:%S.000Z", gmtime(time_s))


def http_date(time_s: float) -> str:
    """Return a time as headers write it."""
    return formatdate(int(time_s), usegmt=True)


def quoted(etag: str) -> str:
    """Return an entity tag as it is sent."""
    return f'"{etag}"'


def key_text(text: str, encoding: str) -> str:
    """Return a key as a listing writes it."""
    return quote(text, safe="/*-._") if encoding == "url" else text


def checksum_leaves(checksum: Checksum | None) -> list[str]:
    """Return the elements that tell a checksum."""
    if checksum is None:
        return []
    return [leaf(checksum.element, checksum.value), leaf("ChecksumType", checksum.kind)]


def checksum_headers(checksum: Checksum | None) -> Headers:
    """Return the headers that tell a checksum."""
    if checksum is None:
        return []
    return [(checksum.header, checksum.value), ("x-amz-checksum-type", checksum.kind)]


def object_headers(found: Object) -> Headers:
    """Return the headers that describe an object, but for its length and checksum."""
    attributes = found.attributes
    headers = [
        ("accept-ranges", "bytes"),
        ("last-modified", http_date(found.modified_s)),
        ("etag", quoted(found.etag)),
        *attributes.headers,
        *((f"x-amz-meta-{name}", value) for name, value in attributes.metadata),
    ]
    if attributes.storage_class != "STANDARD":
        headers.append(("x-amz-storage-class", attributes.storage_class))
    if attributes.tags:
        headers.append(("x-amz-tagging-count", str(len(attributes.tags))))
    return headers


def check_header_value(name: str, value: str) -> str:
    """Return a text from a query that is to become a header, or refuse what cannot be one."""
    if _CONTROLS.search(value) or not value.isascii():
        raise S3Error("InvalidArgument", "Header value cannot be represented.", ArgumentName=name)
    return value
