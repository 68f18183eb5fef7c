"""Tensors go into messages and come out of them as TensorFlow's own code does it.

The module under test imports TensorFlow, which takes seconds: it is imported by the tests, and not
by whoever collects them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.tensors import make_array, make_proto, new_proto

from windtunnel.core import limits

pytestmark = pytest.mark.slow

Array = npt.NDArray[Any]

DTYPES = [
    *(np.float16, np.float32, np.float64, np.complex64, np.complex128, np.bool_),
    *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64),
]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
NUMBERS = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))
STRINGS = hnp.arrays(np.object_, SHAPES, elements=st.binary(max_size=200))
HALVES = hnp.arrays(np.float32, SHAPES).map(lambda array: array.astype(ml_dtypes.bfloat16))
ARRAYS = NUMBERS | STRINGS | HALVES


@pytest.fixture(scope="module", autouse=True)
def tensorflow() -> None:
    """Import it before the first example, whose time counts."""
    new_proto("float32")


def decode(proto: Any) -> Array:
    return decode_bytes(proto.SerializeToString())


def decode_bytes(message: bytes) -> Array:
    from windtunnel.serving.codecs.tensor_proto import decode_tensor

    return decode_tensor(memoryview(message))


def encode_parts(array: Array) -> Any:
    from windtunnel.serving.codecs.tensor_proto import encode_tensor

    return encode_tensor(array)


def refused(expected: str | None = None) -> Any:
    from windtunnel.serving.codecs.tensor_proto import TensorError

    return pytest.raises(TensorError, match=expected)


def encode(array: Array) -> Any:
    proto = new_proto()
    proto.ParseFromString(b"".join(encode_parts(array)))
    return proto


def same(found: Array, wanted: Array) -> bool:
    """Compare bit by bit: NaN is NaN, and -0.0 is not 0.0."""
    if wanted.dtype.kind == "O":
        return found.shape == wanted.shape and found.tolist() == wanted.tolist()
    return (found.dtype, found.shape, found.tobytes()) == (
        wanted.dtype,
        wanted.shape,
        wanted.tobytes(),
    )


@given(ARRAYS)
def test_what_tensorflow_packs_is_read(array: Array) -> None:
    """tf.make_tensor_proto is what most clients write, in either form."""
    assert same(decode(make_proto(array)), array)


@given(ARRAYS)
def test_what_is_written_tensorflow_reads(array: Array) -> None:
    """tf.make_ndarray is what most clients read with."""
    assert same(make_array(encode(array)), array)


@given(ARRAYS)
def test_what_is_written_is_read(array: Array) -> None:
    """Both ends agree with each other, too."""
    assert same(decode(encode(array)), array)


@given(NUMBERS)
def test_content_is_the_elements_bytes(array: Array) -> None:
    """The compact form, whatever the type."""
    proto = encode(array[:0] if array.ndim else array)
    proto = new_proto(proto.dtype, *array.shape, tensor_content=array.tobytes())
    proto.tensor_shape.SetInParent()

    assert same(decode(proto), array)


# How to make a message: the tests are collected without TensorFlow.
Recipe = Callable[[], Any]


def listed(dtype: str, *shape: int, **values: Any) -> Recipe:
    return partial(new_proto, dtype, *shape, **values)


@pytest.mark.parametrize(
    ("proto", "expected"),
    [
        (listed("float32", 3, float_val=[1, 2]), [1, 2, 2]),
        (listed("float64", 3, double_val=[1]), [1, 1, 1]),
        (listed("int8", 3, int_val=[-1, 5]), [-1, 5, 5]),
        (listed("uint8", 2, int_val=[255]), [255, 255]),
        (listed("int64", 2, int64_val=[2**53 + 1]), [2**53 + 1] * 2),
        (listed("uint64", 2, uint64_val=[2**64 - 1]), [2**64 - 1] * 2),
        (listed("bool", 2, bool_val=[True]), [True, True]),
        (listed("float16", 2, half_val=[0x3C00]), [1, 1]),
        (listed("bfloat16", 2, half_val=[0x3F80]), [1, 1]),
        (listed("complex64", 2, scomplex_val=[1, 2]), [1 + 2j] * 2),
        (listed("string", 3, string_val=[b"a", b"b"]), [b"a", b"b", b"b"]),
        (listed("float32", 2), [0, 0]),
        (listed("string", 1), [b""]),
        (listed("float32", 1, float_val=[1, 2]), [1]),
        (listed("float32", 1, double_val=[2]), [0]),
        (listed("float32", 0, float_val=[1]), []),
    ],
)
def test_a_list_that_is_too_short_goes_on_with_its_last_element(
    proto: Recipe, expected: list[Any]
) -> None:
    """A constant batch is sent as one number; FromProto in TensorFlow's tensor.cc fills it."""
    assert decode(proto()).tolist() == expected


