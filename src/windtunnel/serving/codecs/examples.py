"""A classify or regress request in TensorFlow Serving's JSON, to serialized tf.Examples.

`examples` is a list of objects whose members are features: a value, or a list of values, that are
all whole numbers (or booleans), all floats, or all bytes; `context` is one more such object, which
every example gets. Rules and wording as FillClassifyRegressRequestFromJson in TensorFlow Serving's
json_tensor.cc.
"""

import math
from dataclasses import dataclass
from typing import Any

from windtunnel.serving.codecs import strict
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import TYPES

_FLOAT, _STRING = TYPES["float"], TYPES["string"]
# RapidJSON keeps whole numbers in 64 bits, greater ones are doubles to it.
_INT64_MIN, _INT64_MAX, _UINT64_MAX = -(2**63), 2**63 - 1, 2**64 - 1
# The lists of a Feature (feature.proto), and what TensorFlow Serving calls their elements.
_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


@dataclass(frozen=True, slots=True)
class ExamplesRequest:
    """What to run, and each example as the model will parse it."""

    # Empty for the default one.
    signature_name: str
    examples: list[bytes]


def decode_examples(text: bytes) -> ExamplesRequest:
    """Return the request that a text spells, or raise what is wrong with it."""
    value = strict.parse_json(text)
    if not isinstance(value, dict):
        raise RequestError(f"JSON Value: {strict.render_value(value)} Is not object")
    name = value.get("signature_name", "")
    if not isinstance(name, str):
        strict.raise_signature_name(value)
    context = _encode_example(value["context"]) if "context" in value else b""
    examples = value.get("examples")
    problem = None
    if "examples" not in value:
        problem = "When method is classify, key 'examples' is expected and was not found"
    elif not isinstance(examples, list):
        problem = "Expecting 'examples' value to be an list/array"
    elif not examples:
        problem = "'examples' value is an empty array"
    if problem is not None:
        raise RequestError(f"JSON Value: {strict.render_value(value)} {problem}")
    assert examples is not None
    # Two messages, one behind the other, are one message with the features of both.
    return ExamplesRequest(name, [context + _encode_example(example) for example in examples])


def _encode_example(value: object) -> bytes:
    from tensorflow.core.example import example_pb2

    if not isinstance(value, dict):
        raise RequestError(f"Example must be JSON object but got JSON {strict.kind_name(value)}")
    example = example_pb2.Example()
    for name, content in value.items():
        # Without elements it is there, of no kind.
        feature = example.features.feature[name]
        for element in content if isinstance(content, list) else [content]:
            _add_element(element, name, feature)
    encoded: bytes = example.SerializeToString()
    return encoded


def _add_element(value: object, name: str, feature: Any) -> None:  # noqa: ANN401 - untyped
    kind, element = _convert(value, name)
    known = feature.WhichOneof("kind")
    if known not in (None, kind):
        raise RequestError(
            f"Unexpected element type in feature: {name} expecting type: {_KINDS[known]}"
        )
    getattr(feature, kind).value.append(element)


def _convert(value: object, name: str) -> tuple[str, int | float | bytes]:
    """Return the kind of list that a JSON value goes into, and the element it is there."""
    if isinstance(value, str) or strict.is_base64(value):
        return "bytes_list", strict.to_bytes(value, _STRING)
    if isinstance(value, bool):
        return "int64_list", int(value)
    if isinstance(value, int) and _INT64_MIN <= value <= _UINT64_MAX:
        if value > _INT64_MAX:
            raise RequestError(f"Feature: {name} has uint64 element. Only int64 is supported.")
        return "int64_list", value
    if isinstance(value, int | float):
        if math.isfinite(value) and abs(value) > _FLOAT.high:
            strict.raise_lossy(value, _FLOAT)
        return "float_list", float(value)
    raise RequestError(
        f"Feature: {name} has element with unexpected JSON type: {strict.kind_name(value)}"
    )
