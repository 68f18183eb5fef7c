"""Named inputs that are arrays of numbers are read fast, and as the strict reader reads them."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.core import limits
from windtunnel.serving.codecs import predict
from windtunnel.serving.codecs.predict import Form, PredictRequest, decode_predict
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import TYPES, Signature, TensorSpec


def signature(name: str, **types: str) -> Signature:
    inputs = {key: TensorSpec(key, TYPES[kind], kind, None) for key, kind in sorted(types.items())}
    return Signature(name, inputs, {})


SIGNATURES = {
    "serving_default": signature("serving_default", a="float", b="int64"),
    "other": signature("other", a="int32"),
}


def read_fast(text: str) -> PredictRequest | None:
    return predict._decode_named(text.encode(), SIGNATURES)


def read_strictly(text: str) -> PredictRequest | None:
    try:
        return predict._decode_strict(text.encode(), SIGNATURES, Form.DOCUMENT)
    except RequestError:
        return None


def assert_same(fast: PredictRequest, strict: PredictRequest | None) -> None:
    assert strict is not None
    assert (fast.signature, fast.is_row) == (strict.signature, strict.is_row)
    assert fast.inputs.keys() == strict.inputs.keys()
    for name, tensor in fast.inputs.items():
        assert tensor.dtype == strict.inputs[name].dtype
        assert np.array_equal(tensor, strict.inputs[name], equal_nan=tensor.dtype.kind == "f")


@pytest.fixture(autouse=True)
def no_text_is_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NAMED_TEXT_BYTES_MIN", 0)


@pytest.mark.parametrize(
    "text",
    [
        '{"inputs": {"a": [[1.5, NaN], [2, 3]], "b": [1, 2]}}',
        '{"instances": [{"a": [1, 2], "b": [3]}, {"b": [4], "a": [5, 6.5]}]}',
        '{"signature_name": "other", "inputs": {"a": [1]}}',
        '{"inputs": {"a": [1]}, "signature_name": "other"}',
        '\n{ "instances" :[ {"a":[],"b" : [9007199254740993]}\t] , "signature_name":""}\r\n',
    ],
)
def test_rows_and_columns_of_arrays_are_read(text: str) -> None:
    """The requests of models with several inputs, which took the slow way before."""
    fast = read_fast(text)

    assert fast is not None
    assert_same(fast, read_strictly(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"inputs": {"a": [1]}}',
        '{"inputs": {"a": [1], "b": [1], "c": [1]}}',
        '{"inputs": {"a": [1], "b": 1}}',
        '{"inputs": {"a": ["1"], "b": [1]}}',
        '{"inputs": {"a": [1], "a": [2], "b": [1]}}',
        '{"inputs": {"a": [1]], "b": [1]}}',
        '{"inputs": {"a": [1], [2], "b": [1]}}',
        '{"inputs": {"a": [[1], 2], "b": [1]}}',
        '{"inputs": {"a": [1.5], "b": [1.5]}}',
        '{"instances": [{"a": [1], "b": [1]}, {"a": [1, 2], "b": [1]}]}',
        '{"instances": [{"a": [1], "b": [1]}, {"a": [1]}]}',
        '{"instances": []}',
        '{"instances": {"a": [1], "b": [1]}}',
        '{"instances": [[{"a": [1], "b": [1]}]]}',
        '{"inputs": {"a": [1], "b": [1]}, "more": 0}',
        '{"inputs": {"a": [1], "b": 0}}',
        '{"inputs": {"a\\u0020": [1], "b": [1]}}',
        '{"signature_name": "none", "inputs": {"a": [1], "b": [1]}}',
        '{"inputs": {"a": [1], "b": [1]}',
        "",
        "[" * 5000,
        '{"a":' * 5000,
    ],
)
def test_everything_else_is_left_to_the_strict_reader(text: str) -> None:
    """It knows what is wrong, and in which words to say so."""
    assert read_fast(text) is None


arrays = st.recursive(
    st.lists(st.integers(-9, 9), max_size=3), lambda inner: st.lists(inner, max_size=3)
)
rows = st.fixed_dictionaries({"a": arrays, "b": arrays})


@given(
    st.one_of(
        st.fixed_dictionaries({"inputs": rows}),
        st.fixed_dictionaries({"instances": st.lists(rows, max_size=3)}),
    ),
    st.data(),
)
def test_no_neighbour_of_a_good_text_is_read_otherwise(value: Any, data: st.DataObject) -> None:
    """Speed may not change a single answer, nor take what is refused."""
    text = list(json.dumps(value))
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.sampled_from(["", *'[]{},:"ab0 ']))
    whole = "".join(text)
    fast = read_fast(whole)

    if fast is not None:
        assert_same(fast, read_strictly(whole))


def test_long_requests_of_named_inputs_take_this_way() -> None:
    """From the first byte to the tensors, whatever the reader."""
    numbers = list(range(10_000))
    request = decode_predict(
        json.dumps({"inputs": {"a": numbers, "b": numbers}}).encode(), SIGNATURES
    )

    assert request.inputs["a"].dtype == np.float32
    assert request.inputs["b"].tolist() == numbers
