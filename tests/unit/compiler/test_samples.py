"""What a model is tried with: made up, or given."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from windtunnel.compiler.errors import CompileError
from windtunnel.compiler.samples import SAMPLE_COUNT, divide, make_samples, read_samples
from windtunnel.core import limits
from windtunnel.serving.tensors import TYPES, Signature, Tensors, TensorSpec


def signature(**kinds: str) -> Signature:
    inputs = {name: TensorSpec(name, TYPES[kind], kind, None) for name, kind in kinds.items()}
    return Signature("serving_default", inputs, {}, "tensorflow/serving/predict")


PICTURES = signature(inputs="float")
SHAPES = {"inputs": (2, 8, 8, 3)}


def given(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_made_up_samples_are_the_same_each_time() -> None:
    """Two runs of a job compare the same answers."""
    first, second = (make_samples(PICTURES, SHAPES, {"inputs": 255.0}) for _ in range(2))

    assert len(first) == SAMPLE_COUNT
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one["inputs"], other["inputs"])
    assert not np.array_equal(first[0]["inputs"], first[1]["inputs"])


def test_made_up_pictures_are_smooth_and_of_the_range_that_the_model_expects() -> None:
    """A model's answers to noise say little of those to pictures."""
    (sample, *_) = make_samples(signature(x="float"), {"x": (1, 96, 96, 3)}, {"x": 255.0})
    value = sample["x"]

    assert value.dtype == np.float32
    assert value.min() >= 0
    assert 100 < value.max() <= 255
    assert np.array_equal(value, np.rint(value))
    assert np.abs(np.diff(value, axis=1)).mean() < np.abs(value - value.mean()).mean() / 2


@pytest.mark.parametrize("kind", ["float", "half", "double", "uint8", "int32", "int64", "bool"])
def test_samples_are_made_for_every_type_of_number(kind: str) -> None:
    """Tokens, flags, bytes."""
    (sample, *_) = make_samples(signature(x=kind), {"x": (2, 5)}, {})

    assert sample["x"].dtype == TYPES[kind].dtype
    assert sample["x"].shape == (2, 5)
    (sample, *_) = make_samples(signature(x=kind), {"x": ()}, {})
    assert isinstance(sample["x"], np.ndarray)


def test_given_samples_are_taken_a_row_each_as_the_compiled_batch(tmp_path: Path) -> None:
    """Whoever compiles for a batch of two still has single pictures."""
    pictures = np.arange(3 * 192).reshape(3, 8, 8, 3)

    found = read_samples(given(tmp_path / "c.npz", inputs=pictures), PICTURES, SHAPES)

    assert [each["inputs"].shape for each in found] == [(2, 8, 8, 3)] * 3
    assert all(each["inputs"].dtype == np.float32 for each in found)
    assert np.array_equal(found[2]["inputs"][1], pictures[2])


def test_an_input_without_dimensions_takes_a_number_a_sample(tmp_path: Path) -> None:
    """A model may take a threshold beside its picture."""
    path = given(tmp_path / "c.npz", x=np.zeros((2, 3)), limit=np.array([0.5, 0.75]))

    found = read_samples(path, signature(x="float", limit="float"), {"x": (1, 3), "limit": ()})

    assert [float(each["limit"]) for each in found] == [0.5, 0.75]
    assert found[0]["limit"].shape == ()


