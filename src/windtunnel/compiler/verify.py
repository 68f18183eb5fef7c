"""Whether a candidate's answers are the baseline's, and by which measure.

    mask       one channel of values from 0 to 1, as a segmentation gives: the intersection over
               union of what is above 0.4, in the mean of the samples. 0.4 is the threshold of the
               workshop's notebook. Where it leaves the samples' masks empty, or full, two masks
               agree whatever is in them: such answers are compared as all else is
    relative   all else: 1 less the root mean square of the difference, against that of how far the
               baseline's answers, all of an output's, are from their mean. Against their size a
               model of temperatures would pass that always answers the mean: here it has 0 or
               less. Where answers do not deviate, as one number does not, it is against their size
    own        the user's metric

All are the better the larger. The defaults of TOLERANCES are what a mask of the reference U-Net
keeps with room (2026-11-26: 0.9994 in bf16, 0.9925 in int8), and for others what the steps of a
precision add up to over some twenty layers.
"""

import importlib.util
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from windtunnel.compiler.errors import CompileError
from windtunnel.serving.tensors import Tensors

THRESHOLD = 0.4
MASK, RELATIVE, OWN = "mask IoU at 0.4", "1 - error / deviation", "the archive's metric"
TOLERANCES: Mapping[str, Mapping[str, float]] = {
    MASK: {"f32": 0.995, "bf16": 0.99, "int8": 0.98},
    RELATIVE: {"f32": 0.9999, "bf16": 0.98, "int8": 0.90},
}
_RANK_MASKS_MIN = 3
# What deviates by less than so many roundings of its type is one number that was computed twice.
_ROUNDINGS = 4

Metric = Callable[[Tensors, Tensors], float]
Answers = Sequence[Tensors]


@dataclass(frozen=True, slots=True)
class Measure:
    """How answers are compared, and what is enough for each precision."""

    name: str
    # Of what is expected, and what was got, for all samples.
    score: Callable[[Answers, Answers], float]
    tolerance: Mapping[str, float]


def mean_of(metric: Metric) -> Callable[[Answers, Answers], float]:
    """Return the mean over the samples of a metric of one."""

    def score(expected: Answers, got: Answers) -> float:
        return float(np.mean([metric(*pair) for pair in zip(expected, got, strict=True)]))

    return score


def choose_measure(
    expected: Answers,
    tolerance: Mapping[str, float],
    tried: Sequence[str],
    own: Metric | None = None,
) -> Measure:
    """Return how to compare with what the baseline has answered, or raise CompileError."""
    if own is not None:
        lacking = [precision for precision in tried if precision not in tolerance]
        if lacking:
            raise CompileError(
                "A metric of your own needs a tolerance for each precision that is tried, and"
                f" CompilerOptions has none for {', '.join(lacking)}: give it, or name in"
                " precisions what to try."
            )
        return Measure(OWN, mean_of(own), tolerance)
    for answer in expected:
        for name, value in answer.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise CompileError(
                    f"The model's own answer {name} to a sample is not finite: nothing can be"
                    " compared with it. Give samples of your own (calibration)."
                )
    if all(map(_is_mask, expected)) and _say_something(expected):
        return Measure(MASK, mean_of(_mask_iou), {**TOLERANCES[MASK], **tolerance})
    return Measure(RELATIVE, _closeness, {**TOLERANCES[RELATIVE], **tolerance})


def are_alike(answers: Answers) -> bool:
    """Say whether several samples got the same answer: a form that is a constant has it, too."""
    first, *others = answers
    return bool(others) and all(
        np.array_equal(value, other[name]) for other in others for name, value in first.items()
    )


def _is_mask(answer: Tensors) -> bool:
    if len(answer) != 1:
        return False
    value = _floats(next(iter(answer.values())))
    return (
        value.dtype.kind == "f"
        and value.ndim >= _RANK_MASKS_MIN
        and value.shape[-1] == 1
        and bool(((value >= 0) & (value <= 1)).all())
    )


def _say_something(masks: Answers) -> bool:
    """Whether masks have both sides of the threshold: of others, any nonsense has the same."""
    sides = [value > THRESHOLD for mask in masks for value in map(_floats, mask.values())]
    return any(map(np.any, sides)) and not all(map(np.all, sides))


def _floats(value: npt.NDArray[np.generic]) -> npt.NDArray[np.floating]:
    return cast("npt.NDArray[np.floating]", value)


def _mask_iou(expected: Tensors, got: Tensors) -> float:
    ((name, value),) = expected.items()
    if got[name].shape != value.shape or not np.isfinite(_floats(got[name])).all():
        return -np.inf
    here, there = _floats(value) > THRESHOLD, _floats(got[name]) > THRESHOLD
    union = int(np.count_nonzero(here | there))
    # Two empty masks are the same mask.
    return int(np.count_nonzero(here & there)) / union if union else 1.0


def _closeness(expected: Answers, got: Answers) -> float:
    """Return what the worst of the outputs has."""
    return min(
        _closeness_of([each[name] for each in expected], [each[name] for each in got])
        for name in expected[0]
    )


def _closeness_of(
    expected: Sequence[npt.NDArray[np.generic]], got: Sequence[npt.NDArray[np.generic]]
) -> float:
    for here, there in zip(expected, got, strict=True):
        if here.shape != there.shape or not np.isfinite(_doubles(there)).all():
            return -np.inf
    count = sum(value.size for value in expected)
    if not count:
        return 1.0
    mean = sum(float(_doubles(value).sum()) for value in expected) / count
    size = _root_mean_square(map(_doubles, expected), count)
    deviation = _root_mean_square((_doubles(value) - mean for value in expected), count)
    error = _root_mean_square(
        (_doubles(a) - _doubles(b) for a, b in zip(expected, got, strict=True)), count
    )
    scale = deviation if deviation > _ROUNDINGS * _rounding(expected[0]) * size else size
    return 1 - (error / scale if scale else float(error > 0))


def _doubles(value: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    return np.asarray(value, np.float64)


def _root_mean_square(values: Iterable[npt.NDArray[np.float64]], count: int) -> float:
    # One sample after the other: the doubles of all at once may be gigabytes.
    return math.sqrt(sum(float(np.sum(value**2)) for value in values) / count)


def _rounding(value: npt.NDArray[np.generic]) -> float:
    """Return a rounding's share of a number; the mean of whole ones is taken in doubles."""
    kind: Any = value.dtype if value.dtype.kind == "f" else np.float64
    return float(np.finfo(kind).eps)


def load_metric(spec: str, directory: Path) -> Metric:
    """Return the function that FILE.py:FUNCTION names in an unpacked archive."""
    file, _, name = spec.partition(":")
    path = (directory / file).resolve()
    if not name or not path.is_relative_to(directory.resolve()) or not path.is_file():
        raise CompileError(f"The metric {spec} is no FILE.py:FUNCTION of the archive.")
    found = importlib.util.spec_from_file_location("metric", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
        function = getattr(module, name)
    except (Exception, SystemExit) as error:
        # It is the user's code.
        raise CompileError(f"The metric {spec} cannot be loaded: {error!r}.") from error

    def metric(expected: Tensors, got: Tensors) -> float:
        try:
            return float(function(expected, got))
        except (Exception, SystemExit) as error:
            raise CompileError(f"The metric {spec} failed: {error!r}.") from error

    return metric
