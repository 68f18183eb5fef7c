"""Reading answers, against the standard library's own reader."""

import http.client
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.lab.load.answer import AnswerReader, MalformedAnswerError, header

_BODIES = st.binary(max_size=300)
_CUTS = st.lists(st.integers(0, 600), max_size=8)
_NAMES = st.sampled_from(["X-A", "x-b", "Content-Type", "X-Content-Length-Not", "Date"])
_HEADERS = st.lists(st.tuples(_NAMES, st.text("abc 123:;", max_size=10)), max_size=4)


def _chunked(body: bytes, sizes: list[int]) -> bytes:
    out = b""
    for size in itertools.cycle(sizes):
        piece, body = body[:size], body[size:]
        if not piece:
            break
        out += f"{len(piece):X};note=1\r\n".encode() + piece + b"\r\n"
    return out + b"0\r\nX-Trailer: 1\r\n\r\n"


class _FakeSocket:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


@given(
    status=st.sampled_from([200, 201, 301, 400, 424, 500, 503]),
    body=_BODIES,
    framing=st.sampled_from(["length", "chunked", "close"]),
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=4),
    headers=_HEADERS,
    interim=st.booleans(),
    cuts=_CUTS,
)
def test_any_answer_is_read_as_the_standard_library_reads_it(
    *,
    status: int,
    body: bytes,
    framing: str,
    sizes: list[int],
    headers: list[tuple[str, str]],
    interim: bool,
    cuts: list[int],
) -> None:
    """Wherever the network cuts an answer, its status, length and end must be the same."""
    lines = [f"{name}: {value}" for name, value in headers]
    sent = body
    if framing == "length":
        lines.append(f"content-LENGTH:  {len(body)} ")
    elif framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        sent = _chunked(body, sizes)
    head = "\r\n".join([f"HTTP/1.1 {status} Reason given", *lines, "", ""]).encode()
    wire = (b"HTTP/1.1 100 Continue\r\n\r\n" if interim else b"") + head + sent
    oracle = http.client.HTTPResponse(_FakeSocket(wire), method="POST")  # type: ignore[arg-type]
    oracle.begin()
    expected = oracle.read()

    reader = AnswerReader()
    edges = sorted({0, *(cut for cut in cuts if cut < len(wire)), len(wire)})
    pieces = [wire[start:end] for start, end in itertools.pairwise(edges)]
    whole = [reader.feed(memoryview(piece)) for piece in pieces]

    assert whole[:-1] == [False] * (len(pieces) - 1)
    assert whole[-1] is (framing != "close")
    assert framing != "close" or reader.end()
    assert reader.status == oracle.status
    assert reader.body_bytes == len(expected)
    assert reader.is_reusable is (framing != "close")
    assert reader.body_start == (expected if status >= 400 else b"")


def test_an_answer_that_breaks_off_is_not_whole() -> None:
    """Half an answer counted as a good one would hide a crashing model."""
    reader = AnswerReader()

    assert not reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    assert not reader.end()


def test_a_server_that_will_close_is_not_sent_another_request() -> None:
    """The next request would meet a closed connection and count as an error."""
    reader = AnswerReader()

    assert reader.feed(b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n")
    assert not reader.is_reusable


def test_more_than_was_announced_ends_the_connection() -> None:
    """The surplus would be taken for the start of the next answer."""
    reader = AnswerReader()

    assert reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc")
    assert not reader.is_reusable


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_http_answer_is_malformed(wire: bytes) -> None:
    """A wrong port must be an error kind, not a crash or an endless wait."""
    with pytest.raises(MalformedAnswerError):
        AnswerReader().feed(wire)


def test_a_header_is_found_whatever_its_case() -> None:
    """AWS's error type stands in a header whose case varies by service."""
    head = b"HTTP/1.1 424 X\r\nx-amzn-ErrorType: ModelError:http://x\r\nA: b"

    assert header(head, "X-Amzn-Errortype") == "ModelError:http://x"
    assert header(head, "a") == "b"
    assert header(head, "missing") == ""
