"""What the home's key did not sign is refused; what any AWS client signed with it is accepted."""

import calendar
import dataclasses
import time
from typing import Any

import pytest
from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.aws.sigv4 import UNSIGNED_PAYLOAD, payload_hash
from windtunnel.cloud.foundation.callers import Caller, Callers
from windtunnel.cloud.gateway.answers import FaultError
from windtunnel.cloud.gateway.signature import Claim, check_claim, prove_claim, read_claim
from windtunnel.core.home import Credentials
from windtunnel.http.message import Head

OWNER = Credentials("AKIAWINDTUNNELTESTS0", "a-secret-of-forty-characters-or-so-it-is")
CALLERS = Callers(OWNER)
HOST = "127.0.0.1:8000"


def signed_head(
    method: str = "POST",
    target: str = "/endpoints/unet/invocations",
    body: bytes = b"{}",
    *,
    signing_name: str = "sagemaker",
    secret: str = OWNER.secret_access_key,
    key: str = OWNER.access_key_id,
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> Head:
    """Return a request's head as botocore signs it."""
    request = AWSRequest(method, f"http://{HOST}{target}", headers=headers or {}, data=body)
    signer = S3SigV4Auth if signing_name == "s3" else SigV4Auth
    signer(BotocoreCredentials(key, secret, token), signing_name, "us-east-1").add_auth(request)
    pairs = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    return Head(
        method.encode(), target.encode(), [(b"host", HOST.encode()), *pairs], keep_alive=True
    )


def verify(
    head: Head, service: str, body: bytes, *, now_s: float | None = None, hashed: str | None = None
) -> Caller:
    """Do what the gateway does with a head and a body; return whose request it is."""
    claim = read_claim(head)
    caller = check_claim(claim, service, CALLERS, now_s or time.time())
    assert claim is not None
    prove_claim(claim, head, service, caller, hashed or payload_hash(body))
    return caller


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


def presigned_by_v2(
    method: str, target: str, *, expires_s: int = 60, host: str = HOST, **options: Any
) -> Head:
    """Return the head of a request by a URL of the older kind, as botocore presigns it."""
    key, secret = OWNER.access_key_id, OWNER.secret_access_key
    request = AWSRequest(method, f"http://{host}{target}", headers=options.pop("headers", {}))
    request.auth_path = options.pop("auth_path", None)
    HmacV1QueryAuth(
        BotocoreCredentials(
            options.get("key", key), options.get("secret", secret), options.get("token")
        ),
        expires_s,
    ).add_auth(request)
    path = request.prepare().url.removeprefix(f"http://{host}")
    return Head(method.encode(), path.encode(), [(b"host", host.encode())], keep_alive=True)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/bucket/key"),
        ("PUT", "/bucket/a%20b/%C3%BC"),
        ("GET", "/bucket/key?versionId=1&response-content-type=text%2Fplain&x=1"),
        ("GET", "/bucket?uploads&prefix=a"),
    ],
)
def test_boto3s_default_presigned_urls_are_accepted_until_they_expire(
    method: str, target: str
) -> None:
    """In us-east-1 boto3 still presigns the old way unless it is told otherwise."""
    head = presigned_by_v2(method, target)
    verify(head, "s3", b"")

    late_s = time.time() + 61
    assert code_of(lambda: verify(head, "s3", b"", now_s=late_s)) == ("AccessDenied", 403)
    for path in (head.target.replace(b"bucket", b"others"), head.target + b"&acl"):
        other = Head(head.method, path, head.headers, keep_alive=True)
        assert code_of(lambda other=other: verify(other, "s3", b"")) == (
            "SignatureDoesNotMatch",
            403,
        )
    other = Head(b"DELETE", head.target, head.headers, keep_alive=True)
    assert code_of(lambda: verify(other, "s3", b""))[0] == "SignatureDoesNotMatch"


def test_an_old_presigned_url_names_its_bucket_in_the_host_too() -> None:
    """Through the proxy, the bucket is in the host and in what is signed, not in the path."""
    host = "bucket.s3.amazonaws.com"
    head = presigned_by_v2("GET", "/key", host=host, auth_path="/bucket/key")
    verify(head, "s3", b"")

    moved = Head(b"GET", head.target, [(b"host", b"other.s3.amazonaws.com")], keep_alive=True)
    assert code_of(lambda: verify(moved, "s3", b""))[0] == "SignatureDoesNotMatch"


def test_an_old_presigned_upload_holds_its_content_type() -> None:
    """A link for pictures does not take programs."""
    head = presigned_by_v2("PUT", "/bucket/key", headers={"Content-Type": "image/png"})
    verify(head, "s3", b"")
    headers = [*head.headers, (b"content-type", b"text/plain")]
    other = Head(b"PUT", head.target, headers, keep_alive=True)

    assert code_of(lambda: verify(other, "s3", b""))[0] == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("AWSAccessKeyId=AKIANOBODY&Signature=x&Expires=9", "InvalidAccessKeyId", 403),
        (f"AWSAccessKeyId={OWNER.access_key_id}", "AccessDenied", 403),
        (f"AWSAccessKeyId={OWNER.access_key_id}&Signature=x&Expires=soon", "AccessDenied", 403),
        (
            f"AWSAccessKeyId={OWNER.access_key_id}&Signature=%FF&Expires=99999999999",
            "SignatureDoesNotMatch",
            403,
        ),
        (
            f"AWSAccessKeyId={OWNER.access_key_id}&Signature=x&Expires=" + "9" * 5000,
            "AccessDenied",
            403,
        ),
    ],
)
def test_what_only_looks_like_an_old_presigned_url_is_refused(
    query: str, code: str, status: int
) -> None:
    """A link that was cut off in a mail gets a sentence."""
    target = f"/bucket/key?{query}".encode()
    head = Head(b"GET", target, [(b"host", HOST.encode())], keep_alive=True)

    assert code_of(lambda: verify(head, "s3", b"")) == (code, status)


