"""The pictures that the reference model is trained on and asked about."""

import hashlib

import numpy as np

from windtunnel.sample import mask
from windtunnel.sample.pictures import SIDE_PX, picture


def test_a_picture_is_the_same_bytes_everywhere() -> None:
    """Two machines compare answers to the same payload, whatever numpy and processor they have.

    The digest was the same with numpy 2.0.2 and 2.4.6, with and without AVX2 and AVX-512.
    """
    made = picture(seed=1, index=2)
    digest = hashlib.sha256(made.pixels.tobytes() + made.mask.tobytes()).hexdigest()

    assert digest == "99adb30ff365048a8819c435dbb76443311874c80c21e8f472d86b03022d0f06"


def test_seed_and_index_both_make_another_picture() -> None:
    """A held-out picture must not be one of the training pictures under another number."""
    pictures = [picture(seed, index) for seed, index in ((1, 2), (1, 3), (2, 2))]

    assert len({made.pixels.tobytes() for made in pictures}) == len(pictures)
    assert len({made.mask.tobytes() for made in pictures}) == len(pictures)


def test_a_picture_has_the_form_that_the_model_takes() -> None:
    """The workshop's model takes 256 x 256 pixels of three bytes and gives a mask of that size."""
    made = picture(seed=1, index=0)

    assert made.pixels.shape == (SIDE_PX, SIDE_PX, 3)
    assert made.pixels.dtype == np.uint8
    assert made.mask.shape == (SIDE_PX, SIDE_PX)
    assert made.mask.dtype == np.bool_


def test_nuclei_are_brighter_than_what_is_around_them() -> None:
    """A truth that does not lie where the light is would teach a model nothing."""
    for index in range(5):
        made = picture(seed=1, index=index)
        grey = made.pixels.max(axis=2).astype(float)

        assert 0.02 < made.mask.mean() < 0.6
        assert grey[made.mask].mean() > 1.3 * grey[~made.mask].mean()


def test_no_global_threshold_finds_the_nuclei() -> None:
    """If a threshold were enough, a good score would not show that the model is computed right."""
    pictures = [picture(seed=1, index=index) for index in range(5)]
    ious = [mask.iou(mask.thresholded(made.pixels), made.mask) for made in pictures]

    assert np.mean(ious) < 0.7
