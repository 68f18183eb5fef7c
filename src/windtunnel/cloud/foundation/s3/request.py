"""What a request asks for: which bucket, which key, with which parameters and headers.

Rule: pure, and nothing here knows an operation. Paths are decoded exactly once, from the raw
target; a key is whatever then follows the bucket, `..` and `//` included.
"""

import re
import secrets
from collections.abc import Iterable
from urllib.parse import parse_qsl, unquote_to_bytes

from windtunnel.aws import hosts
from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.core.home import ACCOUNT_ID

# The gateway tells the S3 process, over their private socket, what it found out about a caller.
# It drops every header with this prefix that comes from outside.
INTERNAL_PREFIX = "x-windtunnel-"
CALLER_HEADER = INTERNAL_PREFIX + "caller"
SIGNING_KEY_HEADER = INTERNAL_PREFIX + "signing-key"
ANONYMOUS = "anonymous"

# `BUCKET.localhost`, which SDKs make of an endpoint URL of `http://localhost`; AWS's own virtual
# hosts are in `aws/hosts.py`. Buckets have three letters at least.
_LOCALHOST = re.compile(r"(?:(?P<bucket>.{3,}?)\.)?(?:s3\.)?localhost(?::\d+)?", re.IGNORECASE)
_CREDENTIAL = re.compile(r"Credential=[^/,\s]+/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/s3/")
_QUERY_FIELDS_MAX = 64


class Request:
    """One request, read but not judged."""

    def __init__(self, method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.method = method
        # Values stay as the bytes they were: Latin-1 maps each byte to one character and back.
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            # A header that comes twice is one list (RFC 9110, 5.3).
            self.headers[name] = f"{self.headers[name]},{value}" if name in self.headers else value
        self.id = new_request_id()
        path, _, query = target.partition(b"?")
        # For the error's XML: the path as it was sent.
        self.resource = path.decode("latin-1")
        try:
            self.bucket, self.key = split_address(self.headers.get("host", ""), path)
            self.query = parse_query(query)
        except (UnicodeDecodeError, ValueError):
            raise S3Error("InvalidURI", URI=self.resource) from None
        self.body = b""

    def header(self, name: str) -> str | None:
        """Return a header's value by its lower-case name."""
        return self.headers.get(name)

    @property
    def is_anonymous(self) -> bool:
        """Whether the caller showed no credentials."""
        return self.headers.get(CALLER_HEADER) == ANONYMOUS

    @property
    def region(self) -> str:
        """The region whose endpoint the client means, as its signature says."""
        text = self.headers.get("authorization") or (
            "Credential=" + self.query.get("X-Amz-Credential", "")
        )
        found = _CREDENTIAL.search(text)
        return found["region"] if found else "us-east-1"

    def integer(self, name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
        """Return a whole-number parameter of the query within its bounds."""
        text = self.query.get(name)
        if text is None or text == "":
            return default
        if not re.fullmatch(r"-?\d{1,10}", text, re.ASCII):
            raise S3Error(
                "InvalidArgument",
                f"Provided {name} not an integer or within integer range",
                ArgumentName=name,
                ArgumentValue=text,
            )
        value = int(text)
        if value < least or (most is not None and value > most):
            bounds = f"between {least} and {2**31 - 1 if most is None else most}"
            raise S3Error(
                "InvalidArgument",
                f"Argument {name} must be an integer {bounds}",
                ArgumentName=name,
                ArgumentValue=text,
            )
        return value

    def check_owner(self) -> None:
        """Refuse a request that expects another account's bucket."""
        for name in ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"):
            expected = self.headers.get(name)
            if expected is None:
                continue
            if not re.fullmatch(r"\d{12}", expected, re.ASCII):
                raise S3Error("InvalidBucketOwnerAWSAccountID")
            if expected != ACCOUNT_ID:
                raise S3Error("AccessDenied")


def new_request_id() -> str:
    """Return an identity for a request, in the form of S3's."""
    return secrets.token_hex(8).upper()


def split_address(host: str, path: bytes) -> tuple[str, str]:
    """Return bucket and key, each "" where there is none, from either way of addressing."""
    found = _LOCALHOST.fullmatch(host)
    bucket = hosts.bucket_of(host) if found is None else found["bucket"]
    if bucket:
        return bucket.lower(), unquote_to_bytes(path[1:]).decode()
    first, _, key = path[1:].partition(b"/")
    return unquote_to_bytes(first).decode(), unquote_to_bytes(key).decode()


def parse_query(query: bytes) -> dict[str, str]:
    """Return the parameters of a query, those without a value as ""."""
    return dict(
        parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_QUERY_FIELDS_MAX,
        )
    )
