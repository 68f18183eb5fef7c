"""A compiled archive in the container that serves it."""

import json
import signal
from collections.abc import Iterator

import numpy as np
import pytest
from tests.compiler.conftest import Compiled, ask, pictures
from tests.serving.harness import Alone, Answer, invoke, request

from windtunnel.serving.engines.engine import Engine


@pytest.fixture(scope="module")
def container(masks: Compiled) -> Iterator[Alone]:
    """The compiled masks behind their own inference.py."""
    alone = Alone(masks.directory, ("--port=0",), {"SAGEMAKER_TFS_INTER_OP_PARALLELISM": "2"})
    yield alone
    alone.process.kill()
    alone.process.communicate()


@pytest.fixture(scope="module")
def address(container: Alone) -> str:
    return container.wait_ready()


def score(address: str, inputs: np.ndarray) -> Answer:
    return invoke(address, json.dumps({"instances": inputs.tolist()}))


@pytest.mark.parametrize("shape", [(1, 32, 32, 3), (3, 32, 32, 3), (1, 20, 28, 3)])
def test_requests_are_answered_as_tensorflow_answers_them(
    address: str, tensorflow: Engine, shape: tuple[int, ...]
) -> None:
    """Also those of another batch or size than it was compiled for, and through the script."""
    inputs = pictures(*shape)

    answer = score(address, inputs)

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json; scripted"
    expected = ask(tensorflow, inputs=inputs)["outputs"]
    assert np.allclose(answer.json["predictions"], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"instances": [[[[1, 2]]]]}', "has shape [1,1,1,2], which is not the signature's"),
        ('{"instances": []}', "No values in 'instances' array"),
        ('{"wrong": [1]}', "Missing 'inputs' or 'instances' key"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_and_the_next_is_answered(
    address: str, body: str, error: str
) -> None:
    """In the words that TensorFlow Serving has for it, which the script hands on."""
    assert error in invoke(address, body).json["error"]
    assert score(address, pictures(1, 32, 32, 3)).status == 200


def test_what_runs_and_what_it_had_to_specialise_is_in_the_log(
    container: Alone, address: str
) -> None:
    """A first request that waits is explained, and so is a variable that does nothing."""
    assert score(address, pictures(2, 16, 16, 3)).status == 200
    assert request(address, "GET", "/ping").status == 200

    container.process.send_signal(signal.SIGTERM)
    status, log = container.wait_exit()

    assert status == 0
    assert "model masks, version 7, is compiled for ml_c5: OpenVINO, f32" in log
    assert "SAGEMAKER_TFS_INTER_OP_PARALLELISM=2 has no effect: the model masks is compiled" in log
    assert "compiled for [1,32,32,3], asked for [2,16,16,3]: specialised in" in log
