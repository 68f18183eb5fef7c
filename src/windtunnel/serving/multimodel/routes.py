"""What a request asks of a container of many models, from its head alone.

AWS's "Custom Containers Contract for Multi-Model Endpoints", beside SageMaker's /ping. Pure: a
method and a target in, a route out; answers in the contract's form are made here, too.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from windtunnel.core import limits
from windtunnel.serving.errors import RequestError

_MODEL = re.compile(r"/models/([^/]+)(/invoke)?")
_PAGE_TOKEN = "next_page_token"  # noqa: S105 - the contract's name of a page


@dataclass(frozen=True, slots=True)
class Ping:
    """GET /ping: does the container answer? It may have no model at all."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """GET /metrics: what the container and its models count."""


@dataclass(frozen=True, slots=True)
class List:
    """GET /models: the models that are loaded, a page at a time."""

    page_token: str | None


@dataclass(frozen=True, slots=True)
class Load:
    """POST /models: load one."""


@dataclass(frozen=True, slots=True)
class Describe:
    """GET /models/NAME: is it loaded?"""

    name: str


@dataclass(frozen=True, slots=True)
class Unload:
    """DELETE /models/NAME."""

    name: str


@dataclass(frozen=True, slots=True)
class Invoke:
    """POST /models/NAME/invoke: what is /invocations where there is one model."""

    name: str


Route = Ping | Metrics | List | Load | Describe | Unload | Invoke


def choose_route(method: bytes, path: bytes, query: bytes) -> Route:
    """Return what is asked for, or raise RequestError with the status that says why not."""
    text = path.decode("latin-1")
    found = _MODEL.fullmatch(text)
    routes: Mapping[bytes, Route]
    if text == "/ping":
        routes = {b"GET": Ping(), b"HEAD": Ping()}
    elif text == "/metrics":
        routes = {b"GET": Metrics(), b"HEAD": Metrics()}
    elif text == "/models":
        token = parse_qs(query.decode("latin-1")).get(_PAGE_TOKEN)
        routes = {b"GET": List(token[0] if token else None), b"POST": Load()}
    elif text == "/invocations":
        # The original's words.
        raise RequestError("Invocation request does not contain model name.", 400)
    elif found is None:
        raise RequestError("Not Found", 404)
    elif found[2] is not None:
        routes = {b"POST": Invoke(unquote(found[1]))}
    else:
        name = unquote(found[1])
        routes = {b"GET": Describe(name), b"DELETE": Unload(name)}
    if method not in routes:
        raise RequestError("Method Not Allowed", 405)
    return routes[method]


def parse_load(body: bytes) -> tuple[str, str]:
    """Return the name and the folder that a POST /models names, or raise RequestError."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RequestError("The body must be a JSON object with model_name and url.")
    values = []
    for key in ("model_name", "url"):
        value = document.get(key)
        if not isinstance(value, str) or not value or "\0" in value:
            raise RequestError(f"The body must name a {key}.")
        values.append(value)
    return values[0], values[1]


def render_page(
    models: Mapping[str, str], token: str | None, size: int = limits.MODEL_LIST_PAGE_COUNT
) -> dict[str, Any]:
    """Return a page of models (name and url), and where the next one begins, if there is one.

    A page begins behind a name, so that what is unloaded meanwhile moves no other model.
    """
    names = sorted(name for name in models if token is None or name > token)
    page: dict[str, Any] = {"models": [render_model(name, models[name]) for name in names[:size]]}
    if len(names) > size:
        page["nextPageToken"] = names[size - 1]
    return page


def render_model(name: str, url: str) -> dict[str, str]:
    """Return one model as the contract describes it."""
    return {"modelName": name, "modelUrl": url}
