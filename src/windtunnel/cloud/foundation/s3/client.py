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
        target = f"/{quote(bucket, safe='')}/{quote(key, safe='/~')}"
        try:
            async with asyncio.timeout(limits.S3_QUESTION_TIMEOUT_S):
                status, headers = await self._head(target)
        except (OSError, EOFError, ValueError) as error:
            raise UnavailableError("The local S3 does not answer.") from error
        if status in _MISSING:
            return None
        if status != http.HTTPStatus.OK:
            raise UnavailableError(f"The local S3 answered a question with status {status}.")
        return ObjectFacts(headers["etag"].strip('"'), int(headers["content-length"]))

    async def _head(self, target: str) -> tuple[int, http.client.HTTPMessage]:
        reader, writer = await asyncio.open_unix_connection(
            str(self._path), limit=limits.HEAD_BYTES_MAX
        )
        try:
            writer.write(
                f"HEAD {target} HTTP/1.1\r\nHost: s3\r\nConnection: close\r\n\r\n".encode("ascii")
            )
            head = await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.close()
        status_line, _, rest = head.partition(b"\r\n")
        return int(status_line.split()[1]), http.client.parse_headers(io.BytesIO(rest))
