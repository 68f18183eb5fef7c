"""Whether answers are the baseline's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from windtunnel.compiler.errors import CompileError
from windtunnel.compiler.verify import (
    MASK,
    RELATIVE,
    Measure,
    are_alike,
    choose_measure,
    load_metric,
    mean_of,
)

ALL = ("f32", "bf16", "int8")


def mask(*values: float) -> dict[str, Any]:
    return {"m": np.array(values, np.float32).reshape(1, 1, -1, 1)}


def vector(*values: float) -> dict[str, Any]:
    return {"y": np.array([values], np.float32)}


def score(expected: dict[str, Any], got: dict[str, Any], measure: str) -> float:
    chosen = choose_measure([expected], {}, ALL)
    assert chosen.name == measure
    return chosen.score([expected], [got])


@pytest.mark.parametrize(
    ("got", "iou"),
    [
        (mask(0.9, 0.5, 0.1, 0.2), 1.0),
        (mask(0.41, 0.41, 0.39, 0.39), 1.0),
        (mask(0.9, 0.1, 0.1, 0.1), 0.5),
        (mask(0.9, 0.5, 0.5, 0.5), 0.5),
        (mask(0.1, 0.1, 0.9, 0.9), 0.0),
    ],
)
def test_masks_are_compared_by_what_is_above_the_threshold(got: Any, iou: float) -> None:
    """As the workshop's notebook draws them."""
    assert score(mask(0.8, 0.6, 0.3, 0.0), got, MASK) == iou


def test_one_empty_mask_among_others_agrees_with_an_empty_one() -> None:
    """Some pictures have nothing in them."""
    expected = [mask(0.9, 0.1), mask(0.1, 0.1)]
    measure = choose_measure(expected, {}, ALL)

    assert measure.name == MASK
    assert measure.score(expected, [mask(0.9, 0.1), mask(0.2, 0.2)]) == 1.0
    assert measure.score(expected, [mask(0.9, 0.1), mask(0.9, 0.2)]) == 0.5


@pytest.mark.parametrize("expected", [mask(0.1, 0.2, 0.0), mask(0.9, 0.8, 0.7)])
def test_masks_that_say_nothing_are_not_compared_as_masks(expected: Any) -> None:
    """Any nonsense below the threshold has the same empty mask, and would pass for right."""
    assert score(expected, {"m": expected["m"] / 3}, RELATIVE) < 0.5


