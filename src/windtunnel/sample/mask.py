"""Masks: which pixels a model marks, and how well that agrees with the truth.

Numpy only: whoever compares two answers needs no TensorFlow.
"""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Where the workshop's notebook cuts the model's probabilities.
THRESHOLD = 0.4


def marked(probabilities: ArrayLike, threshold: float = THRESHOLD) -> NDArray[np.bool_]:
    """Return the pixels above the threshold, [height, width].

    Takes a plane, or a model's answer for one picture as it is: [1, height, width, 1].
    """
    plane = np.asarray(probabilities)
    if plane.ndim == 4 and plane.shape[0] == 1:  # noqa: PLR2004 - picture, row, column, channel
        plane = plane[0]
    if plane.ndim == 3 and plane.shape[2] == 1:  # noqa: PLR2004 - row, column, channel
        plane = plane[:, :, 0]
    if plane.ndim != 2:  # noqa: PLR2004 - row, column
        raise ValueError(f"one picture's probabilities are wanted, not the shape {plane.shape}")
    return np.asarray(plane > threshold, dtype=np.bool_)


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return intersection over union of two masks; two empty masks agree wholly."""
    if one.shape != other.shape:
        raise ValueError(f"masks of different shapes: {one.shape} and {other.shape}")
    union = int(np.count_nonzero(one | other))
    return 1.0 if union == 0 else int(np.count_nonzero(one & other)) / union


def otsu_level(grey: NDArray[np.uint8]) -> int:
    """Return the brightness that best splits a picture in two; above it is foreground.

    Otsu, "A threshold selection method from gray-level histograms", 1979: the level with the
    largest variance between the two classes. This is what a model has to beat.
    """
    levels = np.arange(256)
    histogram = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    below = histogram.cumsum()
    above = below[-1] - below
    weight_below = (histogram * levels).cumsum()
    mean_apart = weight_below / np.maximum(below, 1) - (
        (weight_below[-1] - weight_below) / np.maximum(above, 1)
    )
    return int(np.argmax(below * above * mean_apart**2))


def thresholded(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return what Otsu's threshold marks in a coloured picture, by its brightest channel."""
    grey = pixels.max(axis=2)
    return np.asarray(grey > otsu_level(grey), dtype=np.bool_)


def read(path: Path) -> NDArray[np.bool_]:
    """Return the mask in a black-and-white PNG, as `windtunnel sample` writes it."""
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > 127  # noqa: PLR2004 - half of white
