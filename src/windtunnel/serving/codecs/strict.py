"""The slow, exact way from JSON to tensors, and the words for what is wrong.

It reads what the fast way (`dense.py`) does not prove: NaN and Infinity, strings, booleans, base64,
several inputs, great numbers, and everything that is an error. Rules and wording follow TensorFlow
Serving's json_tensor.cc (AddValueToTensor, FillTensorProto, GetDenseTensorShape); where that
repeats a whole document in a message, this repeats its beginning.
"""

import base64
import binascii
import contextlib
import json
import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from windtunnel.core import limits
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import TensorSpec, TensorType

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_UINT64_MAX = 2**64 - 1
_INT64_MIN = -(2**63)
_KINDS = {
    type(None): "Null",
    dict: "Object",
    list: "Array",
    str: "String",
    int: "Number",
    float: "Number",
}
# What TensorFlow Serving's parser takes (see `literals.py`) and Python's does not, outside strings.
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"|-NaN|Inf(?!inity)', re.DOTALL)
# Python's words for a parse error, and RapidJSON's (rapidjson/error/en.h) where they say the same.
_PARSE_ERRORS = {
    "Expecting value": "Invalid value.",
    "Extra data": "The document root must not be followed by other values.",
    "Expecting ',' delimiter": "Missing a comma or a closing bracket after an element.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
}