def test_more_samples_than_the_limit_are_not_used(tmp_path: Path) -> None:
    """Quantising takes its time for each."""
    path = given(tmp_path / "c.npz", x=np.zeros((limits.CALIBRATION_SAMPLE_COUNT_MAX + 5, 1)))

    found = read_samples(path, signature(x="float"), {"x": (1, 1)})

    assert len(found) == limits.CALIBRATION_SAMPLE_COUNT_MAX


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"inputs": np.zeros((4, 9, 9, 3))}, r"for inputs has samples of \[9,9,3\].*for \[8,8,3\]"),
        ({"inputs": np.zeros((8, 8, 3))}, r"for inputs has samples of \[8,3\]"),
        ({"inputs": np.zeros((4, 8, 8, 3), "U3")}, "for inputs is of type <U3"),
        ({"inputs": np.zeros((4, 8, 8, 3), complex)}, "for inputs is of type complex128"),
        ({"inputs": np.zeros((0, 8, 8, 3))}, "has no samples"),
        ({"inputs": np.float32(1)}, "has no samples"),
        ({"a": np.zeros((4, 8, 8, 3))}, "has a. The model takes inputs"),
        ({"a": np.zeros(1), "b": np.zeros(1)}, "has a, b. The model takes inputs"),
        ({}, "has no array. The model takes inputs"),
    ],
)
def test_samples_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, Any], reason: str
) -> None:
    """Before NNCF says it in its own way."""
    with pytest.raises(CompileError, match=f"The calibration data {reason}"):
        read_samples(given(tmp_path / "c.npz", **arrays), PICTURES, SHAPES)


def test_fractions_for_whole_numbers_are_refused(tmp_path: Path) -> None:
    """Pictures from 0 to 1 for a model of bytes would all be black."""
    path = given(tmp_path / "c.npz", x=np.full((4, 8, 8, 3), 0.5))

    with pytest.raises(CompileError, match="for x is of type float64. The model takes x: uint8"):
        read_samples(path, signature(x="uint8"), {"x": (1, 8, 8, 3)})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_samples_that_are_not_finite_are_refused_by_name_and_row(
    tmp_path: Path, bad: float
) -> None:
    """An activation swallows NaN, and all answers are alike; 1e300 is more than a float holds."""
    values = np.zeros((4, 3))
    values[2, 1] = bad
    path = given(tmp_path / "c.npz", x=values, y=np.zeros((4, 1)))

    with pytest.raises(
        CompileError, match=r"data for x holds values that are not finite \(row 2\)"
    ):
        read_samples(path, signature(x="float", y="float"), {"x": (2, 3), "y": (2, 1)})


def test_inputs_need_as_many_samples_each(tmp_path: Path) -> None:
    """A sample is a value for each input."""
    path = given(tmp_path / "c.npz", a=np.zeros((4, 1)), b=np.zeros((3, 1)))

    with pytest.raises(CompileError, match="not as many for each input"):
        read_samples(path, signature(a="float", b="float"), {"a": (1, 1), "b": (1, 1)})


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    """An .npy, a picture, half a download, objects of Python."""
    whole = io.BytesIO()
    np.savez_compressed(whole, a=np.arange(10000))
    objects = io.BytesIO()
    np.savez(objects, a=np.array([{}], object))
    array = io.BytesIO()
    np.save(array, np.zeros((4, 8, 8, 3)))
    path = tmp_path / "c.npz"
    data = whole.getvalue()
    for content in (
        b"",
        b"hello",
        b"PK\x03\x04rest",
        data[: len(data) // 2],
        data[:200] + bytes(100) + data[300:],
        array.getvalue(),
        objects.getvalue(),
    ):
        path.write_bytes(content)
        with pytest.raises(CompileError, match="c.npz is not an .npz of arrays"):
            read_samples(path, PICTURES, SHAPES)


def test_a_form_is_judged_on_samples_that_did_not_make_it() -> None:
    """A quantised graph is at its best on what it was quantised by."""
    many: list[Tensors] = [{"x": np.array([float(number)])} for number in range(20)]

    made_by, judged_on = divide(many)

    assert (len(made_by), len(judged_on)) == (12, SAMPLE_COUNT)
    assert not {each["x"][0] for each in made_by} & {each["x"][0] for each in judged_on}


def test_few_samples_are_all_used() -> None:
    """With a handful, quantising well comes first."""
    few: list[Tensors] = [{"x": np.array([float(number)])} for number in range(10)]

    made_by, judged_on = divide(few)

    assert made_by == few
    assert judged_on == few[-SAMPLE_COUNT:]
