"""The bytes of one signed InvokeEndpoint request, made once and sent many times.

boto3 builds, hashes and signs every call anew: 0.5 ms or more of a core each, and more the larger
the body. A signature is good for minutes, so here the whole request is one buffer that is renewed
when its signature gets old; sending it is one write. SageMaker accepts the same signed request
again within that time. Whose signature it is, is asked each time it is made: temporary credentials
are replaced while a run goes on.
"""

from collections.abc import Callable
from urllib.parse import quote, urlsplit

from windtunnel import __version__
from windtunnel.aws import sigv4
from windtunnel.core import limits

_SERVICE = "sagemaker"


class SignedRequest:
    """One request to one endpoint, always freshly enough signed."""

    def __init__(
        self,
        *,
        url: str,
        endpoint_name: str,
        body: bytes,
        content_type: str,
        accept: str | None,
        credentials: Callable[[], sigv4.Credentials],
        region: str,
    ) -> None:
        self.target = f"/endpoints/{quote(endpoint_name, safe='')}/invocations"
        self._headers = [("Host", host_header(url)), ("Content-Type", content_type)]
        if accept is not None:
            self._headers.append(("Accept", accept))
        self._body = body
        self._body_hash = sigv4.payload_hash(body)
        self._credentials = credentials
        self._region = region
        self._wire = b""
        self._signed_at_s = float("-inf")

    def wire(self, now_s: float) -> bytes:
        """Return the request as it goes over the wire at `now_s` (seconds since the epoch)."""
        if now_s - self._signed_at_s >= limits.SIGNATURE_AGE_S_MAX:
            self._sign(now_s)
        return self._wire

    def renew(self) -> None:
        """Sign anew before the next request is sent: there are other credentials."""
        self._signed_at_s = float("-inf")

    def _sign(self, now_s: float) -> None:
        added = sigv4.sign(
            "POST",
            self.target,
            self._headers,
            self._body_hash,
            self._credentials(),
            region=self._region,
            service=_SERVICE,
            now_s=now_s,
        )
        lines = [
            f"POST {self.target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in [*self._headers, *added]),
            f"User-Agent: windtunnel/{__version__}",
            f"Content-Length: {len(self._body)}",
            "",
            "",
        ]
        self._wire = "\r\n".join(lines).encode("latin-1") + self._body
        self._signed_at_s = now_s


def host_header(url: str) -> str:
    """Return the Host header of a URL: the port is named only where it is not the scheme's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port is None or parts.port == {"http": 80, "https": 443}.get(parts.scheme):
        return host
    return f"{host}:{parts.port}"