def parse_json(text: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Return the Python value of a JSON text, or say where it is not JSON."""
    if not text.strip():
        raise RequestError("JSON Parse error: The document is empty")
    depth = nesting_depth(text)
    if depth > limits.TENSOR_JSON_DEPTH_MAX:
        raise RequestError(
            f"JSON Parse error: The document nests {depth} deep; "
            f"at most {limits.TENSOR_JSON_DEPTH_MAX} is taken."
        )
    try:
        # RapidJSON, too, skips a byte order mark.
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(f"JSON Parse error: Invalid UTF-8 at offset: {error.start}") from None
    if "-NaN" in decoded or "Inf" in decoded:
        decoded = _LITERAL.sub(_spell_literal, decoded)
    try:
        return json.loads(decoded, parse_float=_parse_float, object_pairs_hook=_first_wins)
    except json.JSONDecodeError as error:
        offset = len(decoded[: error.pos].encode("utf-8", "surrogatepass"))
        reason = _PARSE_ERRORS.get(error.msg, error.msg)
        end = " (the text ends there)" if error.pos >= len(decoded) else ""
        raise RequestError(f"JSON Parse error: {reason} at offset: {offset}{end}") from None
    except ValueError as error:
        # An integer with more digits than Python converts (sys.int_info).
        raise RequestError(f"JSON Parse error: {error}") from None


def nesting_depth(text: bytes) -> int:
    """Return how deep brackets nest, wherever the text may stop being JSON."""
    if text.count(b"[") + text.count(b"{") <= limits.TENSOR_JSON_DEPTH_MAX:
        return 0
    brackets = np.frombuffer(_STRING.sub(b"", text).translate(None, _NOT_BRACKETS), np.uint8)
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), 1, -1)
    return int(np.cumsum(steps).max(initial=0))


def _spell_literal(found: re.Match[str]) -> str:
    return {"-NaN": " NaN", "Inf": "Infinity"}.get(found[0], found[0])


def _parse_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise RequestError(
            f"JSON Parse error: Number too big to be stored in double: {_shorten(digits)}"
        )
    return value


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # RapidJSON's FindMember returns the first of equal names.
    return dict(reversed(pairs))


def is_base64(value: object) -> bool:
    """Say whether a JSON value is the form that stands for bytes: {"b64": "..."}."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def first_shape(value: object) -> tuple[int, ...]:
    """Return the shape that the first element at each level suggests."""
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def collect_leaves(
    value: object, shape: tuple[int, ...], leaves: list[Any], level: int = 0
) -> None:
    """Append the elements in order; raise where the value is not regular in this shape."""
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise RequestError(
                f"JSON Value: {render_value(value)} found at incorrect level: {level + 1}"
                f" in the JSON DOM. Expected at level: {rank}"
            )
        leaves.append(value)
        return
    if level >= rank:
        raise RequestError(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise RequestError(
            f"Encountered list at unexpected size: {len(value)} at level: {level}"
            f" expected size: {shape[level]}"
        )
    if level == rank - 1 and list not in set(map(type, value)):
        leaves.extend(value)
        return
    for element in value:
        collect_leaves(element, shape, leaves, level + 1)


def convert(
    leaves: Sequence[Any], shape: tuple[int, ...], spec: TensorSpec
) -> npt.NDArray[np.generic]:
    """Return the tensor of these elements, each checked against the wanted type."""
    wanted = spec.type
    if wanted is None:
        shown = render_value(leaves[0]) if leaves else "[]"
        raise RequestError(f"Conversion of JSON Value: {shown} to type: {spec.type_name}", 501)
    if wanted.kind == "f":
        return _convert_floats(leaves, wanted).astype(wanted.dtype).reshape(shape)
    if wanted.kind == "O":
        strings = np.empty(len(leaves), np.object_)
        strings[:] = [to_bytes(leaf, wanted) for leaf in leaves]
        return strings.reshape(shape)
    for leaf in leaves:
        if not (type(leaf) is bool if wanted.kind == "b" else _is_whole(leaf, wanted)):
            _raise_type(leaf, wanted)
    return np.array(leaves, wanted.dtype).reshape(shape)


def _is_whole(leaf: object, wanted: TensorType) -> bool:
    return type(leaf) is int and wanted.low <= leaf <= wanted.high


def _convert_floats(leaves: Sequence[Any], wanted: TensorType) -> npt.NDArray[np.float64]:
    if set(map(type, leaves)) <= {int, float}:
        with contextlib.suppress(OverflowError):
            values = np.array(leaves, np.float64)
            # NaN and Infinity are taken; among the others, none is near where loss begins.
            if np.abs(values[np.isfinite(values)]).max(initial=0) <= wanted.whole_max:
                return values
    return np.array([_to_float(leaf, wanted) for leaf in leaves], np.float64)


def _to_float(leaf: object, wanted: TensorType) -> float:
    if type(leaf) is int:
        if _INT64_MIN <= leaf <= _UINT64_MAX:
            if abs(leaf) > wanted.whole_max:
                raise_lossy(leaf, wanted)
            return float(leaf)
        # Greater ones are doubles to RapidJSON.
        leaf = _parse_float(str(leaf))
    if type(leaf) is not float:
        _raise_type(leaf, wanted)
    if math.isfinite(leaf) and abs(leaf) > wanted.high:
        raise_lossy(leaf, wanted)
    return leaf


def to_bytes(leaf: object, wanted: TensorType) -> bytes:
    """Return the bytes that a JSON string, or its base64 form, stands for."""
    if isinstance(leaf, str):
        try:
            return leaf.encode()
        except UnicodeEncodeError:
            raise RequestError(
                "JSON Parse error: The surrogate pair in string is invalid."
            ) from None
    if not isinstance(leaf, dict):
        _raise_type(leaf, wanted)
    if not is_base64(leaf):
        raise RequestError(
            f"JSON Value: {render_value(leaf)} not formatted correctly for base64 data"
        )
    digits = "".join(leaf["b64"].split())
    try:
        # Padding may be missing, as absl::Base64Unescape allows.
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise RequestError("Unable to base64 decode") from None


def raise_signature_name(document: object) -> NoReturn:
    """Refuse a document whose signature has a name that is no text."""
    raise RequestError(
        f"JSON Value: {render_value(document)} not formatted correctly."
        " 'signature_name' key must be a string value."
    )


def _raise_type(value: object, wanted: TensorType) -> NoReturn:
    raise RequestError(
        f"JSON Value: {render_value(value)} Type: {kind_name(value)}"
        f" is not of expected type: {wanted.name}"
    )


def raise_lossy(value: float, wanted: TensorType) -> NoReturn:
    """Refuse a number that the wanted type cannot hold."""
    raise RequestError(
        f"Cannot convert JSON value: {render_value(value)} to {wanted.name}"
        " without loss of precision."
    )


def kind_name(value: object) -> str:
    """Return what RapidJSON calls the type of a JSON value."""
    return str(value) if isinstance(value, bool) else _KINDS[type(value)]


def render_value(value: object) -> str:
    """Return a JSON value's text for an error message, cut where it grows long."""
    text = ""
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += piece
        if len(text) > limits.ERROR_VALUE_LENGTH_MAX:
            break
    return _shorten(text)


def _shorten(text: str) -> str:
    if len(text) <= limits.ERROR_VALUE_LENGTH_MAX:
        return text
    return text[: limits.ERROR_VALUE_LENGTH_MAX] + "..."
