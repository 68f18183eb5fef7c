"""DataInputConfig: for which shapes a model is compiled."""

import json
import re
from typing import Any

import pytest

from windtunnel.compiler.errors import CompileError
from windtunnel.compiler.shapes import choose_shapes
from windtunnel.serving.tensors import TYPES, Shape, Signature, TensorSpec


def signature(**inputs: tuple[str, Shape]) -> Signature:
    return Signature(
        "serving_default",
        {
            name: TensorSpec(name, TYPES.get(kind), kind, shape)
            for name, (kind, shape) in inputs.items()
        },
        {},
        "tensorflow/serving/predict",
    )


PICTURES = signature(inputs=("float", (None, None, None, 3)))
FIXED = signature(inputs=("float", (None, 224, 224, 3)))
TWO = signature(mask=("int32", (None, 128)), tokens=("int32", (None, 128)))


@pytest.mark.parametrize(
    "given",
    [
        {"inputs": [1, 256, 256, 3]},
        {"inputs": {"shape": [1, 256, 256, 3]}},
        [1, 256, 256, 3],
    ],
)
def test_the_forms_of_neo_are_taken(given: Any) -> None:
    """By name, Core ML's, and a bare list for a model with one input."""
    asked = choose_shapes(json.dumps(given), PICTURES)

    assert asked.shapes == {"inputs": (1, 256, 256, 3)}
    assert asked.notices == ()


def test_without_a_config_the_models_own_shape_is_taken_with_one_row() -> None:
    """Most models leave only the batch open."""
    assert choose_shapes(None, FIXED).shapes == {"inputs": (1, 224, 224, 3)}


def test_a_dimension_that_the_model_fixes_stays_and_is_said() -> None:
    """The model could not run the other shape in any engine."""
    asked = choose_shapes('{"inputs": [1, 256, 256, 3]}', FIXED)

    assert asked.shapes == {"inputs": (1, 224, 224, 3)}
    (notice,) = asked.notices
    assert re.search(
        r"asks for inputs\[1,256,256,3\].*only \[-1,224,224,3\].*\[1,224,224,3\]", notice
    )


def test_an_input_of_unknown_rank_takes_what_it_is_given() -> None:
    """A TensorFlow 1 export may say nothing of its shape."""
    unknown = signature(x=("float", None))

    assert choose_shapes('{"x": [2, 3]}', unknown).shapes == {"x": (2, 3)}
    with pytest.raises(CompileError, match="say a shape for it in DataInputConfig"):
        choose_shapes(None, unknown)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", 'is not JSON .*write it like {"inputs": \\[1, 256, 256, 3\\]}'),
        ('"inputs"', "is not a JSON object"),
        ("[]", "is not a JSON object"),
        ('{"input_1": [1, 8, 8, 3]}', "names input_1, which the model does not have"),
        ("{}", "lacks the input inputs"),
        ('{"inputs": [1, 8, 8]}', "gives inputs 3 dimensions"),
        ('{"inputs": "1,8,8,3"}', 'gives inputs "1,8,8,3": each dimension is a whole number'),
        ('{"inputs": {}}', "gives inputs null: each dimension"),
        ('{"inputs": [null, 8, 8, 3]}', ".*: each dimension is a whole number above 0"),
        ('{"inputs": [-1, 8, 8, 3]}', ".*: each dimension is a whole number above 0"),
        ('{"inputs": [0, 8, 8, 3]}', ".*: each dimension is a whole number above 0"),
        ('{"inputs": [1.0, 8, 8, 3]}', ".*: each dimension is a whole number above 0"),
        ("[true, 8, 8, 3]", ".*: each dimension is a whole number above 0"),
    ],
)
def test_a_config_that_does_not_fit_is_answered_with_the_signature(text: str, reason: str) -> None:
    """The name of an input is what everybody gets wrong first."""
    with pytest.raises(CompileError, match=f"DataInputConfig {reason}") as refused:
        choose_shapes(text, PICTURES)

    if "not JSON" not in reason:
        assert "The model takes inputs: float [-1,-1,-1,3]." in str(refused.value)


def test_a_shape_that_no_memory_holds_is_refused() -> None:
    """Before eight samples of it are made."""
    with pytest.raises(CompileError, match="3,000,000,000,000 elements; at most"):
        choose_shapes('{"inputs": [1, 1000000, 1000000, 3]}', PICTURES)


def test_open_dimensions_must_be_said() -> None:
    """Nobody else knows how large the pictures are."""
    with pytest.raises(CompileError, match=r"leaves inputs\[-1,-1,-1,3\] open: say a shape"):
        choose_shapes(None, PICTURES)


def test_several_inputs_are_named_each() -> None:
    """A bare list is for one input."""
    with pytest.raises(CompileError, match="names no input, and there are several.*mask: int32"):
        choose_shapes("[1, 128]", TWO)
    with pytest.raises(CompileError, match="lacks the input mask"):
        choose_shapes('{"tokens": [1, 128]}', TWO)
    assert choose_shapes(None, TWO).shapes == {"mask": (1, 128), "tokens": (1, 128)}


@pytest.mark.parametrize("kind", ["string", "resource"])
def test_an_input_that_is_no_number_cannot_be_compiled(kind: str) -> None:
    """A model that decodes its own JPEGs is served by TensorFlow."""
    with pytest.raises(CompileError, match=f"x is of type {kind}, which cannot be compiled"):
        choose_shapes(None, signature(x=(kind, (None,))))
