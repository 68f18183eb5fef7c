"""A predict request is read by TensorFlow Serving's rules, and refused in its words."""

import json
import re
from typing import Any

import numpy as np
import pytest

from windtunnel.core import limits
from windtunnel.serving.codecs.predict import Form, PredictRequest, decode_predict
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import TYPES, Signature, TensorSpec


def signature(**types: str) -> Signature:
    """Return a signature whose inputs have these types and any shape."""
    inputs = {
        name: TensorSpec(name, TYPES.get(kind), kind, None) for name, kind in sorted(types.items())
    }
    return Signature("serving_default", inputs, {})


def read(text: str | bytes, form: Form = Form.DOCUMENT, **types: str) -> PredictRequest:
    found = {"serving_default": signature(**(types or {"x": "float"}))}
    return decode_predict(text if isinstance(text, bytes) else text.encode(), found, form)


def refusal(text: str | bytes, form: Form = Form.DOCUMENT, **types: str) -> str:
    with pytest.raises(RequestError) as caught:
        read(text, form, **types)
    assert caught.value.status == 400
    return caught.value.message


def as_lists(request: PredictRequest) -> dict[str, Any]:
    return {name: tensor.tolist() for name, tensor in request.inputs.items()}


def test_rows_and_columns_of_one_input() -> None:
    """The two formats of TensorFlow Serving's REST page, with the input's name left out."""
    rows = read('{"instances": [[1, 2], [3, 4]]}')
    columns = read('{"inputs": [[1, 2], [3, 4]]}')

    assert as_lists(rows) == as_lists(columns) == {"x": [[1, 2], [3, 4]]}
    assert (rows.is_row, columns.is_row) == (True, False)


def test_rows_and_columns_of_named_inputs() -> None:
    """The same page's example of three inputs, one of them strings."""
    types = {"tag": "string", "signal": "int32", "sensor": "float"}
    rows = read(
        '{"instances": [{"tag": "foo", "signal": [1, 2], "sensor": [[1, 2], [3, 4]]},'
        ' {"tag": "bar", "signal": [3, 4], "sensor": [[4, 5], [6, 8]]}]}',
        Form.DOCUMENT,
        **types,
    )
    columns = read(
        '{"inputs": {"tag": ["foo", "bar"], "signal": [[1, 2], [3, 4]],'
        ' "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]]}}',
        Form.DOCUMENT,
        **types,
    )

    assert as_lists(rows) == as_lists(columns)
    assert rows.inputs["tag"].tolist() == [b"foo", b"bar"]
    assert rows.inputs["signal"].dtype == np.int32
    assert rows.inputs["sensor"].shape == (2, 2, 2)


@pytest.mark.parametrize(
    "text",
    [
        '{"signature_name": "other", "instances": [[1.5]]}',
        '{"instances": [[1.5]], "signature_name": "other"}',
        '{"instances": [[1.5]], "signature_name": "other", "more": [1]}',
    ],
)
def test_the_named_signature_is_used_wherever_its_name_stands(text: str) -> None:
    """A name after a megabyte of numbers counts as much as one before it."""
    signatures = {"serving_default": signature(x="int32"), "other": signature(y="float")}

    assert as_lists(decode_predict(text.encode(), signatures)) == {"y": [[1.5]]}


def test_bare_lists_are_instances() -> None:
    """What the container makes of a list without a key, see `invocations.py`."""
    assert as_lists(read("[[1, 2]]", Form.INSTANCES)) == {"x": [[1, 2]]}
    assert as_lists(read("[1, 2]", Form.INSTANCE)) == {"x": [[1, 2]]}
    assert as_lists(read("5", Form.INSTANCE)) == {"x": [5]}


def test_numbers_that_json_cannot_spell_are_taken() -> None:
    """TensorFlow Serving takes NaN and Infinity, which are not JSON."""
    found = read('{"instances": [[NaN, Infinity, -Infinity, 1]]}').inputs["x"]

    assert found.dtype == np.float32
    assert np.array_equal(found, [[np.nan, np.inf, -np.inf, 1]], equal_nan=True)


def test_base64_and_plain_strings_are_bytes() -> None:
    """Pictures come as base64; names as they are."""
    text = '{"instances": [{"b64": "aGVsbG8="}, {"b64": "d29ybGQ"}, "h\\u00e9"]}'

    assert read(text, x="string").inputs["x"].tolist() == [b"hello", b"world", "hé".encode()]
    assert read('{"inputs": {"b64": "aGk="}}', x="string").inputs["x"].shape == ()


def test_booleans_are_not_numbers() -> None:
    """A model that wants true and false gets them, and nothing that only looks like them."""
    assert as_lists(read('{"instances": [[true, false]]}', x="bool")) == {"x": [[True, False]]}
    assert "Number is not of expected type: bool" in refusal('{"instances": [[1]]}', x="bool")
    assert "True is not of expected type: float" in refusal('{"instances": [[true]]}')


