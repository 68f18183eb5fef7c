"""Values of a service model in JSON, both ways; what CBOR has beyond JSON is read here too.

In: AWS's names become the project's, numbers of seconds stay numbers, blobs become bytes; what is
not of its shape's kind is a SerializationException in AWS's words. Members that the model does not
know are passed over, as AWS does; null is the same as absent. Out: the reverse, and a name that the
shape does not have is a bug of ours, raised as TypeError.

Bounds, patterns and enums are `validation.py`'s business.
"""

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from typing import Any

from windtunnel.cloud.gateway.answers import serialization_fault
from windtunnel.cloud.gateway.shapes import Shape, path_of_labels
from windtunnel.core import limits

Path = tuple[str | int, ...]

_INTEGER_BITS = {"integer": 32, "long": 64}
_SPECIAL_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
# The years 1 to 9999: what a datetime can hold.
TIMESTAMP_S_MIN = -62_135_596_800
TIMESTAMP_S_END = 253_402_300_800
# AWS's timestamps carry milliseconds.
_TIMESTAMP_DIGITS = 3

Scalar = Callable[[Shape, Any], Any]


def decode(shape: Shape, value: Any, path: Path = ()) -> Any:  # noqa: ANN401 - any JSON, any value
    """Return a JSON value as the project's value of a shape."""
    if len(path) > limits.CONTROL_JSON_DEPTH_MAX:
        raise serialization_fault("The request is nested too deeply.")
    return _DECODERS[shape.kind](shape, value, path)


def _decode_structure(shape: Shape, value: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise _mismatch(value, "a Structure", path)
    decoded = {}
    for member in shape.members:
        part = value.get(member.wire)
        if part is not None:
            decoded[member.key] = decode(member.shape, part, (*path, member.label))
    return decoded


def _decode_list(shape: Shape, value: Any, path: Path) -> list[Any]:  # noqa: ANN401
    if not isinstance(value, list):
        raise _mismatch(value, "a List", path)
    element = shape.member.shape
    return [
        None if part is None else decode(element, part, (*path, index))
        for index, part in enumerate(value, 1)
    ]


def _decode_map(shape: Shape, value: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise _mismatch(value, "a Map", path)
    if not all(isinstance(key, str) for key in value):
        raise serialization_fault("The keys of a map must be strings.")
    element = shape.map_value.shape
    return {
        key: None if part is None else decode(element, part, (*path, key))
        for key, part in value.items()
    }


def _decode_string(shape: Shape, value: Any, path: Path) -> str:  # noqa: ANN401, ARG001
    if not isinstance(value, str):
        raise _mismatch(value, "a String", path)
    return value


def _decode_boolean(shape: Shape, value: Any, path: Path) -> bool:  # noqa: ANN401, ARG001
    if not isinstance(value, bool):
        raise _mismatch(value, "a Boolean", path)
    return value


def _decode_integer(shape: Shape, value: Any, path: Path) -> int:  # noqa: ANN401
    target = "an Integer" if shape.kind == "integer" else "a Long"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _mismatch(value, target, path)
    bound = 1 << (_INTEGER_BITS[shape.kind] - 1)
    if not -bound <= value < bound:
        raise _mismatch(value, target, path)
    return value


def _decode_float(shape: Shape, value: Any, path: Path) -> float:  # noqa: ANN401
    if isinstance(value, str) and value in _SPECIAL_FLOATS:
        return _SPECIAL_FLOATS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(value, "a Float" if shape.kind == "float" else "a Double", path)
    return float(value)


def _decode_timestamp(shape: Shape, value: Any, path: Path) -> float:  # noqa: ANN401, ARG001
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not TIMESTAMP_S_MIN <= value < TIMESTAMP_S_END
    ):
        raise _mismatch(value, "a Timestamp", path)
    return float(value)


def _decode_blob(shape: Shape, value: Any, path: Path) -> bytes:  # noqa: ANN401, ARG001
    if isinstance(value, bytes):
        # As CBOR has it.
        return value
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except binascii.Error:
        pass
    raise _mismatch(value, "a Blob", path)


_DECODERS: Mapping[str, Callable[[Shape, Any, Path], Any]] = {
    "structure": _decode_structure,
    "list": _decode_list,
    "map": _decode_map,
    "string": _decode_string,
    "character": _decode_string,
    "boolean": _decode_boolean,
    "integer": _decode_integer,
    "long": _decode_integer,
    "float": _decode_float,
    "double": _decode_float,
    "timestamp": _decode_timestamp,
    "blob": _decode_blob,
}


def _mismatch(value: Any, target: str, path: Path) -> Exception:  # noqa: ANN401
    """Return AWS's words for a value of the wrong kind, and where it is."""
    where = f" (at '{path_of_labels(path)}')" if path else ""
    match value:
        case dict():
            text = "Start of structure or map found where not expected."
        case list():
            text = "Start of list found where not expected."
        case bool():
            text = f"{str(value).upper()}_VALUE can not be converted to {target}"
        case int() | float():
            text = f"NUMBER_VALUE can not be converted to {target}"
        case _:
            text = f"STRING_VALUE can not be converted to {target}"
    return serialization_fault(text + where)


def encode(shape: Shape, value: Any, scalar: Scalar | None = None) -> Any:  # noqa: ANN401 - any JSON
    """Return the project's value of a shape as a JSON value.

    `scalar` encodes what has no parts, for who writes other than JSON.
    """
    match shape.kind:
        case "structure":
            return _encode_structure(shape, value, scalar)
        case "list":
            element = shape.member.shape
            return [encode(element, part, scalar) for part in value]
        case "map":
            element = shape.map_value.shape
            return {key: encode(element, part, scalar) for key, part in value.items()}
        case _:
            return (scalar or encode_scalar)(shape, value)


def encode_scalar(shape: Shape, value: Any) -> Any:  # noqa: ANN401 - any scalar
    """Return a value without parts as JSON has it."""
    match shape.kind:
        case "timestamp":
            return round(value, _TIMESTAMP_DIGITS)
        case "blob":
            return base64.b64encode(value).decode("ascii")
        case "float" | "double" if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case _:
            return value


def _encode_structure(
    shape: Shape, value: Mapping[str, Any], scalar: Scalar | None
) -> dict[str, Any]:
    encoded = {}
    for key, part in value.items():
        member = shape.members_by_key.get(key)
        if member is None:
            raise TypeError(f"{shape.name} has no member for {key!r}")
        if part is not None:
            encoded[member.wire] = encode(member.shape, part, scalar)
    return encoded
