"""What is asked through the proxy lands in this cloud, or is refused in a sentence."""

import asyncio
import base64
import socket
import ssl
from collections.abc import Callable
from typing import cast

import pytest
from tests.unit.cloud.gateway.proxy.conftest import HOST, OWNER, Play, Port, read_answer, read_head

from windtunnel.cloud.gateway.proxy.permits import read_permit, user_info
from windtunnel.core import limits
from windtunnel.http import server as server_module

pytestmark = pytest.mark.slow

Player = Callable[[Play], None]


def test_requests_in_a_tunnel_are_answered_by_the_gateway(play: Player) -> None:
    """Unchanged, with AWS's own host: that is what was signed."""

    async def client(port: Port) -> None:
        reader, writer = await port.tunnel()
        for number in range(3):
            writer.write(b"GET /%d HTTP/1.1\r\nHost: %b\r\n\r\n" % (number, HOST.encode()))
            answer = b"GET %b /%d " % (HOST.encode(), number)
            assert await read_answer(reader) == (200, answer)
        writer.close()

    play(client)


def test_bytes_sent_ahead_are_not_lost(play: Player) -> None:
    """A ClientHello may come with the CONNECT, and requests with the end of the handshake."""

    async def client(port: Port) -> None:
        reader, writer = await port.connect()
        inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = port.trusting().wrap_bio(inward, outward, server_hostname=HOST)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        writer.write(b"CONNECT %b:443 HTTP/1.1\r\n\r\n" % HOST.encode() + outward.read())
        await read_head(reader)
        while True:
            inward.write(await reader.read(65_536))
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                continue
        tls.write(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n")
        writer.write(outward.read())
        said = b""
        while b"/b " not in said:
            inward.write(await reader.read(65_536))
            try:
                said += tls.read(65_536)
                said += tls.read(65_536)
            except ssl.SSLWantReadError:
                continue
        assert said.index(b"GET - /a ") < said.index(b"GET - /b ")
        writer.close()

    play(client)


@pytest.mark.parametrize("piece_bytes", [1, 7, 400])
def test_a_hello_may_come_in_pieces(play: Player, piece_bytes: int) -> None:
    """The network cuts where it likes."""

    async def client(port: Port) -> None:
        reader, writer = await port.connect()
        inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = port.trusting().wrap_bio(inward, outward, server_hostname=HOST)
        writer.write(b"CONNECT %b:443 HTTP/1.1\r\n\r\n" % HOST.encode())
        await read_head(reader)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                data = outward.read()
                for at in range(0, len(data), piece_bytes):
                    writer.write(data[at : at + piece_bytes])
                    await writer.drain()
                    await asyncio.sleep(0)
                inward.write(await reader.read(65_536))
        tls.write(b"GET /a HTTP/1.1\r\n\r\n")
        writer.write(outward.read())
        inward.write(await reader.readuntil(b"\x17\x03\x03"))
        writer.close()

    play(client)


def test_eight_megabytes_pass_both_ways_and_the_line_goes_on(play: Player) -> None:
    """The size of boto3's parts."""
    body = bytes(range(256)) * (8 * 1024 * 4)

    async def client(port: Port) -> None:
        reader, writer = await port.tunnel()
        for _ in range(2):
            writer.write(b"PUT /k HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body))
            writer.write(body)
            status, said = await read_answer(reader)
            assert status == 200
            assert said == b"PUT - /k " + body
        writer.close()

    play(client)


def test_a_client_of_http2_is_told_to_speak_http1(play: Player) -> None:
    """Without a word of ALPN some would take the connection for HTTP/2."""

    async def client(port: Port) -> None:
        reader, writer = await port.connect()
        writer.write(b"CONNECT %b:443 HTTP/1.1\r\n\r\n" % HOST.encode())
        await read_head(reader)
        context = port.trusting()
        context.set_alpn_protocols(["h2", "http/1.1"])
        await writer.start_tls(context, server_hostname=HOST)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        writer.close()

    play(client)


@pytest.mark.parametrize(
    ("target", "status", "part"),
    [
        (b"pypi.org:443", 403, b"windtunnel run --allow-host pypi.org -- COMMAND"),
        (b"pypi.org:8443", 403, b"--allow-host pypi.org:8443"),
        (b"s3.amazonaws.com:80", 403, b"port 443"),
        (b"s3.amazonaws.com.evil.example:443", 403, b"--allow-host"),
        (b"[::1]:443", 403, b"not an AWS host"),
        (b"s3.amazonaws.com", 400, b"HOST:PORT"),
        (b"https://s3.amazonaws.com/", 400, b"HOST:PORT"),
        (b"a@s3.amazonaws.com:443", 400, b"HOST:PORT"),
        (b"s3.amazonaws.com:4430000", 400, b"HOST:PORT"),
        (b":443", 400, b"HOST:PORT"),
        (b"a" * limits.HEAD_BYTES_MAX + b":443", 431, b"head"),
    ],
)
def test_a_connect_that_leads_nowhere_says_why(
    play: Player, target: bytes, status: int, part: bytes
) -> None:
    """In the status line too: most clients show nothing else."""

    async def client(port: Port) -> None:
        reader, writer = await port.connect()
        writer.write(b"CONNECT %b HTTP/1.1\r\n\r\n" % target)
        said = await reader.read()
        line, _, rest = said.partition(b"\r\n")
        assert line.startswith(b"HTTP/1.1 %d " % status)
        assert part in rest
        assert status == 431 or part in line
        writer.close()

    play(client)


def test_a_tunnel_is_not_dug_within_a_tunnel(play: Player) -> None:
    """It would lead where it already is."""

    async def client(port: Port) -> None:
        reader, writer = await port.tunnel()
        writer.write(b"CONNECT %b:443 HTTP/1.1\r\n\r\n" % HOST.encode())
        assert (await read_answer(reader))[0] == 403
        writer.close()

    play(client)


def test_a_whole_url_is_what_its_host_would_have_got(play: Player) -> None:
    """HTTP_PROXY sends plain http so; the URL's host counts, whatever Host says."""

    async def client(port: Port) -> None:
        reader, writer = await port.connect()
        own = b"127.0.0.1:%d" % port.server.port
        for url, seen in (
            (b"http://bkt.s3.amazonaws.com/k?a=b", b"bkt.s3.amazonaws.com /k?a=b"),
            (b"HTTP://bkt.s3.amazonaws.com", b"bkt.s3.amazonaws.com /"),
            (b"http://bkt.s3.amazonaws.com?list-type=2", b"bkt.s3.amazonaws.com /?list-type=2"),
            (b"http://%b/own" % own, own + b" /own"),
        ):
            writer.write(b"GET %b HTTP/1.1\r\nHost: other.example\r\n\r\n" % url)
            assert await read_answer(reader) == (200, b"GET " + seen + b" ")
        writer.close()

    play(client)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://pypi.org/simple/", 403),
        (b"http://127.0.0.1:1/", 403),
        (b"http://s3.amazonaws.com@evil.example/", 403),
        (b"ftp://s3.amazonaws.com/", 403),
        (b"http:///", 403),
        (b"*", 400),
    ],
)
def test_plain_http_goes_nowhere_else(play: Player, target: bytes, status: int) -> None:
    """Nothing leaves this machine by accident, and the line stays usable."""

    async def client(port: Port) -> None:
        reader, writer = await port.connect()
        writer.write(b"OPTIONS %b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" % target)
        assert (await read_answer(reader))[0] == status
        writer.write(b"GET /next HTTP/1.1\r\n\r\n")
        assert await read_answer(reader) == (200, b"GET - /next ")
        writer.close()

    play(client)


