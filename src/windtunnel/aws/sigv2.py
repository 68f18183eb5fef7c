"""What AWS's older signature of a presigned S3 URL is (Signature Version 2, query authentication).

boto3 still makes such URLs by default in the regions that are older than Signature Version 4,
us-east-1 among them: `?AWSAccessKeyId=…&Signature=…&Expires=…`.

Rules: as in `sigv4`: pure, no clock; the path and the query are taken raw.

Source: AWS, "Signing and authenticating REST requests (AWS signature version 2)", S3 User Guide.
"""

import base64
import hmac
from collections.abc import Mapping
from urllib.parse import unquote

# What selects another resource or another answer than the plain path; the page above lists them,
# and botocore's signer (HmacV1Auth.QSAOfInterest) those that were added since.
SIGNED_PARAMETERS = frozenset(
    (
        "accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory",
        "lifecycle", "location", "logging", "metrics", "notification", "object-lock", "partNumber",
        "policy", "replication", "requestPayment", "response-cache-control",
        "response-content-disposition", "response-content-encoding", "response-content-language",
        "response-content-type", "response-expires", "restore", "select", "select-type",
        "storageClass", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning",
        "versions", "website",
    )
)  # fmt: skip


def string_to_sign(
    method: str, resource: str, query: str, headers: Mapping[str, str], expires: str
) -> str:
    """Return the text that is signed.

    `resource` is the raw path, with the bucket before it when the host named the bucket; `headers`
    are in lower case and hold what stood in the query in their place, too.
    """
    amz = "".join(
        f"{name}:{headers[name].strip()}\n" for name in sorted(headers) if name.startswith("x-amz-")
    )
    signed = sorted(
        (name, unquote(value) if separator else None)
        for name, separator, value in (part.partition("=") for part in query.split("&"))
        if name in SIGNED_PARAMETERS
    )
    if signed:
        parts = (name if value is None else f"{name}={value}" for name, value in signed)
        resource += "?" + "&".join(parts)
    content_md5 = headers.get("content-md5", "")
    content_type = headers.get("content-type", "")
    return f"{method}\n{content_md5}\n{content_type}\n{expires}\n{amz}{resource}"


def signature(secret_access_key: str, text: str) -> str:
    """Return the signature, in base64, of a string to sign."""
    digest = hmac.digest(secret_access_key.encode(), text.encode(), "sha1")
    return base64.b64encode(digest).decode("ascii")
