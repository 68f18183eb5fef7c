"""What the home's key did not sign is refused; what any AWS client signed with it is accepted."""

import calendar
import dataclasses
import time
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.aws.sigv4 import UNSIGNED_PAYLOAD, payload_hash
from windtunnel.cloud.gateway.answers import FaultError
from windtunnel.cloud.gateway.signature import check_claim, prove_claim, read_claim
from windtunnel.core.home import Credentials
from windtunnel.http.message import Head

OWNER = Credentials("AKIAWINDTUNNELTESTS0", "a-secret-of-forty-characters-or-so-it-is")
HOST = "127.0.0.1:8000"


def signed_head(
    method: str = "POST",
    target: str = "/endpoints/unet/invocations",
    body: bytes = b"{}",
    *,
    signing_name: str = "sagemaker",
    secret: str = OWNER.secret_access_key,
    key: str = OWNER.access_key_id,
    headers: dict[str, str] | None = None,
) -> Head:
    """Return a request's head as botocore signs it."""
    request = AWSRequest(method, f"http://{HOST}{target}", headers=headers or {}, data=body)
    signer = S3SigV4Auth if signing_name == "s3" else SigV4Auth
    signer(BotocoreCredentials(key, secret), signing_name, "us-east-1").add_auth(request)
    pairs = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    return Head(
        method.encode(), target.encode(), [(b"host", HOST.encode()), *pairs], keep_alive=True
    )


def verify(
    head: Head, service: str, body: bytes, *, now_s: float | None = None, hashed: str | None = None
) -> None:
    """Do what the gateway does with a head and a body."""
    claim = check_claim(read_claim(head), service, OWNER, now_s or time.time())
    prove_claim(claim, head, service, OWNER, hashed or payload_hash(body))


def code_of(call: Any) -> tuple[str, int]:
    """Return the code and status that a call is refused with."""
    with pytest.raises(FaultError) as caught:
        call()
    return caught.value.fault.code, caught.value.fault.status


@given(
    body=st.binary(max_size=200),
    name=st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9 %~-]{0,20})", fullmatch=True),
    query=st.dictionaries(st.text("abc-_~", min_size=1), st.text("xyz /+é"), max_size=3),
)
def test_what_botocore_signs_is_accepted(body: bytes, name: str, query: dict[str, str]) -> None:
    """Unmodified clients must get in, whatever their paths and parameters hold."""
    from urllib.parse import quote, urlencode

    target = f"/endpoints/{quote(name)}/invocations"
    if query:
        target += "?" + urlencode(query, quote_via=quote)
    verify(signed_head(target=target, body=body), "sagemaker-runtime", body)


@given(key=st.text(min_size=1, max_size=40).filter(lambda key: key.isprintable()))
def test_s3_keys_are_signed_as_they_stand(key: str) -> None:
    """Keys may hold `//`, `..` and spaces; S3 alone does not normalise them."""
    from urllib.parse import quote

    head = signed_head("PUT", "/bucket/" + quote(key, safe="/~"), b"data", signing_name="s3")
    declared = head.get(b"x-amz-content-sha256")
    assert declared is not None
    verify(head, "s3", b"data", hashed=declared.decode())


def test_a_presigned_url_is_accepted_until_it_expires() -> None:
    """Somebody who was handed a link needs no key, and only for as long as it lasts."""
    request = AWSRequest("GET", f"http://{HOST}/bucket/key")
    S3SigV4QueryAuth(
        BotocoreCredentials(OWNER.access_key_id, OWNER.secret_access_key), "s3", "us-east-1", 60
    ).add_auth(request)
    target = request.prepare().url.removeprefix(f"http://{HOST}")
    head = Head(b"GET", target.encode(), [(b"host", HOST.encode())], keep_alive=True)

    verify(head, "s3", b"", hashed=UNSIGNED_PAYLOAD)
    later_s = time.time() + 61
    expired = code_of(lambda: verify(head, "s3", b"", now_s=later_s, hashed=UNSIGNED_PAYLOAD))
    assert expired == ("AccessDenied", 403)


