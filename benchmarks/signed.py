"""One signed InvokeEndpoint request as bytes, ready to be sent many times."""

import time
from urllib.parse import urlsplit

from windtunnel.aws import sigv4
from windtunnel.core.home import Home


def invocation(
    home: Home,
    url: str,
    endpoint_name: str,
    body: bytes,
    *,
    content_type: str = "application/json",
    accept: str | None = None,
) -> bytes:
    """Return the request's head and body; the signature is accepted for five minutes."""
    owner = home.credentials()
    credentials = sigv4.Credentials(owner.access_key_id, owner.secret_access_key)
    target = f"/endpoints/{endpoint_name}/invocations"
    headers = [("Host", urlsplit(url).netloc), ("Content-Type", content_type)]
    if accept is not None:
        headers.append(("Accept", accept))
    headers += sigv4.sign(
        "POST",
        target,
        headers,
        sigv4.payload_hash(body),
        credentials,
        region="us-east-1",
        service="sagemaker",
        now_s=time.time(),
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"POST {target} HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def caller_identity(home: Home, host: str) -> bytes:
    """Return a GetCallerIdentity of STS: as small as a signed call gets."""
    owner = home.credentials()
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    headers = [("Host", host), ("Content-Type", "application/x-www-form-urlencoded")]
    headers += sigv4.sign(
        "POST",
        "/",
        headers,
        sigv4.payload_hash(body),
        sigv4.Credentials(owner.access_key_id, owner.secret_access_key),
        region="us-east-1",
        service="sts",
        now_s=time.time(),
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"POST / HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


def plain(url: str, path: str, body: bytes) -> bytes:
    """Return the same request unsigned, for servers that ask for no signature."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