def test_plain_http_in_a_tunnel_is_told_so(play: Player) -> None:
    """A client that tunnels http:// would see only a closed connection."""

    async def client(port: Port) -> None:
        reader, writer = await port.connect()
        writer.write(b"CONNECT %b:443 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n" % HOST.encode())
        await read_head(reader)
        status, said = await read_answer(reader)
        assert status == 400
        assert b"speaks TLS" in said
        assert await reader.read() == b""
        writer.close()

    play(client)


def test_a_client_that_does_not_trust_the_home_is_named_in_the_log(
    play: Player, caplog: pytest.LogCaptureFixture
) -> None:
    """It shows `unknown authority`; the log says what it should have read."""

    def untrusting(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as opened:
            opened.sendall(b"CONNECT %b:443 HTTP/1.1\r\n\r\n" % HOST.encode())
            assert opened.recv(1000).endswith(b"\r\n\r\n")
            with pytest.raises(ssl.SSLCertVerificationError):
                ssl.create_default_context().wrap_socket(opened, server_hostname=HOST)

    async def client(port: Port) -> None:
        await asyncio.to_thread(untrusting, port.server.port)

    play(client)
    assert "does not trust this home's authority" in caplog.text
    assert "AWS_CA_BUNDLE" in caplog.text


@pytest.mark.parametrize(
    "sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01", b"\x16\x03garbage" * 9]
)
def test_a_client_that_leaves_in_the_handshake_leaves_nothing_behind(
    play: Player, sent: bytes
) -> None:
    """Half-open tunnels would add up."""

    async def client(port: Port) -> None:
        reader, writer = await port.connect()
        writer.write(b"CONNECT %b:443 HTTP/1.1\r\n\r\n" % HOST.encode() + sent)
        await read_head(reader)
        writer.transport.abort()
        reader, writer = await port.tunnel()
        writer.write(b"GET /next HTTP/1.1\r\n\r\n")
        assert await read_answer(reader) == (200, b"GET - /next ")
        writer.close()

    play(client)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_a_silent_tunnel_is_closed(
    play: Player, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Before the first byte and in the middle of the handshake."""
    monkeypatch.setattr(server_module, "_SWEEP_INTERVAL_S", 0.01)
    monkeypatch.setattr(limits, "TUNNEL_FIRST_BYTES_TIMEOUT_S", 0.05)
    monkeypatch.setattr(limits, "TLS_HANDSHAKE_TIMEOUT_S", 0.05)

    async def client(port: Port) -> None:
        reader, writer = await port.connect()
        writer.write(b"CONNECT %b:443 HTTP/1.1\r\n\r\n" % HOST.encode() + sent)
        await read_head(reader)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)
        writer.close()

    play(client)


def test_tunnels_count_among_the_servers_connections(
    play: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound holds for them as for every connection, and they give their place back."""
    monkeypatch.setattr(limits, "CONNECTION_COUNT_MAX", 2)

    async def client(port: Port) -> None:
        _, first = await port.tunnel()
        _, second = await port.tunnel()
        reader, third = await port.connect()
        third.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)
        for writer in (first, second, third):
            writer.close()

    play(client)


