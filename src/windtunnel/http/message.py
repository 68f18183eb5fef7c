"""The head of an HTTP request, as it came over the wire.

Nothing here is decoded, normalised or merged: signatures are computed over what was sent.
Header names are lower-case bytes; values are bytes without surrounding white space.
"""

from http import HTTPStatus

Headers = list[tuple[bytes, bytes]]

# Answers that never carry a body, nor its length (RFC 9110, 8.6).
NO_BODY_STATUSES = frozenset((204, 304))

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode("latin-1"))
    for status in HTTPStatus
}


def status_line(status: int) -> bytes:
    """Return the first line of an answer, also for statuses without a registered phrase."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status


class Head:
    """Method, target and headers of one request."""

    __slots__ = ("headers", "keep_alive", "method", "path", "query", "target")

    def __init__(self, method: bytes, target: bytes, headers: Headers, *, keep_alive: bool) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.keep_alive = keep_alive
        self.path, _, self.query = target.partition(b"?")

    def get(self, name: bytes) -> bytes | None:
        """Return the first value of a header, by its lower-case name."""
        for found, value in self.headers:
            if found == name:
                return value
        return None

    @property
    def content_length(self) -> int | None:
        """The declared length of the body, None when there is none or it comes in chunks."""
        value = self.get(b"content-length")
        # The parser has already refused what is not a number.
        return None if value is None else int(value)

    def retarget(self, target: bytes, host: bytes) -> None:
        """Make this the request that a proxy passes on: a path, and the host that was meant."""
        self.target = target
        self.path, _, self.query = target.partition(b"?")
        others = [pair for pair in self.headers if pair[0] != b"host"]
        self.headers = [(b"host", host), *others]
