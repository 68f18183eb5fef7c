"""Which hosts besides AWS's a client may reach through the proxy, and how it proves that.

`windtunnel run --allow-host H` puts its list into the user info of its proxy's URL, under a code
that only this home's key can make; clients repeat it with every CONNECT (RFC 7617, as
Proxy-Authorization). So a running cloud needs to be told nothing, each `run` has a list of its own,
and nobody without the key can make a cloud reach out. Rule: pure.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from windtunnel.aws.hosts import covers_aws_hosts
from windtunnel.core import limits

HTTPS_PORT = 443
_PORT_MAX = 65_535
# Keeps this code apart from anything else that the key may sign.
_PURPOSE = b"windtunnel allow-host\n"
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?")
_HOST_LENGTH_MAX = 253


@dataclass(frozen=True)
class Permit:
    """One allowed host, `*.NAME` for all below NAME, and the port there."""

    host: str
    port: int = HTTPS_PORT

    def __str__(self) -> str:
        return self.host if self.port == HTTPS_PORT else f"{self.host}:{self.port}"

    def covers(self, host: str, port: int) -> bool:
        """Say whether this lets a client through to a host's port."""
        if port != self.port:
            return False
        if self.host.startswith("*."):
            return host.endswith(self.host[1:])
        return host == self.host


def read_permit(text: str) -> Permit:
    """Return the permit that `--allow-host` names; raise ValueError, saying why it is none."""
    text = text.strip().lower()
    if "//" in text or "[" in text:
        raise ValueError("it takes the name of a host, neither a URL nor an address of IPv6")
    host, colon, digits = text.partition(":")
    port = int(digits) if digits.isdecimal() else 0
    if colon and not 0 < port <= _PORT_MAX:
        raise ValueError(f"{digits!r} is no port")
    if not _HOST.fullmatch(host) or len(host) > _HOST_LENGTH_MAX:
        raise ValueError("a host reads like pypi.org, *.pypi.org or localhost:8443")
    if covers_aws_hosts(host):
        raise ValueError("what goes to AWS's hosts stays in the local cloud")
    return Permit(host.removesuffix("."), port if colon else HTTPS_PORT)


def user_info(permits: Sequence[Permit], secret: str) -> str:
    """Return what stands before the `@` of a proxy's URL that carries these permits."""
    text = ",".join(map(str, permits))
    name = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return f"{name}:{_code(text, secret)}"


def carried(authorization: bytes | None, secret: str) -> tuple[Permit, ...] | None:
    """Return the permits that a request carries; None when they are not this home's."""
    if authorization is None:
        return ()
    scheme, _, given = authorization.partition(b" ")
    try:
        name, _, code = base64.b64decode(given.strip(), validate=True).decode().partition(":")
        padded = name + "=" * (-len(name) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    if scheme.lower() != b"basic" or not hmac.compare_digest(
        code.encode(), _code(text, secret).encode()
    ):
        return None
    return tuple(read_permit(each) for each in text.split(",")[: limits.ALLOWED_HOST_COUNT_MAX])


def _code(text: str, secret: str) -> str:
    return hmac.new(secret.encode(), _PURPOSE + text.encode(), hashlib.sha256).hexdigest()
