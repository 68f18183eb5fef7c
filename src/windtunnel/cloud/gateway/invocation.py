"""InvokeEndpoint: the hot path, from a verified request to the container and back.

The operation's shape is botocore's (`sagemaker-runtime`, rest-json): members are headers, and the
body is passed on as it came, chunk by chunk, never parsed or joined. What AWS has and this cloud
does not yet is refused by name.
"""

import re
from collections.abc import Callable
from urllib.parse import unquote

from windtunnel.cloud.errors import CloudError
from windtunnel.cloud.gateway.answers import Fault, FaultError
from windtunnel.cloud.multimodel.source import model_id
from windtunnel.cloud.router.router import Invocation, Router, Wish
from windtunnel.core import limits
from windtunnel.http.message import Head, Headers
from windtunnel.http.server import Exchange

_PATH = re.compile(rb"/endpoints/([^/]+)/invocations")
# EndpointName and TargetVariantHeader in the model; its pattern says `*` after a group that may be
# empty.
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_NAME_LENGTH_MAX = 63
# Header -> (member, longest value). Values are ASCII in the model's patterns.
_PASSED_ON = {
    b"content-type": ("contentType", 1024),
    b"accept": ("accept", 1024),
    b"x-amzn-sagemaker-custom-attributes": ("customAttributes", 1024),
    b"x-amzn-sagemaker-inference-id": ("inferenceId", 64),
    # "can be used for logging purposes" (the contract of multi-model containers).
    b"x-amzn-sagemaker-target-model": ("targetModel", 1024),
}
_TARGET_MODEL = b"x-amzn-sagemaker-target-model"
_TARGET_VARIANT = b"x-amzn-sagemaker-target-variant"
# Members that AWS has and this cloud does not, by their header.
NOT_HERE = {
    b"x-amzn-sagemaker-target-container-hostname": "TargetContainerHostname",
    b"x-amzn-sagemaker-enable-explanations": "EnableExplanations",
    b"x-amzn-sagemaker-inference-component": "InferenceComponentName",
    b"x-amzn-sagemaker-session-id": "SessionId",
    b"x-amzn-sagemaker-prefix-aware-id": "PrefixAwareId",
}
# What the container sees when the client said nothing: the model server's own default.
_DEFAULT_CONTENT_TYPE = (b"content-type", b"application/json")
_DEFAULT_ANSWER_TYPE = b"application/json"

Failed = Callable[[CloudError], None]


def endpoint_name(head: Head) -> str:
    """Return the endpoint that a request names; refuse what is not InvokeEndpoint."""
    match = _PATH.fullmatch(head.path)
    if match is None or head.method != b"POST":
        asked = head.path.rpartition(b"/")[2]
        if asked in (b"async-invocations", b"invocations-response-stream"):
            raise _invalid(
                "InvokeEndpointAsync and InvokeEndpointWithResponseStream are not supported by "
                "this local cloud: use InvokeEndpoint."
            )
        raise FaultError(Fault("UnknownOperationException", None, 404))
    name: str = unquote(match.group(1).decode("latin-1"))
    return _checked_name(name, "endpointName")


def target_variant(head: Head) -> str | None:
    """Return the variant that a request asks for, None when it leaves that to the weights."""
    value = head.get(_TARGET_VARIANT)
    return None if value is None else _checked_name(value.decode("latin-1"), "targetVariant")


def target_model(head: Head) -> str | None:
    """Return the model that a request names, None when its endpoint has but one."""
    value = head.get(_TARGET_MODEL)
    if value is None:
        return None
    if not value or not value.isascii():
        raise _invalid(
            "1 validation error detected: Value at 'targetModel' failed to satisfy constraint: "
            "Member must be ASCII of at least 1 character"
        )
    return value.decode("ascii")


def _checked_name(name: str, member: str) -> str:
    if len(name) > _NAME_LENGTH_MAX:
        raise _invalid(
            f"1 validation error detected: Value '{name[:80]}' at '{member}' failed to "
            "satisfy constraint: Member must have length less than or equal to 63"
        )
    if not _NAME.fullmatch(name):
        raise _invalid(
            f"1 validation error detected: Value '{name}' at '{member}' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: "
            "^[a-zA-Z0-9](-*[a-zA-Z0-9])*"
        )
    return name


def container_head(head: Head, body_bytes: int, model: str | None = None) -> bytes:
    """Return the head of the request that the container gets, for the model that was named."""
    target = "/invocations" if model is None else f"/models/{model_id(model)}/invoke"
    lines = [b"POST %s HTTP/1.1\r\nhost: model\r\n" % target.encode()]
    typed = False
    for name, value in head.headers:
        known = _PASSED_ON.get(name)
        if known is not None:
            member, length_max = known
            if len(value) > length_max or not value.isascii():
                raise _invalid(
                    f"1 validation error detected: Value at '{member}' failed to satisfy "
                    f"constraint: Member must be ASCII of at most {length_max} characters"
                )
            typed = typed or name == b"content-type"
            lines.append(b"%s: %s\r\n" % (name, value))
        elif name in NOT_HERE:
            raise _invalid(f"{NOT_HERE[name]} is not supported by this local cloud.")
    if not typed:
        lines.append(b"%s: %s\r\n" % _DEFAULT_CONTENT_TYPE)
    lines.append(b"content-length: %d\r\n\r\n" % body_bytes)
    return b"".join(lines)


def _invalid(message: str) -> FaultError:
    return FaultError(Fault("ValidationError", message, 400))


class InvocationAnswer:
    """Waits for one invocation's outcome and answers its client."""

    __slots__ = ("_exchange", "_failed", "_request_id")

    def __init__(self, exchange: Exchange, request_id: bytes, failed: Failed) -> None:
        self._exchange = exchange
        self._request_id = request_id
        self._failed = failed

    def on_result(
        self, invocation: Invocation, headers: Headers, chunks: list[bytes], size: int
    ) -> None:
        """Pass the container's answer on, with the variant that gave it."""
        del size
        answer = [
            (b"x-amzn-requestid", self._request_id),
            (b"x-amzn-invoked-production-variant", invocation.variant.name.encode()),
        ]
        content_type = _DEFAULT_ANSWER_TYPE
        for name, value in headers:
            if name == b"content-type":
                content_type = value
            elif name == b"x-amzn-sagemaker-custom-attributes":
                answer.append((name, value))
        answer.append((b"content-type", content_type))
        self._exchange.respond(200, answer, chunks)

    def on_error(self, invocation: Invocation, error: CloudError) -> None:
        """Answer with AWS's error for the failure."""
        del invocation
        self._failed(error)


def start(router: Router, name: str, exchange: Exchange, request_id: bytes, failed: Failed) -> None:
    """Send a verified request on its way; its client leaving takes it back."""
    model = target_model(exchange.head)
    head = container_head(exchange.head, exchange.body_bytes, model)
    chunks = [head, *exchange.chunks]
    if exchange.body_bytes <= limits.JOIN_BYTES_MAX:
        chunks = [b"".join(chunks)]
    waiter = InvocationAnswer(exchange, request_id, failed)
    invocation = router.invoke(
        name,
        chunks,
        exchange.body_bytes,
        exchange.received_s,
        waiter,
        Wish(target_variant(exchange.head), model, request_id.decode()),
    )
    # The connection to the container holds the body from here on.
    exchange.chunks = []
    exchange.on_abandon = invocation.abandon
