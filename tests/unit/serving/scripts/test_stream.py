"""A body as a handler reads it."""

import pytest

from windtunnel.serving.scripts.stream import Stream

BODY = b"one\ntwo\nthree"


def test_a_body_is_read_once_in_pieces_of_any_size() -> None:
    """`data.read()` and `data.read(n)`, as of gunicorn's body."""
    stream = Stream(BODY)

    assert stream.read(3) == b"one"
    assert stream.read(None) == b"\ntwo\nthree"
    assert stream.read() == b""


def test_a_body_is_read_by_lines() -> None:
    """CSV scripts iterate over `data`."""
    assert list(Stream(BODY)) == [b"one\n", b"two\n", b"three"]
    assert Stream(BODY).readlines() == [b"one\n", b"two\n", b"three"]
    assert Stream(BODY).readline(2) == b"on"


@pytest.mark.parametrize("name", ["seek", "tell", "getvalue", "decode"])
def test_what_gunicorns_body_cannot_do_this_cannot_do_either(name: str) -> None:
    """A script that seeks would pass here and fail on SageMaker."""
    assert not hasattr(Stream(BODY), name)


def test_a_whole_body_is_not_copied() -> None:
    """A U-Net's request is a megabyte."""
    body = bytes(1000)

    assert Stream(body).read() is body
