"""The home's own certificate authority at work: kept in the home, asked for TLS contexts.

Rules: its key is read by its owner alone and never leaves the home; keys are made and certificates
signed on a thread of their own, never on the event loop; what is ready is kept, within a bound.
"""

import asyncio
import contextlib
import logging
import os
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from windtunnel.cloud.gateway.proxy.certificates import (
    Pair,
    new_authority,
    new_leaf,
    read_authority,
)
from windtunnel.core import limits
from windtunnel.core.clock import Clock
from windtunnel.core.home import Home, write_private

log = logging.getLogger(__name__)

_LEAF_PREFIX = ".leaf-"


@dataclass(frozen=True)
class _Ready:
    """What a server needs to be one host, and until when it may be used."""

    context: ssl.SSLContext
    renew_at_s: float


class Authority:
    """Gives TLS contexts for AWS's hosts."""

    def __init__(self, home: Home, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        self._pair: Pair
        self._ready: OrderedDict[str, asyncio.Future[_Ready]] = OrderedDict()
        # One thread: certificates are small, and the event loop's own threads have other work.
        self._thread = ThreadPoolExecutor(1, "authority")

    async def open(self) -> None:
        """Read the home's authority, or make it."""
        loop = asyncio.get_running_loop()
        self._pair = await loop.run_in_executor(self._thread, self._read_or_make)

    def close(self) -> None:
        """Let the thread go."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def context(self, host: str) -> ssl.SSLContext:
        """Return the TLS context of one host, from what is ready or made now."""
        ready = self._ready.get(host)
        if ready is not None and ready.done():
            is_failed = ready.cancelled() or ready.exception() is not None
            if is_failed or self._clock.now_s() >= ready.result().renew_at_s:
                ready = None
        if ready is None:
            loop = asyncio.get_running_loop()
            ready = loop.run_in_executor(self._thread, self._issue, host)
            self._ready[host] = ready
            while len(self._ready) > limits.LEAF_COUNT_MAX:
                self._ready.popitem(last=False)
        self._ready.move_to_end(host)
        # A client that leaves must not take the certificate from the next one.
        return (await asyncio.shield(ready)).context

    def _read_or_make(self) -> Pair:
        home = self._home
        # What a killed cloud left (`_readable`); nobody else has this home now.
        for left in home.authority_key.parent.glob(f"{_LEAF_PREFIX}*"):
            left.unlink(missing_ok=True)
        try:
            return read_authority(
                home.authority_certificate.read_bytes(),
                home.authority_key.read_bytes(),
                self._clock.now_s(),
            )
        except FileNotFoundError:
            pass
        except ValueError as error:
            log.warning("The home's certificate authority is made anew: %s.", error)
        made = new_authority(home.id, self._clock.now_s())
        # The key first: a certificate is what says that both are there.
        write_private(home.authority_key, made.key_pem.decode())
        write_private(home.authority_certificate, made.certificate_pem.decode())
        return made

    @contextlib.contextmanager
    def _readable(self, text: bytes) -> Iterator[Path]:
        """Hold a file of a text, for OpenSSL, which reads a key from a file alone.

        It lies in memory where the system has that (a full disk must not end TLS), else in the
        home, and its owner alone may read it.
        """
        if hasattr(os, "memfd_create"):
            with os.fdopen(os.memfd_create("leaf"), "wb") as file:
                file.write(text)
                file.flush()
                yield Path(f"/proc/self/fd/{file.fileno()}")
            return
        directory = self._home.authority_key.parent
        with tempfile.NamedTemporaryFile(dir=directory, prefix=_LEAF_PREFIX) as named:
            named.write(text)
            named.flush()
            yield Path(named.name)

    def _issue(self, host: str) -> _Ready:
        leaf = new_leaf(self._pair, host, self._clock.now_s())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Without a word clients of HTTP/2 would take silence for it.
        context.set_alpn_protocols(["http/1.1"])
        with self._readable(leaf.key_pem + leaf.certificate_pem) as path:
            context.load_cert_chain(path)
        return _Ready(context, leaf.ends_s - limits.LEAF_RENEWAL_S)
