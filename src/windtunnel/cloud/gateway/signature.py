"""Whether a request was signed with a key of this home: read the signature, then prove it.

Two steps, because the first needs only the head: what cannot be right (no signature, an unknown
key, a date too far off) is refused before a body is read; the proof over the body's hash follows.

Rules: pure; time is handed in. The request's own bytes are what is verified: the raw target, the
headers as sent. Codes and statuses are each service's own (AWS: SageMaker and the JSON services
400, the runtime, S3 and the query services 403).

A session's key comes with its token, in a header or in the query of a presigned URL. The token has
a MAC of its own (`foundation/callers.py`), so it may but need not be among what is signed.
"""

import calendar
import functools
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from windtunnel.aws import sigv2, sigv4
from windtunnel.cloud.foundation.callers import Caller, Callers
from windtunnel.cloud.foundation.s3.request import split_address
from windtunnel.cloud.gateway.answers import Fault, FaultError
from windtunnel.cloud.gateway.identify import SIGNING_NAMES
from windtunnel.core import limits
from windtunnel.http.message import Head

_AUTHORIZATION = re.compile(
    rb"AWS4-HMAC-SHA256 +Credential=([^ ,]+), *SignedHeaders=([^ ,]+), *Signature=([0-9a-f]{64})"
)
_DATE = re.compile(r"\d{8}T\d{6}Z")
_EXPIRES = re.compile(r"[0-9]{1,12}")
_TOKEN = b"x-amz-security-token"
_SCOPE_PARTS = 5
# A prepared request repeats its date for minutes; parsing one costs 15 µs.
_DATES_MAX = 256
# Presigned URLs last a week at most (S3, "Authenticating requests: using query parameters").
_PRESIGNED_S_MAX = 604_800
_S3_LIKE = frozenset(("s3",))
_QUERY_LIKE = frozenset(("sts", "iam"))
_FORBIDDEN_LIKE = _S3_LIKE | _QUERY_LIKE | {"sagemaker-runtime"}


@dataclass(frozen=True)
class Claim:
    """What a request says of its own signature."""

    access_key_id: str
    day: str
    region: str
    signing_name: str
    date: str
    signed: frozenset[str]
    proof: str
    # Seconds a presigned URL lasts; None when the signature stands in the header.
    expires_s: int | None = None
    # A session's token.
    token: str | None = None


@dataclass(frozen=True)
class QueryClaim:
    """What a presigned URL of the older kind says (`aws/sigv2.py`): S3 alone has them."""

    access_key_id: str
    # As it was sent: it is part of what is signed.
    expires: str
    proof: str
    parameters: Mapping[str, str]
    signing_name: str = "s3"

    @property
    def token(self) -> str | None:
        """A session's token."""
        return self.parameters.get(_TOKEN.decode())


AnyClaim = Claim | QueryClaim


def read_claim(head: Head) -> AnyClaim | None:
    """Return what the head claims, None when it is not signed; refuse what cannot be read."""
    value = head.get(b"authorization")
    if value is not None:
        if value.startswith(b"AWS "):
            # Signature Version 2 in a header; S3 takes it in URLs.
            message = (
                "The authorization mechanism you have provided is not supported. Please use "
                "AWS4-HMAC-SHA256."
            )
            raise FaultError(Fault("InvalidRequest", message, 400))
        match = _AUTHORIZATION.fullmatch(value)
        date = head.get(b"x-amz-date")
        if match is None or date is None:
            raise FaultError(
                Fault(
                    "IncompleteSignature",
                    "Authorization must be 'AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, "
                    "Signature=…', with an X-Amz-Date header beside it.",
                    400,
                )
            )
        credential, signed, proof = (part.decode("latin-1") for part in match.groups())
        token = head.get(_TOKEN)
        told = None if token is None else token.decode("latin-1")
        return _claim(credential, signed, proof, date.decode("latin-1"), None, told)
    if b"X-Amz-Signature=" in head.query:
        values = _parameters(head)
        expires = values.get("X-Amz-Expires", "")
        return _claim(
            values.get("X-Amz-Credential", ""),
            values.get("X-Amz-SignedHeaders", ""),
            values.get("X-Amz-Signature", ""),
            values.get("X-Amz-Date", ""),
            int(expires) if expires.isdecimal() else -1,
            values.get("X-Amz-Security-Token"),
        )
    if b"AWSAccessKeyId=" in head.query:
        values = _parameters(head)
        return QueryClaim(
            values.get("AWSAccessKeyId", ""),
            values.get("Expires", ""),
            values.get("Signature", ""),
            values,
        )
    return None