@pytest.mark.parametrize("expected", [mask(0.8, 0.1), vector(0.5, -1)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_is_never_right(expected: Any, bad: float) -> None:
    """NaN is below every threshold, and an empty mask is a plausible one."""
    ((name, value),) = expected.items()
    got = {name: np.where(value == value.min(), np.float32(bad), value)}

    measure = choose_measure([expected], {}, ALL)

    assert not measure.score([expected], [got]) >= -1e9


def test_an_answer_of_another_shape_is_never_right() -> None:
    """Arrays of numpy would stretch one row over all."""
    for expected, got in ((mask(0.9, 0.1), mask(0.9)), (vector(1, 2), vector(1))):
        assert choose_measure([expected], {}, ALL).score([expected], [got]) == -np.inf


def test_others_are_compared_by_how_much_they_deviate_and_the_worst_output_counts() -> None:
    """A second output that is wrong is wrong however right the first is."""
    expected = {"a": np.array([3.0, 4.0]), "b": np.array([101.0, 99.0])}
    got = {"a": np.array([3.0, 4.0]), "b": np.array([101.1, 98.9])}

    assert score(expected, got, RELATIVE) == pytest.approx(0.9)


@pytest.mark.parametrize("constant", [300.0, 299.5, 0.0])
@pytest.mark.parametrize("level", [0.0, 300.0, -1e5])
def test_a_constant_is_never_right_however_large_answers_are(level: float, constant: float) -> None:
    """Temperatures of 300 K that vary by one: the constant is within a hundredth of their size."""
    random = np.random.Generator(np.random.PCG64(1))
    expected = [{"y": level + random.normal(0, 1, (1, 4))} for _ in range(8)]
    mean = np.mean([each["y"] for each in expected])
    measure = choose_measure(expected, {}, ALL)

    for value in (mean, constant):
        assert measure.score(expected, [{"y": np.full((1, 4), value)}] * 8) <= 1e-9


def test_answers_deviate_over_all_samples() -> None:
    """One number a sample is a constant in each, and none over all of them."""
    expected = [vector(299), vector(301)]
    measure = choose_measure(expected, {}, ALL)

    assert measure.score(expected, [vector(299.1), vector(300.9)]) == pytest.approx(0.9, abs=1e-4)
    assert measure.score(expected, [vector(300), vector(300)]) == 0


@pytest.mark.parametrize("expected", [vector(300), vector(300, np.nextafter(300, 301, dtype="f"))])
def test_an_answer_that_does_not_deviate_is_compared_by_its_size(expected: Any) -> None:
    """One number, or one that was computed twice: an error has nothing else to stand against."""
    got = {"y": expected["y"] * np.float32(0.9)}

    assert score(expected, got, RELATIVE) == pytest.approx(0.9)


def test_an_empty_answer_is_right() -> None:
    """A detector may find nothing in any sample."""
    assert score({"y": np.zeros((0, 4))}, {"y": np.zeros((0, 4))}, RELATIVE) == 1


def test_samples_that_get_one_answer_are_noticed() -> None:
    """They would let pass any form that always gives it."""
    assert are_alike([vector(1, 2)] * 3)
    assert not are_alike([vector(1, 2)])
    assert not are_alike([vector(1, 2), vector(1, 2), vector(1, 3)])


def test_an_answer_of_nothing_but_zeros_is_right_only_if_the_other_is() -> None:
    """There is no relative error against nothing."""
    assert score(vector(0, 0), vector(0, 0), RELATIVE) == 1
    assert score(vector(0, 0), vector(0, 1e-9), RELATIVE) == 0


def test_a_probability_a_row_is_no_mask() -> None:
    """A classifier of two classes has one channel in 0 to 1, and no picture."""
    assert choose_measure([vector(0.7)], {}, ALL).name == RELATIVE


def test_a_tolerance_of_ones_own_takes_the_place_of_one_default() -> None:
    """The others stay."""
    tolerance = choose_measure([mask(0.9, 0.1)], {"int8": 0.5}, ALL).tolerance

    assert tolerance == {"f32": 0.995, "bf16": 0.99, "int8": 0.5}


def test_a_model_whose_own_answers_are_not_finite_cannot_be_compared_with() -> None:
    """The samples that were made up do not suit it: its owner has better ones."""
    with pytest.raises(CompileError, match="answer y to a sample is not finite.*calibration"):
        choose_measure([vector(np.nan)], {}, ALL)


def test_a_metric_of_ones_own_is_loaded_from_the_archive(tmp_path: Path) -> None:
    """Who knows what the answers are for knows when they are good enough."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "m.py").write_text(
        "def close(a, b):\n    return 1 - abs(a['y'] - b['y']).max()\n"
    )

    metric = load_metric("code/m.py:close", tmp_path)
    measure = choose_measure([vector(1)], {"f32": 0.5}, ["f32"], metric)

    assert measure.score([vector(1)], [vector(0.75)]) == pytest.approx(0.75)
    assert measure.tolerance == {"f32": 0.5}


def test_a_metric_of_ones_own_needs_a_tolerance_for_all_that_is_tried() -> None:
    """Where a default would be, nobody knows: it may count decibels, or errors below zero."""
    with pytest.raises(CompileError, match="needs a tolerance for each.*has none for bf16, int8:"):
        choose_measure([vector(1)], {"f32": 60}, ALL, lambda *_: 1.0)

    with pytest.raises(CompileError, match="has none for f32:"):
        choose_measure([vector(1)], {}, ["f32"], lambda *_: 1.0)

    assert choose_measure([vector(1)], {"f32": 60}, ["f32"], lambda *_: 1.0).tolerance == {
        "f32": 60
    }


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("m.py", "is no FILE.py:FUNCTION"),
        ("absent.py:f", "is no FILE.py:FUNCTION"),
        ("../outside.py:f", "is no FILE.py:FUNCTION"),
        ("m.py:absent", "cannot be loaded: AttributeError"),
        ("broken.py:f", "cannot be loaded: SyntaxError"),
        ("exits.py:f", "cannot be loaded: SystemExit"),
    ],
)
def test_a_metric_that_cannot_be_had_is_said(tmp_path: Path, spec: str, reason: str) -> None:
    """Before minutes of work."""
    (tmp_path / "outside.py").write_text("def f(a, b): return 1\n")
    root = tmp_path / "archive"
    root.mkdir()
    (root / "m.py").write_text("def f(a, b): return 1\n")
    (root / "broken.py").write_text("def f(:\n")
    (root / "exits.py").write_text("raise SystemExit(3)\n")

    with pytest.raises(CompileError, match=f"The metric {spec} {reason}"):
        load_metric(spec, root)


def test_a_metric_that_fails_is_the_users_to_mend(tmp_path: Path) -> None:
    """Its exception is no fault of the compiler's."""
    (tmp_path / "m.py").write_text("def f(a, b):\n    return a['absent']\n")
    metric = load_metric("m.py:f", tmp_path)

    with pytest.raises(CompileError, match="m.py:f failed: KeyError"):
        Measure("own", mean_of(metric), {}).score([vector(1)], [vector(1)])
