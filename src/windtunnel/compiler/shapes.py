"""DataInputConfig: for which shapes a model is compiled.

{"inputs": [1, 256, 256, 3]}                              as Neo takes it
{"inputs": {"shape": [1, 256, 256, 3]}}                   Core ML's form of it
[1, 256, 256, 3]                                          for a model with one input
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windtunnel.compiler.errors import CompileError
from windtunnel.core import limits
from windtunnel.serving.tensors import Signature, TensorSpec, render_shape

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The shapes to compile for, and what became of the ones that were asked for."""

    shapes: Shapes
    notices: tuple[str, ...] = ()


def choose_shapes(text: str | None, signature: Signature) -> Asked:
    """Return a shape for each input of a signature, or raise CompileError with the signature."""
    given = {} if text is None else _parse(text, signature)
    unknown = sorted(given.keys() - signature.inputs.keys())
    if unknown:
        raise CompileError(
            f"DataInputConfig names {', '.join(unknown)}, which the model does not have."
            f" {describe(signature)}"
        )
    shapes, notices = {}, []
    for name, spec in signature.inputs.items():
        if spec.type is None or spec.type.kind == "O":
            raise CompileError(
                f"The input {name} is of type {spec.type_name}, which cannot be compiled."
                f" {describe(signature)}"
            )
        shape = given.get(name)
        if shape is None:
            shapes[name] = _own_shape(spec, signature, is_given=text is not None)
            continue
        if spec.shape is not None and len(shape) != len(spec.shape):
            raise CompileError(
                f"DataInputConfig gives {name} {len(shape)} dimensions. {describe(signature)}"
            )
        shapes[name] = _fitted(shape, spec)
        if shapes[name] != shape:
            notices.append(
                f"DataInputConfig asks for {name}{render_shape(shape)}, and the model takes only"
                f" {render_shape(spec.shape)}: compiled for {render_shape(shapes[name])}"
            )
    return Asked(shapes, tuple(notices))


def _parse(text: str, signature: Signature) -> dict[str, tuple[int, ...]]:
    try:
        given: Any = json.loads(text)
    except ValueError as error:
        raise CompileError(
            f'DataInputConfig is not JSON ({error}): write it like {{"inputs": [1, 256, 256, 3]}}.'
        ) from error
    if isinstance(given, list) and given and all(isinstance(each, int) for each in given):
        if len(signature.inputs) != 1:
            raise CompileError(
                f"DataInputConfig names no input, and there are several. {describe(signature)}"
            )
        given = {next(iter(signature.inputs)): given}
    if not isinstance(given, dict):
        raise CompileError(f"DataInputConfig is not a JSON object. {describe(signature)}")
    return {name: _dimensions(name, value, signature) for name, value in given.items()}


def _dimensions(name: str, value: Any, signature: Signature) -> tuple[int, ...]:  # noqa: ANN401
    if isinstance(value, dict):
        value = value.get("shape")
    if not isinstance(value, list) or not all(
        isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in value
    ):
        raise CompileError(
            f"DataInputConfig gives {name} {json.dumps(value)}: each dimension is a whole number"
            f" above 0. {describe(signature)}"
        )
    if math.prod(value) > limits.COMPILE_INPUT_ELEMENTS_MAX:
        raise CompileError(
            f"DataInputConfig gives {name} {math.prod(value):,} elements; at most"
            f" {limits.COMPILE_INPUT_ELEMENTS_MAX:,} are taken."
        )
    return tuple(value)


def _own_shape(spec: TensorSpec, signature: Signature, *, is_given: bool) -> tuple[int, ...]:
    """Return the model's own shape with one row, where nothing else is open."""
    if is_given:
        raise CompileError(f"DataInputConfig lacks the input {spec.name}. {describe(signature)}")
    if spec.shape is None or None in spec.shape[1:]:
        raise CompileError(
            f"The model leaves {spec.name}{render_shape(spec.shape)} open: say a shape for it in"
            f" DataInputConfig. {describe(signature)}"
        )
    return tuple(size or 1 for size in spec.shape)


def _fitted(shape: tuple[int, ...], spec: TensorSpec) -> tuple[int, ...]:
    if spec.shape is None:
        return shape
    return tuple(
        asked if own is None else own for asked, own in zip(shape, spec.shape, strict=True)
    )


def describe(signature: Signature) -> str:
    """Say what a model takes, in the form that DataInputConfig has."""
    inputs = ", ".join(
        f"{name}: {spec.type_name} {render_shape(spec.shape)}"
        for name, spec in signature.inputs.items()
    )
    return f"The model takes {inputs}."
