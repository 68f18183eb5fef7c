"""Whether a candidate's answers are the baseline's, and by which measure.

    mask       one channel of values from 0 to 1, as a segmentation gives: the intersection over
               union of what is above 0.4, in the mean of the samples. 0.4 is the threshold of the
               workshop's notebook. Where it leaves the samples' masks empty, or full, two masks
               agree whatever is in them: such answers are compared as all else is
    relative   all else: 1 less the root mean square of the difference, against that of the answer
    own        the user's metric

All are the better the larger. The defaults of TOLERANCES are what a mask of the reference U-Net
keeps with room (2026-11-26: 0.9994 in bf16, 0.9925 in int8), and for others what the steps of a
precision add up to over some twenty layers.
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from windtunnel.compiler.errors import CompileError
from windtunnel.serving.tensors import Tensors

THRESHOLD = 0.4
MASK, RELATIVE, OWN = "mask IoU at 0.4", "1 - relative error", "the archive's metric"
TOLERANCES: Mapping[str, Mapping[str, float]] = {
    MASK: {"f32": 0.995, "bf16": 0.99, "int8": 0.98},
    RELATIVE: {"f32": 0.9999, "bf16": 0.98, "int8": 0.90},
}
_RANK_MASKS_MIN = 3

Metric = Callable[[Tensors, Tensors], float]


@dataclass(frozen=True, slots=True)
class Measure:
    """How answers are compared, and what is enough for each precision."""

    name: str
    metric: Metric
    tolerance: Mapping[str, float]

    def score(self, expected: Sequence[Tensors], got: Sequence[Tensors]) -> float:
        """Return the mean over the samples."""
        scores = [self.metric(*pair) for pair in zip(expected, got, strict=True)]
        return float(np.mean(scores))


def choose_measure(
    expected: Sequence[Tensors],
    tolerance: Mapping[str, float],
    own: Metric | None = None,
) -> Measure:
    """Return how to compare with what the baseline has answered, or raise CompileError."""
    if own is not None:
        if not tolerance:
            raise CompileError("A metric of your own needs a tolerance in CompilerOptions.")
        return Measure(OWN, own, tolerance)
    for answer in expected:
        for name, value in answer.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise CompileError(
                    f"The model's own answer {name} to a sample is not finite: nothing can be"
                    " compared with it. Give samples of your own (calibration)."
                )
    if all(map(_is_mask, expected)) and _say_something(expected):
        return Measure(MASK, _mask_iou, {**TOLERANCES[MASK], **tolerance})
    return Measure(RELATIVE, _closeness, {**TOLERANCES[RELATIVE], **tolerance})


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


def _say_something(masks: Sequence[Tensors]) -> bool:
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


def _closeness(expected: Tensors, got: Tensors) -> float:
    worst = 1.0
    for name, value in expected.items():
        here, there = value.astype(np.float64), np.asarray(got[name], np.float64)
        if here.shape != there.shape or not np.isfinite(there).all():
            return -np.inf
        size = float(np.sqrt(np.mean(here**2)))
        error = float(np.sqrt(np.mean((here - there) ** 2)))
        worst = min(worst, 1 - (error / size if size else float(error > 0)))
    return worst


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
