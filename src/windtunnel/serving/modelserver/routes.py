"""What a request asks for, from its head alone.

Two contracts share one server: SageMaker's (/ping, /invocations) and TensorFlow Serving's REST API
(/v1/models/...). Pure: a method, a path and a header in, a route out. Everything else is 404, with
the words of the original's nginx.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from windtunnel.serving.errors import RequestError

CUSTOM_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"

_ATTRIBUTE = re.compile(rb"tfs-[a-z-]+=[^,]+")
# http_rest_api_handler.cc; the method after the colon is looked at below.
_MODEL_PATH = re.compile(
    rb"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[^/:]+))?(?::(?P<method>[a-z]+))?",
    re.IGNORECASE,
)
_PREDICT = b"predict"
_OTHER_METHODS = frozenset((b"classify", b"regress"))
_READS = frozenset((b"GET", b"HEAD"))


@dataclass(frozen=True, slots=True)
class Target:
    """A model and its version; None stands for the default one and the latest one."""

    model: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """GET /ping: is the default model available?"""


@dataclass(frozen=True, slots=True)
class Status:
    """GET /v1/models/NAME: the states of a model's versions."""

    target: Target


@dataclass(frozen=True, slots=True)
class Predict:
    """POST /v1/models/NAME:predict, a predict request; or /invocations, which may be sugared."""

    target: Target
    is_invocation: bool


Route = Ping | Status | Predict


def choose_route(method: bytes, path: bytes, custom_attributes: bytes | None) -> Route:
    """Return what is asked for, or raise RequestError with the status that says why not."""
    if path == b"/invocations":
        _require_method(method, (b"POST",))
        return Predict(_attributed_target(custom_attributes), is_invocation=True)
    if path == b"/ping":
        _require_method(method, _READS)
        return Ping()
    found = _MODEL_PATH.fullmatch(path)
    if found is None:
        raise RequestError("Not Found", 404)
    target = Target(_decode(found["name"]), _parse_version(found["version"]))
    if found["method"] is None:
        _require_method(method, _READS)
        return Status(target)
    _require_method(method, (b"POST",))
    _require_predict(found["method"].lower())
    return Predict(target, is_invocation=False)


def _attributed_target(custom_attributes: bytes | None) -> Target:
    """Return the target that `tfs-model-name=...,tfs-model-version=...` name."""
    if not custom_attributes:
        return Target()
    pairs = (found.split(b"=") for found in _ATTRIBUTE.findall(custom_attributes))
    # A value with another = in it is passed over, as in the original.
    attributes = {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}  # noqa: PLR2004
    _require_predict(attributes.get(b"tfs-method", _PREDICT))
    name = attributes.get(b"tfs-model-name")
    version = _parse_version(attributes.get(b"tfs-model-version"))
    return Target(None if name is None else _decode(name), version)


def _require_method(method: bytes, allowed: frozenset[bytes] | tuple[bytes, ...]) -> None:
    if method not in allowed:
        raise RequestError("Method Not Allowed", 405)


def _require_predict(method: bytes) -> None:
    if method in _OTHER_METHODS:
        raise RequestError(f"The method {method.decode()} is not offered yet; predict is.", 501)
    if method != _PREDICT:
        raise RequestError(f"Malformed request: the method {_decode(method)} is not known.")


def _parse_version(text: bytes | None) -> int | None:
    if text is None:
        return None
    if re.fullmatch(rb"[0-9]{1,19}", text) is None or int(text) >= 2**63:
        raise RequestError(f"Failed to convert version: {_decode(text)} to numeric.")
    return int(text)


def _decode(text: bytes) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")
