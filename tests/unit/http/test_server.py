"""The server reads HTTP/1.1 as clients really send it, and ends what would hold it up."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from windtunnel.core import limits
from windtunnel.http import server as server_module
from windtunnel.http.server import Exchange, Owner, Server, serve

pytestmark = pytest.mark.slow

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """Answers with the method, target and body; `/early` answers before the body is in."""

    def __init__(self) -> None:
        self.abandoned: list[bytes] = []
        self.held: list[Exchange] = []

    def begin(self, exchange: Exchange) -> int:
        if exchange.head.path == b"/early":
            exchange.respond(403, [], b"no")
        exchange.on_abandon = lambda: self.abandoned.append(exchange.head.target)
        return 1000

    def complete(self, exchange: Exchange) -> None:
        if exchange.head.path == b"/held":
            self.held.append(exchange)
            return
        seen = b" ".join((exchange.head.method, exchange.head.target, exchange.body()))
        exchange.respond(200, [(b"x-count", b"%d" % len(exchange.chunks))], seen)

    def overflow(self, exchange: Exchange) -> None:
        exchange.respond(413, [], b"too large")

    def malformed(self, exchange: Exchange, status: int, reason: str) -> None:
        exchange.respond(status, [], reason.encode())


class Store:
    """A sink that keeps what it got."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.kept = b""
        self.is_aborted = False

    def write(self, chunk: bytes) -> None:
        self.kept += chunk

    def end(self) -> None:
        self.exchange.start(200, [], len(self.kept))
        self.exchange.write(self.kept[:3])
        self.exchange.write(self.kept[3:])
        self.exchange.finish()

    def abort(self) -> None:
        self.is_aborted = True


class Streaming(Echo):
    """Streams bodies to a sink."""

    def begin(self, exchange: Exchange) -> Store:  # type: ignore[override]
        self.sink = Store(exchange)
        return self.sink


def with_server(
    handler: Echo, play: Callable[[Server, Callable[[], Awaitable[Streams]]], Awaitable[None]]
) -> None:
    async def run() -> None:
        server = await serve(handler, host="127.0.0.1")

        async def connect() -> Streams:
            return await asyncio.open_connection("127.0.0.1", server.port)

        try:
            async with asyncio.timeout(20):
                await play(server, connect)
        finally:
            await server.drain(0)

    uvloop.run(run())


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(lines[0].split()[1]), headers, body


def test_requests_on_one_connection_are_answered_in_order_even_when_pipelined() -> None:
    """A client that reads ahead must never be handed another request's answer."""
    handler = Echo()

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(b"GET /held HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n")
        writer.write(b"POST /c HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi")
        while not handler.held:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        handler.held[0].respond(200, [], b"late")

        assert (await read_answer(reader))[2] == b"late"
        assert (await read_answer(reader))[2] == b"GET /b "
        assert (await read_answer(reader))[2] == b"POST /c hi"
        writer.close()

    with_server(handler, play)


def test_a_body_may_come_in_chunks_and_in_any_pieces() -> None:
    """SDKs send file-like bodies chunked, and the network cuts them anywhere."""

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        request = (
            b"POST /x?y=%20z HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n"
        )
        for byte in request:
            writer.write(bytes((byte,)))
            await writer.drain()
        assert (await read_answer(reader))[2] == b"POST /x?y=%20z abcde"
        writer.close()

    with_server(Echo(), play)


def test_a_client_that_expects_100_continue_is_told_to_send_its_body() -> None:
    """boto3 holds back file-like bodies until it is told to go on."""

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert (await read_answer(reader))[2] == b"PUT /a ok"
        writer.close()

    with_server(Echo(), play)


def test_a_refusal_before_100_continue_closes_because_the_body_may_or_may_not_follow() -> None:
    """What comes next on that line could be a body or a request: guessing would smuggle."""

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(b"PUT /early HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        status, headers, _ = await read_answer(reader)
        assert (status, headers["connection"]) == (403, "close")
        assert await reader.read() == b""
        writer.close()

    with_server(Echo(), play)


def test_an_early_answer_is_seen_and_the_connection_still_serves() -> None:
    """A client in the middle of sending sees why it was refused, not a reset."""

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(b"PUT /early HTTP/1.1\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)
        assert (await read_answer(reader))[0] == 403
        writer.write(b"x" * 100_000 + b"GET /next HTTP/1.1\r\n\r\n")
        assert (await read_answer(reader))[2] == b"GET /next "
        writer.close()

    with_server(Echo(), play)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /a HTTP/1.1\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001,
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"
        + b"x" * 1001
        + b"\r\n0\r\n\r\n",
    ],
)
def test_a_body_over_its_limit_is_refused_declared_or_not(head: bytes) -> None:
    """A chunked body tells no length: the limit must hold while it grows."""

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(head + b"GET /next HTTP/1.1\r\n\r\n")
        assert (await read_answer(reader))[0] == 413
        assert (await read_answer(reader))[2] == b"GET /next "
        writer.close()

    with_server(Echo(), play)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * (limits.HEAD_BYTES_MAX + 1) + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (limits.HEADER_COUNT_MAX + 1) + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * (limits.HEAD_BYTES_MAX + 1), 431),
        (b"\x16\x04 is no TLS\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: x\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nContent-Length: two\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
    ],
)
def test_what_is_not_a_readable_request_gets_an_answer_and_the_line_is_closed(
    request_: bytes, status: int
) -> None:
    """Noise, smuggling attempts and endless heads end clearly and at once."""

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(request_)
        assert (await read_answer(reader))[0] == status
        assert await reader.read() == b""
        writer.close()

    with_server(Echo(), play)


