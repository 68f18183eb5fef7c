"""A signature that is not made for classify or regress is refused in TensorFlow Serving's words."""

from typing import Any

import numpy as np
import pytest

from windtunnel.serving.errors import Code, RequestError
from windtunnel.serving.modelserver.scoring import (
    CLASSIFY_METHOD,
    REGRESS_METHOD,
    check_classification,
    check_regression,
    read_classes,
    read_values,
)
from windtunnel.serving.tensors import TYPES, Signature, TensorSpec


def signature(
    method: str, outputs: dict[str, str], inputs: dict[str, str] | None = None
) -> Signature:
    def specs(types: dict[str, str]) -> dict[str, TensorSpec]:
        return {name: TensorSpec(name, TYPES[kind], kind, None) for name, kind in types.items()}

    return Signature(
        "s", specs({"inputs": "string"} if inputs is None else inputs), specs(outputs), method
    )


def classifying(outputs: dict[str, str], inputs: dict[str, str] | None = None) -> Signature:
    return signature(CLASSIFY_METHOD, outputs, inputs)


def regressing(outputs: dict[str, str], inputs: dict[str, str] | None = None) -> Signature:
    return signature(REGRESS_METHOD, outputs, inputs)


BOTH = {"classes": "string", "scores": "float"}
VALUES = {"outputs": "float"}


def test_signatures_made_for_it_are_taken() -> None:
    """Classes, scores, or both; one value."""
    check_classification(classifying(BOTH))
    check_classification(classifying({"scores": "float"}))
    check_classification(classifying({"classes": "string"}))
    check_regression(regressing(VALUES))


@pytest.mark.parametrize(
    ("found", "expected", "code"),
    [
        (
            regressing(VALUES),
            "to be tensorflow/serving/classify. Was: tensorflow/serving/regress",
            3,
        ),
        (classifying(BOTH, {"a": "string", "b": "string"}), "Expected one input Tensor.", 3),
        (classifying(BOTH | {"x": "float"}), "Expected one or two output Tensors, found 3", 3),
        (classifying(BOTH, {"x": "string"}), "No classification inputs found in SignatureDef", 9),
        (classifying({"x": "float"}), 'contain at least one of "classes" or "scores"', 9),
        (classifying(BOTH, {"inputs": "float"}), "to be DT_STRING. Got: DT_FLOAT", 3),
    ],
)
def test_what_does_not_classify_is_said(found: Signature, expected: str, code: int) -> None:
    """The message says what the signature should have had."""
    with pytest.raises(RequestError) as caught:
        check_classification(found)

    assert expected in caught.value.message
    assert caught.value.code is Code(code)


@pytest.mark.parametrize(
    ("found", "expected", "code"),
    [
        (
            classifying(BOTH),
            "to be tensorflow/serving/regress. Was: tensorflow/serving/classify",
            3,
        ),
        (regressing({}), "Expected one output Tensor.", 3),
        (regressing({"x": "float"}), "No regression outputs found in SignatureDef", 9),
        (regressing(VALUES, {"x": "string"}), "No regression inputs found in SignatureDef", 9),
    ],
)
def test_what_does_not_regress_is_said(found: Signature, expected: str, code: int) -> None:
    """The message says what the signature should have had."""
    with pytest.raises(RequestError) as caught:
        check_regression(found)

    assert expected in caught.value.message
    assert caught.value.code is Code(code)


def labels(*shape: int) -> Any:
    return np.full(shape, b"a", np.object_)


@pytest.mark.parametrize(
    ("types", "outputs", "expected"),
    [
        (BOTH, {"classes": labels(2), "scores": np.ones((2, 1))}, "num_classes] but got [2]"),
        (BOTH, {"classes": labels(3, 1), "scores": np.ones((2, 1))}, "size of 2. Got: 3"),
        (BOTH, {"classes": labels(2, 3), "scores": np.ones((2, 1))}, "dim_size(1). Got 3 vs. 1"),
        (
            {"scores": "double"},
            {"scores": np.ones((2, 1))},
            "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
        ),
        (
            {"classes": "int64"},
            {"classes": np.ones((2, 1))},
            "Expected classes Tensor of DT_STRING. Got: DT_INT64",
        ),
    ],
)
def test_classes_that_do_not_fit_the_examples_are_said(
    types: dict[str, str], outputs: dict[str, Any], expected: str
) -> None:
    """An answer with a row too many would be read as another example's."""
    with pytest.raises(RequestError) as caught:
        read_classes(classifying(types), outputs, 2)

    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("float", np.ones((2, 2)), "either [batch_size] or [batch_size, 1] but got [2,2]"),
        ("float", np.ones(()), "but got []"),
        ("float", np.ones(3), "did not match output batch size: 2 vs. 3"),
        ("double", np.ones(2), "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
    ],
)
def test_values_that_do_not_fit_the_examples_are_said(
    kind: str, values: Any, expected: str
) -> None:
    """One value for each example, or none at all."""
    with pytest.raises(RequestError) as caught:
        read_values(regressing({"outputs": kind}), {"outputs": values}, 2)

    assert expected in caught.value.message


def test_columns_of_one_value_are_values() -> None:
    """Keras gives [batch, 1], hand-written models [batch]."""
    for values in (np.ones((2, 1), np.float32), np.ones(2, np.float32)):
        assert read_values(regressing(VALUES), {"outputs": values}, 2).tolist() == [1, 1]
