"""Pings against servers of every temper."""

import asyncio
import contextlib
import socket
import threading
from pathlib import Path

import pytest

from windtunnel.cloud.fleet import health
from windtunnel.cloud.fleet.health import Pulse
from windtunnel.core import limits


def serve_once(listener: socket.socket, answer: bytes | None, heard: list[bytes]) -> None:
    """Take one request, give one answer or none, and wait until the other side lets go."""
    connection, _ = listener.accept()
    with connection:
        heard.append(connection.recv(4096))
        if answer is not None:
            connection.sendall(answer)
        with contextlib.suppress(ConnectionError):
            connection.recv(1)


def asked(answer: bytes | None, socket_dir: Path) -> tuple[Pulse, bytes]:
    """Ping a server; return what came of it and what was asked."""
    path = str(socket_dir / "server.sock")
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=serve_once, args=(listener, answer, heard))
        thread.start()
        pulse = asyncio.run(health.ping(f"unix:{path}"))
        thread.join()
    return pulse, heard[0]


@pytest.mark.parametrize(
    ("answer", "pulse"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Pulse.ANSWERED),
        (b"HTTP/1.0 200 \r\n\r\n", Pulse.ANSWERED),
        (b"HTTP/1.1 503 Busy\r\n\r\n", Pulse.SILENT),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Pulse.SILENT),
        (b"220 smtp.example.com\r\n\r\n", Pulse.SILENT),
        (b"HTTP/1.1 2xx\r\n\r\n", Pulse.SILENT),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * limits.HEAD_BYTES_MAX, Pulse.SILENT),
        (None, Pulse.SILENT),
    ],
)
def test_only_200_is_health(
    socket_dir: Path, answer: bytes | None, pulse: Pulse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a container answers, a ping ends in time and means what SageMaker takes it for."""
    monkeypatch.setattr(limits, "PING_TIMEOUT_S", 0.2 if answer is None else 20.0)

    found, request = asked(answer, socket_dir)

    assert found is pulse
    assert request.startswith(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n")


def test_a_server_that_is_gone_is_told_from_one_that_is_busy(socket_dir: Path) -> None:
    """The router may keep sending to a busy server, but not to none."""
    pulses = [
        asyncio.run(health.ping(address))
        for address in (f"unix:{socket_dir}/none.sock", "tcp:127.0.0.1:1")
    ]

    assert pulses == [Pulse.GONE, Pulse.GONE]
