"""`GET /metrics` on the cloud's port: who may read its numbers, without a signature.

Prometheus does not sign as AWS's clients do, so whoever runs it on this machine may read: the
answer has names and counts, changes nothing and starts nothing but a look at the containers. Web
pages may not, although a browser runs on this machine, too: a browser says for whom it asks
(Origin, Sec-Fetch-Site), and a page whose own name was pointed at 127.0.0.1 has that name in Host,
which must therefore be an address or localhost. Other machines may not either.

A signed request for this path, or one with a query, is S3's: a bucket may be called `metrics`.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable

from windtunnel.http.server import BodySink, Exchange

log = logging.getLogger(__name__)

_PATH = b"/metrics"
# The version of the text format, which the library's own constant does not name.
_CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_FROM_PAGES = (b"origin", b"sec-fetch-site", b"referer")
_LOOPBACK_PEERS = ("('127.", "('::1'", "('::ffff:127.")


class Scrapes:
    """Answers those who may read."""

    def __init__(self, render: Callable[[], Awaitable[bytes]]) -> None:
        self._render = render
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, exchange: Exchange) -> BodySink | None:
        """Return what answers a scrape when it is whole; None for what is not one."""
        if exchange.head.target != _PATH or not may_read(exchange):
            return None
        return _Scrape(lambda: self._begin(exchange))

    def _begin(self, exchange: Exchange) -> None:
        task = asyncio.create_task(self._answer(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, exchange: Exchange) -> None:
        try:
            status, text = 200, await self._render()
        except Exception:
            log.exception("the metrics could not be told")
            status, text = 500, b"The metrics could not be told: the cloud's log says why.\n"
        exchange.respond(status, ((b"content-type", _CONTENT_TYPE),), text)

    async def close(self) -> None:
        """Wait for what is being answered."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Scrape:
    """A scrape's body, which says nothing."""

    def __init__(self, answer: Callable[[], None]) -> None:
        self.end = answer

    def write(self, chunk: bytes) -> None:
        """Drop it."""

    def abort(self) -> None:
        """Owe nobody anything."""


def may_read(exchange: Exchange) -> bool:
    """Say whether a request for the metrics comes from a program of this machine."""
    head = exchange.head
    return (
        head.method in (b"GET", b"HEAD")
        and head.get(b"authorization") is None
        and not any(head.get(name) is not None for name in _FROM_PAGES)
        and exchange.peer.startswith(_LOOPBACK_PEERS)
        and is_own_name(head.get(b"host"))
    )


def is_own_name(host: bytes | None) -> bool:
    """Say whether a Host is an address or localhost, which no page from elsewhere can have."""
    if host is None:
        return True
    name = host.decode("latin-1").lower()
    name = name.partition("]")[0][1:] if name.startswith("[") else name.partition(":")[0]
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
