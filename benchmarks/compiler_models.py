"""Models for the compiler's measurements, with seeded random weights: of each kind one."""

import subprocess
import sys
from pathlib import Path

import numpy as np

_SEED = 11
_CALIBRATION_COUNT = 16
_TOKENS, _WORDS = 64, 1000
_SIDE_PX = 160


def write_mobilenet(directory: Path) -> tuple[Path, Path]:
    """MobileNetV2, 160 x 160."""
    random = np.random.Generator(np.random.PCG64(_SEED))
    pictures = random.integers(0, 256, (_CALIBRATION_COUNT, _SIDE_PX, _SIDE_PX, 3))
    return _write(directory, "mobilenet", {"inputs": pictures.astype(np.float32)})


def write_bert(directory: Path) -> tuple[Path, Path]:
    """encoder, 4 layers of 256, 64 tokens."""
    random = np.random.Generator(np.random.PCG64(_SEED))
    words = random.integers(0, _WORDS, (_CALIBRATION_COUNT, _TOKENS))
    return _write(directory, "encoder", {"inputs": words.astype(np.int32)})


def _write(directory: Path, name: str, samples: dict[str, np.ndarray]) -> tuple[Path, Path]:
    """Write archive and samples; Keras stays out of this process."""
    subprocess.run(
        [sys.executable, "-m", "benchmarks.compiler_models", name, str(directory)],
        check=True,
        capture_output=True,
    )
    calibration = directory / "samples.npz"
    np.savez(calibration, **samples)  # type: ignore[arg-type]
    return directory / "model.tar.gz", calibration


def _mobilenet() -> object:
    import keras

    pixels = keras.Input((_SIDE_PX, _SIDE_PX, 3), name="inputs")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    body = keras.applications.MobileNetV2(
        input_tensor=scaled, weights=None, classes=1000, classifier_activation="softmax"
    )
    return keras.Model(pixels, body.output)


def _encoder(layers: int = 4, width: int = 256, heads: int = 4) -> object:
    import keras
    from keras import layers as of

    words = keras.Input((_TOKENS,), dtype="int32", name="inputs")
    plane = of.Embedding(_WORDS, width)(words)
    for _ in range(layers):
        attended = of.MultiHeadAttention(heads, width // heads)(plane, plane)
        plane = of.LayerNormalization()(plane + attended)
        hidden = of.Dense(4 * width, activation="gelu")(plane)
        plane = of.LayerNormalization()(plane + of.Dense(width)(hidden))
    return keras.Model(words, of.Dense(2)(of.GlobalAveragePooling1D()(plane)))


def main(name: str, directory: Path) -> None:
    """Write one model's archive."""
    import keras

    keras.utils.set_random_seed(_SEED)
    model = _mobilenet() if name == "mobilenet" else _encoder()
    model.export(str(directory / name / "1"), verbose=False)  # type: ignore[attr-defined]
    subprocess.run(["tar", "czf", directory / "model.tar.gz", "-C", directory, name], check=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
