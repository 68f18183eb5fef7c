"""Only a `run` of this home can open the proxy to another host, and only to that one."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.gateway.proxy.permits import Permit, carried, read_permit, user_info

SECRET = "the home's own secret"


def header(permits: list[Permit], secret: str = SECRET) -> bytes:
    """Return what a client makes of a proxy URL's user info."""
    return b"Basic " + base64.b64encode(user_info(permits, secret).encode())


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("pypi.org", "pypi.org", 443),
        ("*.PyPI.org", "*.pypi.org", 443),
        ("localhost:8443", "localhost", 8443),
        ("127.0.0.1:1", "127.0.0.1", 1),
        (" pypi.org. ", "pypi.org", 443),
        ("public.ecr.aws", "public.ecr.aws", 443),
    ],
)
def test_a_host_to_allow_is_read(text: str, host: str, port: int) -> None:
    """As people write them."""
    assert read_permit(text) == Permit(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "*.",
        "a.*.org",
        "https://pypi.org",
        "pypi.org/simple",
        "pypi.org:",
        "pypi.org:0",
        "pypi.org:65536",
        "pypi.org:https",
        "[::1]",
        "[::1]:443",
        "a b",
        "a,b",
        "a\r\nb",
        "*.com",
        "s3.amazonaws.com",
        "*.amazonaws.com",
        "amazonaws.com",
        f"{'a' * 64}.org",
    ],
)
def test_what_is_no_host_or_awss_is_refused(text: str) -> None:
    """AWS's hosts always stay here, and a pattern cannot be wide enough to hold them."""
    with pytest.raises(ValueError, match=r"."):
        read_permit(text)


@pytest.mark.parametrize(
    ("permit", "host", "port", "covered"),
    [
        ("pypi.org", "pypi.org", 443, True),
        ("pypi.org", "pypi.org", 80, False),
        ("pypi.org", "www.pypi.org", 443, False),
        ("*.pypi.org", "www.pypi.org", 443, True),
        ("*.pypi.org", "a.b.pypi.org", 443, True),
        ("*.pypi.org", "pypi.org", 443, False),
        ("*.pypi.org", "evilpypi.org", 443, False),
        ("localhost:8443", "localhost", 8443, True),
        ("localhost:8443", "localhost", 443, False),
    ],
)
def test_a_permit_covers_its_host_and_port_alone(
    permit: str,
    host: str,
    port: int,
    covered: bool,  # noqa: FBT001
) -> None:
    """Allowing one host must not allow its neighbours."""
    assert read_permit(permit).covers(host, port) is covered


@given(st.lists(st.from_regex(r"(\*\.)?[a-y]{1,9}\.[a-y]{4}(:[1-9]\d{0,3})?", fullmatch=True)))
def test_permits_come_back_as_they_were_given(texts: list[str]) -> None:
    """They travel as the user info of a URL, which not every character survives."""
    permits = [read_permit(text) for text in texts]
    if not permits:
        return
    assert carried(header(permits), SECRET) == tuple(permits)[:64]
    name, _, code = user_info(permits, SECRET).partition(":")
    assert name.replace("-", "").replace("_", "").isalnum()
    assert code.isalnum()


def test_no_user_info_is_no_permit() -> None:
    """A run without --allow-host needs none."""
    assert carried(None, SECRET) == ()


@pytest.mark.parametrize(
    "value",
    [
        header([read_permit("pypi.org")], "another home's secret"),
        header([read_permit("pypi.org")]).replace(b"Basic", b"Bearer"),
        header([read_permit("pypi.org")])[:-4],
        b"Basic " + base64.b64encode(b"cHlwaS5vcmc:"),
        b"Basic " + base64.b64encode("é:é".encode()),
        b"Basic \xff",
        b"Basic",
        b"",
    ],
)
def test_what_another_key_made_is_nothing(value: bytes) -> None:
    """A page or a neighbour that reaches the port cannot make the cloud reach out."""
    assert carried(value, SECRET) is None
