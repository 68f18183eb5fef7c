"""Arrays in bytes become exactly the tensor that was sent, or a sentence that says why not."""

import contextlib
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from windtunnel.serving.codecs.binary import convert, decode_binary, read_npy
from windtunnel.serving.codecs.invocations import decode_invocation
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import TYPES, Shape, Signature, TensorSpec

Array = npt.NDArray[Any]
NUMBERS = sorted(name for name, found in TYPES.items() if found.kind in "biuf")


def save(array: Any, *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def decode(body: bytes, content_type: str, shape: Shape = None, kind: str = "float") -> Array:
    spec = TensorSpec("x", TYPES[kind], kind, shape)
    signatures = {"serving_default": Signature("serving_default", {"x": spec}, {})}
    request = decode_invocation(body, content_type.encode(), signatures)
    assert request.is_row
    return request.inputs["x"]


def refusal(body: bytes, content_type: str, shape: Shape = None, kind: str = "float") -> str:
    with pytest.raises(RequestError) as caught:
        decode(body, content_type, shape, kind)
    return f"{caught.value.status} {caught.value.message}"


def arrays(*dtypes: str) -> st.SearchStrategy[Array]:
    shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
    return hnp.arrays(st.sampled_from([np.dtype(each) for each in dtypes]), shapes)


@given(
    arrays("<f4", ">f4", "<f8", ">f8", "<f2", "i1", ">i2", "<i4", ">i8", "u1", "<u2", ">u8", "?"),
    st.booleans(),
)
def test_a_saved_array_comes_back_in_every_type_order_and_shape(
    array: Array,
    is_fortran: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    """numpy.save writes what its caller has: transposed pictures, big-endian instruments' data."""
    sent = np.asfortranarray(array) if is_fortran else array
    found = read_npy(save(sent))

    assert (found.dtype, found.shape) == (sent.dtype, sent.shape)
    assert np.array_equal(found, sent, equal_nan=sent.dtype.kind == "f")


def test_an_array_of_the_inputs_type_is_a_view_of_the_body() -> None:
    """A picture that needs no reading is not copied either."""
    body = save(np.ones((1, 64, 64, 3), np.float32))
    found = decode(body, "application/x-npy")

    assert np.shares_memory(found, np.frombuffer(body, np.uint8))


@given(st.binary(max_size=200), st.integers(0, 200))
def test_what_is_no_array_is_refused_and_never_a_failure(tail: bytes, cut: int) -> None:
    """A head is text from a stranger, which numpy hands to Python's parser of literals."""
    good = save(np.ones(3, np.float32))
    for body in (good[:cut] + tail, b"\x93NUMPY\x01\x00v\x00" + tail.ljust(118, b"["), tail):
        with contextlib.suppress(RequestError):
            decode(body, "application/x-npy")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "400 The body is not an array in .npy format, version 1 or 2."),
        (b"[[1]]", "400 The body is not an array in .npy format"),
        (save(np.array([{}]), allow_pickle=True), "400 An array of type object is not taken"),
        (save(np.array(["a"])), "400 An array of type <U1 is not taken"),
        (save(np.array([1j])), "400 An array of type complex128 is not taken"),
        (save(np.ones(3, np.float32))[:-1], "400 An array of shape [3] and type float32 has 12 by"),
        (save(np.ones(3, np.float32)) + b"0", "has 12 bytes, not 13"),
        (save(np.full(3, 0.1)), "send float32"),
        (save(np.array([True])), "Cannot convert bool values to the type of the input x, float32"),
    ],
)
def test_a_refused_array_says_what_to_send(body: bytes, message: str) -> None:
    """Pickles would run a stranger's code; the rest would be another tensor than was meant."""
    assert message in refusal(body, "application/x-npy")


