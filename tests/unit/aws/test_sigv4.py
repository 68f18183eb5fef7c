"""Signatures: AWS's published example, and botocore as the oracle for everything else."""

import datetime as dt
import string
from unittest import mock
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.aws import sigv4

# 2015-08-30 12:36:00 UTC, the moment of AWS's test suite.
SUITE_NOW_S = 1_440_938_160.0
SUITE_CREDENTIALS = sigv4.Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

_SEGMENT = st.text(alphabet=string.ascii_letters + string.digits + "-_.~ :+é=@", max_size=8)
_PATHS = st.lists(_SEGMENT | st.sampled_from([".", "..", ""]), max_size=6).map(
    lambda parts: "/" + "/".join(quote(part, safe="-_.~") for part in parts)
)
_QUERIES = st.lists(st.tuples(_SEGMENT.filter(bool), _SEGMENT), max_size=5)
_HEADER_NAMES = st.text(alphabet=string.ascii_letters, min_size=1, max_size=8).map("X-T-{}".format)
_HEADER_VALUES = st.text(alphabet=string.ascii_letters + string.digits + " \t;,=/", max_size=20)
_HEADERS = st.dictionaries(_HEADER_NAMES, _HEADER_VALUES, max_size=4)


def test_the_signature_of_awss_own_example_comes_out() -> None:
    """The first case of AWS's published test suite (get-vanilla) fixes every step at once."""
    added = sigv4.sign(
        "GET",
        "/",
        [("Host", "example.amazonaws.com")],
        sigv4.EMPTY_PAYLOAD_HASH,
        SUITE_CREDENTIALS,
        region="us-east-1",
        service="service",
        now_s=SUITE_NOW_S,
    )

    assert dict(added)["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


def _signed_by_botocore(
    signer: type[SigV4Auth], service: str, request: AWSRequest, token: str | None
) -> dict[str, str]:
    moment = dt.datetime.fromtimestamp(SUITE_NOW_S, tz=dt.UTC)
    credentials = BotocoreCredentials("AKIDEXAMPLE", "a/secret+key", token)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        signer(credentials, service, "eu-west-3").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.parametrize(
    ("service", "signer"), [("sagemaker", SigV4Auth), ("s3", S3SigV4Auth)], ids=["sagemaker", "s3"]
)
@given(
    path=_PATHS,
    query=_QUERIES,
    headers=_HEADERS,
    body=st.binary(max_size=64),
    token=st.none() | st.just("a/session+token=="),
)
def test_any_request_is_signed_as_botocore_signs_it(
    *,
    service: str,
    signer: type[SigV4Auth],
    path: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    token: str | None,
) -> None:
    """Every AWS service accepts what botocore signs, so agreeing with it is what must hold."""
    text = "&".join(
        f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in query
    )
    target = path + (f"?{text}" if text else "")
    request = AWSRequest("POST", f"http://host.example:8080{target}", dict(headers), body)
    expected = _signed_by_botocore(signer, service, request, token)

    added = sigv4.sign(
        "POST",
        target,
        [("Host", "host.example:8080"), *headers.items()],
        sigv4.payload_hash(body),
        sigv4.Credentials("AKIDEXAMPLE", "a/secret+key", token),
        region="eu-west-3",
        service=service,
        now_s=SUITE_NOW_S,
    )

    assert {name.lower(): value for name, value in added} == {
        name: value
        for name, value in expected.items()
        if name not in {header.lower() for header in headers}
    }


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        ("prefix=a/b", "prefix=a%2Fb"),
        ("prefix=a%2fb", "prefix=a%2Fb"),
        ("uploads", "uploads="),
        ("b=2&a=2&a=1", "a=1&a=2&b=2"),
        ("a=1&X-Amz-Signature=00ff&X-Amz-Expires=60", "X-Amz-Expires=60&a=1"),
    ],
)
def test_a_query_is_signed_in_one_form_however_it_was_sent(sent: str, signed: str) -> None:
    """Clients that leave a slash unencoded, and presigned URLs, must verify like all others."""
    assert sigv4.canonical_query(sent) == signed


def test_s3_signs_a_path_exactly_as_sent() -> None:
    """An S3 key may hold `//` and `..`; folding them would verify another object's signature."""
    path = "/bucket/a//b/../c%20d"

    assert sigv4.canonical_path(path, "s3") == path
    assert sigv4.canonical_path(path, "sagemaker") == "/bucket/a/c%2520d"


def test_a_header_that_came_twice_is_signed_once_with_both_values() -> None:
    """A verifier sees the headers of the wire, where a name may repeat."""
    lines = sigv4.canonical_headers([("A", "1"), ("b", " x   y "), ("a", "2")], {"a", "b"})

    assert lines == "a:1,2\nb:x y\n"


def test_headers_that_proxies_change_are_left_unsigned() -> None:
    """A signature over User-Agent or Expect breaks behind the first proxy."""
    added = sigv4.sign(
        "GET",
        "/",
        [("Host", "h"), ("User-Agent", "u"), ("Expect", "100-continue")],
        sigv4.UNSIGNED_PAYLOAD,
        SUITE_CREDENTIALS,
        region="us-east-1",
        service="s3",
        now_s=SUITE_NOW_S,
    )

    assert "SignedHeaders=host;x-amz-content-sha256;x-amz-date," in dict(added)["Authorization"]


def test_secrets_do_not_show_in_a_repr() -> None:
    """Credentials end up in logged tracebacks."""
    shown = repr(sigv4.Credentials("AKID", "the-secret", "the-token"))

    assert "AKID" in shown
    assert "the-secret" not in shown
    assert "the-token" not in shown
