"""What a model marked, against the truth."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from windtunnel.sample import mask

planes = st.lists(st.booleans(), min_size=6, max_size=6).map(
    lambda cells: np.array(cells).reshape(2, 3)
)


@given(planes, planes)
def test_iou_is_that_of_the_two_sets_of_pixels(
    one: NDArray[np.bool_], other: NDArray[np.bool_]
) -> None:
    """Every claim about quality rests on this figure."""
    first = {(int(row), int(column)) for row, column in np.argwhere(one)}
    second = {(int(row), int(column)) for row, column in np.argwhere(other)}
    expected = len(first & second) / len(first | second) if first | second else 1.0

    assert mask.iou(one, other) == expected


def test_masks_of_different_shapes_are_refused() -> None:
    """Numpy would stretch a row over a plane and answer nonsense."""
    with pytest.raises(ValueError, match="different shapes"):
        mask.iou(np.ones((2, 2), bool), np.ones((1, 2), bool))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (1, 2, 3, 1)])
def test_a_models_answer_is_taken_as_it_comes(shape: tuple[int, ...]) -> None:
    """TF Serving answers [picture, row, column, channel]; users cut it down or do not."""
    probabilities = np.array([0.1, 0.39, 0.4, 0.41, 0.9, 0.0]).reshape(shape).tolist()

    assert mask.marked(probabilities).tolist() == [[False, False, False], [True, True, False]]


def test_several_pictures_are_not_taken_for_one() -> None:
    """A batch compared with one truth would give a figure that means nothing."""
    with pytest.raises(ValueError, match="one picture"):
        mask.marked(np.zeros((2, 4, 4, 1)))


@given(st.lists(st.integers(0, 255), min_size=2, max_size=60))
def test_otsus_level_separates_best(levels: list[int]) -> None:
    """The baseline that a model must beat has to be the real one."""
    grey = np.array(levels, dtype=np.uint8)

    def apart(level: int) -> float:
        low, high = grey[grey <= level].astype(float), grey[grey > level].astype(float)
        if not len(low) or not len(high):
            return 0.0
        return float(len(low) * len(high) * (low.mean() - high.mean()) ** 2)

    best = max(apart(level) for level in range(256))
    assert apart(mask.otsu_level(grey)) == pytest.approx(best)


def test_a_mask_is_read_as_it_was_written(tmp_path: Path) -> None:
    """The demo compares an endpoint's answer with the PNG beside the payload."""
    truth = np.array([[True, False, True], [False, False, True]])
    Image.fromarray(truth.astype(np.uint8) * 255).save(tmp_path / "mask.png")

    assert (mask.read(tmp_path / "mask.png") == truth).all()
