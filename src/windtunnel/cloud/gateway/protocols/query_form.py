"""Requests of the query protocol: `Action=…&Dimensions.member.1.Name=…`, as a form or a query.

The dotted names are put together to a tree, and the tree is read by the shape of the request.
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from windtunnel.cloud.gateway.answers import Fault, FaultError
from windtunnel.cloud.gateway.protocols.json_values import TIMESTAMP_S_END, TIMESTAMP_S_MIN
from windtunnel.cloud.gateway.shapes import Shape
from windtunnel.core import limits

Tree = dict[str, "Tree | str"]

_FORM = b"application/x-www-form-urlencoded"


def is_form(content_type: bytes | None) -> bool:
    """Say whether a body is a form."""
    return content_type is not None and content_type.split(b";")[0].strip().lower() == _FORM


def read_pairs(query: bytes, content_type: bytes | None, body: bytes) -> dict[str, str]:
    """Return a request's parameters, from its body when that is a form, and from its query."""
    text = query + b"&" + body if is_form(content_type) else query
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=limits.QUERY_FIELD_COUNT_MAX,
        )
    except ValueError:
        # Not ASCII, not UTF-8 once decoded, or too many.
        raise malformed("The request's parameters are not a form of readable text.") from None
    return dict(pairs)


def decode(shape: Shape, pairs: dict[str, str]) -> dict[str, Any]:
    """Return a request's members under the project's names."""
    decoded: dict[str, Any] = _decode(shape, _tree(pairs), "")
    return decoded


def _tree(pairs: dict[str, str]) -> Tree:
    root: Tree = {}
    for name, value in pairs.items():
        parts = name.split(".")
        if len(parts) > limits.CONTROL_JSON_DEPTH_MAX:
            raise malformed(f"{name[:100]} is nested too deeply.")
        node = root
        for part in parts[:-1]:
            child = node.setdefault(part, {})
            if isinstance(child, str):
                # An empty list is written `Statistics=`; anything else contradicts itself.
                raise malformed(f"{name} is given both as a value and as a list.")
            node = child
        if isinstance(node.get(parts[-1]), dict):
            raise malformed(f"{name} is given both as a value and as a list.")
        node[parts[-1]] = value
    return root


def _decode(shape: Shape, node: Tree | str, name: str) -> Any:  # noqa: ANN401 - any value
    if shape.is_scalar:
        if not isinstance(node, str):
            raise malformed(f"{name} must be a single value.")
        return _decode_scalar(shape, node, name)
    if isinstance(node, str):
        if node:
            raise malformed(f"{name} must not be a single value.")
        node = {}
    match shape.kind:
        case "structure":
            prefix = f"{name}." if name else ""
            return {
                member.key: _decode(member.shape, node[member.wire], prefix + member.wire)
                for member in shape.members
                if member.wire in node
            }
        case "list":
            element = shape.member
            return [
                _decode(element.shape, part, f"{name}.{element.wire}.{index}")
                for index, part in _numbered(node.get(element.wire, {}), name)
            ]
        case _:
            return _decode_map(shape, node, name)


def _decode_map(shape: Shape, node: Tree, name: str) -> dict[str, Any]:
    decoded = {}
    for index, entry in _numbered(node.get("entry", {}), name):
        key = entry.get(shape.map_key.wire) if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(key, str):
            raise malformed(f"{name}.entry.{index} has no key.")
        part = entry.get(shape.map_value.wire, "")
        decoded[key] = _decode(shape.map_value.shape, part, f"{name}.entry.{index}")
    return decoded


def _numbered(node: Tree | str, name: str) -> list[tuple[int, Tree | str]]:
    """Return the children `1`, `2`, … in their order; gaps are closed, as AWS does."""
    if isinstance(node, str) or not all(part.isascii() and part.isdigit() for part in node):
        raise malformed(f"The parts of {name} must be numbered.")
    # Ten digits are more than a form's fields may number.
    if any(len(part) > len(str(limits.CONTROL_BODY_BYTES_MAX)) for part in node):
        raise malformed(f"The parts of {name} are numbered too high.")
    return sorted((int(part), child) for part, child in node.items())


def _decode_scalar(shape: Shape, text: str, name: str) -> Any:  # noqa: ANN401 - any scalar
    try:
        match shape.kind:
            case "boolean":
                return {"true": True, "false": False}[text.lower()]
            case "integer" | "long":
                bits = 32 if shape.kind == "integer" else 64
                number = int(text)
                if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
                    raise malformed(f"{text[:100]} is out of range for {name}.")
                return number
            case "float" | "double":
                return float(text)
            case "timestamp":
                return read_timestamp(text)
            case "blob":
                return base64.b64decode(text, validate=True)
            case _:
                return text
    except (ValueError, KeyError, OverflowError, binascii.Error):
        raise malformed(f"{text[:100]} is not of the type {shape.kind} for {name}.") from None


def read_timestamp(text: str) -> float:
    """Return an ISO 8601 moment, or a number of seconds, as seconds since the epoch."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        seconds = float(text)
    else:
        # Without an offset it is UTC's, as everywhere in AWS.
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        seconds = aware.timestamp()
    if not TIMESTAMP_S_MIN <= seconds < TIMESTAMP_S_END:
        raise ValueError(text)
    return seconds


def malformed(message: str) -> FaultError:
    """Return the refusal of parameters that cannot be read."""
    return FaultError(Fault("MalformedInput", message))
