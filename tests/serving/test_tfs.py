"""`--model-server tfs`: TensorFlow Serving's own binary in the place of our model servers.

No registry carries that binary, so a stand-in for it (`fake_tfs.py`) is put on PATH: it takes the
flags and answers the calls that are documented. The rest is as it runs for users.
"""

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.processes import is_alive
from tests.serving.harness import Alone, Zygote, invoke, request, wait_until

pytestmark = pytest.mark.slow

Run = Callable[..., Alone]


class Binary:
    """The stand-in on PATH, and what it was told."""

    def __init__(self, directory: Path) -> None:
        self._record = directory / "record"
        program = directory / "tensorflow_model_server"
        code = Path(__file__).with_name("fake_tfs.py").read_text()
        program.write_text(f"#!{sys.executable}\n{code}")
        program.chmod(0o755)
        self.environment = {
            "PATH": f"{directory}:{os.environ['PATH']}",
            "FAKE_TFS_RECORD": str(self._record),
        }

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._record.read_text().splitlines()]


@pytest.fixture
def binary(tmp_path: Path) -> Binary:
    directory = tmp_path / "bin"
    directory.mkdir()
    return Binary(directory)


def run_tfs(run_alone: Run, model_dir: Path, binary: Binary, **environment: str) -> Alone:
    options = ("--port=0", "--model-server=tfs")
    return run_alone(model_dir, *options, **(binary.environment | environment))


def test_the_binary_gets_the_originals_flags_and_files(
    run_alone: Run, tiny_models: Path, binary: Binary
) -> None:
    """What is tuned here with the binary must be what SageMaker would run."""
    model_dir = tiny_models / "half_plus_two"
    alone = run_tfs(
        run_alone,
        model_dir,
        binary,
        SAGEMAKER_TFS_INSTANCE_COUNT="2",
        SAGEMAKER_TFS_INTRA_OP_PARALLELISM="3",
        SAGEMAKER_TFS_INTER_OP_PARALLELISM="1",
        SAGEMAKER_TFS_ENABLE_BATCHING="true",
        SAGEMAKER_TFS_MAX_BATCH_SIZE="16",
        SAGEMAKER_TFS_NUM_BATCH_THREADS="4",
        SAGEMAKER_TFS_MAX_ENQUEUED_BATCHES="5",
        SAGEMAKER_TFS_BATCH_TIMEOUT_MICROS="250",
    )
    alone.wait_ready()
    first, second = binary.told()

    assert first["flags"]["rest_api_port"] != second["flags"]["rest_api_port"]
    flags = {key: value for key, value in first["flags"].items() if "port" not in key}
    assert flags.pop("model_config_file")
    assert flags.pop("batching_parameters_file")
    assert flags == {
        "max_num_load_retries": "0",
        "enable_batching": "true",
        "tensorflow_intra_op_parallelism": "3",
        "tensorflow_inter_op_parallelism": "1",
    }
    base = model_dir / "half_plus_two"
    assert f'base_path: "{base.resolve()}"' in first["config"]
    assert "versions: 123" in first["config"]
    assert first["batching"].splitlines() == [
        "max_batch_size { value: 16 }",
        "batch_timeout_micros { value: 250 }",
        "num_batch_threads { value: 4 }",
        "max_enqueued_batches { value: 5 }",
    ]
    assert first["omp"] == "1"


def test_sagemakers_contract_is_translated(
    run_alone: Run, tiny_models: Path, binary: Binary
) -> None:
    """The same requests as to our own server and to SageMaker, with the binary's answers."""
    alone = run_tfs(run_alone, tiny_models / "half_plus_two", binary)
    url = alone.wait_ready()
    attributes = "X-Amzn-SageMaker-Custom-Attributes"

    assert request(url, "GET", "/ping").status == 200
    assert invoke(url, "1").json == {"predictions": [2.5]}
    assert invoke(url, '{"instances": [1, 2]}').json == {"predictions": [2.5, 3.0]}
    assert invoke(url, "1\n2\n", "text/csv").json == {"predictions": [2.5, 3.0]}
    assert invoke(url, '["a"]').status == 400
    assert invoke(url, "1", "image/png").status == 415
    named = request(url, "POST", "/invocations", "1", {attributes: "tfs-model-name=none"})
    assert named.status in (404, 415)
    own = request(url, "POST", "/v1/models/half_plus_two:predict", '{"instances": [1]}')
    assert own.json == {"predictions": [2.5]}
    assert request(url, "GET", "/else").status == 404
    metrics = request(url, "GET", "/metrics").body.decode()
    assert 'model="half_plus_two",process="front",status="200"} 4.0' in metrics


