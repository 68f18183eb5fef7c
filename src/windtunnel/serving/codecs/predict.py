"""A predict request in TensorFlow Serving's JSON, to the tensors that it carries.

Row format (`instances`: one element a row) and column format (`inputs`: whole tensors), with an
optional `signature_name`; rules and wording as FillPredictRequestFromJson in TensorFlow Serving's
json_tensor.cc. Arrays of numbers go the fast way, as the only input (`dense.py`) or as named ones
(`named.py`); the rest goes the strict one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from windtunnel.core import limits
from windtunnel.serving.codecs import named, strict
from windtunnel.serving.codecs.dense import parse_dense
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import DEFAULT_SIGNATURE, Signature, Tensors, TensorSpec

# The two ends of a document that holds one array and at most a signature's name beside it. What
# is between them is a JSON array exactly when the whole is a JSON object of this form.
_NAME = rb'"signature_name"[ \t\r\n]*:[ \t\r\n]*"([^"\\\x00-\x1f]*)"[ \t\r\n]*'
_BEGIN = re.compile(
    rb"[ \t\r\n]*\{[ \t\r\n]*(?:" + _NAME + rb",[ \t\r\n]*)?"
    rb'"(instances|inputs)"[ \t\r\n]*:[ \t\r\n]*(?=\[)'
)
_END = re.compile(rb"[ \t\r\n]*(?:,[ \t\r\n]*" + _NAME + rb")?\}[ \t\r\n]*")


class Form(Enum):
    """What the text of a request is."""

    DOCUMENT = "a predict request"
    INSTANCES = "the value of its `instances`"
    INSTANCE = "the only element of its `instances`"


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """What to run, on what, and how to write the answer."""

    signature: Signature
    inputs: Tensors
    is_row: bool


def decode_predict(
    text: bytes, signatures: Mapping[str, Signature], form: Form = Form.DOCUMENT
) -> PredictRequest:
    """Return the request that a text spells, or raise what is wrong with it."""
    return (
        decode_dense(text, signatures, form)
        or (_decode_named(text, signatures) if form is Form.DOCUMENT else None)
        or _decode_strict(text, signatures, form)
    )


def decode_dense(
    text: bytes, signatures: Mapping[str, Signature], form: Form
) -> PredictRequest | None:
    """Return the request when it brings one array of numbers, else None."""
    bare = _Envelope(DEFAULT_SIGNATURE, is_row=True, array=text)
    envelope = _open_envelope(text) if form is Form.DOCUMENT else bare
    signature = None if envelope is None else signatures.get(envelope.signature_name)
    if envelope is None or signature is None or len(signature.inputs) != 1:
        return None
    (spec,) = signature.inputs.values()
    tensor = None if spec.type is None else parse_dense(envelope.array, spec.type)
    if tensor is None:
        return None
    if form is Form.INSTANCE:
        tensor = tensor[np.newaxis]
    elif envelope.is_row and tensor.shape[0] == 0:
        return None
    return PredictRequest(signature, {spec.name: tensor}, envelope.is_row)


@dataclass(frozen=True, slots=True)
class _Envelope:
    """A document that holds one array and at most a signature's name beside it."""

    signature_name: str
    is_row: bool
    array: bytes


def _open_envelope(text: bytes) -> _Envelope | None:
    last = text.rfind(b"]") + 1
    begin, end = _BEGIN.match(text), _END.fullmatch(text, last)
    if begin is None or end is None or (begin[1] is not None and end[1] is not None):
        return None
    name = (begin[1] or end[1] or b"").decode("utf-8", "replace")
    return _Envelope(name or DEFAULT_SIGNATURE, begin[2] == b"instances", text[begin.end() : last])


def _decode_named(text: bytes, signatures: Mapping[str, Signature]) -> PredictRequest | None:
    """Return the request when it brings named arrays of numbers, and many of them, else None."""
    if len(text) < limits.NAMED_TEXT_BYTES_MIN:
        return None
    try:
        document, arrays = named.cut_arrays(text)
        name = document.pop("signature_name", "")
        signature = signatures.get(name or DEFAULT_SIGNATURE) if isinstance(name, str) else None
        if signature is None or not signature.inputs or len(document) != 1:
            return None
        ((key, value),) = document.items()
        if key == "inputs":
            return PredictRequest(signature, named.read_columns(value, arrays, signature), False)
        if key == "instances":
            return PredictRequest(signature, named.read_rows(value, arrays, signature), True)
    except (named.UnprovedError, ValueError):
        # Also what is not JSON: the strict reader says where.
        return None
    return None


def _decode_strict(text: bytes, signatures: Mapping[str, Signature], form: Form) -> PredictRequest:
    value = strict.parse_json(text)
    if form is Form.INSTANCES:
        value = {"instances": value}
    elif form is Form.INSTANCE:
        value = {"instances": [value]}
    if not isinstance(value, dict):
        raise RequestError(f"JSON Value: {strict.render_value(value)} Is not object")
    signature = choose_signature(value.get("signature_name", ""), value, signatures)
    if "instances" in value and "inputs" in value:
        raise RequestError(
            f"JSON Value: {strict.render_value(value)} Not formatted correctly expecting only"
            " one of 'inputs' or 'instances' keys to exist "
        )
    if "instances" in value:
        rows = value["instances"]
        if not isinstance(rows, list):
            raise RequestError(
                f"JSON Value: {strict.render_value(value)} Expecting 'instances' to be a list/array"
            )
        if not rows:
            raise RequestError(
                f"JSON Value: {strict.render_value(value)} No values in 'instances' array"
            )
        return PredictRequest(signature, _read_rows(rows, signature), is_row=True)
    if "inputs" in value:
        return PredictRequest(signature, _read_columns(value["inputs"], signature), is_row=False)
    raise RequestError("Missing 'inputs' or 'instances' key")


