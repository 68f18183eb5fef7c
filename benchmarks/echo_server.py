"""The cheapest server that keeps the SageMaker contract: what it costs is the least there is.

GET /ping answers 200; POST /invocations answers the body, or, with ECHO_ANSWER_BYTES set, so many
bytes. Run as a `local/command` instance by the benchmarks, and by the tests. For clients that sign,
ECHO_SIGNATURES=1 has it look at the form of each signature and answer 403 where that is wrong: a
client that left out what it should send would be a fast one. ECHO_CERTIFICATE names a PEM file with
a certificate and its key, for TLS.
"""

import asyncio
import os
import re
import signal
import ssl
from typing import cast

import httptools
import uvloop

_AUTHORIZATION = re.compile(
    rb"AWS4-HMAC-SHA256 Credential=[^/,]+/\d{8}/[a-z0-9-]+/[a-z0-9-]+/aws4_request, ?"
    rb"SignedHeaders=[a-z0-9;-]+, ?Signature=[0-9a-f]{64}"
)
_DATE = re.compile(rb"\d{8}T\d{6}Z")
_PAYLOAD_HASH = re.compile(rb"[0-9a-f]{64}|UNSIGNED-PAYLOAD")


# What one read may bring, for all connections: it is parsed before the next read.
_BUFFER = memoryview(bytearray(256 * 1024))


class Echo(asyncio.BufferedProtocol):
    """One connection: each request is answered as soon as it is whole."""

    fixed = b"x" * int(os.environ.get("ECHO_ANSWER_BYTES", "0"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.parser = httptools.HttpRequestParser(self)
        self.chunks: list[bytes] = []

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where bytes go."""
        del sizehint
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes."""
        self.parser.feed_data(_BUFFER[:nbytes])

    if not fixed:

        def on_body(self, chunk: bytes) -> None:
            """Keep a piece of a body that is going to be the answer."""
            self.chunks.append(chunk)

    def on_message_complete(self) -> None:
        """Answer."""
        chunks = [self.fixed] if self.fixed else self.chunks
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n"
        self.transport.writelines([head % sum(map(len, chunks)), *chunks])
        self.chunks = []


class CheckingEcho(Echo):
    """The same, for signed requests only; the form of a signature is looked at, not its truth."""

    def on_message_begin(self) -> None:
        """Forget the last request's headers."""
        self.authorization = self.date = b""
        self.payload_hash: bytes | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what makes a signature."""
        name = name.lower()
        if name == b"authorization":
            self.authorization = value
        elif name == b"x-amz-date":
            self.date = value
        elif name == b"x-amz-content-sha256":
            self.payload_hash = value

    def on_message_complete(self) -> None:
        """Answer, or refuse what is not signed."""
        is_signed = (
            _AUTHORIZATION.fullmatch(self.authorization)
            and _DATE.fullmatch(self.date)
            and (self.payload_hash is None or _PAYLOAD_HASH.fullmatch(self.payload_hash))
        )
        if is_signed:
            super().on_message_complete()
            return
        self.transport.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
        self.chunks = []


def _tls() -> ssl.SSLContext | None:
    certificate = os.environ.get("ECHO_CERTIFICATE")
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def main() -> None:
    """Serve on SAGEMAKER_BIND_TO_PORT until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    kind = CheckingEcho if os.environ.get("ECHO_SIGNATURES") else Echo
    server = await loop.create_server(kind, "127.0.0.1", port, ssl=_tls())
    await stop.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