def _parameters(head: Head) -> dict[str, str]:
    return dict(parse_qsl(head.query.decode("latin-1"), keep_blank_values=True))


def _claim(
    credential: str, signed: str, proof: str, date: str, expires_s: int | None, token: str | None
) -> Claim:
    # An access key id holds no slash; the rest of the credential is the scope.
    parts = credential.split("/")
    if len(parts) != _SCOPE_PARTS or parts[-1] != sigv4.TERMINATOR or not _DATE.fullmatch(date):
        raise FaultError(
            Fault(
                "IncompleteSignature",
                "The credential must read KEY/YYYYMMDD/REGION/SERVICE/aws4_request, and the date "
                "YYYYMMDDTHHMMSSZ.",
                400,
            )
        )
    key, day, region, signing_name, _ = parts
    names = frozenset(signed.lower().split(";"))
    return Claim(key, day, region, signing_name, date, names, proof, expires_s, token)


@functools.lru_cache(maxsize=_DATES_MAX)
def _epoch_s(date: str) -> int:
    try:
        return calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise FaultError(
            Fault("IncompleteSignature", f"{date} is no date of the calendar.", 400)
        ) from None


def check_claim(claim: AnyClaim | None, service: str, callers: Callers, now_s: float) -> Caller:
    """Return who signs, if the claim can be right, judged by the head alone; refuse it otherwise.

    Whoever it is has not signed anything yet: `prove_claim` says so.
    """
    if claim is None:
        raise missing(service)
    caller = callers.find(claim.access_key_id, claim.token)
    if caller is None:
        raise _stranger(claim, service, callers)
    if caller.expires_s is not None and now_s >= caller.expires_s:
        raise _expired(service)
    if isinstance(claim, QueryClaim):
        _check_query_claim(claim, now_s)
    else:
        _check_scope_and_time(claim, service, now_s)
    return caller


def _check_query_claim(claim: QueryClaim, now_s: float) -> None:
    if not _EXPIRES.fullmatch(claim.expires):
        message = f"Invalid date (should be seconds since epoch): {claim.expires[:100]}"
        raise FaultError(Fault("AccessDenied", message, 403))
    if now_s > int(claim.expires):
        raise FaultError(Fault("AccessDenied", "Request has expired", 403))


def _check_scope_and_time(claim: Claim, service: str, now_s: float) -> None:
    if claim.signing_name != SIGNING_NAMES.get(service) or claim.day != claim.date[:8]:
        raise _mismatch(service, "Credential should be scoped to correct service and date.")
    if "host" not in claim.signed:
        raise _mismatch(service, "Host must be a signed header.")
    signed_s: float = _epoch_s(claim.date)
    if claim.expires_s is not None:
        if not 0 < claim.expires_s <= _PRESIGNED_S_MAX:
            raise FaultError(
                Fault(
                    "AuthorizationQueryParametersError",
                    "X-Amz-Expires must be between 1 and 604800 seconds.",
                    400,
                )
            )
        if now_s > signed_s + claim.expires_s:
            raise FaultError(Fault("AccessDenied", "Request has expired", 403))
        signed_s = min(signed_s, now_s)
    elif "x-amz-date" not in claim.signed:
        raise _mismatch(service, "X-Amz-Date must be a signed header.")
    skew_s = limits.SIGNATURE_SKEW_S3_S if service in _S3_LIKE else limits.SIGNATURE_SKEW_S
    if abs(now_s - signed_s) > skew_s:
        raise _skewed(service, claim.date, sigv4.amz_date(now_s), skew_s)


def prove_claim(
    claim: AnyClaim, head: Head, service: str, caller: Caller, hashed_payload: str
) -> None:
    """Refuse the request unless its signature is the caller's over these very bytes."""
    if isinstance(claim, QueryClaim):
        proof = _query_proof(claim, head, caller)
    else:
        proof = _proof(claim, head, caller, hashed_payload)
    if not hmac.compare_digest(proof.encode(), claim.proof.encode()):
        raise _mismatch(
            service,
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service "
            "documentation for details.",
        )