def session_of(expires_s: float) -> tuple[Caller, str]:
    """Return a session of the tests' home and its token."""
    return CALLERS.start_session(
        role_id="AROAX", role_name="R", session_name="s", expires_s=expires_s, is_role_session=True
    )


@pytest.mark.parametrize(
    ("service", "signing_name", "expired", "unknown", "leaked"),
    [
        (
            "sagemaker",
            "sagemaker",
            ("ExpiredTokenException", 400),
            ("UnrecognizedClientException", 400),
            ("UnrecognizedClientException", 400),
        ),
        (
            "sagemaker-runtime",
            "sagemaker",
            ("ExpiredTokenException", 403),
            ("UnrecognizedClientException", 403),
            ("UnrecognizedClientException", 403),
        ),
        (
            "s3",
            "s3",
            ("ExpiredToken", 400),
            ("InvalidAccessKeyId", 403),
            ("InvalidToken", 400),
        ),
        (
            "sts",
            "sts",
            ("ExpiredToken", 403),
            ("InvalidClientTokenId", 403),
            ("InvalidClientTokenId", 403),
        ),
    ],
)
def test_a_session_signs_until_it_expires(
    service: str,
    signing_name: str,
    expired: tuple[str, int],
    unknown: tuple[str, int],
    leaked: tuple[str, int],
) -> None:
    """SDKs fetch new credentials on these codes, and only on them."""
    now_s = time.time()
    session, token = session_of(now_s + 100)

    def signed(**other: Any) -> Head:
        told = {"key": session.access_key_id, "secret": session.secret_access_key, "token": token}
        return signed_head(signing_name=signing_name, **{**told, **other})

    hashed = payload_hash(b"{}")
    assert verify(signed(), service, b"{}", hashed=hashed) == session
    assert code_of(lambda: verify(signed(), service, b"{}", now_s=now_s + 101)) == expired
    # A session's key without its token; a real token of AWS's around the home's own key.
    assert code_of(lambda: verify(signed(token=None), service, b"{}")) == unknown
    home = {"key": OWNER.access_key_id, "secret": OWNER.secret_access_key}
    real = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQ=="
    assert code_of(lambda: verify(signed(**home, token=real), service, b"{}")) == leaked
    # Real credentials of AWS's, whole.
    stranger = signed(key="ASIAREALREALREALREAL", token=real)
    assert code_of(lambda: verify(stranger, service, b"{}")) == unknown
    # Another session's token on this session's key.
    _, others = session_of(now_s + 100)
    assert code_of(lambda: verify(signed(token=others), service, b"{}"))[1] == leaked[1]
    forged = signed(secret=OWNER.secret_access_key)
    assert "Signature" in code_of(lambda: verify(forged, service, b"{}"))[0]


def test_a_stale_session_token_is_named_as_the_cause() -> None:
    """AWS_SESSION_TOKEN left in a shell is the likeliest mistake of all."""
    with pytest.raises(FaultError, match="a stale AWS_SESSION_TOKEN may be set"):
        verify(signed_head(token="left over"), "sagemaker", b"{}")


@pytest.mark.parametrize("kind", ["new", "old"])
def test_a_session_presigns_urls(kind: str) -> None:
    """A link carries its session's token, and dies with the session."""
    now_s = time.time()
    session, token = session_of(now_s + 30)
    if kind == "old":
        head = presigned_by_v2(
            "GET",
            "/bucket/key",
            key=session.access_key_id,
            secret=session.secret_access_key,
            token=token,
        )
    else:
        request = AWSRequest("GET", f"http://{HOST}/bucket/key")
        credentials = BotocoreCredentials(session.access_key_id, session.secret_access_key, token)
        S3SigV4QueryAuth(credentials, "s3", "us-east-1", 60).add_auth(request)
        target = request.prepare().url.removeprefix(f"http://{HOST}")
        head = Head(b"GET", target.encode(), [(b"host", HOST.encode())], keep_alive=True)

    assert verify(head, "s3", b"", hashed=UNSIGNED_PAYLOAD) == session
    late = code_of(lambda: verify(head, "s3", b"", now_s=now_s + 31, hashed=UNSIGNED_PAYLOAD))
    assert late == ("ExpiredToken", 400)


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
    assert isinstance(claim, Claim)
    wrong = dataclasses.replace(claim, date="20261131T000000Z", day="20261131")

    assert code_of(lambda: check_claim(wrong, "sagemaker-runtime", CALLERS, 0)) == (
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


def test_signature_version_2_in_a_header_is_refused_in_s3s_words() -> None:
    """Old clients are told what to change."""
    authorization = (b"authorization", b"AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=")
    head = Head(b"GET", b"/bucket/key", [authorization], keep_alive=True)

    assert code_of(lambda: verify(head, "s3", b"")) == ("InvalidRequest", 400)
