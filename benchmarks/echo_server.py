"""The cheapest server that keeps the SageMaker contract: what it costs is the least there is.

GET /ping answers 200; POST /invocations answers the body, or, with ECHO_ANSWER_BYTES set, so many
bytes. Run as a `local/command` instance by the benchmarks, and by the tests.
"""

import asyncio
import os
import signal
from typing import cast

import httptools
import uvloop


class Echo(asyncio.Protocol):
    """One connection: each request is answered as soon as it is whole."""

    fixed = b"x" * int(os.environ.get("ECHO_ANSWER_BYTES", "0"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.parser = httptools.HttpRequestParser(self)
        self.chunks: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self.parser.feed_data(data)

    def on_body(self, chunk: bytes) -> None:
        """Keep a piece of a body."""
        self.chunks.append(chunk)

    def on_message_complete(self) -> None:
        """Answer."""
        chunks = [self.fixed] if self.fixed else self.chunks
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n"
        self.transport.writelines([head % sum(map(len, chunks)), *chunks])
        self.chunks = []


async def main() -> None:
    """Serve on SAGEMAKER_BIND_TO_PORT until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    server = await loop.create_server(Echo, "127.0.0.1", port)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
