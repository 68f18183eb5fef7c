"""Classify and regress: what a model makes of tf.Examples.

Both feed one tensor of serialized examples, and say so when a signature is not made for it; rules
and wording as classifier.cc and regressor.cc in TensorFlow Serving. The method that a signature is
for stands in its SavedModel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from windtunnel.serving.codecs.examples import ExamplesRequest
from windtunnel.serving.engines.engine import Engine
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import DEFAULT_SIGNATURE, Signature, Tensors, render_shape

# signature_constants.h
CLASSIFY_METHOD = "tensorflow/serving/classify"
REGRESS_METHOD = "tensorflow/serving/regress"
_INPUTS, _CLASSES, _SCORES, _OUTPUTS = "inputs", "classes", "scores", "outputs"

Labels = npt.NDArray[np.object_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Classes:
    """A row of classes for each example; a model may leave out labels or scores, not both."""

    labels: Labels | None
    scores: Floats | None


def classify(
    engine: Engine, signatures: Mapping[str, Signature], request: ExamplesRequest
) -> Classes:
    """Return the classes of each example, or raise RequestError."""
    signature = _choose(request.signature_name, signatures)
    check_classification(signature)
    return read_classes(signature, _run(engine, signature, request), len(request.examples))


def regress(
    engine: Engine, signatures: Mapping[str, Signature], request: ExamplesRequest
) -> Floats:
    """Return the value of each example, or raise RequestError."""
    signature = _choose(request.signature_name, signatures)
    check_regression(signature)
    return read_values(signature, _run(engine, signature, request), len(request.examples))


def _choose(name: str, signatures: Mapping[str, Signature]) -> Signature:
    wanted = name or DEFAULT_SIGNATURE
    if wanted not in signatures:
        raise RequestError(f"No signature was found with the name: {wanted}")
    return signatures[wanted]


def _run(engine: Engine, signature: Signature, request: ExamplesRequest) -> Tensors:
    return engine.run(signature, {_INPUTS: pack(request.examples)})


def pack(examples: Sequence[bytes]) -> Labels:
    """Return serialized examples as the tensor that a model takes them in."""
    packed = np.empty(len(examples), np.object_)
    packed[:] = examples
    return packed


def check_classification(signature: Signature) -> None:
    """Refuse a signature that does not classify."""
    _check_method(signature, CLASSIFY_METHOD, "classification")
    if len(signature.outputs) not in (1, 2):
        raise RequestError(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    _check_input(signature, "classification")
    if not {_CLASSES, _SCORES} & signature.outputs.keys():
        raise RequestError(
            "Expected classification signature outputs to contain at least one of"
            f' "{_CLASSES}" or "{_SCORES}". Signature was: {signature.name}',
            412,
        )


def check_regression(signature: Signature) -> None:
    """Refuse a signature that does not regress."""
    _check_method(signature, REGRESS_METHOD, "regression")
    if len(signature.outputs) != 1:
        raise RequestError("Expected one output Tensor.")
    _check_input(signature, "regression")
    if _OUTPUTS not in signature.outputs:
        raise RequestError(f"No regression outputs found in SignatureDef: {signature.name}", 412)


def _check_method(signature: Signature, wanted: str, kind: str) -> None:
    if signature.method != wanted:
        raise RequestError(
            f"Expected {kind} signature method_name to be {wanted}. Was: {signature.method}"
        )
    if len(signature.inputs) != 1:
        raise RequestError("Expected one input Tensor.")


def _check_input(signature: Signature, kind: str) -> None:
    if _INPUTS not in signature.inputs:
        raise RequestError(f"No {kind} inputs found in SignatureDef: {signature.name}", 412)
    found = signature.inputs[_INPUTS].type_name
    if found != "string":
        # TensorFlow Serving leaves this to the graph, which then speaks of its inner nodes.
        raise RequestError(
            f"Expected the input Tensor of serialized tf.Examples to be DT_STRING."
            f" Got: DT_{found.upper()}"
        )


def read_classes(signature: Signature, outputs: Tensors, count: int) -> Classes:
    """Return the classes among a model's outputs, if they are as many as the examples."""
    for name, wanted in ((_CLASSES, "string"), (_SCORES, "float")):
        if name not in outputs:
            continue
        shape = outputs[name].shape
        if len(shape) != 2:  # noqa: PLR2004 - examples by classes
            raise RequestError(
                f"Expected Tensor shape: [batch_size num_classes] but got {render_shape(shape)}"
            )
        _check_type(signature, name, wanted, f"{name} ", " Got")
        if shape[0] != count:
            raise RequestError(f"Expected {name} output batch size of {count}. Got: {shape[0]}")
    labels, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    if labels is not None and scores is not None and labels.shape[1] != scores.shape[1]:
        raise RequestError(
            "Tensors class and score should match in dim_size(1). Got"
            f" {labels.shape[1]} vs. {scores.shape[1]}"
        )
    return Classes(
        None if labels is None else labels.astype(np.object_, copy=False),
        None if scores is None else scores.astype(np.float32, copy=False),
    )


def read_values(signature: Signature, outputs: Tensors, count: int) -> Floats:
    """Return the values among a model's outputs, if they are as many as the examples."""
    values = outputs[_OUTPUTS]
    if not (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)):  # noqa: PLR2004
        raise RequestError(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got"
            f" {render_shape(values.shape)}"
        )
    if values.shape[0] != count:
        raise RequestError(
            f"Input batch size did not match output batch size: {count} vs. {values.shape[0]}"
        )
    _check_type(signature, _OUTPUTS, "float", "output ", "  Got")
    return values.astype(np.float32, copy=False).reshape(-1)


def _check_type(signature: Signature, name: str, wanted: str, what: str, got: str) -> None:
    found = signature.outputs[name].type_name
    if found != wanted:
        raise RequestError(
            f"Expected {what}Tensor of DT_{wanted.upper()}.{got}: DT_{found.upper()}"
        )
