"""A container of many models: loaded, invoked and unloaded one by one, as AWS's contract has it."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.processes import end_by_themselves, is_alive
from tests.serving.harness import Alone, Answer, Container, Zygote, invoke, request, wait_until

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, requests
def handler(data, context):
    answer = requests.post(context.rest_uri, data=data.read()).json()
    return json.dumps({"by": NAME, "pid": os.getpid(), **answer}), context.accept_header
"""


class Many:
    """A container of many models and what is asked of it."""

    def __init__(self, container: Container, address: str) -> None:
        self.container = container
        self.address = address

    def load(self, name: str, url: Path) -> Answer:
        body = json.dumps({"model_name": name, "url": str(url)})
        return request(self.address, "POST", "/models", body)

    def invoke(self, name: str, body: str = '{"instances": [1, 2]}') -> Answer:
        headers = {"Content-Type": "application/json"}
        return request(self.address, "POST", f"/models/{name}/invoke", body, headers)

    def unload(self, name: str) -> Answer:
        return request(self.address, "DELETE", f"/models/{name}")

    def names(self) -> list[str]:
        models = request(self.address, "GET", "/models").json["models"]
        return [each["modelName"] for each in models]


Start = Callable[..., Many]


@pytest.fixture
def start(zygote: Zygote, tmp_path: Path) -> Iterator[Start]:
    """Start containers of many models; all are ended."""
    started: list[Container] = []

    def begin(**environment: Any) -> Many:
        folder = tmp_path / "models"
        folder.mkdir(exist_ok=True)
        container = zygote.start(folder, nice=0, SAGEMAKER_MULTI_MODEL="true", **environment)
        started.append(container)
        (address,) = container.wait_listening()
        return Many(container, address)

    yield begin
    for container in started:
        container.stop()


def test_models_come_and_go(start: Start, tiny_models: Path) -> None:
    """What the platform does with a container, from its start without models to its last."""
    many = start()
    half, conv = tiny_models / "half_plus_two", tiny_models / "tiny_conv"

    assert request(many.address, "GET", "/ping").status == 200
    assert request(many.address, "GET", "/models").json == {"models": []}
    assert many.load("a", half).status == 200
    assert many.load("b", conv).status == 200
    assert many.invoke("a").json == {"predictions": [2.5, 3.0]}
    assert many.invoke("b", json.dumps({"instances": [[[[0, 0, 0]] * 8] * 8]})).status == 200
    assert request(many.address, "GET", "/models/a").json == {
        "modelName": "a",
        "modelUrl": str(half),
    }
    assert many.names() == ["a", "b"]
    assert many.unload("a").status == 200
    assert many.names() == ["b"]
    assert many.invoke("a").status == 404
    assert many.load("a", half).status == 200
    assert many.invoke("a").json == {"predictions": [2.5, 3.0]}


def test_what_cannot_be_done_is_said_by_status(
    start: Start, tiny_models: Path, tmp_path: Path
) -> None:
    """The platform decides by them: 507 makes it unload others, 404 and 500 are the client's."""
    many = start(SAGEMAKER_SAFE_PORT_RANGE="9000-9003")
    half = tiny_models / "half_plus_two"
    broken = tmp_path / "broken" / "m" / "1"
    broken.mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"no model")

    assert many.load("a", tmp_path / "nowhere").status == 404
    assert many.load("a", tmp_path / "models").status == 404
    failed = many.load("a", tmp_path / "broken")
    assert failed.status == 500
    assert "m version 1" in failed.json["error"] or "saved_model.pb" in failed.json["error"]
    assert many.load("a", half).status == 200
    assert many.load("a", half).json == {"error": "Model a is already loaded."}
    assert many.load("a", half).status == 409
    full = many.load("b", half)
    assert full.status == 507
    assert "no available ports" in full.json["error"]
    assert many.unload("b").json == {"error": "Model b is not loaded yet."}
    assert many.unload("b").status == 404
    assert request(many.address, "POST", "/models", "{}").status == 400
    assert invoke(many.address, "1").json == {
        "error": "Invocation request does not contain model name."
    }
    assert many.invoke("a").status == 200


