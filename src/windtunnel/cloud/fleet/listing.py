"""Which objects are a model's uncompressed data, and which file each of them becomes.

For a ModelDataSource without compression: AWS takes all objects whose keys begin with the prefix,
and the rest of each key as the path of its file (botocore's page on S3ModelDataSource).
"""

import hashlib
import http.client
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus

from windtunnel.cloud.fleet.model_data import ModelDataError, key_name
from windtunnel.core.archive.contents import ArchiveLimits, Contents, Member, Path

_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@dataclass(frozen=True)
class Object:
    """One object, as ListObjectsV2 tells it."""

    key: str
    etag: str
    size_bytes: int


def objects(
    get: Callable[[str], http.client.HTTPResponse], bucket: str, prefix: str, count_max: int
) -> list[Object]:
    """Return the objects whose keys begin with a prefix, in the order of their keys.

    It stops when there are more than `count_max`.
    """
    found: list[Object] = []
    more = ""
    while True:
        target = f"/{quote(bucket)}?list-type=2&encoding-type=url&prefix={quote(prefix, safe='')}"
        response = get(target + more)
        if response.status == http.client.NOT_FOUND:
            raise ModelDataError(f"There is no bucket {bucket}.")
        if response.status != http.client.OK:
            raise ModelDataError(
                f"S3 answered {response.status} {response.reason} for the list of s3://{bucket}/"
                f"{prefix}."
            )
        # Written by this cloud's own S3.
        root = ET.fromstring(response.read())  # noqa: S314
        found += [
            Object(unquote_plus(_text(each, "Key")), _text(each, "ETag"), int(_text(each, "Size")))
            for each in root.iter(f"{_NAMESPACE}Contents")
        ]
        token = root.findtext(f"{_NAMESPACE}NextContinuationToken")
        if token is None or len(found) > count_max:
            return found
        more = f"&continuation-token={quote(token, safe='')}"


def plan(
    found: Sequence[Object], prefix: str, archive_limits: ArchiveLimits
) -> tuple[Contents, list[Path]]:
    """Return where each object belongs, or say why they cannot be files side by side."""
    contents = Contents(archive_limits)
    paths = [
        contents.admit(Member(key_name(each.key.removeprefix(prefix)), "file", each.size_bytes))
        for each in found
    ]
    return contents, paths


def digest(found: Sequence[Object], prefix: str) -> str:
    """Return what names this very data: files of these names with these contents."""
    hasher = hashlib.sha256(b"objects")
    for each in found:
        name = each.key.removeprefix(prefix)
        hasher.update(f"\0{name}\0{each.etag}\0{each.size_bytes}".encode())
    return hasher.hexdigest()


def _text(element: ET.Element, name: str) -> str:
    return element.findtext(_NAMESPACE + name) or ""
