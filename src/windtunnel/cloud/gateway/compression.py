"""Requests that their client compressed.

Clients compress what the model of an operation says can be compressed (`requestcompression`: here
PutMetricData), by themselves: boto3 does so from 10,240 bytes on. The signature covers the bytes as
they were sent, so this comes after it; a form names its operation inside, so it comes before all
else.
"""

import zlib

from windtunnel.cloud.gateway.answers import Fault, FaultError, serialization_fault
from windtunnel.core import limits
from windtunnel.http.message import Head

# zlib's way to say: with gzip's head and tail.
_GZIP = 16 + zlib.MAX_WBITS


def plain_body(head: Head, body: bytes) -> bytes:
    """Return a request's body as it was before its client compressed it."""
    if (head.get(b"content-encoding") or b"").strip().lower() != b"gzip":
        return body
    size_max = limits.CONTROL_BODY_BYTES_MAX
    decompressor = zlib.decompressobj(_GZIP)
    try:
        plain = decompressor.decompress(body, size_max)
    except zlib.error as error:
        raise serialization_fault(f"The request's body is not gzip: {error}") from None
    if decompressor.unconsumed_tail:
        message = f"The request's body must be at most {size_max} bytes when it is decompressed."
        raise FaultError(Fault("RequestEntityTooLargeException", message, 413))
    if not decompressor.eof:
        raise serialization_fault("The request's body ends in the middle of its gzip stream.")
    return plain