def test_a_model_that_takes_too_long_is_given_up(
    start: Start, tiny_models: Path, tmp_path: Path
) -> None:
    """408 tells it from one that is broken, and its name is free again."""
    slow = tmp_path / "slow"
    shutil.copytree(tiny_models / "half_plus_two", slow)
    (slow / "code").mkdir()
    (slow / "code" / "inference.py").write_text("import time\ntime.sleep(3600)\n")
    many = start(SAGEMAKER_TFS_WAIT_TIME_SECONDS="2")
    answer = many.load("a", slow)

    assert answer.status == 408
    assert "SAGEMAKER_TFS_WAIT_TIME_SECONDS" in answer.json["error"]
    assert many.names() == []


def test_a_crash_is_one_models_own(start: Start, tiny_models: Path) -> None:
    """Whoever shares an endpoint with a model that crashes notices nothing, and it comes back."""
    many = start()
    for name in ("a", "b"):
        many.load(name, tiny_models / "half_plus_two")
    _, first, second = sorted(many.container.servers(), key=lambda process: process.pid)
    (server,) = first.children()
    os.kill(server.pid, signal.SIGKILL)

    assert many.invoke("b").status == 200
    wait_until(lambda: many.invoke("a").status == 200, "the crashed model")
    second.kill()
    wait_until(lambda: many.invoke("b").status == 200, "the other, killed as a whole")
    assert many.invoke("a").status == 200


def test_a_door_that_crashes_finds_the_models_again(start: Start, tiny_models: Path) -> None:
    """The models took minutes to load, perhaps; the process before them takes milliseconds."""
    many = start()
    many.load("a", tiny_models / "half_plus_two")
    door = min(many.container.servers(), key=lambda process: process.pid)
    door.kill()
    wait_until(lambda: not is_alive(door), "the end of the door")

    assert many.names() == ["a"]
    assert many.invoke("a").json == {"predictions": [2.5, 3.0]}


def test_each_model_has_its_own_processes_and_script(
    start: Start, tiny_models: Path, tmp_path: Path
) -> None:
    """An archive's own inference.py is before the one for all, and after it nothing is."""
    models = tmp_path / "models"
    many = start(SAGEMAKER_TFS_INSTANCE_COUNT="2")
    own = tmp_path / "own"
    shutil.copytree(tiny_models / "half_plus_two", own)
    for folder, name in ((models, "all"), (own, "own")):
        (folder / "code").mkdir()
        (folder / "code" / "inference.py").write_text(f"NAME = {name!r}\n{SCRIPT}")
    assert many.load("a", own).status == 200
    assert many.load("b", tiny_models / "half_plus_two").status == 200
    by_own, by_all = many.invoke("a").json, many.invoke("b").json

    assert (by_own["by"], by_own["predictions"]) == ("own", [2.5, 3.0])
    assert (by_all["by"], by_all["predictions"]) == ("all", [2.5, 3.0])
    assert by_own["pid"] != by_all["pid"]
    # The door; for each model a leader, two model servers and a worker.
    assert len(psutil.Process(many.container.pid).children(recursive=True)) == 1 + 2 * 4


def test_a_script_asks_a_model_by_the_name_that_it_was_given(
    start: Start, tiny_models: Path, tmp_path: Path
) -> None:
    """The original serves it by that name, and scripts put it into gRPC's model_spec."""
    many = start()
    (tmp_path / "models" / "code").mkdir()
    (tmp_path / "models" / "code" / "inference.py").write_text(
        "import requests\n"
        "def handler(data, context):\n"
        "    uri = context.rest_uri.rpartition('/')[0] + f'/{context.model_name}:predict'\n"
        "    return requests.post(uri, data=data.read()).content, 'application/json'\n"
    )
    assert many.load("0a1b", tiny_models / "half_plus_two").status == 200

    assert many.invoke("0a1b").json == {"predictions": [2.5, 3.0]}


def test_a_container_alone_serves_many_models(
    run_alone: Callable[..., Alone], tiny_models: Path, tmp_path: Path
) -> None:
    """The contract can be tried without a cloud, on the port that SageMaker would use."""
    alone = run_alone(tmp_path, "--port=0", SAGEMAKER_MULTI_MODEL="true")
    many = Many(None, alone.wait_ready())  # type: ignore[arg-type]
    many.load("a", tiny_models / "half_plus_two")
    answer: Any = many.invoke("a").json
    processes = psutil.Process(alone.process.pid).children(recursive=True)
    alone.process.send_signal(signal.SIGTERM)
    status, _ = alone.wait_exit()

    assert answer == {"predictions": [2.5, 3.0]}
    assert status == 0
    assert end_by_themselves(processes)
