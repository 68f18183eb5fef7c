"""Two models that are made in seconds: for trying a server, and for tests.

`python -m windtunnel.sample.tiny DIRECTORY` writes `half_plus_two.tar.gz`, which does what TF
Serving's own test model of that name does (x / 2 + 2, version 00000123), and `tiny_conv.tar.gz`,
which takes and gives pictures like the U-Net, of 8 x 8. Run as a program, so that the caller need
not import TensorFlow.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from windtunnel.sample import export

if TYPE_CHECKING:
    import tensorflow as tf

HALF_PLUS_TWO = "half_plus_two.tar.gz"
TINY_CONV = "tiny_conv.tar.gz"
CONV_SIDE_PX = 8


def write_half_plus_two(archive: Path) -> None:
    """Write the model y = x / 2 + 2 for a list of numbers `x`."""
    import tensorflow as tf

    half, two = tf.Variable(0.5, name="half"), tf.Variable(2.0, name="two")

    def answer(x: "tf.Tensor") -> "tf.Tensor":
        return x * half + two

    export.write_archive(
        answer,
        variables=[half, two],
        source=tf.TensorSpec([None], tf.float32, name="x"),
        target="y",
        archive=archive,
        directory="half_plus_two/00000123",
    )


def write_tiny_conv(archive: Path) -> None:
    """Write a 3 x 3 convolution with a sigmoid and fixed random weights."""
    import tensorflow as tf

    random = np.random.Generator(np.random.PCG64(1))
    kernel = tf.Variable(random.normal(0, 0.3, (3, 3, 3, 1)).astype(np.float32), name="kernel")

    def answer(inputs: "tf.Tensor") -> "tf.Tensor":
        return tf.sigmoid(tf.nn.conv2d(inputs / 255.0, kernel, strides=1, padding="SAME"))

    export.write_archive(
        answer,
        variables=[kernel],
        source=tf.TensorSpec([None, CONV_SIDE_PX, CONV_SIDE_PX, 3], tf.float32, name="inputs"),
        target="outputs",
        archive=archive,
        directory="tiny_conv/1",
    )


def main() -> int:
    """Write both archives into the directory named on the command line."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    write_half_plus_two(directory / HALF_PLUS_TWO)
    write_tiny_conv(directory / TINY_CONV)
    return 0


if __name__ == "__main__":
    sys.exit(main())