def test_lists_may_come_in_pieces_and_unpacked() -> None:
    """Any protobuf library's bytes are taken: fields repeat, and old ones do not pack."""
    head = new_proto("float32", 5).SerializeToString()
    packed = new_proto(float_val=[1, 2]).SerializeToString()
    single = b"\x2d" + np.float32(3).tobytes()

    assert decode_bytes(head + packed + packed + single).tolist() == [1, 2, 1, 2, 3]
    assert decode_bytes(single + head + packed).tolist() == [3, 1, 2, 2, 2]


@pytest.mark.parametrize("form", ["content", "list"])
def test_a_picture_is_not_copied(form: str) -> None:
    """A megabyte less to move for each request: what is read is the message's own memory."""
    picture = np.ones((1, 256, 256, 3), np.float32)
    proto = make_proto(picture) if form == "content" else encode(picture)
    message = proto.SerializeToString()
    found = decode_bytes(message)

    assert np.shares_memory(found, np.frombuffer(message, np.uint8))
    assert np.array_equal(found, picture)
    (_, _, chunk) = encode_parts(picture)
    assert np.shares_memory(np.frombuffer(chunk, np.uint8), picture)


def test_one_element_for_many_takes_no_room() -> None:
    """A small message must not become a large tensor before the engine wants it."""
    found = decode(new_proto("float32", 2**20, float_val=[1]))

    assert found.shape == (2**20,)
    assert found.strides == (0,)


@pytest.mark.parametrize(
    ("proto", "expected"),
    [
        (partial(new_proto, "resource"), "a type of number 20"),
        (new_proto, "a type of number 0"),
        (listed("float32", -1), "a shape that is not fully known"),
        (listed("float32", 2, tensor_content=b"1234567"), "7 bytes for 2 elem"),
        (listed("string", 2, tensor_content=b"\1"), "1 bytes for 2 strings"),
        (listed("string", 1, tensor_content=b"\2a"), "of other lengths"),
        (listed("float64", 2**50, double_val=[1]), "more than 104857600 bytes"),
        (
            listed("string", 2**20, string_val=[bytes(200)]),
            "more than 104857600 bytes",
        ),
        (listed("float32", *[1] * 100, float_val=[1]), "maximum supported dim"),
        (listed("float32", 0, 2**63 - 1), "[Mm]aximum|too (big|large)"),
    ],
)
def test_what_is_no_tensor_is_said(proto: Recipe, expected: str) -> None:
    """A client mends its request from the message; nothing large is made of a small lie."""
    assert limits.CONTAINER_BODY_BYTES_MAX == 104857600
    with refused(expected):
        decode(proto())


@pytest.mark.parametrize("message", [b"\x08", b"\x2a\x03abc", b"\x12\x05"])
def test_bytes_that_are_no_message_are_said(message: bytes) -> None:
    """Half a request must not pass for a whole one."""
    head = new_proto("float32", 1).SerializeToString()
    with refused():
        decode_bytes(head + message)


def test_a_type_that_no_message_holds_is_said() -> None:
    """Engines may know types that TensorFlow does not."""
    with refused("a type of name datetime64"):
        encode_parts(np.zeros(1, "datetime64[s]"))