def test_a_binary_that_crashes_is_started_again_and_none_is_left(
    run_alone: Run, tiny_models: Path, binary: Binary
) -> None:
    """Supervised as our own servers are, and gone with the container."""
    alone = run_tfs(run_alone, tiny_models / "half_plus_two", binary)
    url = alone.wait_ready()
    psutil.Process(binary.told()[0]["pid"]).kill()
    wait_until(lambda: len(binary.told()) == 2, "another start")
    wait_until(lambda: invoke(url, "1").status == 200, "an answer of the new one")
    successor = psutil.Process(binary.told()[1]["pid"])
    alone.process.send_signal(signal.SIGTERM)

    assert alone.wait_exit()[0] == 0
    assert not is_alive(successor)


def test_a_killed_container_takes_its_binary_along(
    run_alone: Run, tiny_models: Path, binary: Binary
) -> None:
    """A foreign program knows nothing of its parent, and must not hold the ports for ever."""
    alone = run_tfs(run_alone, tiny_models / "half_plus_two", binary)
    alone.wait_ready()
    process = psutil.Process(binary.told()[0]["pid"])
    alone.process.kill()

    wait_until(lambda: not is_alive(process), "the end of the binary")


def test_requests_in_hand_are_answered_before_the_binary_ends(
    run_alone: Run, tiny_models: Path, binary: Binary
) -> None:
    """TensorFlow Serving drops everything at SIGTERM, so it must be the last to get one."""
    alone = run_tfs(run_alone, tiny_models / "half_plus_two", binary, FAKE_TFS_DELAY_S="2")
    url = alone.wait_ready()
    answers: list[Any] = []
    client = threading.Thread(target=lambda: answers.append(invoke(url, "1")))
    client.start()
    in_flight = 'requests_in_hand{process="front"} 1.0'
    wait_until(lambda: in_flight in request(url, "GET", "/metrics").body.decode(), "the request")
    alone.process.send_signal(signal.SIGTERM)
    client.join()

    assert answers[0].json == {"predictions": [2.5]}
    assert alone.wait_exit()[0] == 0


def test_scripts_call_the_binary(
    run_alone: Run, scripted: Callable[..., Path], binary: Binary
) -> None:
    """context.rest_uri leads to it, as on SageMaker."""
    model_dir = scripted(
        "def input_handler(data, context):\n    return data.read()\n\n"
        "def output_handler(response, context):\n    return response.content, 'application/json'\n"
    )
    alone = run_tfs(run_alone, model_dir, binary)
    url = alone.wait_ready()

    assert invoke(url, '{"instances": [4]}').json == {"predictions": [4.0]}
    assert len(binary.told()) == 1


def test_a_container_of_the_cloud_runs_it_too(
    zygote: Zygote, tiny_models: Path, binary: Binary
) -> None:
    """An endpoint asks for it by a variable of its model."""
    container = zygote.start(
        tiny_models / "half_plus_two",
        nice=0,
        WINDTUNNEL_MODEL_SERVER="tfs",
        **binary.environment,
    )
    (address,) = container.wait_listening()

    assert invoke(address, "1").json == {"predictions": [2.5]}
    assert container.stop() == 0


def test_without_the_binary_the_container_says_what_to_install(
    run_alone: Run, tiny_models: Path, tmp_path: Path
) -> None:
    """And that nothing has to be: the default needs no binary."""
    assert shutil.which("tensorflow_model_server", path=str(tmp_path)) is None
    alone = run_alone(
        tiny_models / "half_plus_two", "--port=0", "--model-server=tfs", PATH=str(tmp_path)
    )
    status, errors = alone.wait_exit()

    assert status == 2
    assert "tensorflow_model_server is not on PATH: install it" in errors
    assert "needs nothing" in errors
    assert "Traceback" not in errors
