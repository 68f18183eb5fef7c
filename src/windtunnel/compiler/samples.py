"""What a model is tried with: the user's own samples, or seeded ones of the range that it expects.

A picture is not noise: a model of pictures sees edges and slopes, and its answers to noise say
little of those to pictures. So a tensor that looks like one gets smooth fields with some noise.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from windtunnel.compiler.errors import CompileError
from windtunnel.compiler.shapes import Shapes, describe
from windtunnel.core import limits
from windtunnel.serving.tensors import Signature, Tensors, TensorSpec, render_shape

_SEED = 20260101
SAMPLE_COUNT = 8
# With so many, some are kept for comparing.
DIVIDED_COUNT_MIN = 2 * SAMPLE_COUNT
# One pixel of a coarse field in each direction for so many of the picture's.
_FIELD_PX = 24
_NOISE_SHARE = 0.05
_RANK_PICTURES = 4
_CHANNELS = (1, 3, 4)
# A model whose first operations make 255 small takes bytes.
_BYTE_MAX = 255.0
# Token numbers, categories: small enough for any table of embeddings.
_WHOLE_MAX = 10


def make_samples(signature: Signature, shapes: Shapes, high: Mapping[str, float]) -> list[Tensors]:
    """Return seeded samples; `high` is the largest value of each input."""
    random = np.random.Generator(np.random.PCG64(_SEED))
    return [
        {
            # Of an input without dimensions, numpy makes a number, and engines take arrays.
            name: np.asarray(_make(spec, shapes[name], high.get(name, 1.0), random))
            for name, spec in signature.inputs.items()
        }
        for _ in range(SAMPLE_COUNT)
    ]


def _make(
    spec: TensorSpec, shape: tuple[int, ...], high: float, random: np.random.Generator
) -> np.ndarray:
    assert spec.type is not None
    kind = spec.type.kind
    if kind == "b":
        return random.random(shape) < 1 / 2
    if kind in "iu" and spec.type.dtype != np.uint8:
        return random.integers(0, _WHOLE_MAX, shape).astype(spec.type.dtype)
    if len(shape) == _RANK_PICTURES and shape[-1] in _CHANNELS:
        values = _picture(shape, random)
    else:
        values = random.random(shape)
    top = _BYTE_MAX if kind in "iu" else high
    values = values * top
    return (np.rint(values) if top == _BYTE_MAX else values).astype(spec.type.dtype)


def _picture(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Return a smooth field from 0 to 1 with noise."""
    count, height, width, channels = shape
    coarse = random.random((count, height // _FIELD_PX + 2, width // _FIELD_PX + 2, channels))
    rows = np.linspace(0, coarse.shape[1] - 1.001, height)
    columns = np.linspace(0, coarse.shape[2] - 1.001, width)
    top, left = rows.astype(int), columns.astype(int)
    down = (rows - top)[None, :, None, None]
    right = (columns - left)[None, None, :, None]
    above = coarse[:, top][:, :, left] * (1 - right) + coarse[:, top][:, :, left + 1] * right
    below = (
        coarse[:, top + 1][:, :, left] * (1 - right) + coarse[:, top + 1][:, :, left + 1] * right
    )
    noise = _NOISE_SHARE * random.standard_normal(shape)
    field: np.ndarray = np.clip(above * (1 - down) + below * down + noise, 0, 1)
    return field


def read_samples(path: Path, signature: Signature, shapes: Shapes) -> list[Tensors]:
    """Return the samples of an .npz: an array for each input, its rows the samples."""
    try:
        # An .npy is an array, which cannot be entered.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise CompileError(
            f"The calibration data {path.name} is not an .npz of arrays: {error}."
        ) from error
    if arrays.keys() != signature.inputs.keys():
        names = ", ".join(sorted(arrays)) or "no array"
        raise CompileError(f"The calibration data has {names}. {describe(signature)}")
    counts = {len(array) if array.ndim else 0 for array in arrays.values()}
    if len(counts) != 1 or not min(counts):
        raise CompileError("The calibration data has no samples, or not as many for each input.")
    for name, array in arrays.items():
        _check(signature.inputs[name], array, shapes[name], signature)
    count = min(*counts, limits.CALIBRATION_SAMPLE_COUNT_MAX) if counts else 0
    return [
        {name: _fit(arrays[name], row, shapes[name], spec) for name, spec in _inputs(signature)}
        for row in range(count)
    ]


def divide(given: list[Tensors]) -> tuple[list[Tensors], list[Tensors]]:
    """Return what is quantised by and what answers are compared on.

    A form is judged on samples that did not make it, as far as there are enough of them.
    """
    if len(given) < DIVIDED_COUNT_MIN:
        return given, given[-SAMPLE_COUNT:]
    return given[:-SAMPLE_COUNT], given[-SAMPLE_COUNT:]


def _inputs(signature: Signature) -> Sequence[tuple[str, TensorSpec]]:
    return [*signature.inputs.items()]


def _check(
    spec: TensorSpec, array: np.ndarray, shape: tuple[int, ...], signature: Signature
) -> None:
    assert spec.type is not None
    name = spec.name
    if array.shape[1:] != shape[1:]:
        raise CompileError(
            f"The calibration data for {name} has samples of {render_shape(array.shape[1:])}, and"
            f" the model is compiled for {render_shape(shape[1:])}. {describe(signature)}"
        )
    is_cut = array.dtype.kind == "f" and spec.type.kind in "iub"
    if array.dtype.kind not in "fiub" or is_cut:
        raise CompileError(
            f"The calibration data for {name} is of type {array.dtype}. {describe(signature)}"
        )


def _fit(array: np.ndarray, row: int, shape: tuple[int, ...], spec: TensorSpec) -> np.ndarray:
    """Return one sample as a batch of the compiled size, or raise CompileError."""
    assert spec.type is not None
    # What a smaller type has no room for is infinite in it, and said below.
    with np.errstate(over="ignore"):
        sample = np.asarray(array[row]).astype(spec.type.dtype)
    # An activation may swallow it: the answers are finite then, and all the same.
    if "f" in {array.dtype.kind, sample.dtype.kind} and not np.isfinite(sample).all():
        raise CompileError(
            f"The calibration data for {spec.name} holds values that are not finite (row {row})."
        )
    return np.repeat(sample[np.newaxis], shape[0], axis=0) if shape else sample


def guess_highs(model: Any) -> dict[str, float]:  # noqa: ANN401 - OpenVINO's model
    """Return the largest value that each float input seems to expect: 1, or 255.

    A graph that begins by making its input some hundred times smaller was given bytes.
    """
    highs = {}
    for port in model.inputs:
        for consumer in port.get_target_inputs():
            node, scale = consumer.get_node(), 1.0
            # Past a conversion of types, or a mean that is taken off.
            for _ in range(_PASSED_MAX):
                scale *= _scale(node)
                following = [each.get_node() for each in node.output(0).get_target_inputs()]
                if node.get_type_name() not in _PASSED or len(following) != 1:
                    break
                node = following[0]
            if scale < 1 / _SMALLER_MIN:
                for name in port.get_names():
                    highs[name] = _BYTE_MAX
    return highs


_PASSED_MAX = 4
_PASSED = {"Convert", "Subtract", "Add", "Transpose", "Multiply", "Divide"}
_SMALLER_MIN = 32.0


def _scale(node: Any) -> float:  # noqa: ANN401 - OpenVINO's node
    """Return by how much a node multiplies, where that is a constant."""
    kind = node.get_type_name()
    if kind not in {"Multiply", "Divide"}:
        return 1.0
    for port in node.inputs():
        origin = port.get_source_output().get_node()
        if origin.get_type_name() == "Constant":
            value = float(np.abs(np.asarray(origin.get_data(), dtype=np.float64)).mean())
            if value > 0:
                return value if kind == "Multiply" else 1 / value
    return 1.0
