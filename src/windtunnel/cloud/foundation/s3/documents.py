"""The XML that clients send: read into values, or refused as MalformedXML.

Rule: pure. No document type declarations: they are how XML bombs are made, and S3's documents have
none. The size is bounded before a document comes here (`limits.S3_XML_BODY_BYTES_MAX`).
"""

import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from windtunnel.cloud.foundation.s3.checksums import ALGORITHMS
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.records import Tags
from windtunnel.core import limits

_TAG_TEXT = re.compile(r"[\w\s_.:/=+\-@]*")


@dataclass(frozen=True)
class NamedPart:
    """A part as CompleteMultipartUpload names it."""

    number: int
    etag: str
    # Algorithm and value, as far as the client repeats them.
    checksums: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class NamedObject:
    """An object as DeleteObjects names it."""

    key: str
    etag: str | None


def _root(body: bytes, name: str) -> ET.Element:
    # A zero byte would be UTF-16, in which the test for a declaration would see nothing.
    if b"<!DOCTYPE" in body or b"\0" in body:
        raise S3Error("MalformedXML")
    try:
        root = ET.fromstring(body)  # noqa: S314 - no declarations, so no entities
    except (ET.ParseError, ValueError):
        raise S3Error("MalformedXML") from None
    for element in root.iter():
        # Clients write S3's namespace, another or none; names alone are unambiguous.
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != name:
        raise S3Error("MalformedXML")
    return root


def _text(element: ET.Element, name: str) -> str:
    found = element.find(name)
    if found is None:
        raise S3Error("MalformedXML")
    return found.text or ""


def read_location(body: bytes) -> str:
    """Return the region of a CreateBucketConfiguration, "" for none."""
    if not body:
        return ""
    return _root(body, "CreateBucketConfiguration").findtext("LocationConstraint") or ""


def read_bucket_tags(body: bytes) -> Tags:
    """Return the tags of a CreateBucketConfiguration."""
    root = _root(body, "CreateBucketConfiguration") if body else None
    tags = None if root is None else root.find("Tags")
    return () if tags is None else _tags(tags)


def read_deletion(body: bytes) -> tuple[list[NamedObject], bool]:
    """Return what DeleteObjects names, and whether only failures are to be told."""
    root = _root(body, "Delete")
    named = []
    for element in root.findall("Object"):
        version = element.findtext("VersionId")
        if version not in (None, "", "null"):
            raise S3Error(
                "InvalidArgument", "Invalid version id specified", ArgumentName="versionId"
            )
        named.append(NamedObject(_text(element, "Key"), element.findtext("ETag")))
    if not 1 <= len(named) <= limits.S3_PAGE_KEYS_MAX:
        raise S3Error("MalformedXML")
    return named, (root.findtext("Quiet") or "").lower() == "true"


def read_completion(body: bytes) -> list[NamedPart]:
    """Return the parts that CompleteMultipartUpload names, in their order."""
    if not body:
        raise S3Error("InvalidRequest", "You must specify at least one part")
    parts = []
    for element in _root(body, "CompleteMultipartUpload").findall("Part"):
        number = _text(element, "PartNumber").strip()
        if not re.fullmatch(r"\d{1,5}", number, re.ASCII):
            raise S3Error("MalformedXML")
        sums = [(name, element.findtext("Checksum" + name)) for name in ALGORITHMS]
        parts.append(
            NamedPart(
                int(number),
                _text(element, "ETag").strip().strip('"'),
                tuple((name, value.strip()) for name, value in sums if value),
            )
        )
    if not parts:
        raise S3Error("MalformedXML")
    return parts


def read_tagging(body: bytes, *, count_max: int) -> Tags:
    """Return the tags of a Tagging document."""
    tag_set = _root(body, "Tagging").find("TagSet")
    if tag_set is None:
        raise S3Error("MalformedXML")
    return check_tags(_tags(tag_set), count_max=count_max)


def _tags(element: ET.Element) -> Tags:
    return tuple((_text(tag, "Key"), _text(tag, "Value")) for tag in element.findall("Tag"))


def check_tags(tags: Tags, *, count_max: int) -> Tags:
    """Return tags, or refuse those that S3 would: too many, twice the same, too long."""
    if len(tags) > count_max:
        raise S3Error("BadRequest", f"Object tags cannot be greater than {count_max}")
    if len({name for name, _ in tags}) != len(tags):
        raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key")
    for name, value in tags:
        if not 1 <= len(name) <= limits.S3_TAG_KEY_LENGTH_MAX or not _TAG_TEXT.fullmatch(name):
            raise S3Error("InvalidTag", TagKey=name)
        if len(value) > limits.S3_TAG_VALUE_LENGTH_MAX or not _TAG_TEXT.fullmatch(value):
            raise S3Error("InvalidTag", "The TagValue you have provided is invalid", TagKey=name)
    return tags
