"""The files that make up a sample: their names, and the picture's share of them.

model.tar.gz   the model as SageMaker hosts it
payload.json   one picture as the workshop's notebook sends it
picture.png    the same picture to look at
mask.png       where its nuclei really are: white
expected.json  how well the model should do, on this picture and in the mean
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from windtunnel.sample.pictures import Picture

MODEL, PAYLOAD, PICTURE, MASK, EXPECTED = (
    "model.tar.gz",
    "payload.json",
    "picture.png",
    "mask.png",
    "expected.json",
)
FILES = (MODEL, PAYLOAD, PICTURE, MASK, EXPECTED)


@dataclass(frozen=True)
class Expected:
    """What was measured when the model was made."""

    threshold: float
    iou: float  # of the model's mask of the payload's picture
    iou_mean: float  # over all held-out pictures
    iou_min: float
    iou_mean_otsu: float  # a global threshold's on the same pictures: what the model has to beat
    held_out_count: int
    seed: int
    parameter_count: int
    tensorflow: str


def write_picture(directory: Path, picture: Picture) -> None:
    """Write the payload, the picture and the true mask."""
    (directory / PAYLOAD).write_text(payload(picture))
    _write_png(directory / PICTURE, picture.pixels)
    _write_png(directory / MASK, picture.mask.astype(np.uint8) * 255)


def payload(picture: Picture) -> str:
    """Return the picture as the workshop's notebook sends it: a bare list, no `instances`."""
    return json.dumps(picture.pixels[None].tolist())


def write_expected(directory: Path, expected: Expected) -> None:
    """Write down what was measured."""
    text = json.dumps(dataclasses.asdict(expected), indent=2)
    (directory / EXPECTED).write_text(text + "\n")


def read_expected(directory: Path) -> Expected:
    """Return what was written down when the model was made."""
    return Expected(**json.loads((directory / EXPECTED).read_text()))


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path, format="PNG")
