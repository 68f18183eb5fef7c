"""Bodies that are a tensor's bytes: .npy files and raw numbers.

    application/x-npy             an array as numpy.save writes it; never a pickle
    application/octet-stream      little-endian numbers, the last dimension's side by side;
                                  the signature says the shape but for the rows, or the type does:
                                  application/octet-stream;shape=1,256,256,3;dtype=float32

The original's nginx refuses both. They are read as views of the body: no byte is copied unless it
is of another type or byte order than the signature's input. Values of another type are taken where
every one of them survives the change.
"""

import io
from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from windtunnel.core import limits
from windtunnel.serving.codecs.predict import PredictRequest, choose_signature
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import (
    TYPES,
    Signature,
    TensorSpec,
    TensorType,
    element_count,
    render_shape,
)

NPY_TYPE = b"application/x-npy"
RAW_TYPE = b"application/octet-stream"

Array = npt.NDArray[np.generic]
_NUMBERS = "biuf"
# By numpy's names and TensorFlow's.
_DTYPES = {
    name: found.dtype
    for found in TYPES.values()
    for name in (found.name, found.dtype.name)
    if found.kind in _NUMBERS
}


def decode_binary(
    body: bytes, media: bytes, parameters: Mapping[str, str], signatures: Mapping[str, Signature]
) -> PredictRequest:
    """Return the request that a body of one of these types stands for, or raise RequestError."""
    signature = choose_signature("", None, signatures)
    if len(signature.inputs) != 1:
        raise RequestError(
            f"{media.decode()} brings one tensor, but the signature {signature.name} has the inputs"
            f" {', '.join(signature.inputs)}: send application/json.",
            415,
        )
    (spec,) = signature.inputs.values()
    if spec.type is None or spec.type.kind not in _NUMBERS:
        raise RequestError(
            f"{media.decode()} brings numbers, but the input {spec.name} takes {spec.type_name}:"
            " send application/json.",
            415,
        )
    array = read_npy(body) if media == NPY_TYPE else read_raw(body, parameters, spec)
    return PredictRequest(signature, {spec.name: convert(array, spec.name, spec.type)}, is_row=True)


def read_npy(body: bytes) -> Array:
    """Return the array of a .npy file as a view of its bytes, or refuse what is none."""
    file = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, is_fortran, dtype = read_header(file, max_header_size=limits.NPY_HEADER_BYTES_MAX)
    except Exception as error:
        # numpy raises whatever Python's parser of literals and its own checks raise.
        raise RequestError("The body is not an array in .npy format, version 1 or 2.") from error
    if dtype.kind not in _NUMBERS:
        raise RequestError(
            f"An array of type {dtype} is not taken: numbers and booleans are, pickles never."
        )
    _require_bytes(len(body) - file.tell(), shape, dtype)
    flat = _view(body, dtype, file.tell())
    return flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)


def read_raw(body: bytes, parameters: Mapping[str, str], spec: TensorSpec) -> Array:
    """Return the tensor of raw numbers, by the shape that is given or that the input has."""
    assert spec.type is not None
    name = parameters.get("dtype", spec.type.dtype.name)
    if name not in _DTYPES:
        raise RequestError(f"dtype={name} is none of {', '.join(sorted(_DTYPES))}.")
    dtype = _DTYPES[name].newbyteorder("<")
    if "shape" in parameters:
        shape = _parse_shape(parameters["shape"])
    else:
        shape = _fill_rows(len(body), dtype, spec)
    _require_bytes(len(body), shape, dtype)
    return _view(body, dtype, 0).reshape(shape)


def _view(body: bytes, dtype: np.dtype[np.generic], offset: int) -> Array:
    # numpy makes no view of nothing.
    if offset == len(body):
        return np.empty(0, dtype)
    return np.frombuffer(body, dtype, offset=offset)


def _parse_shape(text: str) -> tuple[int, ...]:
    sizes = text.strip("()[] ").rstrip(",").split(",")
    try:
        shape = tuple(int(size) for size in sizes if sizes != [""])
    except ValueError:
        shape = (-1,)
    if any(size < 0 for size in shape) or len(shape) > limits.TENSOR_JSON_DEPTH_MAX:
        raise RequestError(f"shape={text} must be sizes, as in shape=1,256,256,3.")
    return shape


def _fill_rows(size: int, dtype: np.dtype[np.generic], spec: TensorSpec) -> tuple[int, ...]:
    """Return the shape of an input with as many rows as the body has."""
    known = [dimension for dimension in (spec.shape or ())[1:] if dimension is not None]
    if not spec.shape or len(known) != len(spec.shape) - 1:
        raise RequestError(
            f"Raw bytes do not say their shape, and the input {spec.name} of shape"
            f" {render_shape(spec.shape)} leaves it open: give it with the type, as in"
            f" {RAW_TYPE.decode()};shape=1,256,256,3",
            415,
        )
    row_bytes = element_count(known) * dtype.itemsize
    if row_bytes == 0 or size % row_bytes:
        raise RequestError(
            f"{size} bytes are not a whole number of rows: the input {spec.name} has"
            f" {row_bytes} bytes a row ({dtype.name} of shape {render_shape(spec.shape)})."
        )
    return (size // row_bytes, *known)


def _require_bytes(size: int, shape: Sequence[int], dtype: np.dtype[np.generic]) -> None:
    needed = element_count(shape) * dtype.itemsize
    if any(dimension < 0 for dimension in shape) or size != needed:
        raise RequestError(
            f"An array of shape {render_shape(tuple(shape))} and type {dtype.name} has"
            f" {needed} bytes, not {size}."
        )


def convert(array: Array, name: str, wanted: TensorType) -> Array:
    """Return the array in the type that an input wants, or refuse to change a value."""
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise RequestError("An array of booleans has bytes other than 0 and 1.")
    if array.dtype.newbyteorder("=") == wanted.dtype:
        return array.astype(wanted.dtype, copy=False)
    if "b" in (array.dtype.kind, wanted.kind):
        _refuse_type(array, name, wanted)
    # numpy calls it safe to make doubles of 64-bit integers, which have more digits.
    is_long = array.dtype.itemsize == np.dtype(np.int64).itemsize
    if np.can_cast(array.dtype, wanted.dtype, "safe") and not is_long:
        return array.astype(wanted.dtype)
    if not _is_within(array, wanted):
        _refuse_type(array, name, wanted)
    converted = array.astype(wanted.dtype)
    is_float = array.dtype.kind == "f"
    if not np.array_equal(converted.astype(array.dtype), array, equal_nan=is_float):
        _refuse_type(array, name, wanted)
    return converted


def _is_within(array: Array, wanted: TensorType) -> bool:
    """Say whether all values lie where the wanted type has values, so that a cast is defined."""
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array.reshape(-1)
    if wanted.kind != "f" and finite.size != array.size:
        return False
    if not finite.size:
        return True
    is_exact = wanted.kind == "f" and array.dtype.kind != "f"
    low, high = (-wanted.whole_max, wanted.whole_max) if is_exact else (wanted.low, wanted.high)
    return bool(low <= finite.min().item() and finite.max().item() <= high)


def _refuse_type(array: Array, name: str, wanted: TensorType) -> NoReturn:
    raise RequestError(
        f"Cannot convert {array.dtype.name} values to the type of the input {name},"
        f" {wanted.dtype.name}, without loss of precision: send {wanted.dtype.name}."
    )
