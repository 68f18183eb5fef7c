"""The gateway's port as a proxy: what is asked of it by CONNECT, or with a whole URL.

    /path                  the gateway's own business, at no cost here
    http://AWS HOST/path   the same request, as that host would have got it
    CONNECT AWS HOST:443   a tunnel whose other end is this cloud (`tunnel.py`)
    CONNECT allowed host   a blind relay (`relay.py`), if the client shows a permit (`permits.py`)

All else is refused in a sentence; what a CONNECT is refused with stands in the status line, too,
because that is all that most clients show of it.
"""

import asyncio
import logging
import re

from windtunnel.aws.hosts import is_aws_host, normalised
from windtunnel.cloud.gateway.gateway import Gateway
from windtunnel.cloud.gateway.proxy import permits
from windtunnel.cloud.gateway.proxy.authority import Authority
from windtunnel.cloud.gateway.proxy.relay import Relay
from windtunnel.cloud.gateway.proxy.tunnel import Tunnel
from windtunnel.core import limits
from windtunnel.core.home import Credentials
from windtunnel.http.exchange import Owner, Successor
from windtunnel.http.message import Head
from windtunnel.http.server import BodySink, Exchange

log = logging.getLogger(__name__)

_AUTHORITY_FORM = re.compile(rb"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})")
_ABSOLUTE_FORM = re.compile(rb"(?i:http|https)://([^/?#@]*)([/?].*)?")
_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]
_LOOPBACK_HOSTS = frozenset(("127.0.0.1", "localhost", "[::1]"))
# What a reason phrase may hold (RFC 9112, 4), so that no host's name can forge a header.
_NOT_PHRASE = re.compile(r"[^ -~]")


class Proxy:
    """The handler of the cloud's port: a gateway, and the proxy before it."""

    def __init__(self, gateway: Gateway, authority: Authority, owner: Credentials) -> None:
        self._gateway = gateway
        self._authority = authority
        self._secret = owner.secret_access_key
        # The cloud's own port: some clients ask even for loopback through their proxy.
        self.port = 0
        self._relays: set[Relay] = set()
        self.complete = gateway.complete
        self.overflow = gateway.overflow
        self.malformed = gateway.malformed

    def begin(self, exchange: Exchange) -> int | BodySink:
        """Take a request's head to where it belongs."""
        head = exchange.head
        if head.target.startswith(b"/"):
            return self._gateway.begin(exchange)
        if head.method == b"CONNECT":
            exchange.successor = self._successor(exchange)
            return 0
        refusal = self._unwrap(head)
        if refusal is None:
            return self._gateway.begin(exchange)
        exchange.respond(403 if head.target != b"*" else 400, _TEXT, f"{refusal}\n".encode())
        return 0

    def _unwrap(self, head: Head) -> str | None:
        """Turn a request with a whole URL into what its host would get, or say why not."""
        found = _ABSOLUTE_FORM.fullmatch(head.target)
        if found is None:
            return "The target is neither a path nor a URL of http."
        authority = found[1].decode("latin-1")
        host, _, port = authority.rpartition(":")
        is_own = host in _LOOPBACK_HOSTS and port == str(self.port)
        if not is_own and not is_aws_host(authority):
            return _not_allowed(normalised(authority)) + " Plain http:// is never relayed."
        path = found[2] or b"/"
        # RFC 9112, 3.2.2: the URL's host counts, whatever Host says.
        head.retarget(path if path.startswith(b"/") else b"/" + path, found[1])
        return None

    def _successor(self, exchange: Exchange) -> Successor:
        """Return what a CONNECT becomes."""
        head = exchange.head
        found = _AUTHORITY_FORM.fullmatch(head.target)
        if found is None:
            return Refusal(400, "CONNECT must name HOST:PORT.")
        if exchange.is_tunnelled:
            return Refusal(403, "There is no tunnel within a tunnel.")
        host, port = normalised(found[1].decode()), int(found[2])
        return self._tunnel(host, port) if is_aws_host(host) else self._relay(host, port, head)

    def _tunnel(self, host: str, port: int) -> Successor:
        """Lead to this cloud."""
        if port != permits.HTTPS_PORT:
            return Refusal(403, f"AWS hosts are reached at port {permits.HTTPS_PORT}, not {port}.")
        return Tunnel(host, self._authority)

    def _relay(self, host: str, port: int, head: Head) -> Successor:
        """Lead out, if the client shows a permit for it."""
        given = permits.carried(head.get(b"proxy-authorization"), self._secret)
        if given is None:
            return Refusal(403, "The proxy's user info does not come from this home's run.")
        if not any(permit.covers(host, port) for permit in given):
            where = host if port == permits.HTTPS_PORT else f"{host}:{port}"
            return Refusal(403, _not_allowed(where))
        self._relays = {relay for relay in self._relays if not relay.is_over}
        if len(self._relays) >= limits.RELAY_COUNT_MAX:
            return Refusal(503, f"{limits.RELAY_COUNT_MAX} connections are relayed already.")
        relay = Relay(host, port)
        self._relays.add(relay)
        return relay


class Refusal:
    """Answers a CONNECT with why it leads nowhere, and closes."""

    def __init__(self, status: int, reason: str) -> None:
        self._status = status
        self._reason = reason

    def take(self, server: Owner, transport: asyncio.Transport, early: bytes) -> None:
        """Answer, and close."""
        del server, early
        log.info("A CONNECT was refused: %s", self._reason)
        phrase = _NOT_PHRASE.sub("?", self._reason)
        text = f"{self._reason}\n".encode()
        head = (
            f"HTTP/1.1 {self._status} {phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(text)}\r\nconnection: close\r\n\r\n"
        )
        transport.set_protocol(asyncio.Protocol())
        transport.write(head.encode() + text)
        transport.close()


def _not_allowed(where: str) -> str:
    if "[" in where:
        return f"{where} is not an AWS host, and addresses of IPv6 cannot be allowed: name a host."
    return (
        f"{where} is not an AWS host, and this run does not allow it: "
        f"windtunnel run --allow-host {where} -- COMMAND."
    )
