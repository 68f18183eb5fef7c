"""A TensorProto to a numpy array and back, without a copy of what is large.

Elements come as `tensor_content`, their bytes; or as a list, one for each family of types. A list
of floats is on the wire what they are in memory, so both forms are taken, and floats given, as
views of the message; other lists go through protobuf. Rules as in TensorFlow's tensor.cc
(FromProto, AsProtoField), which TensorFlow Serving uses: a list that is too short goes on with its
last element, an empty one is zeros, and answers are lists.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from tensorflow.core.framework import tensor_pb2

from windtunnel.core import limits
from windtunnel.serving.codecs.wire import LENGTH, WireError, read_fields, read_varint, write_field

Array = npt.NDArray[np.generic]
Chunks = list[bytes | memoryview]

# Numbers of the fields that are looked at by hand (tensor.proto); all that come behind them are
# protobuf's, which writes fields in the order of their numbers.
_CONTENT = 4
_LISTS = {5: "float_val", 6: "double_val"}
# The wire is little-endian.
assert sys.byteorder == "little"


@dataclass(frozen=True, slots=True)
class _Form:
    """How the elements of one type stand in a message."""

    number: int
    dtype: np.dtype[Any]
    # The list's name, and the type of what is in it.
    field: str
    element: np.dtype[Any]


def _form(number: int, dtype: Any, field: str, element: Any = None) -> _Form:  # noqa: ANN401
    return _Form(number, np.dtype(dtype), field, np.dtype(element or dtype))


# Numbers are those of types.proto.
_STRING = _form(7, np.object_, "string_val")
_FORMS = (
    _form(1, np.float32, "float_val"),
    _form(2, np.float64, "double_val"),
    _form(3, np.int32, "int_val"),
    _form(4, np.uint8, "int_val", np.int32),
    _form(5, np.int16, "int_val", np.int32),
    _form(6, np.int8, "int_val", np.int32),
    _STRING,
    # A complex number is two of a list's elements.
    _form(8, np.complex64, "scomplex_val", np.float32),
    _form(9, np.int64, "int64_val"),
    _form(10, np.bool_, "bool_val"),
    # Half precision is in a list of its bits.
    _form(14, ml_dtypes.bfloat16, "half_val", np.uint16),
    _form(17, np.uint16, "int_val", np.int32),
    _form(18, np.complex128, "dcomplex_val", np.float64),
    _form(19, np.float16, "half_val", np.uint16),
    _form(22, np.uint32, "uint32_val"),
    _form(23, np.uint64, "uint64_val"),
)
_BY_NUMBER: Mapping[int, _Form] = {form.number: form for form in _FORMS}
_BY_DTYPE: Mapping[np.dtype[Any], _Form] = {form.dtype: form for form in _FORMS}


class TensorError(ValueError):
    """A message that is no tensor, or a tensor that no message can hold."""


def decode_tensor(message: memoryview) -> Array:
    """Return the tensor of a serialised TensorProto, read-only; raise TensorError for none."""
    try:
        proto, content, listed = _split(message)
    except WireError as error:
        raise TensorError(str(error)) from None
    form = _BY_NUMBER.get(proto.dtype)
    if form is None:
        raise TensorError(f"a type of number {proto.dtype}")
    shape = _read_shape(proto, form)
    count = math.prod(shape)
    if content:
        values = _read_content(content, form, count)
    else:
        given = _read_list(getattr(proto, form.field), form, listed.get(form.field, []))
        values = _fill(given, count)
    try:
        return values.reshape(shape)
    except ValueError as error:
        # More dimensions than numpy has, or an empty tensor with a great one.
        raise TensorError(str(error)) from None


def _split(message: memoryview) -> tuple[Any, memoryview | bytes, dict[str, Chunks]]:
    """Return all of a message that is small, its content, and the lists that are bytes."""
    small: Chunks = []
    content: memoryview | bytes = b""
    listed: dict[str, Chunks] = {}
    for field in read_fields(message):
        is_bytes = field.wire_type == LENGTH
        if field.number == _CONTENT and is_bytes:
            # Of several, the last counts.
            content = field.payload
        elif field.number in _LISTS and is_bytes:
            listed.setdefault(_LISTS[field.number], []).append(field.payload)
        elif field.number > _CONTENT:
            small.append(message[field.begin :])
            break
        else:
            small.append(message[field.begin : field.end])
    try:
        proto = tensor_pb2.TensorProto.FromString(b"".join(small))
    except DecodeError as error:
        raise TensorError(str(error)) from None
    return proto, proto.tensor_content or content, listed


def _read_shape(proto: Any, form: _Form) -> tuple[int, ...]:  # noqa: ANN401 - protobuf is untyped
    shape = tuple(dimension.size for dimension in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise TensorError("a shape that is not fully known")
    _refuse_growth(math.prod(shape) * form.dtype.itemsize)
    return shape


def _refuse_growth(size_bytes: int) -> None:
    """Refuse a tensor beyond what a message may bring: one element may stand for any number."""
    if size_bytes > limits.CONTAINER_BODY_BYTES_MAX:
        raise TensorError(f"more than {limits.CONTAINER_BODY_BYTES_MAX} bytes")


def _read_content(content: memoryview | bytes, form: _Form, count: int) -> Array:
    if form is _STRING:
        return _read_strings(memoryview(content), count)
    if len(content) != count * form.dtype.itemsize:
        raise TensorError(f"{len(content)} bytes for {count} elements")
    return np.frombuffer(content, form.dtype)


def _read_strings(content: memoryview, count: int) -> Array:
    """Return strings of which first all lengths stand there, then all bytes (EncodeStringList)."""
    if count > len(content):
        raise TensorError(f"{len(content)} bytes for {count} strings")
    sizes, at = [], 0
    try:
        for _ in range(count):
            size, at = read_varint(content, at)
            sizes.append(size)
    except WireError as error:
        raise TensorError(str(error)) from None
    if at + sum(sizes) != len(content):
        raise TensorError("strings of other lengths than are given")
    strings = np.empty(count, np.object_)
    for index, size in enumerate(sizes):
        strings[index] = bytes(content[at : at + size])
        at += size
    return strings


def _read_list(elements: Sequence[Any], form: _Form, listed: Chunks) -> Array:
    if form is _STRING:
        strings = np.empty(len(elements), np.object_)
        strings[:] = elements
        return strings
    pieces: list[Array] = []
    for chunk in listed:
        if len(chunk) % form.element.itemsize:
            raise TensorError(f"a list of {len(chunk)} bytes")
        pieces.append(np.frombuffer(chunk, form.element))
    if len(elements) or not pieces:
        # TensorFlow, too, keeps the low bits of what is too large.
        wide = np.int64 if form.element.kind in "iu" and form.field != "uint64_val" else None
        pieces.append(np.array(elements, wide or form.element).astype(form.element))
    values = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    if form.dtype.kind == "c":
        return values[: len(values) // 2 * 2].view(form.dtype)
    if form.field == "half_val":
        return values.view(form.dtype)
    return values.astype(form.dtype, copy=False)


def _fill(values: Array, count: int) -> Array:
    """Return so many elements, of which the last given one is all that are not."""
    if len(values) >= count:
        return values[:count]
    if len(values) == 0:
        fill: Any = b"" if values.dtype.kind == "O" else 0
        return np.full(count, fill, values.dtype)
    if values.dtype.kind == "O":
        _refuse_growth(len(values[-1]) * (count - len(values)))
    if len(values) == 1:
        # Not even one copy; whoever takes it makes its own.
        return np.broadcast_to(values, (count,))
    return np.concatenate([values, np.broadcast_to(values[-1:], (count - len(values),))])


def encode_tensor(values: Array) -> Chunks:
    """Return a serialised TensorProto of these elements, in chunks."""
    form = _BY_DTYPE.get(values.dtype)
    if form is None:
        raise TensorError(f"a type of name {values.dtype.name}")
    proto = tensor_pb2.TensorProto(dtype=form.number)
    proto.tensor_shape.SetInParent()
    for size in values.shape:
        proto.tensor_shape.dim.add(size=size)
    flat = np.ascontiguousarray(values).reshape(-1)
    for number, field in _LISTS.items():
        if field == form.field and flat.size:
            return [proto.SerializeToString(), *write_field(number, [flat.view(np.uint8).data])]
    if form.dtype.kind == "c" or form.field == "half_val":
        flat = flat.view(form.element)
    getattr(proto, form.field).extend(flat.tolist())
    return [proto.SerializeToString()]