def test_tls_is_told_in_tls_that_the_port_is_plain(caplog: pytest.LogCaptureFixture) -> None:
    """`https://127.0.0.1` typed for `http://` must fail in words that a TLS library shows."""

    async def play(server: Server, _connect: Callable[[], Awaitable[Streams]]) -> None:
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLError, match=r"(?i)alert.handshake.failure"):
            await asyncio.open_connection("127.0.0.1", server.port, ssl=context)

    with_server(Echo(), play)
    assert "speaks plain HTTP" in caplog.text


class Leading(Echo):
    """Leaves a CONNECT to a successor, which keeps what it got."""

    def begin(self, exchange: Exchange) -> int:
        if exchange.head.method == b"CONNECT":
            exchange.successor = self
            return 0
        return super().begin(exchange)

    def take(self, _server: Owner, transport: asyncio.Transport, early: bytes) -> None:
        self.taken = early
        transport.write(b"taken\n")
        transport.close()


def test_a_connect_is_left_to_its_successor_with_what_came_behind_it() -> None:
    """Some clients do not wait for the 200: their first bytes must not be lost."""
    handler = Leading()

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(b"GET /a HTTP/1.1\r\n\r\n")
        assert (await read_answer(reader))[0] == 200
        writer.write(b"CONNECT a:443 HTTP/1.1\r\n\r\n\x16\x03hello")
        assert await reader.read() == b"taken\n"
        assert handler.taken == b"\x16\x03hello"
        writer.close()

    with_server(handler, play)


def test_a_connect_behind_an_open_request_is_refused_after_its_answer() -> None:
    """Two protocols on one line would garble each other."""
    handler = Leading()

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(b"GET /held HTTP/1.1\r\n\r\nCONNECT a:443 HTTP/1.1\r\n\r\n")
        while not handler.held:
            await asyncio.sleep(0.001)
        handler.held[0].respond(200, [], b"first")
        assert (await read_answer(reader))[2] == b"first"
        assert (await read_answer(reader))[0] == 400
        assert await reader.read() == b""
        assert not hasattr(handler, "taken")
        writer.close()

    with_server(handler, play)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET / HT", b"408"),
        (b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nab", b"408"),
        (b"", b""),
    ],
)
def test_a_silent_client_is_let_go(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, answer: bytes
) -> None:
    """Half a request, slowly, must not hold a connection for ever."""
    monkeypatch.setattr(server_module, "_SWEEP_INTERVAL_S", 0.01)
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.05)
    monkeypatch.setattr(limits, "BODY_STALL_TIMEOUT_S", 0.05)

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(sent)
        assert (await reader.read())[9:12] == answer
        writer.close()

    with_server(Echo(), play)


def test_a_client_that_leaves_is_noticed_while_its_answer_is_made() -> None:
    """Work for nobody can be dropped."""
    handler = Echo()

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        _, writer = await connect()
        writer.write(b"GET /held HTTP/1.1\r\n\r\n")
        while not handler.held:
            await asyncio.sleep(0.001)
        writer.close()
        while not handler.abandoned:
            await asyncio.sleep(0.001)
        handler.held[0].respond(200, [], b"nobody reads this")
        assert handler.held[0].is_abandoned

    with_server(handler, play)


def test_a_streamed_body_reaches_its_sink_and_a_streamed_answer_its_client() -> None:
    """Objects of gigabytes pass without being held."""

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(b"PUT /a HTTP/1.1\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000)
        assert (await read_answer(reader))[2] == b"x" * 5000
        writer.close()

    with_server(Streaming(), play)


def test_a_sink_hears_when_its_body_will_never_be_whole() -> None:
    """Half an upload must be thrown away."""
    handler = Streaming()

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        _, writer = await connect()
        writer.write(b"PUT /a HTTP/1.1\r\ncontent-length: 5000\r\n\r\nhalf")
        await writer.drain()
        while getattr(handler, "sink", None) is None or not handler.sink.kept:
            await asyncio.sleep(0.001)
        writer.close()
        while not handler.sink.is_aborted:
            await asyncio.sleep(0.001)

    with_server(handler, play)


def test_draining_lets_answers_leave_and_takes_nothing_new() -> None:
    """Stopping a server cuts no request."""
    handler = Echo()

    async def play(server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        reader, writer = await connect()
        writer.write(b"GET /held HTTP/1.1\r\n\r\n")
        while not handler.held:
            await asyncio.sleep(0.001)
        drain = asyncio.create_task(server.drain(10))
        await asyncio.sleep(0)
        with pytest.raises(OSError):  # noqa: PT011 - refused or reset, by the system's timing
            await connect()
        handler.held[0].respond(200, [], b"whole")
        status, headers, body = await read_answer(reader)
        assert (status, headers["connection"], body) == (200, "close", b"whole")
        assert await drain
        writer.close()

    with_server(handler, play)


def test_a_header_cannot_smuggle_a_line_break_into_an_answer() -> None:
    """What users store must not become headers of their choice."""
    handler = Echo()

    async def play(_server: Server, connect: Callable[[], Awaitable[Streams]]) -> None:
        _, writer = await connect()
        writer.write(b"GET /held HTTP/1.1\r\n\r\n")
        while not handler.held:
            await asyncio.sleep(0.001)
        with pytest.raises(ValueError, match="line break"):
            handler.held[0].respond(200, [(b"x", b"a\r\nset-cookie: b")], b"")
        writer.close()

    with_server(handler, play)
