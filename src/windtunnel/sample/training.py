"""Train the U-Net on crops of synthetic pictures: short, seeded, and the same each time.

The schedule is a number of steps, never a time: on one machine the same seed gives the same
weights. Another processor rounds differently and ends elsewhere, so what is promised is a quality,
which `train.py` measures on pictures that were never seen here.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from windtunnel.core.clock import SystemClock
from windtunnel.sample.architecture import unet
from windtunnel.sample.pictures import Picture

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Chosen by trial on 2 cores, 2026-11-22: of crops of 64, 96 and 128 pixels with the same number
# of pixels a step, and rates of 1.2e-3 and 2e-3, these reached the highest IoU. More steps give
# more (240: 0.90) and take longer, 0.11 s each.
STEP_COUNT = 200
_CROP_PX = 96
_BATCH_COUNT = 8
_RATE = 2e-3
_WARM_UP_STEPS = 30
# With Adam's usual memory of 1,000 steps, or without the clip, IoU fell short by 0.03 to 0.1.
_SECOND_MOMENT_DECAY = 0.99
_GRADIENT_NORM_MAX = 1.0
# Keeps the dice of a crop without any nucleus from being all or nothing; in pixels.
_DICE_SMOOTHING_PX = 8.0
_REPORT_INTERVAL_S = 5.0


def trained(pictures: Sequence[Picture], seed: int, report: Callable[[str], None]) -> "keras.Model":
    """Return a U-Net trained on `pictures`; `report` is told how far it is every few seconds."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    random = np.random.Generator(np.random.PCG64(seed))
    foreground_share = float(np.mean([picture.mask.mean() for picture in pictures]))
    model = unet(_CROP_PX, foreground_share=foreground_share)
    step = _step(model)
    clock = SystemClock()
    started_s = reported_s = clock.monotonic_s()
    for done in range(1, STEP_COUNT + 1):
        pixels, truth = _crops(pictures, random)
        loss = step(tf.constant(pixels), tf.constant(truth))
        if done == 1:
            # The first step compiles the graph: no measure of the others.
            started_s = clock.monotonic_s()
        elif (now_s := clock.monotonic_s()) - reported_s > _REPORT_INTERVAL_S:
            reported_s = now_s
            left_s = (now_s - started_s) / (done - 1) * (STEP_COUNT - done)
            report(
                f"step {done} of {STEP_COUNT}, loss {float(loss):.3f}, about {left_s:.0f} s left"
            )
    return model


def _step(model: "keras.Model") -> "Callable[[tf.Tensor, tf.Tensor], tf.Tensor]":
    """Return the function that learns from one batch and answers its loss."""
    import keras
    import tensorflow as tf

    rate = keras.optimizers.schedules.CosineDecay(
        _RATE / 10,
        STEP_COUNT - _WARM_UP_STEPS,
        alpha=0.01,
        warmup_target=_RATE,
        warmup_steps=_WARM_UP_STEPS,
    )
    optimizer = keras.optimizers.Adam(
        rate, beta_2=_SECOND_MOMENT_DECAY, global_clipnorm=_GRADIENT_NORM_MAX
    )
    optimizer.build(model.trainable_variables)

    def step(pixels: "tf.Tensor", truth: "tf.Tensor") -> "tf.Tensor":
        with tf.GradientTape() as tape:
            answer = model(pixels, training=True)
            # Cross-entropy alone forgets dim nuclei among so much background: dice a crop
            # weighs a sparse crop as much as a full one.
            cross_entropy = tf.reduce_mean(keras.losses.binary_crossentropy(truth, answer))
            both = tf.reduce_sum(answer * truth, axis=[1, 2, 3])
            each = tf.reduce_sum(answer, axis=[1, 2, 3]) + tf.reduce_sum(truth, axis=[1, 2, 3])
            dice = (2 * both + _DICE_SMOOTHING_PX) / (each + _DICE_SMOOTHING_PX)
            loss = cross_entropy + 1 - tf.reduce_mean(dice)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return tf.function(step)  # type: ignore[no-any-return]


def _crops(
    pictures: Sequence[Picture], random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut a batch of crops at random places, each turned and mirrored at random."""
    pixels = np.empty((_BATCH_COUNT, _CROP_PX, _CROP_PX, 3), np.float32)
    truth = np.empty((_BATCH_COUNT, _CROP_PX, _CROP_PX, 1), np.float32)
    for place in range(_BATCH_COUNT):
        picture = pictures[int(random.integers(len(pictures)))]
        top, left = random.integers(0, len(picture.mask) - _CROP_PX + 1, 2)
        window = (slice(top, top + _CROP_PX), slice(left, left + _CROP_PX))
        turns, mirrored = int(random.integers(4)), random.random() < 0.5  # noqa: PLR2004 - a coin
        flip = slice(None, None, -1 if mirrored else 1)
        pixels[place] = np.rot90(picture.pixels[window], turns)[:, flip]
        truth[place, :, :, 0] = np.rot90(picture.mask[window], turns)[:, flip]
    return pixels, truth