def choose_signature(
    name: object, document: object, signatures: Mapping[str, Signature]
) -> Signature:
    """Return the signature of this name, the default one for an empty name."""
    if not isinstance(name, str):
        strict.raise_signature_name(document)
    wanted = name or DEFAULT_SIGNATURE
    if wanted not in signatures:
        raise RequestError(f'Serving signature name: "{wanted}" not found in signature def')
    signature = signatures[wanted]
    if not signature.inputs:
        raise RequestError(f"Failed to get input map for signature: {name or 'DEFAULT'}")
    return signature


@dataclass(slots=True)
class _Column:
    """One input as its rows come in."""

    shape: tuple[int, ...]
    row_size: int
    leaves: list[Any]


def _read_rows(rows: list[Any], signature: Signature) -> dict[str, npt.NDArray[np.generic]]:
    if not isinstance(rows[0], dict) and len(signature.inputs) > 1:
        raise RequestError(
            "instances is a plain list, but expecting list of objects as multiple"
            " input tensors required as per tensorinfo_map"
        )
    is_named = _is_named(rows[0])
    columns: dict[str, _Column] = {}
    for index, row in enumerate(rows):
        if _is_named(row) != is_named:
            kinds = ("object", "list") if is_named else ("value/list", "object")
            raise RequestError(
                f"Expecting {kinds[0]} but got {kinds[1]} at item {index} of input list"
            )
        cells = row if is_named else {next(iter(signature.inputs)): row}
        for name, cell in cells.items():
            try:
                _add_cell(cell, name, signature, columns)
            except RequestError as error:
                raise _in_row(error, index, name if is_named else None) from None
        if is_named and cells.keys() != signature.inputs.keys():
            raise RequestError(
                f"Failed to process element: {index} of 'instances' list. JSON object:"
                f" {strict.render_value(row)} keys must be equal to:"
                f" {','.join(sorted(signature.inputs))}"
            )
    return {
        name: _convert_column(column, len(rows), signature.inputs[name], is_named=is_named)
        for name, column in columns.items()
    }


def _is_named(row: object) -> bool:
    return isinstance(row, dict) and not strict.is_base64(row)


def _add_cell(cell: object, name: str, signature: Signature, columns: dict[str, _Column]) -> None:
    """Append one row's value of one input, which must be like the first row's."""
    if name not in signature.inputs:
        raise RequestError(f"JSON object: does not have named input: {name}")
    shape = strict.first_shape(cell)
    leaves: list[Any] = []
    strict.collect_leaves(cell, shape, leaves)
    column = columns.get(name)
    if column is None:
        columns[name] = _Column(shape, len(leaves), leaves)
        return
    if len(leaves) != column.row_size:
        raise RequestError(f"Expecting tensor size: {column.row_size} but got: {len(leaves)}")
    if shape != column.shape:
        raise RequestError(f"Expecting shape {_render(column.shape)} but got: {_render(shape)}")
    column.leaves.extend(leaves)


def _convert_column(
    column: _Column, row_count: int, spec: TensorSpec, *, is_named: bool
) -> npt.NDArray[np.generic]:
    """Return one input's tensor; an element that does not fit is named with its row."""
    try:
        return strict.convert(column.leaves, (row_count, *column.shape), spec)
    except RequestError:
        for index in range(row_count):
            start = index * column.row_size
            row = column.leaves[start : start + column.row_size]
            try:
                strict.convert(row, column.shape, spec)
            except RequestError as error:
                raise _in_row(error, index, spec.name if is_named else None) from None
        raise


def _in_row(error: RequestError, index: int, name: str | None) -> RequestError:
    where = f"{index}" if name is None else f"{index} key: {name}"
    return RequestError(
        f"Failed to process element: {where} of 'instances' list."
        f" Error: INVALID_ARGUMENT: {error.message}",
        error.status,
    )


def _render(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _read_columns(value: object, signature: Signature) -> dict[str, npt.NDArray[np.generic]]:
    if not _is_named(value):
        if len(signature.inputs) > 1:
            raise RequestError(
                "inputs is a plain value/list, but expecting an object as multiple"
                " input tensors required as per tensorinfo_map"
            )
        (spec,) = signature.inputs.values()
        return {spec.name: _read_tensor(value, spec)}
    assert isinstance(value, dict)
    tensors = {}
    for name, spec in signature.inputs.items():
        if name not in value:
            raise RequestError(f"Missing named input: {name} in 'inputs' object.")
        tensors[name] = _read_tensor(value[name], spec)
    return tensors


def _read_tensor(value: object, spec: TensorSpec) -> npt.NDArray[np.generic]:
    shape = strict.first_shape(value)
    leaves: list[Any] = []
    strict.collect_leaves(value, shape, leaves)
    return strict.convert(leaves, shape, spec)