def _proof(claim: Claim, head: Head, caller: Caller, hashed_payload: str) -> str:
    headers = [(name.decode(), value.decode("utf-8", "replace")) for name, value in head.headers]
    canonical = sigv4.canonical_request(
        head.method.decode(),
        head.target.decode("latin-1"),
        headers,
        claim.signed,
        hashed_payload,
        service=claim.signing_name,
    )
    scope = sigv4.credential_scope(claim.date, claim.region, claim.signing_name)
    key = sigv4.signing_key(caller.secret_access_key, claim.day, claim.region, claim.signing_name)
    return sigv4.signature(key, sigv4.string_to_sign(claim.date, scope, canonical))


def _query_proof(claim: QueryClaim, head: Head, caller: Caller) -> str:
    # What the URL carries stands for the headers of its name; a header that was sent comes first.
    headers = {name.lower(): value for name, value in claim.parameters.items()}
    headers |= {name.decode(): value.decode("utf-8", "replace") for name, value in head.headers}
    bucket, _ = split_address(headers.get("host", ""), b"/")
    path = head.path.decode("latin-1")
    text = sigv2.string_to_sign(
        head.method.decode(),
        f"/{bucket}{path}" if bucket else path,
        head.query.decode("latin-1"),
        headers,
        claim.expires,
    )
    return sigv2.signature(caller.secret_access_key, text)


def missing(service: str) -> FaultError:
    """Return the refusal of a request that nobody signed."""
    if service in _S3_LIKE:
        return FaultError(Fault("AccessDenied", "Access Denied", 403))
    message = "Missing Authentication Token"
    if service in _QUERY_LIKE:
        return FaultError(Fault("MissingAuthenticationToken", message, 403))
    status = 403 if service in _FORBIDDEN_LIKE else 400
    return FaultError(Fault("MissingAuthenticationTokenException", message, status))


def _unknown_key(service: str) -> FaultError:
    if service in _S3_LIKE:
        return FaultError(
            Fault(
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
                403,
            )
        )
    message = "The security token included in the request is invalid."
    if service in _QUERY_LIKE:
        return FaultError(Fault("InvalidClientTokenId", message, 403))
    status = 403 if service in _FORBIDDEN_LIKE else 400
    return FaultError(Fault("UnrecognizedClientException", message, status))


def _stranger(claim: AnyClaim, service: str, callers: Callers) -> FaultError:
    """Return the refusal of a key that is nobody's, or of a token that is not of its key."""
    is_owners = claim.access_key_id == callers.owner.access_key_id
    is_sessions = claim.token is not None and callers.is_token(claim.token)
    if not is_owners and not is_sessions:
        return _unknown_key(service)
    hint = (
        " (This access key has no session token: a stale AWS_SESSION_TOKEN may be set.)"
        if is_owners
        else ""
    )
    if service in _S3_LIKE:
        message = f"The provided token is malformed or otherwise invalid.{hint}"
        return FaultError(Fault("InvalidToken", message, 400))
    fault = _unknown_key(service).fault
    return FaultError(Fault(fault.code, f"{fault.message}{hint}", fault.status))


def _expired(service: str) -> FaultError:
    """Return the refusal of a session whose time is over.

    aws-sdk-java-v2#1649 shows STS's 403 and ExpiredToken, datatools-ui#10 S3's 400.
    """
    if service in _S3_LIKE:
        return FaultError(Fault("ExpiredToken", "The provided token has expired.", 400))
    message = "The security token included in the request is expired"
    if service in _QUERY_LIKE:
        return FaultError(Fault("ExpiredToken", message, 403))
    status = 403 if service in _FORBIDDEN_LIKE else 400
    return FaultError(Fault("ExpiredTokenException", message, status))


def _mismatch(service: str, message: str) -> FaultError:
    if service in _S3_LIKE | _QUERY_LIKE:
        return FaultError(Fault("SignatureDoesNotMatch", message, 403))
    status = 403 if service in _FORBIDDEN_LIKE else 400
    return FaultError(Fault("InvalidSignatureException", message, status))


def _skewed(service: str, date: str, now: str, skew_s: float) -> FaultError:
    if service in _S3_LIKE:
        return FaultError(
            Fault(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                403,
            )
        )
    # AWS words the two directions so: "Signature expired: A is now earlier than B (C - 5 min.)".
    relation = "expired" if date < now else "not yet current"
    side = "earlier" if date < now else "later"
    return _mismatch(
        service,
        f"Signature {relation}: {date} is now {side} than {now} by more than "
        f"{skew_s / 60:.0f} min.",
    )
