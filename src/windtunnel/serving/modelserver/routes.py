"""What a request asks for, from its head alone.

Two contracts share one server: SageMaker's (/ping, /invocations) and TensorFlow Serving's REST API
(/v1/models/...). Pure: a method, a path and a header in, a route out. Everything else is 404, with
the words of the original's nginx.
"""

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from windtunnel.serving.errors import RequestError

CUSTOM_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"

_ATTRIBUTE = re.compile(rb"tfs-[a-z-]+=[^,]+")
# http_rest_api_util.cc; the method after the colon is looked at below.
_MODEL_PATH = re.compile(
    rb"/v1/models/(?P<name>[^/:]+)"
    rb"(?:/versions/(?P<version>[^/:]+)|/labels/(?P<label>[^/:]+))?"
    rb"(?::(?P<method>[a-z]+)|(?P<metadata>/metadata))?",
    re.IGNORECASE,
)
_READS = frozenset((b"GET", b"HEAD"))


class Method(Enum):
    """What shall be done with a model."""

    PREDICT = b"predict"
    CLASSIFY = b"classify"
    REGRESS = b"regress"


@dataclass(frozen=True, slots=True)
class Target:
    """A model and its version; None stands for the default one and the latest one."""

    model: str | None = None
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """GET /ping: is the default model available?"""


@dataclass(frozen=True, slots=True)
class Metrics:
    """GET /metrics: what the container counts."""


@dataclass(frozen=True, slots=True)
class Status:
    """GET /v1/models/NAME: the states of a model's versions."""

    target: Target


@dataclass(frozen=True, slots=True)
class Metadata:
    """GET /v1/models/NAME/metadata: the signatures of a version."""

    target: Target


@dataclass(frozen=True, slots=True)
class Infer:
    """POST /v1/models/NAME:predict and its like; or /invocations, which may be sugared."""

    target: Target
    is_invocation: bool
    method: Method = Method.PREDICT


Route = Ping | Metrics | Status | Metadata | Infer


def choose_route(method: bytes, path: bytes, custom_attributes: bytes | None) -> Route:
    """Return what is asked for, or raise RequestError with the status that says why not."""
    if path == b"/invocations":
        _require_method(method, (b"POST",))
        return _invocation(custom_attributes)
    if path == b"/ping":
        _require_method(method, _READS)
        return Ping()
    if path == b"/metrics":
        _require_method(method, _READS)
        return Metrics()
    found = _MODEL_PATH.fullmatch(path)
    if found is None:
        raise RequestError("Not Found", 404)
    label = None if found["label"] is None else _decode(found["label"])
    target = Target(_decode(found["name"]), _parse_version(found["version"]), label)
    if found["method"] is None:
        _require_method(method, _READS)
        return Status(target) if found["metadata"] is None else Metadata(target)
    _require_method(method, (b"POST",))
    return Infer(target, is_invocation=False, method=_parse_method(found["method"].lower()))


def parse_attributes(custom_attributes: bytes | None) -> dict[bytes, bytes]:
    """Return what custom attributes are for the container: each `tfs-NAME=VALUE`."""
    pairs = (found.split(b"=") for found in _ATTRIBUTE.findall(custom_attributes or b""))
    # A value with another = in it is passed over, as in the original.
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}  # noqa: PLR2004


def _invocation(custom_attributes: bytes | None) -> Infer:
    """Return what `tfs-model-name=...,tfs-model-version=...,tfs-method=...` ask for."""
    attributes = parse_attributes(custom_attributes)
    name = attributes.get(b"tfs-model-name")
    version = _parse_version(attributes.get(b"tfs-model-version"))
    return Infer(
        Target(None if name is None else _decode(name), version),
        is_invocation=True,
        method=_parse_method(attributes.get(b"tfs-method", Method.PREDICT.value)),
    )


def _require_method(method: bytes, allowed: frozenset[bytes] | tuple[bytes, ...]) -> None:
    if method not in allowed:
        raise RequestError("Method Not Allowed", 405)


def _parse_method(text: bytes) -> Method:
    try:
        return Method(text)
    except ValueError:
        raise RequestError(f"Malformed request: the method {_decode(text)} is not known.") from None


def _parse_version(text: bytes | None) -> int | None:
    if text is None:
        return None
    if re.fullmatch(rb"[0-9]{1,19}", text) is None or int(text) >= 2**63:
        raise RequestError(f"Failed to convert version: {_decode(text)} to numeric.")
    return int(text)


def _decode(text: bytes) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")
