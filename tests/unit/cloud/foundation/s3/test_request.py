"""Bucket, key and parameters from a raw target."""

import pytest

from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.request import Request, split_address


@pytest.mark.parametrize(
    ("host", "path", "address"),
    [
        ("127.0.0.1:8080", b"/", ("", "")),
        ("127.0.0.1:8080", b"/bkt", ("bkt", "")),
        ("127.0.0.1:8080", b"/bkt/", ("bkt", "")),
        ("127.0.0.1:8080", b"/bkt/k", ("bkt", "k")),
        ("127.0.0.1:8080", b"/bkt/a/../k//x/", ("bkt", "a/../k//x/")),
        ("localhost:8080", b"/bkt/k", ("bkt", "k")),
        ("bkt.localhost:8080", b"/k", ("bkt", "k")),
        ("s3.localhost:8080", b"/bkt/k", ("bkt", "k")),
        ("bkt.s3.localhost:8080", b"/k", ("bkt", "k")),
        ("s3.amazonaws.com", b"/bkt/k", ("bkt", "k")),
        ("bkt.s3.amazonaws.com", b"/k", ("bkt", "k")),
        ("bkt.s3.us-west-2.amazonaws.com:443", b"/k/l", ("bkt", "k/l")),
        ("my.dotted.bkt.s3.eu-west-1.amazonaws.com", b"/", ("my.dotted.bkt", "")),
        ("bkt.s3-us-west-2.amazonaws.com", b"/k", ("bkt", "k")),
        ("bkt.s3.dualstack.us-west-2.amazonaws.com", b"/k", ("bkt", "k")),
        ("bkt.s3-accelerate.amazonaws.com", b"/k", ("bkt", "k")),
        ("bkt.s3-accelerate.dualstack.amazonaws.com", b"/k", ("bkt", "k")),
        ("bkt.s3-fips.dualstack.us-gov-west-1.amazonaws.com", b"/k", ("bkt", "k")),
        ("s3-us-west-2.amazonaws.com", b"/bkt/k", ("bkt", "k")),
        ("bkt.s3.cn-north-1.amazonaws.com.cn", b"/k", ("bkt", "k")),
        ("x.s3.s3.us-west-2.amazonaws.com", b"/k", ("x.s3", "k")),
        ("s3.evil.example", b"/bkt/k", ("bkt", "k")),
        ("127.0.0.1", b"/bkt/%F0%9F%98%80+%2B%2f%25", ("bkt", "😀++/%")),
    ],
)
def test_both_ways_of_addressing_name_the_same_things(
    host: str, path: bytes, address: tuple[str, str]
) -> None:
    """Clients put the bucket into the path or into the host; through the proxy, always the host."""
    assert split_address(host, path) == address


def test_a_key_that_is_not_utf8_is_refused() -> None:
    """It could be neither listed nor deleted."""
    with pytest.raises(S3Error, match="InvalidURI"):
        Request("GET", b"/b/%FF", [])


def test_the_region_is_the_one_a_request_was_signed_for() -> None:
    """CreateBucket's rules depend on the regional endpoint that the client meant."""
    credential = "Credential=AKIA/20261122/eu-west-1/s3/aws4_request, SignedHeaders=host"
    signed = Request("GET", b"/", [(b"authorization", f"AWS4 {credential}".encode())])
    presigned = Request("GET", b"/b/k?X-Amz-Credential=A%2F20261122%2Feu-north-1%2Fs3%2Faws4", [])

    assert signed.region == "eu-west-1"
    assert presigned.region == "eu-north-1"
    assert Request("GET", b"/", []).region == "us-east-1"


def test_a_header_that_comes_twice_is_one_list() -> None:
    """Else which of two values counts would depend on who asks."""
    request = Request("GET", b"/", [(b"x-amz-meta-a", b"1"), (b"x-amz-meta-a", b"2")])

    assert request.header("x-amz-meta-a") == "1,2"


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "99999999999", "٣"])
def test_a_count_that_is_none_is_refused(value: str) -> None:
    """A typo in a limit must not silently mean another one."""
    request = Request("GET", b"/b", [])
    request.query["max-keys"] = value

    with pytest.raises(S3Error, match="InvalidArgument"):
        request.integer("max-keys", 1000)