def test_whole_numbers_keep_every_digit() -> None:
    """2^53 + 1 is the first whole number that a double cannot hold."""
    text = f'{{"instances": [[{2**53 + 1}, {-(2**63)}]]}}'

    assert as_lists(read(text, x="int64")) == {"x": [[2**53 + 1, -(2**63)]]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "JSON Parse error: The document is empty"),
        (" \n", "JSON Parse error: The document is empty"),
        ("[1, 2]", "JSON Value: [1, 2] Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"instances": [[1,2],[3,', "Invalid value. at offset: 24 (the text ends there)"),
        ('{"instances": [[1,2] [3]]}', "at offset: 21"),
        ('{"instances": [[1,2]]} x', "must not be followed by other values. at offset: 23"),
        (b'{"instances": ["\xff"]}', "Invalid UTF-8 at offset: 16"),
        ('{"instances": [1e999]}', "Number too big to be stored in double: 1e999"),
        ('{"instances": []}', "No values in 'instances' array"),
        ('{"instances": 5}', "Expecting 'instances' to be a list/array"),
        ('{"instances": [1], "inputs": [1]}', "expecting only one of 'inputs' or 'instances'"),
        ('{"signature_name": 5, "instances": [1]}', "'signature_name' key must be a string value"),
        (
            '{"signature_name": "no", "instances": [1]}',
            'Serving signature name: "no" not found in signature def',
        ),
        (
            '{"instances": [[1,2],[3],[4,5,6]]}',
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT:"
            " Expecting tensor size: 2 but got: 1",
        ),
        (
            '{"instances": [[1,2],[[3,4]]]}',
            "element: 1 of 'instances' list. Error: INVALID_ARGUMENT:"
            " Expecting shape [2] but got: [1,2]",
        ),
        ('{"instances": [[1,2],3]}', "Failed to process element: 1 of 'instances' list."),
        ('{"inputs": [[1,2],[3]]}', "unexpected size: 1 at level: 1 expected size: 2"),
        ('{"inputs": [[1,2],3]}', "JSON Value: 3 found at incorrect level: 2"),
        ('{"inputs": [1,[2]]}', "Encountered list at unexpected level: 1 expected < 1"),
        (
            '{"instances": [[1],["a"]]}',
            "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT:"
            ' JSON Value: "a" Type: String is not of expected type: float',
        ),
        ('{"instances": [null]}', "JSON Value: null Type: Null is not of expected type: float"),
        (
            '{"instances": [[16777217]]}',
            "Cannot convert JSON value: 16777217 to float without loss of precision.",
        ),
        ('{"instances": [[1e39]]}', "Cannot convert JSON value: 1e+39 to float without loss"),
        ('{"instances": [[1],{"x":2}]}', "Expecting value/list but got object at item 1"),
        ('{"instances": [{"x":1},[2]]}', "Expecting object but got list at item 1"),
        ('{"instances": [{"y":1}]}', "key: y of 'instances' list."),
        ('{"instances": [{}]}', "JSON object: {} keys must be equal to: x"),
        ('{"inputs": {"y": [1]}}', "Missing named input: x in 'inputs' object."),
    ],
)
def test_what_is_wrong_is_said(text: str | bytes, expected: str) -> None:
    """A client mends its request from the message alone."""
    assert expected in refusal(text)


def test_a_wrong_element_is_named_with_its_row_and_input() -> None:
    """Row 1 of 2, input b: nobody should have to search a megabyte for it."""
    text = '{"instances": [{"a": 1, "b": [1]}, {"a": 1, "b": [1.5]}]}'

    assert refusal(text, a="float", b="int32") == (
        "Failed to process element: 1 key: b of 'instances' list. Error: INVALID_ARGUMENT:"
        " JSON Value: 1.5 Type: Number is not of expected type: int32"
    )


def test_several_inputs_need_names() -> None:
    """A plain list cannot say which input it is for."""
    assert "expecting list of objects" in refusal('{"instances": [1]}', a="float", b="float")
    assert "expecting an object" in refusal('{"inputs": [1]}', a="float", b="float")


def test_deep_nesting_is_refused_before_it_is_read() -> None:
    """A body of brackets must not become a deep recursion."""
    text = "[" * 100_000

    assert "nests 100001 deep; at most" in refusal('{"instances": ' + text)


def test_brackets_in_strings_do_not_nest() -> None:
    """Text may hold as many brackets as it likes."""
    text = json.dumps({"instances": ["[" * 1000 + '"\\']})

    assert read(text, x="string").inputs["x"].tolist() == [b"[" * 1000 + b'"\\']


def test_messages_stay_short_whatever_the_body() -> None:
    """An error repeats the start of a value, not six megabytes of it."""
    message = refusal(json.dumps([list(range(100_000))]))

    assert re.fullmatch(r"JSON Value: \[\[0, 1, 2.*\.\.\. Is not object", message)
    assert len(message) < 2 * limits.ERROR_VALUE_LENGTH_MAX


def test_a_type_without_a_form_in_json_is_refused_by_name() -> None:
    """A model of complex numbers loads; over JSON it cannot be fed."""
    with pytest.raises(RequestError, match="to type: complex64") as caught:
        read('{"instances": [1]}', x="complex64")

    assert caught.value.status == 501
