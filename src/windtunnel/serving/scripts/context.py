"""What a handler is told of its request: the original's Context, field by field.

Names, order and types are those of tfs_utils.py: `model_name`, `model_version` and `method` only
where the request names them (one of many models has its name in any case), ports as text. `timeout`
came with the image for TensorFlow 2.20.
"""

from typing import Any, NamedTuple

from windtunnel.http.message import Head
from windtunnel.serving.modelserver.routes import CUSTOM_ATTRIBUTES, parse_attributes

_JSON = "application/json"


class Context(NamedTuple):
    """One request's circumstances."""

    model_name: str | None
    model_version: str | None
    method: str | None
    rest_uri: str
    grpc_port: str
    # A grpc.Channel; made when it is first used.
    channel: Any
    custom_attributes: str | None
    request_content_type: str
    accept_header: str
    content_length: int | None
    # How many seconds a handler may take; 0 is for ever.
    timeout: float


class Backend(NamedTuple):
    """The model server that one request's handler is pointed at."""

    rest_port: int
    grpc_port: int
    channel: Any


def make_context(
    head: Head,
    backend: Backend,
    default_model: str,
    timeout_s: float,
    container_name: str | None = None,
) -> Context:
    """Return what a handler is told of a request with this head."""
    given = head.get(CUSTOM_ATTRIBUTES)
    attributes = {key.decode(): _text(value) for key, value in parse_attributes(given).items()}
    name = attributes.get("tfs-model-name")
    version = attributes.get("tfs-model-version")
    method = attributes.get("tfs-method")
    uri = f"http://localhost:{backend.rest_port}/v1/models/{name or default_model}"
    if version:
        uri += f"/versions/{version}"
    return Context(
        model_name=container_name or name,
        model_version=version,
        method=method,
        rest_uri=f"{uri}:{method or 'predict'}",
        grpc_port=str(backend.grpc_port),
        channel=backend.channel,
        custom_attributes=None if given is None else _text(given),
        request_content_type=_text(head.get(b"content-type") or b"") or _JSON,
        accept_header=_text(head.get(b"accept") or b"") or _JSON,
        content_length=head.content_length,
        timeout=timeout_s,
    )


def _text(value: bytes) -> str:
    # As WSGI has it (PEP 3333): every byte is a character.
    return value.decode("latin-1")
