"""AWS's host names: which hosts are AWS's, which service one stands for, which bucket it names.

Rules: pure. Suffixes are those of botocore's `partitions.json` and `endpoints.json`, every
partition's, and the few more of AWS's under which APIs are served; forms of S3's hosts are those
of "Methods for accessing a general purpose bucket" and "Amazon S3 endpoints and quotas".
"""

import functools
import re

# What may follow the dot. AWS's web sites (aws.amazon.com) are not API hosts and not here.
SUFFIXES = (
    "amazonaws.com",
    "api.aws",
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "api.aws.ic.gov",
    "sc2s.sgov.gov",
    "api.aws.scloud",
    "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk",
    "csp.hci.ic.gov",
    "api.aws.hci.ic.gov",
    # Function URLs and VPC Lattice, and AWS's own development hosts.
    "on.aws",
    "aws.dev",
)
# RFC 1035, 2.3.4; a label may hold an underscore, because old buckets' names do.
_NAME_LENGTH_MAX = 253
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}")
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}")
# `s3`, the older `s3-REGION`, `s3-external-1` (us-east-1), accelerated and FIPS hosts.
_S3 = re.compile(rf"s3(?:-external-1|-accelerate|-fips|-{_REGION.pattern})?")
_BUCKET_LENGTH_MIN = 3
# Buckets' virtual hosts are many, and each comes in every request.
_HOSTS_REMEMBERED_MAX = 1024


def normalised(host: str) -> str:
    """Return a host's name in lower case, without its port and the root's dot."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdecimal():
        name = host
    return name.lower().removesuffix(".")


def is_aws_host(host: str) -> bool:
    """Say whether a host is one of AWS's API hosts."""
    name = normalised(host)
    return _suffix(name) is not None and _NAME.fullmatch(name) is not None


def covers_aws_hosts(pattern: str) -> bool:
    """Say whether an entry of a NO_PROXY, or a pattern like `*.example.org`, meets AWS hosts."""
    name = normalised(pattern.strip()).removeprefix("*").removeprefix(".")
    if not name:
        return bool(pattern.strip())
    # An entry stands for itself and for all below it: `com` meets them too.
    return is_aws_host(name) or any(
        suffix == name or suffix.endswith(f".{name}") for suffix in SUFFIXES
    )


@functools.lru_cache(maxsize=_HOSTS_REMEMBERED_MAX)
def service_of(host: str) -> str | None:
    """Return the endpoint prefix that a host begins with (`api.sagemaker`), None if not AWS's.

    Every form of S3's hosts gives `s3`. FIPS and dual-stack forms give what they are a form of.
    """
    name = normalised(host)
    suffix = _suffix(name)
    if suffix is None:
        return None
    labels = name[: -len(suffix) - 1].split(".")
    if _s3_label_at(labels) is not None:
        return "s3"
    if len(labels) > 1 and _REGION.fullmatch(labels[-1]):
        labels.pop()
    if len(labels) > 1 and labels[-1] == "dualstack":
        labels.pop()
    return ".".join(label.removesuffix("-fips") for label in labels if label != "fips")


@functools.lru_cache(maxsize=_HOSTS_REMEMBERED_MAX)
def bucket_of(host: str) -> str | None:
    """Return the bucket that one of S3's virtual hosts names, None where the path names it."""
    name = normalised(host)
    suffix = _suffix(name)
    if suffix is None:
        return None
    labels = name[: -len(suffix) - 1].split(".")
    return ".".join(labels[: _s3_label_at(labels) or 0]) or None


def _suffix(name: str) -> str | None:
    for suffix in SUFFIXES:
        if name.endswith(suffix) and name[: -len(suffix)].endswith("."):
            return suffix if len(name) <= _NAME_LENGTH_MAX else None
    return None


def _s3_label_at(labels: list[str]) -> int | None:
    """Return where S3's own label stands; the shortest bucket name that fits is meant."""
    for at, label in enumerate(labels):
        rest = labels[at + 1 :]
        if not _S3.fullmatch(label) or 0 < len(".".join(labels[:at])) < _BUCKET_LENGTH_MIN:
            continue
        if rest and rest[0] == "dualstack":
            rest = rest[1:]
        if not rest or (len(rest) == 1 and _REGION.fullmatch(rest[0])):
            return at
    return None
