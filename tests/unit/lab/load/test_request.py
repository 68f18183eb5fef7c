"""Prepared requests, against botocore's signer."""

import datetime as dt
from unittest import mock

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from windtunnel.aws import sigv4
from windtunnel.lab.load.request import SignedRequest, host_header

_NOW_S = 1_700_000_000.0


def _request(token: str | None = None) -> SignedRequest:
    return SignedRequest(
        url="http://127.0.0.1:8080",
        endpoint_name="unet",
        body=b'{"instances": [1]}',
        content_type="application/json",
        accept="application/json",
        credentials=lambda: sigv4.Credentials("AKID", "secret", token),
        region="us-east-1",
    )


def test_a_renewal_signs_with_the_credentials_of_now() -> None:
    """A run of hours outlives every temporary credential; its requests must not."""
    tokens = iter(["first", "second"])
    request = SignedRequest(
        url="http://127.0.0.1:8080",
        endpoint_name="unet",
        body=b"x",
        content_type="text/csv",
        accept=None,
        credentials=lambda: sigv4.Credentials("AKID", "secret", next(tokens)),
        region="us-east-1",
    )
    before = [request.wire(_NOW_S), request.wire(_NOW_S + 1)]
    request.renew()
    after = request.wire(_NOW_S + 2)

    assert before[0] == before[1]
    assert b"X-Amz-Security-Token: first" in before[0]
    assert b"X-Amz-Security-Token: second" in after


def _parsed(wire: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = wire.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize("token", [None, "a-session-token"])
def test_the_request_is_the_one_botocore_would_have_sent(token: str | None) -> None:
    """AWS must accept it as it accepts boto3's."""
    first, headers, body = _parsed(_request(token).wire(_NOW_S))
    signed = {
        name: value
        for name, value in headers.items()
        if name not in {"Authorization", "Content-Length", "User-Agent"}
    }
    url = f"http://127.0.0.1:8080{first.split(' ')[1]}"
    oracle = AWSRequest("POST", url, signed, body)
    moment = dt.datetime.fromtimestamp(_NOW_S, tz=dt.UTC)
    with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4Auth(BotocoreCredentials("AKID", "secret", token), "sagemaker", "us-east-1").add_auth(
            oracle
        )

    assert first == "POST /endpoints/unet/invocations HTTP/1.1"
    assert headers["Authorization"] == oracle.headers["Authorization"]
    assert headers["Content-Length"] == str(len(body))
    assert headers.get("X-Amz-Security-Token") == token


def test_a_signature_is_used_again_until_it_gets_old() -> None:
    """Signing 800 kB for every request would make the generator the bottleneck."""
    request = _request()
    first = request.wire(_NOW_S)

    assert request.wire(_NOW_S + 239.9) is first
    renewed = request.wire(_NOW_S + 240)
    assert renewed != first
    assert request.wire(_NOW_S + 241) is renewed


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        (
            "https://runtime.sagemaker.us-east-1.amazonaws.com",
            "runtime.sagemaker.us-east-1.amazonaws.com",
        ),
        ("https://example.com:443/", "example.com"),
        ("http://[::1]:80", "[::1]"),
    ],
)
def test_the_host_is_written_as_servers_verify_it(url: str, host: str) -> None:
    """The host is signed: `:443` too much and every request is refused."""
    assert host_header(url) == host