def test_idle_tunnels_do_not_hold_up_the_end(play: Player) -> None:
    """Pooled connections of clients never answer TLS's goodbye."""

    async def client(port: Port) -> None:
        reader, writer = await port.tunnel()
        writer.write(b"GET /a HTTP/1.1\r\n\r\n")
        assert (await read_answer(reader))[0] == 200
        # From here on the client reads nothing more.
        cast("asyncio.ReadTransport", writer.transport).pause_reading()
        silent_reader, silent = await port.connect()
        silent.write(b"CONNECT %b:443 HTTP/1.1\r\n\r\n" % HOST.encode())
        await read_head(silent_reader)
        # The fixture's own time-out is shorter than this grace.
        assert await port.server.drain(60)
        for each in (writer, silent):
            each.transport.abort()

    play(client)


# --- allowed hosts ------------------------------------------------------------------------------


async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server of another host: says it loudly, until the other has said all."""
    while data := await reader.read(65_536):
        writer.write(data.upper())
        await writer.drain()
    writer.write(b"BYE")
    writer.close()


def connect(where: str, info: str) -> bytes:
    """Return a CONNECT with a proxy URL's user info."""
    basic = base64.b64encode(info.encode())
    head = b"CONNECT %b HTTP/1.1\r\nProxy-Authorization: Basic %b\r\n\r\n"
    return head % (where.encode(), basic)


def test_an_allowed_host_is_relayed_unread_both_ways(play: Player) -> None:
    """Package managers go on working inside, with the TLS of their own hosts."""

    async def client(port: Port) -> None:
        other = await asyncio.start_server(upper, "127.0.0.1")
        where = f"localhost:{other.sockets[0].getsockname()[1]}"
        info = user_info([read_permit(where)], OWNER.secret_access_key)
        reader, writer = await port.connect()
        writer.write(connect(where, info) + b"early ")
        assert (await read_head(reader)).startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(6) == b"EARLY "
        body = b"x" * 3_000_000
        writer.write(body)
        assert await reader.readexactly(len(body)) == body.upper()
        writer.write_eof()
        assert await reader.read() == b"BYE"
        writer.close()
        other.close()

    play(client)


def test_a_permit_of_another_home_or_host_opens_nothing(play: Player) -> None:
    """Only what this run was told, and only by who holds the key."""

    async def client(port: Port) -> None:
        for permit, secret in (
            ("localhost:1", "another"),
            ("localhost:2", OWNER.secret_access_key),
        ):
            reader, writer = await port.connect()
            writer.write(connect("localhost:1", user_info([read_permit(permit)], secret)))
            assert (await read_answer(reader))[0] == 403
            writer.close()

    play(client)


def test_an_allowed_host_that_is_not_there_is_named(play: Player) -> None:
    """A typing error must not look like the proxy's fault."""

    async def client(port: Port) -> None:
        info = user_info([read_permit("localhost:1")], OWNER.secret_access_key)
        reader, writer = await port.connect()
        writer.write(connect("localhost:1", info))
        status, said = await read_answer(reader)
        assert status == 502
        assert b"localhost:1 cannot be reached" in said
        writer.close()

    play(client)


def test_relays_are_bounded_and_end_in_silence(
    play: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forgotten connections must not hold their places for ever."""
    monkeypatch.setattr(server_module, "_SWEEP_INTERVAL_S", 0.01)
    monkeypatch.setattr(limits, "RELAY_COUNT_MAX", 1)

    async def client(port: Port) -> None:
        other = await asyncio.start_server(upper, "127.0.0.1")
        where = f"localhost:{other.sockets[0].getsockname()[1]}"
        request = connect(where, user_info([read_permit(where)], OWNER.secret_access_key))
        reader, first = await port.connect()
        first.write(request)
        assert (await read_head(reader)).startswith(b"HTTP/1.1 200 ")
        second_reader, second = await port.connect()
        second.write(request)
        assert (await read_answer(second_reader))[0] == 503
        monkeypatch.setattr(limits, "RELAY_IDLE_TIMEOUT_S", 0.0)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1)
        for writer in (first, second):
            writer.close()
        other.close()

    play(client)
