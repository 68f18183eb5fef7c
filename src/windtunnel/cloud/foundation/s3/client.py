"""How the rest of the cloud asks the S3 process a question, over its socket.

It speaks HTTP over asyncio's streams, a connection a question: these are rare (CreateModel asks
once), and no pool means nothing to keep alive. Nothing is signed: the socket lies in a directory
that only its owner can enter.
"""

import asyncio
import http.client
import io
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

from windtunnel.cloud.errors import UnavailableError
from windtunnel.core import limits

_MISSING = frozenset({404, 400})


@dataclass(frozen=True)
class ObjectFacts:
    """What HeadObject tells."""

    etag: str
    size: int


class S3Client:
    """Asks the S3 process that listens on a Unix socket."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    async def head_object(self, bucket: str, key: str) -> ObjectFacts | None:
        """Return what is known of an object, None when it or its bucket is not there."""
        if not bucket or not key:
            return None
        answer = await self._ask("HEAD", f"/{quote(bucket, safe='')}/{quote(key, safe='/~')}")
        if answer is None:
            return None
        headers, _ = answer
        return ObjectFacts(headers["etag"].strip('"'), int(headers["content-length"]))

    async def has_prefix(self, bucket: str, prefix: str) -> bool:
        """Say whether a bucket holds any object whose key begins so."""
        wanted = f"list-type=2&max-keys=1&prefix={quote(prefix, safe='')}"
        answer = await self._ask("GET", f"/{quote(bucket, safe='')}?{wanted}")
        return answer is not None and b"<Contents>" in answer[1]

    async def why_not_writable(self, bucket: str, key: str) -> str | None:
        """Return S3's reason when an object could not be written, None when it could.

        An upload is begun and given up: nothing of it can be seen.
        """
        target = f"/{quote(bucket, safe='')}/{quote(key, safe='/~')}"
        status, body = await self._told("POST", f"{target}?uploads")
        if status != http.HTTPStatus.OK:
            return _element(body, "Message") or f"S3 answered {status}"
        upload_id = quote(_element(body, "UploadId"), safe="")
        await self._told("DELETE", f"{target}?uploadId={upload_id}")
        return None

    async def _told(self, method: str, target: str) -> tuple[int, bytes]:
        """Return the status and body of an answer."""
        try:
            async with asyncio.timeout(limits.S3_QUESTION_TIMEOUT_S):
                status, _, body = await self._exchange(method, target)
        except (OSError, EOFError, ValueError) as error:
            raise UnavailableError("The local S3 does not answer.") from error
        return status, body

    async def _ask(self, method: str, target: str) -> tuple[http.client.HTTPMessage, bytes] | None:
        """Return the headers and body of an answer, None when what was asked for is not there."""
        try:
            async with asyncio.timeout(limits.S3_QUESTION_TIMEOUT_S):
                status, headers, body = await self._exchange(method, target)
        except (OSError, EOFError, ValueError) as error:
            raise UnavailableError("The local S3 does not answer.") from error
        if status in _MISSING:
            return None
        if status != http.HTTPStatus.OK:
            raise UnavailableError(f"The local S3 answered a question with status {status}.")
        return headers, body

    async def _exchange(
        self, method: str, target: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        reader, writer = await asyncio.open_unix_connection(
            str(self._path), limit=limits.HEAD_BYTES_MAX
        )
        try:
            writer.write(
                f"{method} {target} HTTP/1.1\r\nHost: s3\r\nConnection: close\r\n\r\n".encode(
                    "ascii"
                )
            )
            head = await reader.readuntil(b"\r\n\r\n")
            # The questions are such that an answer is small; it ends with the connection.
            body = await reader.read()
        finally:
            writer.close()
        status_line, _, rest = head.partition(b"\r\n")
        return int(status_line.split()[1]), http.client.parse_headers(io.BytesIO(rest)), body


def _element(xml: bytes, name: str) -> str:
    """Return the text of an element in one of S3's own answers, which is small and flat."""
    try:
        found = ET.fromstring(xml).find(f"{{*}}{name}")  # noqa: S314 - our own S3 wrote it
    except ET.ParseError:
        return ""
    return "" if found is None else found.text or ""
