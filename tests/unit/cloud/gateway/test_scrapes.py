"""Who may read the cloud's numbers without a signature."""

from typing import cast

import pytest

from windtunnel.cloud.gateway.scrapes import is_own_name, may_read
from windtunnel.http.exchange import Line
from windtunnel.http.message import Head, Headers
from windtunnel.http.server import Exchange


class Connection:
    """As much of a connection as who asks is told by."""

    def __init__(self, peer: str) -> None:
        self.peer = peer


OWN = "('127.0.0.1', 50000)"


def asked(peer: str = OWN, method: bytes = b"GET", **headers: bytes) -> bool:
    found: Headers = [(b"host", b"127.0.0.1:8000")]
    found += [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    head = Head(method, b"/metrics", found, keep_alive=True)
    return may_read(Exchange(cast("Line", Connection(peer)), head))


def test_a_program_of_this_machine_may_read() -> None:
    """Prometheus is configured with an address and a path, and signs nothing."""
    assert asked()
    assert asked(peer="('::1', 50000, 0, 0)")
    assert asked(method=b"HEAD")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("origin", b"https://example.com"),
        ("sec_fetch_site", b"cross-site"),
        ("referer", b"https://example.com/"),
    ],
)
def test_web_pages_may_not(header: str, value: bytes) -> None:
    """A page that a browser of this machine shows must learn nothing of what runs here."""
    assert not asked(OWN, b"GET", **{header: value})


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        (b"127.0.0.1:8000", True),
        (b"localhost:8000", True),
        (b"[::1]:8000", True),
        (None, True),
        (b"evil.example:8000", False),
        (b"localhost.evil.example", False),
        (b"s3.us-east-1.amazonaws.com", False),
        (b"", False),
    ],
)
def test_a_name_that_was_pointed_here_may_not(host: bytes | None, is_own: bool) -> None:  # noqa: FBT001
    """A page's own name can be made to lead to 127.0.0.1, but Host still says whose it is."""
    assert is_own_name(host) is is_own


def test_others_are_s3s() -> None:
    """Other machines, other methods, and whoever signs for a bucket of that name."""
    assert not asked(peer="('192.0.2.1', 50000)")
    assert not asked(method=b"PUT")
    assert not asked(authorization=b"AWS4-HMAC-SHA256 Credential=...")
