"""One connection, over real sockets."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from windtunnel.lab.load import connection as connections
from windtunnel.lab.load.connection import Address, Connection
from windtunnel.lab.load.failures import ClosedConnectionError

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class _Server:
    """Accepts connections one after the other and hands each to `serve`."""

    def __init__(
        self, serve: Callable[[socket.socket], None], context: ssl.SSLContext | None = None
    ) -> None:
        self.accepted = 0
        self._serve = serve
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self._context is not None:
                try:
                    accepted = self._context.wrap_socket(accepted, server_side=True)
                except (ssl.SSLError, OSError):
                    accepted.close()
                    continue
            with accepted:
                self._serve(accepted)

    def close(self) -> None:
        # Closing a listener does not wake an accept on Linux; shutting it down does.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def server() -> Iterator[Callable[..., _Server]]:
    """Return a function that starts a server."""
    started: list[_Server] = []

    def start(
        serve: Callable[[socket.socket], None], context: ssl.SSLContext | None = None
    ) -> _Server:
        started.append(_Server(serve, context))
        return started[-1]

    yield start
    for each in started:
        each.close()


def _answer_always(accepted: socket.socket) -> None:
    while accepted.recv(65536):
        accepted.sendall(_OK)


def test_a_connection_is_used_again(server: Callable[..., _Server]) -> None:
    """A new connection for every request would measure the network's handshake."""
    listening = server(_answer_always)
    connection = Connection(Address("127.0.0.1", listening.port, is_tls=False))

    for _ in range(3):
        assert connection.exchange(b"GET / HTTP/1.1\r\n\r\n").body_bytes == 2
    connection.close()

    assert listening.accepted == 1


def test_a_broken_connection_is_an_error_once_and_new_the_next_time(
    server: Callable[..., _Server],
) -> None:
    """Nothing is retried behind the measurement's back, and nothing stays broken."""

    def serve_once(accepted: socket.socket) -> None:
        accepted.recv(65536)
        accepted.sendall(_OK)

    listening = server(serve_once)
    connection = Connection(Address("127.0.0.1", listening.port, is_tls=False))
    connection.exchange(b"GET / HTTP/1.1\r\n\r\n")

    with pytest.raises((ClosedConnectionError, ConnectionResetError, BrokenPipeError)):
        connection.exchange(b"GET / HTTP/1.1\r\n\r\n")
    assert not connection.is_open

    assert connection.exchange(b"GET / HTTP/1.1\r\n\r\n").status == 200
    connection.close()
    assert listening.accepted == 2


def test_large_requests_and_answers_cross_whole(server: Callable[..., _Server]) -> None:
    """A U-Net's picture is a megabyte each way; a short write would hang both sides."""
    body = b"x" * 3_000_000
    received: list[int] = []

    def serve(accepted: socket.socket) -> None:
        left = len(body)
        while left:
            left -= len(accepted.recv(65536))
        received.append(len(body))
        accepted.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    listening = server(serve)
    connection = Connection(Address("127.0.0.1", listening.port, is_tls=False))

    answer = connection.exchange(body)
    connection.close()

    assert (answer.body_bytes, received) == (len(body), [len(body)])
    assert answer.body_start == b""


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a key and a certificate for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    path = tmp_path / "server.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(path), "-out", str(path.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.mark.slow
def test_tls_is_spoken_to_https_and_certificates_are_checked(
    server: Callable[..., _Server], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed requests carry credentials: they must not go to whoever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listening = server(_answer_always, context)
    address = Address.of(f"https://127.0.0.1:{listening.port}")

    connections._tls.cache_clear()
    with pytest.raises(ssl.SSLError):
        Connection(address).exchange(b"GET / HTTP/1.1\r\n\r\n")

    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate.with_suffix(".crt")))
    connections._tls.cache_clear()
    trusting = Connection(address)
    assert trusting.exchange(b"GET / HTTP/1.1\r\n\r\n").status == 200
    trusting.close()
    connections._tls.cache_clear()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8080", Address("127.0.0.1", 8080, is_tls=False)),
        ("https://runtime.example", Address("runtime.example", 443, is_tls=True)),
        ("http://[::1]:80/", Address("::1", 80, is_tls=False)),
    ],
)
def test_an_address_is_what_its_url_says(url: str, address: Address) -> None:
    """boto3 decides where an endpoint is; the generator must end up at the same place."""
    assert Address.of(url) == address


def test_an_idle_connection_is_looked_at_for_its_end(server: Callable[..., _Server]) -> None:
    """Servers end idle connections; the next request must not fail for it, nor be sent twice."""
    told_to_end = threading.Event()
    has_ended = threading.Event()

    def serve(accepted: socket.socket) -> None:
        accepted.recv(1000)
        accepted.sendall(_OK)
        if told_to_end.wait(5):
            accepted.shutdown(socket.SHUT_RDWR)
            has_ended.set()

    connection = Connection(Address("127.0.0.1", server(serve).port, is_tls=False))
    connection.exchange(b"x")
    connection.close_if_ended()
    assert connection.is_open

    told_to_end.set()
    assert has_ended.wait(5)
    connection.close_if_ended()

    assert not connection.is_open
