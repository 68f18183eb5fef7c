"""Which hosts are AWS's, and what they stand for."""

import gzip
import json
from pathlib import Path
from typing import Any

import botocore
import pytest

from windtunnel.aws.hosts import SUFFIXES, bucket_of, covers_aws_hosts, is_aws_host, service_of


def _data(name: str) -> Any:
    """Return one of botocore's own data files."""
    path = Path(botocore.__file__).parent / "data" / name
    if path.exists():
        return json.loads(path.read_bytes())
    return json.loads(gzip.decompress(path.with_name(f"{name}.gz").read_bytes()))


def test_every_suffix_that_botocore_knows_is_awss() -> None:
    """A host of a new partition would otherwise be refused, or worse: reached."""
    known = set()
    for partition in _data("partitions.json")["partitions"]:
        known |= {partition["outputs"]["dnsSuffix"], partition["outputs"]["dualStackDnsSuffix"]}
    for partition in _data("endpoints.json")["partitions"]:
        known.add(partition["dnsSuffix"])
        known |= {variant["dnsSuffix"] for variant in partition["defaults"]["variants"]}

    assert known <= set(SUFFIXES)


def test_every_host_that_botocore_lists_is_awss() -> None:
    """Some services have hosts of forms of their own."""
    for partition in _data("endpoints.json")["partitions"]:
        for service in partition["services"].values():
            for endpoint in service.get("endpoints", {}).values():
                host = endpoint.get("hostname")
                if host is None or "{" in host or host.startswith("localhost"):
                    continue
                assert is_aws_host(host), host


@pytest.mark.parametrize(
    "host",
    [
        "sagemaker.us-west-2.amazonaws.com",
        "RUNTIME.sagemaker.us-west-2.amazonaws.com:443",
        "bucket.s3.us-east-1.amazonaws.com.",
        "my_bucket.s3.amazonaws.com",
        "sts.cn-north-1.amazonaws.com.cn",
        "bedrock-mantle.us-east-1.api.aws",
        "abc.lambda-url.us-east-1.on.aws",
    ],
)
def test_awss_hosts_are_told(host: str) -> None:
    """These land in the local cloud."""
    assert is_aws_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "amazonaws.com",
        "evilamazonaws.com",
        "sagemaker.amazonaws.com.evil.example",
        "aws.amazon.com",
        "pypi.org",
        "127.0.0.1",
        "localhost",
        "a b.amazonaws.com",
        ".amazonaws.com",
        "-.amazonaws.com",
        "*.amazonaws.com",
        f"{'a' * 64}.amazonaws.com",
        f"{'a.' * 130}amazonaws.com",
    ],
)
def test_other_hosts_are_not_taken_for_awss(host: str) -> None:
    """The home's authority vouches for AWS's hosts and for nobody else's."""
    assert not is_aws_host(host)


@pytest.mark.parametrize(
    ("entry", "meets"),
    [
        ("*", True),
        ("com", True),
        (".amazonaws.com", True),
        ("*.amazonaws.com", True),
        ("amazonaws.com:443", True),
        (" s3.us-east-1.amazonaws.com", True),
        ("us-east-1.amazonaws.com", True),
        ("AMAZONAWS.COM", True),
        ("", False),
        ("localhost", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("10.0.0.0/8", False),
        (".corp.example", False),
        ("naws.com", False),
    ],
)
def test_what_would_let_aws_hosts_pass_by_the_proxy_is_told(entry: str, meets: bool) -> None:  # noqa: FBT001
    """One forgotten entry of a NO_PROXY would reach the real AWS."""
    assert covers_aws_hosts(entry) is meets


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("api.sagemaker.us-west-2.amazonaws.com", "api.sagemaker"),
        ("runtime.sagemaker.us-west-2.amazonaws.com", "runtime.sagemaker"),
        ("api-fips.sagemaker.us-gov-west-1.amazonaws.com", "api.sagemaker"),
        ("sts.amazonaws.com", "sts"),
        ("sts-fips.us-east-1.amazonaws.com", "sts"),
        ("monitoring.eu-west-1.api.aws", "monitoring"),
        ("iam.amazonaws.com", "iam"),
        ("ec2.dualstack.us-east-1.amazonaws.com", "ec2"),
        ("s3.us-east-1.amazonaws.com", "s3"),
        ("sm-pysdk-t-us-east-1.s3.us-east-1.amazonaws.com", "s3"),
        ("123.s3-control.us-east-1.amazonaws.com", "123.s3-control"),
        ("127.0.0.1:8080", None),
        ("localhost", None),
        ("pypi.org", None),
    ],
)
def test_a_host_tells_its_service(host: str, service: str | None) -> None:
    """An unsigned request says what it is for in no other way."""
    assert service_of(host) == service


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("bkt.s3.us-east-1.amazonaws.com", "bkt"),
        ("my.dotted.bkt.s3-us-west-2.amazonaws.com", "my.dotted.bkt"),
        ("bkt.s3-accelerate.dualstack.amazonaws.com", "bkt"),
        ("bkt.s3-external-1.amazonaws.com", "bkt"),
        ("s3.amazonaws.com", None),
        ("s3.dualstack.us-east-1.amazonaws.com", None),
        ("bkt.s3-website-us-east-1.amazonaws.com", None),
        ("bkt.s3.example.org", None),
        ("sagemaker.us-east-1.amazonaws.com", None),
    ],
)
def test_a_virtual_host_names_its_bucket(host: str, bucket: str | None) -> None:
    """Through the proxy clients address every bucket so."""
    assert bucket_of(host) == bucket
