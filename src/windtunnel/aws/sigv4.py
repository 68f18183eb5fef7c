"""What AWS's Signature Version 4 of a request is.

    canonical_request -> string_to_sign -> signature (by signing_key); `sign` does them in turn

The side that signs and the side that verifies compute the same value from the same bytes, so both
use these functions. Rules: pure, no clock, no I/O; the request target is taken raw, as it stands
(or stood) in the request line, never decoded and rebuilt by the caller; headers are pairs, since a
name may come twice; nothing here decides whether a signature is acceptable (age, scope, key).

Source: AWS, "Signature Version 4 signing process" (IAM User Guide, "Create a signed AWS API
request"), and its published test suite.
"""

import functools
import hashlib
import hmac
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
EMPTY_PAYLOAD_HASH = hashlib.sha256(b"").hexdigest()
# What stands in place of a payload's hash when the payload is not signed (S3 over TLS, presigned).
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
# Headers that proxies and clients change on the way; botocore leaves out the same four.
UNSIGNED_HEADERS = frozenset({"expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"})
# A day's key serves every request of that day, region and service; a handful of keys are alive.
_SIGNING_KEYS_MAX = 64

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Credentials:
    """A key pair, and the token that temporary ones come with."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def amz_date(now_s: float) -> str:
    """Return a moment, in seconds since the epoch, as `x-amz-date` writes it."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))


def payload_hash(body: bytes) -> str:
    """Return the hash that stands for a body in its canonical request."""
    return hashlib.sha256(body).hexdigest()


def credential_scope(date: str, region: str, service: str) -> str:
    """Return what a signature is good for; `date` is an `amz_date` or its first eight digits."""
    return f"{date[:8]}/{region}/{service}/{TERMINATOR}"


def canonical_path(path: str, service: str) -> str:
    """Return the path as it is signed.

    S3's keys may hold `//` and `..`, so there it is signed exactly as sent. Every other service
    signs it without dot segments and repeated slashes, and percent-encoded once more than sent.
    """
    if service.startswith("s3"):
        return path or "/"
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    normal = "/" + "/".join(parts)
    if path.endswith("/") and parts:
        normal += "/"
    return quote(normal, safe="/~")


def canonical_query(query: str) -> str:
    """Return the query as it is signed: each part encoded AWS's way, sorted, and no signature."""
    if not query:
        return ""
    pairs = []
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key != "X-Amz-Signature":
            pairs.append((_encoded_once(key), _encoded_once(value)))
    return "&".join(f"{key}={value}" for key, value in sorted(pairs))


def _encoded_once(text: str) -> str:
    # Some clients send `/` as it is or `%2f` in lower case, and sign `%2F`.
    return quote_from_bytes(unquote_to_bytes(text), safe="-_.~")


def canonical_headers(headers: Headers, signed: Collection[str]) -> str:
    """Return the lines of the headers named in `signed` (lower case), sorted by name."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        name_lower = name.lower()
        if name_lower in signed:
            values.setdefault(name_lower, []).append(" ".join(value.split()))
    return "".join(f"{name}:{','.join(values[name])}\n" for name in sorted(values))


def canonical_request(
    method: str,
    target: str,
    headers: Headers,
    signed: Collection[str],
    hashed_payload: str,
    *,
    service: str,
) -> str:
    """Return the text whose hash is signed; `target` is the request line's raw path and query."""
    path, _, query = target.partition("?")
    return "\n".join(
        (
            method.upper(),
            canonical_path(path, service),
            canonical_query(query),
            canonical_headers(headers, signed),
            ";".join(sorted(signed)),
            hashed_payload,
        )
    )


def string_to_sign(date: str, scope: str, canonical: str) -> str:
    """Return what the signing key is applied to; `date` is the request's `amz_date`."""
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    return f"{ALGORITHM}\n{date}\n{scope}\n{hashed}"


@functools.lru_cache(maxsize=_SIGNING_KEYS_MAX)
def signing_key(secret_access_key: str, day: str, region: str, service: str) -> bytes:
    """Return the key for one day (`YYYYMMDD`), region and service."""
    key = f"AWS4{secret_access_key}".encode()
    for part in (day, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(key: bytes, text: str) -> str:
    """Return the signature, in hexadecimal, of a string to sign."""
    return hmac.digest(key, text.encode(), "sha256").hex()


def sign(
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]],
    hashed_payload: str,
    credentials: Credentials,
    *,
    region: str,
    service: str,
    now_s: float,
) -> list[tuple[str, str]]:
    """Return the headers to add to a request so that it is signed at `now_s`.

    `headers` must hold Host; all of them are signed but `UNSIGNED_HEADERS`.
    """
    assert any(name.lower() == "host" for name, _ in headers), "Host is always signed"
    date = amz_date(now_s)
    added = [("X-Amz-Date", date)]
    if service == "s3":
        added.append(("X-Amz-Content-SHA256", hashed_payload))
    if credentials.session_token is not None:
        added.append(("X-Amz-Security-Token", credentials.session_token))
    every = [*headers, *added]
    signed = {name.lower() for name, _ in every} - UNSIGNED_HEADERS
    canonical = canonical_request(method, target, every, signed, hashed_payload, service=service)
    scope = credential_scope(date, region, service)
    key = signing_key(credentials.secret_access_key, date[:8], region, service)
    proof = signature(key, string_to_sign(date, scope, canonical))
    authorization = (
        f"{ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(sorted(signed))}, Signature={proof}"
    )
    return [*added, ("Authorization", authorization)]
