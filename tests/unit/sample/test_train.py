"""The maker of the reference model, on a training cut down to two steps.

What the whole training reaches is checked by the maker itself each time it runs.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from windtunnel.sample import bundle, mask

pytestmark = pytest.mark.slow

# One TensorFlow process for all the claims below: importing it takes longer than the rest.
MAKE = """
import json, sys
from pathlib import Path
from windtunnel.core.errors import WindtunnelError
from windtunnel.sample import architecture, train, training

bad, good = (Path(name) for name in sys.argv[1:])
training.STEP_COUNT, training._WARM_UP_STEPS = 2, 1
train._TRAINING_COUNT = train._HELD_OUT_COUNT = 2
told = ""
try:
    train.make(bad)
except WindtunnelError as error:
    told = str(error)
train.IOU_MIN = 0.0
train.make(good)

import numpy as np, tensorflow as tf
from tests.archives import unpack
unpack(good / "model.tar.gz", good / "unpacked")
loaded = tf.saved_model.load(str(good / "unpacked/export/Servo/1"))
serve = loaded.signatures["serving_default"]
pixels = np.array(json.loads((good / "payload.json").read_text()), np.float32)
answer = serve(inputs=tf.constant(pixels))
print(json.dumps({
    "told": told,
    "parameters": architecture.unet(256).count_params(),
    "saved": sum(int(np.prod(variable.shape)) for variable in loaded.parameters),
    "inputs": {name: [each.shape.as_list(), each.dtype.name]
               for name, each in serve.structured_input_signature[1].items()},
    "outputs": {name: each.shape.as_list() for name, each in serve.structured_outputs.items()},
    "answer": next(iter(answer.values())).numpy().tolist(),
    "operations": sorted({node.type for node in serve.graph.get_operations()}),
}))
"""


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return where a model that falls short was made, and where one that passes."""
    return tmp_path_factory.mktemp("bad"), tmp_path_factory.mktemp("good")


@pytest.fixture(scope="module")
def facts(directories: tuple[Path, Path]) -> dict[str, Any]:
    """Return what one process found out about both."""
    bad, good = directories
    output = subprocess.run(
        [sys.executable, "-c", MAKE, str(bad), str(good)],
        check=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "KERAS_HOME": str(bad.parent / "keras")},
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    found: dict[str, Any] = json.loads(output)
    return found


def test_the_network_has_the_workshops_size(facts: dict[str, Any]) -> None:
    """Latency and memory stand for the workshop's model only if it is the same network."""
    assert facts["parameters"] == 1_941_105
    assert facts["saved"] == 1_941_105


def test_the_model_is_called_as_the_workshops(facts: dict[str, Any]) -> None:
    """The workshop's clients send `inputs` and read one mask; their code stays as it is."""
    assert facts["inputs"] == {"inputs": [[None, 256, 256, 3], "float32"]}
    assert facts["outputs"] == {"outputs": [None, 256, 256, 1]}


def test_a_model_that_falls_short_is_not_kept(
    facts: dict[str, Any], directories: tuple[Path, Path]
) -> None:
    """A reference that marks nonsense would make every later comparison worthless."""
    assert "mean IoU of 0." in facts["told"]
    assert list(directories[0].iterdir()) == []


def test_the_payload_is_one_picture_as_the_workshop_sends_it(
    facts: dict[str, Any], directories: tuple[Path, Path]
) -> None:
    """A bare nested list of bytes, under InvokeEndpoint's limit."""
    text = (directories[1] / bundle.PAYLOAD).read_text()
    pixels = json.loads(text)

    assert facts["told"]
    assert text.startswith("[[[[")
    assert (len(pixels), len(pixels[0]), len(pixels[0][0]), len(pixels[0][0][0])) == (
        1, 256, 256, 3,
    )  # fmt: skip
    assert all(isinstance(value, int) and 0 <= value <= 255 for value in pixels[0][7][9])
    assert len(text) < 6_291_456


def test_the_model_in_the_archive_scores_what_was_written_down(
    facts: dict[str, Any], directories: tuple[Path, Path]
) -> None:
    """Whoever serves the archive right finds the very figure in expected.json."""
    expected = bundle.read_expected(directories[1])
    truth = mask.read(directories[1] / bundle.MASK)
    served = mask.marked(facts["answer"], expected.threshold)

    assert mask.iou(served, truth) == pytest.approx(expected.iou, abs=1e-3)
    assert expected.parameter_count == 1_941_105
    assert expected.iou_min <= expected.iou_mean


def test_the_archive_has_the_workshops_layout(
    facts: dict[str, Any], directories: tuple[Path, Path]
) -> None:
    """The container names the model after the folder above its version: Servo."""
    assert facts["told"]
    with tarfile.open(directories[1] / bundle.MODEL) as tar:
        files = [member.name for member in tar if member.isfile()]

    assert files == [
        "export/Servo/1/saved_model.pb",
        "export/Servo/1/variables/variables.data-00000-of-00001",
        "export/Servo/1/variables/variables.index",
    ]


def test_dropout_and_python_stay_out_of_the_served_graph(facts: dict[str, Any]) -> None:
    """A compiler takes what it knows: no random numbers, no calls back into Python."""
    assert not {name for name in facts["operations"] if "Random" in name or "Py" in name}
