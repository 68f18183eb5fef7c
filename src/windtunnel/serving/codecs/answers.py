"""Tensors to TensorFlow Serving's JSON.

Row format answers `predictions`, column format `outputs`; one output stands bare, several are an
object of their names (MakeJsonFromTensors in json_tensor.cc). Numbers are compact: the shortest
decimal that reads back as the same float, whole floats with `.0`; NaN, Infinity and -Infinity are
bare tokens as TensorFlow Serving writes them, though they are not JSON.

A text is a list of chunks, which the server writes without joining them: the one copy of a large
tensor's text is orjson's own.
"""

import base64
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import TYPES, Tensors

_BYTES_SUFFIX = "_bytes"
_KNOWN = frozenset(found.dtype for found in TYPES.values())


def encode_answer(outputs: Tensors, *, is_row: bool) -> list[bytes]:
    """Return the text of a predict answer, in chunks."""
    if not outputs:
        raise RequestError("Cannot convert empty tensor map to JSON")
    if not is_row:
        return [b'{"outputs":', *_encode_columns(outputs), b"}"]
    row_count = _row_count(outputs)
    if len(outputs) == 1:
        ((name, tensor),) = outputs.items()
        return [b'{"predictions":', *encode_tensor(name, tensor), b"}"]
    # With the ellipsis a single element stays an array, of its own type.
    rows = [
        b"".join(_encode_columns({name: tensor[row, ...] for name, tensor in outputs.items()}))
        for row in range(row_count)
    ]
    return [b'{"predictions":[', b",".join(rows), b"]}"]


def _row_count(outputs: Tensors) -> int:
    """Return the batch size that all outputs share; without one there are no rows."""
    count = -1
    for name, tensor in outputs.items():
        if tensor.ndim == 0:
            raise RequestError(f"Tensor name: {name} has no shape information ")
        if count not in (-1, tensor.shape[0]):
            raise RequestError(
                f"Tensor name: {name} has inconsistent batch size: {tensor.shape[0]}"
                f" expecting: {count}"
            )
        count = tensor.shape[0]
    return count


def _encode_columns(outputs: Tensors) -> list[bytes]:
    if len(outputs) == 1:
        ((name, tensor),) = outputs.items()
        return encode_tensor(name, tensor)
    chunks: list[bytes] = []
    for name, tensor in outputs.items():
        chunks += (b"," if chunks else b"{", orjson.dumps(name), b":")
        chunks += encode_tensor(name, tensor)
    chunks.append(b"}")
    return chunks


def encode_tensor(name: str, values: npt.NDArray[np.generic]) -> list[bytes]:
    """Return the text of one tensor's values, nested as its shape is."""
    if values.dtype.kind == "O":
        return [_encode_strings(values, is_base64=name.endswith(_BYTES_SUFFIX))]
    if values.dtype not in _KNOWN:
        values = _widen(values)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return [_encode_unbounded(values)]
    return _encode_numbers(values)


def _encode_numbers(values: npt.NDArray[np.generic]) -> list[bytes]:
    if values.ndim and values.shape[-1] == 1 and values.size:
        # A list of one number costs orjson as much as two numbers, and a picture's mask has
        # nothing else. So the last dimension is left out and put back into the text: each comma,
        # whatever it separates, has one such list ending before it and one beginning after it.
        text = b"".join(_encode_numbers(values[..., 0]))
        return [b"[", text.replace(b",", b"],["), b"]"]
    if values.ndim == 0:
        return [orjson.dumps(values[()], option=orjson.OPT_SERIALIZE_NUMPY)]
    return [orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)]


def _encode_unbounded(values: npt.NDArray[np.generic]) -> bytes:
    """Encode floats some of which are NaN or infinite, which orjson writes as null."""
    pieces = b"".join(_encode_numbers(values)).split(b"null")
    flat = values.reshape(-1)
    tokens = [
        b"NaN" if np.isnan(value) else b"Infinity" if value > 0 else b"-Infinity"
        for value in flat[~np.isfinite(flat)]
    ]
    assert len(tokens) == len(pieces) - 1
    text = [pieces[0]]
    for token, piece in zip(tokens, pieces[1:], strict=True):
        text += (token, piece)
    return b"".join(text)


def _widen(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return values of a type that JSON has no form for in one that it has, or refuse."""
    if values.dtype.name == "bfloat16":
        return values.astype(np.float32)
    raise RequestError(f"Failed to write JSON value for tensor type: {values.dtype.name}")


def _encode_strings(values: npt.NDArray[np.generic], *, is_base64: bool) -> bytes:
    def render(value: bytes) -> Any:  # noqa: ANN401 - JSON is anything
        if is_base64:
            return {"b64": base64.b64encode(value).decode()}
        # TensorFlow Serving writes the bytes as they are, UTF-8 or not.
        return value.decode("utf-8", "surrogateescape")

    def nest(level: Any) -> Any:  # noqa: ANN401 - lists of lists of bytes
        return [nest(element) for element in level] if isinstance(level, list) else render(level)

    text = json.dumps(nest(values.tolist()), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogateescape")
