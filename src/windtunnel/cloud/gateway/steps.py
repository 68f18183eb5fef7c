"""The steps of a request through the gateway, each a function of the gateway and the request.

Their order is in `app.py`. A step that turns a request away raises a FaultError or a CloudError.
Nothing is executed for a request before `prove_signature` (S3: `stream_to_s3`) has passed.
"""

from dataclasses import dataclass

from windtunnel.aws.sigv4 import UNSIGNED_PAYLOAD, signing_key
from windtunnel.cloud.errors import CloudError
from windtunnel.cloud.foundation.callers import Callers
from windtunnel.cloud.gateway import invocation, signature
from windtunnel.cloud.gateway.answers import Fault, FaultError, unsupported_service
from windtunnel.cloud.gateway.forward import Forwarding
from windtunnel.cloud.gateway.gateway import Gateway, Step
from windtunnel.cloud.gateway.identify import SIGNING_NAMES, identify
from windtunnel.cloud.gateway.request import Request
from windtunnel.cloud.gateway.signature import Claim, QueryClaim
from windtunnel.cloud.router.router import Router
from windtunnel.core import limits
from windtunnel.core.clock import Clock

# S3 has public objects. STS has operations for who has no key yet; none is offered, and whoever
# asks is told so by name, which takes the body.
_ASKED_UNSIGNED = frozenset(("s3", "sts"))
_SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def identify_service(gateway: Gateway, request: Request) -> None:
    """Read the signature's claim and tell which service it is for."""
    del gateway
    request.claim = signature.read_claim(request.head)
    signed_for = None if request.claim is None else request.claim.signing_name
    request.service = identify(request.head, signed_for)
    if request.service not in SIGNING_NAMES:
        raise unsupported_service(request.service)


@dataclass(frozen=True)
class CheckClaim:
    """Turn away what cannot be signed rightly, before its body is read."""

    callers: Callers
    clock: Clock

    def __call__(self, gateway: Gateway, request: Request) -> None:
        """Check the claim against the keys and the time."""
        del gateway
        if request.claim is None and request.service in _ASKED_UNSIGNED:
            return
        request.caller = signature.check_claim(
            request.claim, request.service, self.callers, self.clock.now_s()
        )


@dataclass(frozen=True)
class PlanBody:
    """Decide where the body goes: kept, within the service's limit, or streamed to S3."""

    s3_socket: str
    invoke_body_bytes_max: int

    def __call__(self, gateway: Gateway, request: Request) -> None:
        """Set the request's plan."""
        if request.service == "s3":
            request.plan = self._stream_to_s3(gateway, request)
            return
        request.hash_body()
        if request.service == "sagemaker-runtime":
            request.endpoint_name = invocation.endpoint_name(request.head)
            request.plan = self.invoke_body_bytes_max
        else:
            request.plan = limits.CONTROL_BODY_BYTES_MAX
        length = request.head.content_length
        if length is None:
            length = 0 if request.head.get(b"transfer-encoding") is None else request.plan
        if length <= request.plan:
            gateway.hold(request, length)

    def _stream_to_s3(self, gateway: Gateway, request: Request) -> Forwarding:
        """Prove the signature over what the head declares of the body, then let it through.

        S3 signs the declared hash (or a word that says there is none); the S3 process holds the
        body against it before it acknowledges anything. Who comes without a signature is let
        through as nobody: the S3 process knows which objects are public.
        """

        def failed(error: CloudError) -> None:
            gateway.fail(request, error)

        claim = request.claim
        if claim is None:
            extra = [(b"x-windtunnel-caller", b"anonymous")]
            return Forwarding(request.exchange, self.s3_socket, extra, gateway.turns, failed)
        caller = request.caller
        assert caller is not None
        declared = request.head.get(b"x-amz-content-sha256")
        if isinstance(claim, QueryClaim) or claim.expires_s is not None:
            hashed = UNSIGNED_PAYLOAD
        elif declared is None:
            raise FaultError(
                Fault(
                    "InvalidRequest",
                    "Missing required header for this request: x-amz-content-sha256",
                    400,
                )
            )
        else:
            hashed = declared.decode("latin-1")
        signature.prove_claim(claim, request.head, "s3", caller, hashed)
        extra = []
        if isinstance(claim, Claim) and hashed.startswith(_SIGNED_CHUNKS):
            # Each chunk carries a signature of its own, which only the S3 process sees.
            key = signing_key(caller.secret_access_key, claim.day, claim.region, claim.signing_name)
            extra.append((b"x-windtunnel-signing-key", key.hex().encode()))
        return Forwarding(request.exchange, self.s3_socket, extra, gateway.turns, failed)


def prove_signature(gateway: Gateway, request: Request) -> None:
    """Refuse what no key of this home signed, over the head and the body that came."""
    if request.claim is None or request.caller is None:
        raise gateway.unsigned(request)
    signature.prove_claim(
        request.claim, request.head, request.service, request.caller, request.hashed_payload
    )


@dataclass(frozen=True)
class Dispatch:
    """Hand a proven request to who answers it."""

    router: Router

    def __call__(self, gateway: Gateway, request: Request) -> None:
        """Invoke the endpoint, or ask the API."""
        if request.service == "sagemaker-runtime":
            invocation.start(
                self.router,
                request.endpoint_name,
                request.exchange,
                request.request_id,
                lambda error: gateway.fail(request, error),
            )
        else:
            gateway.answer_by_api(request)


def head_steps(
    callers: Callers, clock: Clock, s3_socket: str, invoke_body_bytes_max: int
) -> tuple[Step, ...]:
    """Return what happens when a request's head is in, in this order."""
    return (
        identify_service,
        CheckClaim(callers, clock),
        PlanBody(s3_socket, invoke_body_bytes_max),
    )


def body_steps(router: Router) -> tuple[Step, ...]:
    """Return what happens when a request's body is in, in this order."""
    return (prove_signature, Dispatch(router))
