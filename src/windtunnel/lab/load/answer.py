"""One HTTP/1.1 answer, read from whatever pieces the network gives.

No I/O. The load generator does not need an answer's body, only how long it was and when it ended:
pieces of a body are counted and dropped, but for the start of a failed one, which is quoted to the
person. Written for this, because a general parser calls back for every header line.
"""

from typing import Literal

from windtunnel.core import limits

_ChunkPart = Literal["size", "data", "data end", "trailer"]
# What stands for a body's length where it has none of its own.
_UNTIL_CLOSE = -1
_CHUNKED = -2
_HEAD_END = b"\r\n\r\n"
_OK_BELOW = 300
_FAILED_FROM = 400
# RFC 9112, 6.3: these have no body whatever their headers say.
_BODILESS = frozenset({204, 304})


class MalformedAnswerError(Exception):
    """What came is not an HTTP/1.1 answer."""


class AnswerReader:
    """Reads one answer; `feed` it until it says that the answer is whole."""

    __slots__ = (
        "_chunk_left",
        "_expected",
        "_pending",
        "_remaining",
        "body_bytes",
        "body_start",
        "head",
        "is_reusable",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        self.head = b""
        self.body_bytes = 0
        self.body_start = b""
        # Whether the connection may carry another request.
        self.is_reusable = True
        # Bytes of the body still to come, _UNTIL_CLOSE or _CHUNKED.
        self._remaining = 0
        # Of a chunked body: what comes next, and how much of the chunk is left.
        self._expected: _ChunkPart = "size"
        self._chunk_left = 0
        # Bytes of an unfinished head, chunk-size line or trailer.
        self._pending = b""

    @property
    def has_failed(self) -> bool:
        """Say whether the status is an error's; a redirect is one, too: nothing follows it."""
        return self.status >= _OK_BELOW

    def feed(self, data: bytes | memoryview) -> bool:
        """Take the next piece and say whether the answer is whole."""
        if not self.status:
            data = self._read_heads(bytes(data))
            if not self.status:
                return False
        if self._remaining == _CHUNKED:
            return self._read_chunks(bytes(data))
        size = len(data)
        if size:
            self._count_body(data)
        if self._remaining >= 0:
            self._remaining -= size
            if self._remaining < 0:
                # More than was announced: the next answer would start in the middle of something.
                self.is_reusable = False
            return self._remaining <= 0
        return False

    def end(self) -> bool:
        """Take the end of the connection and say whether the answer is whole."""
        self.is_reusable = False
        return bool(self.status) and self._remaining == _UNTIL_CLOSE

    def _read_heads(self, data: bytes) -> bytes:
        """Read up to the end of the final head; return what lies behind it."""
        data = self._pending + data
        while True:
            end = data.find(_HEAD_END)
            if end < 0:
                if len(data) > limits.LOAD_ANSWER_HEAD_BYTES_MAX:
                    raise MalformedAnswerError("the head of the answer does not end")
                self._pending = data
                return b""
            head, data = data[:end], data[end + 4 :]
            status = _status(head)
            # 100 Continue and 103 Early Hints stand before the answer itself.
            if status >= 200:  # noqa: PLR2004
                self._pending = b""
                self.status, self.head = status, head
                self._read_framing(head.lower() + b"\r\n")
                return data

    def _read_framing(self, head: bytes) -> None:
        connection = _value(head, b"connection")
        if connection == b"close" or (head.startswith(b"http/1.0") and connection != b"keep-alive"):
            self.is_reusable = False
        length = _value(head, b"content-length")
        if self.status in _BODILESS:
            self._remaining = 0
        elif b"chunked" in _value(head, b"transfer-encoding"):
            self._remaining = _CHUNKED
        elif length:
            if not length.isdigit():
                raise MalformedAnswerError("Content-Length is not a number")
            self._remaining = int(length)
        else:
            self._remaining = _UNTIL_CLOSE
            self.is_reusable = False

    def _read_chunks(self, data: bytes) -> bool:
        data = self._pending + data
        self._pending = b""
        while True:
            if self._expected == "data":
                piece = data[: self._chunk_left]
                data = data[len(piece) :]
                self._count_body(piece)
                self._chunk_left -= len(piece)
                if self._chunk_left:
                    return False
                self._expected = "data end"
            line, separator, rest = data.partition(b"\r\n")
            if not separator:
                if len(data) > limits.LOAD_ANSWER_HEAD_BYTES_MAX:
                    raise MalformedAnswerError("a line between chunks does not end")
                self._pending = data
                return False
            data = rest
            if self._expected == "trailer":
                if not line:
                    return True
            elif self._expected == "data end":
                if line:
                    raise MalformedAnswerError("a chunk is longer than it says")
                self._expected = "size"
            else:
                self._chunk_left = _chunk_size(line)
                self._expected = "data" if self._chunk_left else "trailer"

    def _count_body(self, piece: bytes | memoryview) -> None:
        self.body_bytes += len(piece)
        if self.status >= _FAILED_FROM:
            room = limits.LOAD_ERROR_BODY_BYTES_MAX - len(self.body_start)
            if room > 0:
                self.body_start += bytes(piece[:room])


def _status(head: bytes) -> int:
    digits = head[9:12]
    if not head.startswith(b"HTTP/1.") or not digits.isdigit():
        raise MalformedAnswerError("the answer does not start as HTTP/1.1 does")
    return int(digits)


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise MalformedAnswerError("a chunk's size is not a number") from None


def _value(head: bytes, name: bytes) -> bytes:
    """Return a header's value from a lower-case head, or nothing."""
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    return head[start : head.index(b"\r\n", start)].strip()


def header(head: bytes, name: str) -> str:
    """Return a header's value from a head as it came, or an empty text."""
    start = head.lower().find(b"\r\n" + name.lower().encode() + b":")
    if start < 0:
        return ""
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip().decode("latin-1")