@pytest.mark.parametrize(
    ("service", "signing_name", "missing", "unknown", "wrong"),
    [
        (
            "sagemaker",
            "sagemaker",
            ("MissingAuthenticationTokenException", 400),
            ("UnrecognizedClientException", 400),
            ("InvalidSignatureException", 400),
        ),
        (
            "sagemaker-runtime",
            "sagemaker",
            ("MissingAuthenticationTokenException", 403),
            ("UnrecognizedClientException", 403),
            ("InvalidSignatureException", 403),
        ),
        (
            "s3",
            "s3",
            ("AccessDenied", 403),
            ("InvalidAccessKeyId", 403),
            ("SignatureDoesNotMatch", 403),
        ),
        (
            "sts",
            "sts",
            ("MissingAuthenticationToken", 403),
            ("InvalidClientTokenId", 403),
            ("SignatureDoesNotMatch", 403),
        ),
    ],
)
def test_each_service_refuses_in_its_own_words(
    service: str,
    signing_name: str,
    missing: tuple[str, int],
    unknown: tuple[str, int],
    wrong: tuple[str, int],
) -> None:
    """Clients branch on the code: a stale key and a missing one are mended differently."""
    bare = Head(b"POST", b"/", [(b"host", HOST.encode())], keep_alive=True)
    stranger = signed_head(key="AKIASOMEBODYELSE0000", signing_name=signing_name)
    forged = signed_head(secret="not-the-secret", signing_name=signing_name)

    assert code_of(lambda: verify(bare, service, b"")) == missing
    assert code_of(lambda: verify(stranger, service, b"{}")) == unknown
    assert code_of(lambda: verify(forged, service, b"{}")) == wrong


def test_a_signature_holds_for_its_own_bytes_only() -> None:
    """Nobody on the way may change the body, the path, a signed header or the method."""
    head = signed_head(headers={"X-Amzn-SageMaker-Custom-Attributes": "a"})
    verify(head, "sagemaker-runtime", b"{}")

    altered = [
        Head(b"PUT", head.target, head.headers, keep_alive=True),
        Head(b"POST", head.target + b"x", head.headers, keep_alive=True),
        Head(
            b"POST",
            head.target,
            [
                (name, b"b" if name.endswith(b"attributes") else value)
                for name, value in head.headers
            ],
            keep_alive=True,
        ),
    ]
    refused = ("InvalidSignatureException", 403)
    assert code_of(lambda: verify(head, "sagemaker-runtime", b"{ }")) == refused
    for each in altered:
        assert code_of(lambda each=each: verify(each, "sagemaker-runtime", b"{}")) == refused


@pytest.mark.parametrize(
    ("service", "signing_name", "skew_s", "code"),
    [
        ("sagemaker", "sagemaker", 301, "InvalidSignatureException"),
        ("sagemaker", "sagemaker", -302, "InvalidSignatureException"),
        ("s3", "s3", 902, "RequestTimeTooSkewed"),
    ],
)
def test_an_old_or_early_signature_is_refused(
    service: str, signing_name: str, skew_s: int, code: str
) -> None:
    """A recorded request must not open the door tomorrow."""
    head = signed_head(signing_name=signing_name)
    date = head.get(b"x-amz-date")
    assert date is not None
    signed_s = calendar.timegm(time.strptime(date.decode(), "%Y%m%dT%H%M%SZ"))

    def late() -> None:
        verify(head, service, b"{}", now_s=signed_s + skew_s)

    assert code_of(late)[0] == code


def test_a_date_that_is_none_is_refused_by_name() -> None:
    """The 31st of November is a client's mistake, not ours."""
    head = signed_head()
    claim = read_claim(head)
    assert claim is not None
    wrong = dataclasses.replace(claim, date="20261131T000000Z", day="20261131")

    assert code_of(lambda: check_claim(wrong, "sagemaker-runtime", OWNER, 0)) == (
        "IncompleteSignature",
        400,
    )


def test_a_signature_for_one_service_does_not_open_another() -> None:
    """A scope names its service so that a leaked signature is worth little."""
    head = signed_head(signing_name="sts")
    assert code_of(lambda: verify(head, "sagemaker", b"{}"))[0] == "InvalidSignatureException"


@pytest.mark.parametrize(
    "authorization",
    [
        b"Basic dXNlcjpwYXNz",
        b"AWS4-HMAC-SHA256 Credential=AKIA/20260101, SignedHeaders=host, Signature=00",
        b"AWS4-HMAC-SHA256 Credential=A/2/3/4/aws4_request, SignedHeaders=host, Signature="
        + b"0" * 64,
        b"\xff\xfe",
    ],
)
def test_what_only_looks_like_a_signature_is_refused_by_name(authorization: bytes) -> None:
    """Malformed headers get a sentence, not a stack trace."""
    head = Head(
        b"POST", b"/", [(b"authorization", authorization), (b"x-amz-date", b"x")], keep_alive=True
    )
    assert code_of(lambda: verify(head, "sagemaker", b""))[0] == "IncompleteSignature"
