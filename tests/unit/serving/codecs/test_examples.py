"""A classify or regress request is read by TensorFlow Serving's rules, and refused in its words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.serving.codecs.examples import decode_examples
from windtunnel.serving.errors import RequestError


def features(serialized: bytes) -> dict[str, tuple[str | None, list[Any]]]:
    """Return what a model parses: each feature's kind and elements."""
    from tensorflow.core.example import example_pb2

    example = example_pb2.Example.FromString(serialized)
    found = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        found[name] = (kind, list(getattr(feature, kind).value) if kind else [])
    return found


def read(document: object) -> list[dict[str, tuple[str | None, list[Any]]]]:
    return [features(found) for found in decode_examples(json.dumps(document).encode()).examples]


@pytest.mark.slow
def test_each_feature_has_the_kind_of_its_elements() -> None:
    """Whole numbers, floats and bytes are different lists to tf.io.parse_example."""
    example = {"n": 1, "f": [1.5, -2.0], "s": "hé", "b": {"b64": "/w"}, "t": [True, 7], "e": []}

    assert read({"examples": [example]}) == [
        {
            "n": ("int64_list", [1]),
            "f": ("float_list", [1.5, -2.0]),
            "s": ("bytes_list", ["hé".encode()]),
            "b": ("bytes_list", [b"\xff"]),
            "t": ("int64_list", [1, 7]),
            "e": (None, []),
        }
    ]


@pytest.mark.slow
def test_every_example_gets_the_context() -> None:
    """A query and its candidates: what is common is sent once."""
    found = read({"context": {"query": "q"}, "examples": [{"x": 1.0}, {"x": 2.0}]})

    assert [sorted(example) for example in found] == [["query", "x"], ["query", "x"]]
    assert [example["x"][1] for example in found] == [[1.0], [2.0]]


@pytest.mark.slow
def test_the_signature_is_named_beside_the_examples() -> None:
    """An empty name is the default signature's."""
    assert decode_examples(b'{"examples": [{}]}').signature_name == ""
    assert decode_examples(b'{"signature_name": "s", "examples": [{}]}').signature_name == "s"


@pytest.mark.slow
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8")),
        st.lists(st.integers(-(2**63), 2**63 - 1))
        | st.lists(st.floats(width=32))
        | st.lists(st.text(st.characters(codec="utf-8"))),
    )
)
def test_what_a_feature_holds_comes_through_whole(example: dict[str, list[Any]]) -> None:
    """Identifiers of 64 bits, any text, NaN and Infinity."""
    (found,) = read({"examples": [example]})

    assert found.keys() == example.keys()
    for name, wanted in example.items():
        elements = [each.encode() if isinstance(each, str) else each for each in wanted]
        assert repr(found[name][1]) == repr(elements)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("[1]", "JSON Value: [1] Is not object"),
        ('{"signature_name": 5}', "'signature_name' key must be a string value"),
        ('{"instances": [1]}', "When method is classify, key 'examples' is expected and was not"),
        ('{"examples": {}}', "Expecting 'examples' value to be an list/array"),
        ('{"examples": []}', "'examples' value is an empty array"),
        ('{"examples": [1]}', "Example must be JSON object but got JSON Number"),
        ('{"examples": [{}], "context": []}', "Example must be JSON object but got JSON Array"),
        ('{"examples": [{"x": null}]}', "Feature: x has element with unexpected JSON type: Null"),
        ('{"examples": [{"x": [[1]]}]}', "Feature: x has element with unexpected JSON type: Array"),
        ('{"examples": [{"x": {"y": 1}}]}', "element with unexpected JSON type: Object"),
        ('{"examples": [{"x": [1, "a"]}]}', "element type in feature: x expecting type: int64"),
        ('{"examples": [{"x": [1.5, 1]}]}', "element type in feature: x expecting type: float"),
        ('{"examples": [{"x": [9223372036854775808]}]}', "Feature: x has uint64 element."),
        ('{"examples": [{"x": 1e39}]}', "Cannot convert JSON value: 1e+39 to float without loss"),
        ('{"examples": [{"x": {"b64": "?"}}]}', "Unable to base64 decode"),
    ],
)
@pytest.mark.slow
def test_what_is_wrong_is_said(text: str, expected: str) -> None:
    """A client mends its request from the message alone."""
    with pytest.raises(RequestError) as caught:
        decode_examples(text.encode())

    assert expected in caught.value.message
    assert caught.value.status == 400
