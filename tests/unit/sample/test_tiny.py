"""The two tiny models that other tests serve."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.archives import unpack
from tests.shared import tiny_archives

from windtunnel.sample import tiny

pytestmark = pytest.mark.slow

# Loads both models as a server would and prints what they answer. TensorFlow stays out of the
# tests' own process: its threads would outlive the test.
ASK = """
import json, sys
import numpy as np, tensorflow as tf
root = sys.argv[1]
half = tf.saved_model.load(root + "/half_plus_two/00000123").signatures["serving_default"]
conv = tf.saved_model.load(root + "/tiny_conv/1").signatures["serving_default"]
pixels = np.arange(8 * 8 * 3, dtype=np.float32).reshape(1, 8, 8, 3)
print(json.dumps({
    "half": half(x=tf.constant([1.0, 2.0, 5.0]))["y"].numpy().tolist(),
    "conv_shape": conv.structured_outputs["outputs"].shape.as_list(),
    "one": conv(inputs=tf.constant(pixels))["outputs"].numpy().tolist(),
    "two": conv(inputs=tf.constant(np.concatenate([pixels, 0 * pixels])))["outputs"]
        .numpy().tolist(),
}))
"""


def run(*arguments: str) -> str:
    """Run Python and return what it prints."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    return subprocess.run(
        [sys.executable, *arguments],
        check=True,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with both archives."""
    return tiny_archives(tmp_path_factory)


def test_the_tiny_models_answer_what_they_should(archives: Path, tmp_path: Path) -> None:
    """Every test of the container and the cloud compares with these answers."""
    for name in (tiny.HALF_PLUS_TWO, tiny.TINY_CONV):
        unpack(archives / name, tmp_path)
    answers = json.loads(run("-c", ASK, str(tmp_path)))

    # These three are the example in TF Serving's own REST documentation.
    assert answers["half"] == [2.5, 3.0, 4.5]
    assert answers["conv_shape"] == [None, 8, 8, 1]
    assert np.array(answers["one"]).shape == (1, 8, 8, 1)
    assert np.allclose(answers["two"][0], answers["one"][0], atol=1e-6)
    assert np.allclose(answers["two"][1], 0.5), "no light: sigmoid(0)"


def test_the_tiny_models_are_the_same_bytes_each_time(archives: Path, tmp_path: Path) -> None:
    """A test may name a model by its digest only if making it again keeps the digest."""
    run("-m", "windtunnel.sample.tiny", str(tmp_path))

    for name in (tiny.HALF_PLUS_TWO, tiny.TINY_CONV):
        assert (tmp_path / name).read_bytes() == (archives / name).read_bytes()