@given(arrays("<f4", "<f8", "i1", "<i4", "<i8", "u1", "<u8"), st.sampled_from(NUMBERS))
def test_a_value_survives_conversion_or_is_refused(array: Array, kind: str) -> None:
    """No number may change on its way into a model without anybody hearing of it."""
    try:
        found = convert(array, "x", TYPES[kind])
    except RequestError:
        assert array.size or kind == "bool"
        return

    assert found.dtype == TYPES[kind].dtype
    for got, sent in zip(found.reshape(-1).tolist(), array.reshape(-1).tolist(), strict=True):
        assert got == sent or (got != got and sent != sent)  # noqa: PLR0124 - NaN


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        ([2**24 + 1], "i8", "float"),
        ([2**63 - 1], "i8", "double"),
        ([2**63], "u8", "int64"),
        ([1e300], "f8", "float"),
        ([np.nan], "f8", "int32"),
        ([256], "i8", "uint8"),
        ([0.5], "f4", "int8"),
    ],
)
def test_values_at_the_edges_of_types_are_refused(values: Any, dtype: str, kind: str) -> None:
    """Where casts are silent, and on some machines undefined."""
    with pytest.raises(RequestError, match="without loss of precision"):
        convert(np.array(values, dtype), "x", TYPES[kind])


def test_raw_bytes_take_the_inputs_shape_and_as_many_rows_as_they_are() -> None:
    """A signature of known shape needs no more words."""
    rows = np.arange(12, dtype="<f4").reshape(2, 2, 3)
    found = decode(rows.tobytes(), "application/octet-stream", (None, 2, 3))

    assert found.dtype == np.float32
    assert found.tolist() == rows.tolist()
    assert decode(b"", "application/octet-stream", (None, 2, 3)).shape == (0, 2, 3)


@pytest.mark.parametrize(
    "parameters", [";shape=1,2,3;dtype=uint8", '; dtype="uint8" ; shape=(1, 2, 3,)']
)
def test_raw_bytes_say_their_shape_and_type_in_the_content_type(parameters: str) -> None:
    """Pictures of any size as the bytes they are, a quarter of their floats."""
    found = decode(
        bytes(range(6)), f"application/octet-stream{parameters}", (None, None, None, 3)[:3]
    )

    assert found.dtype == np.float32
    assert found.tolist() == [[[0, 1, 2], [3, 4, 5]]]


@pytest.mark.parametrize(
    ("content_type", "shape", "message"),
    [
        (
            "",
            (None, None),
            "415 Raw bytes do not say their shape, and the input x of shape [-1,-1]",
        ),
        ("", None, "415 Raw bytes do not say their shape"),
        ("", (), "415 Raw bytes do not say their shape"),
        ("", (None, 2), "400 12 bytes are not a whole number of rows: the input x has 8 bytes"),
        ("", (None, 0), "400 12 bytes are not a whole number of rows"),
        (";shape=2,2", (None, 2), "400 An array of shape [2,2] and type float32 has 16 bytes"),
        (";shape=a", (None, 2), "400 shape=a must be sizes"),
        (";shape=-3", (None,), "400 shape=-3 must be sizes"),
        (";dtype=float31", (None,), "400 dtype=float31 is none of bool, double, float,"),
        (";dtype=object", (None,), "400 dtype=object is none of"),
    ],
)
def test_raw_bytes_that_are_no_tensor_are_refused(
    content_type: str, shape: Shape, message: str
) -> None:
    """Bytes fit many shapes; a guess would be scored like the truth."""
    found = refusal(b"0" * 12, f"application/octet-stream{content_type}", shape)

    assert found.startswith(message)


@pytest.mark.parametrize("media", ["application/x-npy", "application/octet-stream"])
def test_signatures_that_one_array_cannot_feed_are_refused(media: str) -> None:
    """The sentence names JSON, which can."""
    assert refusal(b"", media, None, "string").endswith("takes string: send application/json.")
    spec = TensorSpec("x", TYPES["float"], "float", None)
    two = {"serving_default": Signature("serving_default", {"a": spec, "b": spec}, {})}
    with pytest.raises(RequestError, match="has the inputs a, b: send application/json") as caught:
        decode_binary(b"", media.encode(), {}, two)
    assert caught.value.status == 415


def test_booleans_are_zeros_and_ones() -> None:
    """Any other byte is a boolean to nobody."""
    assert decode(b"\x00\x01", "application/octet-stream", (None,), "bool").tolist() == [0, 1]
    assert "other than 0 and 1" in refusal(b"\x02", "application/octet-stream", (None,), "bool")
