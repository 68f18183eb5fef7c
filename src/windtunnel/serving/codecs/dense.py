"""The fast way from a JSON array of numbers to a tensor.

simdjson parses the text and flattens the numbers into one buffer; no Python number is ever made.
Flattening forgets the shape, so ragged rows would pass unseen. The shape is therefore read from
the first element at each level and then *proved* for the whole text:

    Delete from the text every byte that can be part of a number, and white space. What remains of
    an array of numbers is its skeleton: brackets and commas. A shape has exactly one skeleton,
    except that `[]` is both an empty list and a list of one number; and between those the count of
    numbers decides, because no list of a regular array has fewer elements than its shape says.

Rule: this file answers a tensor or None, never an error. None means "not proved here", and the
strict reader (`strict.py`) then takes the text or says what is wrong with it. So the two must
agree on every text that this file accepts; a property test holds that.

What is copied on this way: the body, where it came in several pieces (`handler.py`); the array, out
of the document around it and into the parser, which wants room behind its text; the numbers, as
the parser keeps them, in a row of 64-bit ones, and once more for a tensor of another type. Of the
5.7 ms that 4 MB take, 3.3 are simdjson's parsing and 1.9 the proof of the shape; the copies of text
take 0.2 (2026-11-25). Finding commas and brackets with numpy, and no skeleton, was no faster.
"""

import threading
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import simdjson

from windtunnel.core import limits
from windtunnel.serving.codecs.digits import parse_digits
from windtunnel.serving.codecs.literals import cover_literals
from windtunnel.serving.tensors import TensorType, element_count

_NUMBER_BYTES = b"0123456789.+-eE \t\r\n"
# simdjson stores a list's length in 24 bits and saturates there (dom/array.h, `size`).
_LENGTH_MAX = 0xFFFFFF


class _Parsers(threading.local):
    """A parser for each thread: one cannot parse while values of its last text are alive."""

    def __init__(self) -> None:
        self.kept = simdjson.Parser()


_parsers = _Parsers()


def parse_dense(text: bytes, wanted: TensorType) -> npt.NDArray[np.generic] | None:
    """Return the tensor that a JSON array of numbers spells, or None where that is not proved."""
    if wanted.kind not in "fiu":
        return None
    is_long = len(text) >= limits.DIGITS_TEXT_BYTES_MIN
    tensor = parse_digits(text, wanted) if is_long else None
    if tensor is None:
        tensor = _parse_numbers(text, wanted)
    if tensor is None and wanted.kind == "f":
        tensor = _parse_literals(text, wanted)
    return tensor


def _parse_literals(text: bytes, wanted: TensorType) -> npt.NDArray[np.generic] | None:
    """Return the tensor of a text with NaN and Infinity, which simdjson does not read."""
    cover = cover_literals(text)
    tensor = None if cover is None else _parse_numbers(cover.text, wanted)
    if cover is not None and tensor is not None:
        tensor.reshape(-1)[cover.places] = cover.values
    return tensor


def _parse_numbers(text: bytes, wanted: TensorType) -> npt.NDArray[np.generic] | None:
    # A parser keeps buffers of several times the largest text it has seen.
    is_kept = len(text) <= limits.PARSER_KEPT_BYTES_MAX
    parser = _parsers.kept if is_kept else simdjson.Parser()
    try:
        document = parser.parse(text)
        if not isinstance(document, simdjson.Array):
            return None
        shape = _first_shape(document)
        if shape is None or not _is_regular(text, shape):
            return None
        values = _flatten(document, wanted)
    except (ValueError, TypeError, RuntimeError):
        # Not JSON; or NaN or Infinity, a string, a null, an object, or a number that its family
        # does not hold.
        return None
    if values.size != element_count(shape) or not _fits(values, wanted):
        return None
    return values.astype(wanted.dtype, copy=False).reshape(shape)


def _first_shape(document: simdjson.Array) -> tuple[int, ...] | None:
    """Return the shape that the first element at each level suggests."""
    shape: list[int] = []
    node: object = document
    while isinstance(node, simdjson.Array):
        length = len(node)
        if length >= _LENGTH_MAX or len(shape) == limits.TENSOR_JSON_DEPTH_MAX:
            return None
        shape.append(length)
        if length == 0:
            break
        node = node[0]
    return tuple(shape)


def _flatten(document: simdjson.Array, wanted: TensorType) -> npt.NDArray[np.generic]:
    """Return all numbers in order, as the widest type of their family."""
    if wanted.kind == "f":
        return np.frombuffer(document.as_buffer(of_type="d"), np.float64)
    if wanted.dtype == np.uint64:
        return np.frombuffer(document.as_buffer(of_type="u"), np.uint64)
    return np.frombuffer(document.as_buffer(of_type="i"), np.int64)


def _fits(values: npt.NDArray[np.generic], wanted: TensorType) -> bool:
    """Say whether each number fits the wanted type beyond doubt."""
    if values.size == 0 or values.dtype == wanted.dtype != np.float64:
        return True
    low, high = values.min().item(), values.max().item()
    if wanted.kind == "f":
        # Beyond, it matters whether the text said 16777217 or 16777217.0: the strict reader still
        # sees that.
        return bool(-wanted.whole_max <= low and high <= wanted.whole_max)
    return bool(wanted.low <= low and high <= wanted.high)


def _is_regular(text: bytes, shape: tuple[int, ...]) -> bool:
    """Say whether the text has the brackets and commas of this shape, and no others."""
    skeleton = text.translate(None, _NUMBER_BYTES)
    # Lengths first: the shape that one odd element suggests may be far larger than the text.
    if len(skeleton) != _skeleton_length(shape):
        return False
    if len(skeleton) > limits.SKELETON_KEPT_BYTES_MAX:
        return skeleton == _render_skeleton(shape)
    return skeleton == _kept_skeleton(shape)


def _skeleton_length(shape: tuple[int, ...]) -> int:
    length = 0
    for size in reversed(shape):
        length = 2 + size * length + max(0, size - 1)
    return length


def _render_skeleton(shape: tuple[int, ...]) -> bytes:
    text = b""
    for size in reversed(shape):
        text = b"[" + b",".join([text] * size) + b"]"
    return text


# A client sends one shape, or a few.
_kept_skeleton = lru_cache(maxsize=limits.SKELETON_KEPT_COUNT_MAX)(_render_skeleton)
