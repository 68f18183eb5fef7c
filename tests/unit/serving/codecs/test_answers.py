"""Tensors are written as TensorFlow Serving writes them, and read back the same."""

import json
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from windtunnel.serving.codecs.answers import encode_answer, encode_tensor
from windtunnel.serving.errors import RequestError

Array = npt.NDArray[Any]


def write(outputs: dict[str, Array], *, is_row: bool = True) -> str:
    return b"".join(encode_answer(outputs, is_row=is_row)).decode()


def test_one_output_stands_bare_in_both_formats() -> None:
    """The name of a single output is left out, as TensorFlow Serving does."""
    tensor = np.array([[1, 2.5]], np.float32)

    assert write({"y": tensor}) == '{"predictions":[[1.0,2.5]]}'
    assert write({"y": tensor}, is_row=False) == '{"outputs":[[1.0,2.5]]}'


def test_several_outputs_are_objects_by_row_or_by_column() -> None:
    """Rows are a list of objects; columns one object of tensors."""
    outputs: dict[str, Array] = {"a": np.array([[1], [2]], np.int32), "b": np.array([0.5, 1.0])}

    assert write(outputs) == '{"predictions":[{"a":[1],"b":0.5},{"a":[2],"b":1.0}]}'
    assert write(outputs, is_row=False) == '{"outputs":{"a":[[1],[2]],"b":[0.5,1.0]}}'


@given(
    hnp.arrays(
        dtype=st.sampled_from([np.float32, np.float64, np.int64, np.uint8]),
        shape=hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3),
    )
)
def test_every_tensor_reads_back_bit_for_bit(tensor: Array) -> None:
    """The shortest decimal still is the same float; NaN and Infinity survive; shapes hold."""
    text = b"".join(encode_tensor("y", tensor))
    found = np.array(json.loads(text), tensor.dtype)

    assert np.array_equal(found.reshape(tensor.shape), tensor, equal_nan=tensor.dtype.kind == "f")
    assert tensor.size or json.loads(text) == tensor.tolist()
    assert found.shape == tensor.shape or not tensor.size
    assert b" " not in text


def test_whole_floats_keep_their_point() -> None:
    """Without it a reader would take 1 for an integer (WriteDecimal in json_tensor.cc)."""
    assert write({"y": np.array([1, 9000000, 0], np.float32)}) == (
        '{"predictions":[1.0,9000000.0,0.0]}'
    )


def test_what_json_cannot_spell_is_written_as_bare_tokens() -> None:
    """Null would say that there is no value; NaN says which one it is."""
    tensor = np.array([[np.nan, 1], [np.inf, -np.inf]], np.float32)

    assert write({"y": tensor}) == '{"predictions":[[NaN,1.0],[Infinity,-Infinity]]}'
    assert write({"null": np.array([[np.nan]]), "z": np.array([1])}) == (
        '{"predictions":[{"null":[NaN],"z":1}]}'
    )


def test_a_mask_of_single_channels_keeps_its_last_dimension() -> None:
    """A U-Net's answer is 65,536 lists of one number, which take a way of their own."""
    tensor = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)

    assert write({"mask": tensor}) == '{"predictions":[[[[0.0],[1.0]],[[2.0],[3.0]]]]}'


def test_outputs_named_bytes_are_base64_and_others_text() -> None:
    """TensorFlow does not know text from bytes; the `_bytes` suffix does."""
    strings = np.array([b"hello", "é".encode()], np.object_)

    assert write({"y": strings}) == '{"predictions":["hello","é"]}'
    assert write({"a": np.array([1, 2]), "b": strings}) == (
        '{"predictions":[{"a":1,"b":"hello"},{"a":2,"b":"é"}]}'
    )
    assert write({"y_bytes": strings}) == '{"predictions":[{"b64":"aGVsbG8="},{"b64":"w6k="}]}'
    assert b"".join(encode_answer({"y": np.array([b"\xff"], np.object_)}, is_row=True)) == (
        b'{"predictions":["\xff"]}'
    )


def test_tensors_in_any_memory_order_are_written_by_index() -> None:
    """A transposed view is not contiguous, and its numbers must not come out transposed."""
    tensor = np.arange(6, dtype=np.float32).reshape(2, 3).T

    assert write({"y": tensor}) == '{"predictions":[[0.0,3.0],[1.0,4.0],[2.0,5.0]]}'


def test_half_precision_is_written_as_numbers() -> None:
    """Half and bfloat16 models answer JSON like any other."""
    half: Array = np.array([0.5], np.float16)

    assert write({"y": half}) == '{"predictions":[0.5]}'
    assert write({"y": half.astype(ml_dtypes.bfloat16)}) == '{"predictions":[0.5]}'


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        ({"y": np.array(1.0)}, "Tensor name: y has no shape information"),
        (
            {"a": np.zeros(2), "b": np.zeros(3)},
            "Tensor name: b has inconsistent batch size: 3 expecting: 2",
        ),
        ({"y": np.zeros(1, np.complex64)}, "Failed to write JSON value for tensor type: complex64"),
    ],
)
def test_what_has_no_row_format_is_said(outputs: dict[str, Array], expected: str) -> None:
    """TensorFlow Serving's words, so that its users find their answers."""
    with pytest.raises(RequestError, match=expected):
        encode_answer(outputs, is_row=True)
