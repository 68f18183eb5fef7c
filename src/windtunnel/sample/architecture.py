"""The U-Net of the AIM406 workshop, layer for layer.

The workshop hosts a model trained with github.com/kamalkraj/DATA-SCIENCE-BOWL-2018; its `model.py`
is what stands here. One thing differs: the division by 255 is a Rescaling layer, not a Lambda,
which Keras 3 refuses to load. Nothing here has the size of the picture in its weights, so a model
trained on crops and one that serves whole pictures share them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

PARAMETER_COUNT = 1_941_105

# From the full size down: each level halves the picture.
_WIDTHS = (16, 32, 64, 128, 256)
_DROPOUTS = (0.1, 0.1, 0.2, 0.2, 0.3)
# The side of a picture must divide by this: four halvings.
SIDE_MULTIPLE_PX = 2 ** (len(_WIDTHS) - 1)


def unet(side_px: int, *, foreground_share: float = 0.5) -> "keras.Model":
    """Return the untrained network for pictures of `side_px`, red, green and blue from 0 to 255.

    It starts out by answering `foreground_share` everywhere.
    """
    import math

    import keras
    from keras import layers

    assert side_px % SIDE_MULTIPLE_PX == 0

    def convolved(plane: "keras.KerasTensor", width: int, dropout: float) -> "keras.KerasTensor":
        for step in range(2):
            plane = layers.Conv2D(
                width, 3, activation="elu", kernel_initializer="he_normal", padding="same"
            )(plane)
            if step == 0:
                plane = layers.Dropout(dropout)(plane)
        return plane

    pixels = keras.Input((side_px, side_px, 3), name="inputs")
    plane = layers.Rescaling(1 / 255)(pixels)
    levels = list(zip(_WIDTHS, _DROPOUTS, strict=True))
    passed = []
    for width, dropout in levels[:-1]:
        plane = convolved(plane, width, dropout)
        passed.append(plane)
        plane = layers.MaxPooling2D(2)(plane)
    plane = convolved(plane, *levels[-1])
    for width, dropout in reversed(levels[:-1]):
        plane = layers.Conv2DTranspose(width, 2, strides=2, padding="same")(plane)
        plane = layers.Concatenate()([plane, passed.pop()])
        plane = convolved(plane, width, dropout)
    start = keras.initializers.Constant(math.log(foreground_share / (1 - foreground_share)))
    mask = layers.Conv2D(1, 1, activation="sigmoid", bias_initializer=start)(plane)
    return keras.Model(pixels, mask, name="unet")
