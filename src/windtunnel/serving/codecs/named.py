"""The fast way for named inputs: several arrays of numbers in one request.

    {"inputs": {"image": [...], "scale": [...]}}
    {"instances": [{"image": [...], "scale": [...]}, {"image": ...}]}

The quotes cut such a text into names and what is between them, and an array stands whole between
two names. Each goes the way of a single array (`dense.py`); what remains of the text when they are
taken out is a short JSON document, the outline, with the arrays' numbers in their places.

Rule as in `dense.py`: the answer is tensors or None, and None is no verdict. A text with an escaped
quote, or with anything but arrays of numbers for values, is left to the strict reader.
"""

import json
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from windtunnel.serving.codecs import strict
from windtunnel.serving.codecs.dense import parse_dense
from windtunnel.serving.tensors import Signature, TensorSpec

# What an array follows; what else an outline has besides strings and the arrays' numbers.
_COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*(?=\[)")
_OUTLINE_BYTES = b"{}[]:, \t\r\n"
# An object of rows of objects; more would be somebody's attack on a stack.
_OUTLINE_DEPTH_MAX = 3

Array = npt.NDArray[np.generic]


class UnprovedError(Exception):
    """This is not a text that is read here."""


def cut_arrays(text: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Return the outline of a text, with the number of each array in its place, and the arrays."""
    if b"\\" in text:
        raise UnprovedError
    outline: list[bytes] = []
    arrays: list[bytes] = []
    start, is_string = 0, False
    while start <= len(text):
        found = text.find(b'"', start)
        end = len(text) if found < 0 else found
        if is_string:
            outline.append(text[start - 1 : end + 1])
        else:
            start = _cut_one(text, start, end, outline, arrays)
            rest = text[start:end]
            if rest.strip(_OUTLINE_BYTES):
                raise UnprovedError
            outline.append(rest)
        start, is_string = end + 1, not is_string
    joined = b"".join(outline)
    if strict.nesting_depth(joined) > _OUTLINE_DEPTH_MAX:
        raise UnprovedError
    value = json.loads(joined, object_pairs_hook=_distinct)
    if not isinstance(value, dict):
        raise UnprovedError
    return value, arrays


def _cut_one(text: bytes, start: int, end: int, outline: list[bytes], arrays: list[bytes]) -> int:
    """Take out the array that follows a name, if one does; return where it ends."""
    colon = _COLON.match(text, start, end)
    # No array has a brace in it: if there is one, the array ends before it.
    brace = text.find(b"}", start, end)
    last = text.rfind(b"]", start, end if brace < 0 else brace) + 1
    if colon is None or last <= colon.end():
        return start
    outline += (text[start : colon.end()], b"%d" % len(arrays))
    arrays.append(text[colon.end() : last])
    return last


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    # Of equal names the first one counts; the strict reader knows.
    if len(found) != len(pairs):
        raise UnprovedError
    return found


def read_columns(value: object, arrays: list[bytes], signature: Signature) -> dict[str, Array]:
    """Return the tensors of `inputs`."""
    if not isinstance(value, dict) or value.keys() != signature.inputs.keys():
        raise UnprovedError
    return {name: _read_array(value[name], arrays, spec) for name, spec in signature.inputs.items()}


def read_rows(value: object, arrays: list[bytes], signature: Signature) -> dict[str, Array]:
    """Return the tensors of `instances`, each of its rows joined."""
    if not isinstance(value, list) or not value:
        raise UnprovedError
    rows = [read_columns(row, arrays, signature) for row in value]
    tensors = {}
    for name in signature.inputs:
        cells = [row[name] for row in rows]
        if len({cell.shape for cell in cells}) > 1:
            raise UnprovedError
        tensors[name] = np.stack(cells) if len(cells) > 1 else cells[0][np.newaxis]
    return tensors


def _read_array(number: object, arrays: list[bytes], spec: TensorSpec) -> Array:
    if type(number) is not int or spec.type is None:
        raise UnprovedError
    tensor = parse_dense(arrays[number], spec.type)
    if tensor is None:
        raise UnprovedError
    return tensor
