"""`GET /metrics` of a container: the numbers of all its processes, for Prometheus."""

import http.client
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import grpc
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.serving.harness import Alone, invoke, request, wait_until

pytestmark = pytest.mark.slow

Run = Callable[..., Alone]
# In the order in which the tests name them.
LABELS = ("target_model", "process", "model", "status", "le")
REQUESTS = "windtunnel_container_requests_total"


def scrape(url: str) -> dict[tuple[str, ...], float]:
    answer = request(url, "GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *(sample.labels[k] for k in LABELS if k in sample.labels)): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def test_several_model_servers_are_counted_as_one_container(
    run_alone: Run, tiny_models: Path
) -> None:
    """Requests, stages and restarts of all of them, whichever is asked, also after a crash."""
    alone = run_alone(tiny_models / "half_plus_two", "--port=0", SAGEMAKER_TFS_INSTANCE_COUNT="2")
    url = alone.wait_ready()
    for _ in range(8):
        assert invoke(url, "1").status == 200
    assert invoke(url, "[1").status == 400
    assert request(url, "POST", "/v1/models/no:predict", "1").status == 404
    found = scrape(url)
    assert found[REQUESTS, "model_server", "half_plus_two", "200"] == 8
    assert found[REQUESTS, "model_server", "half_plus_two", "400"] == 1
    assert found[REQUESTS, "model_server", "", "404"] == 1
    for stage in ("decode", "engine", "encode"):
        name = f"windtunnel_container_{stage}_duration_seconds_count"
        assert found[name, "model_server", "half_plus_two"] == 8
    assert found["windtunnel_container_requests_in_hand", "model_server"] == 0

    children = psutil.Process(alone.process.pid).children()
    victim = min(children, key=lambda child: child.pid)
    victim.kill()
    restarts = ("windtunnel_container_process_restarts_total", "model_server")
    wait_until(lambda: scrape(url)[restarts] == 1, "the restart of a model server")
    assert scrape(url)[REQUESTS, "model_server", "half_plus_two", "200"] == 8


def test_many_models_are_counted_each_by_its_name(
    run_alone: Run, tiny_models: Path, tmp_path: Path
) -> None:
    """Which of many models is slow, or fails, is what a dashboard of them is for."""
    alone = run_alone(tmp_path, "--port=0", SAGEMAKER_MULTI_MODEL="true")
    url = alone.wait_ready()
    body = json.dumps({"model_name": "0123", "url": str(tiny_models / "half_plus_two")})
    target = {"X-Amzn-SageMaker-Target-Model": "a.tar.gz"}
    assert request(url, "POST", "/models", body, target).status == 200
    for name, status in (("0123", 200), ("0123", 200), ("gone", 404)):
        kind = {"Content-Type": "application/json"}
        assert request(url, "POST", f"/models/{name}/invoke", "1", kind).status == status

    found = scrape(url)
    assert found[REQUESTS, "a.tar.gz", "model_server", "half_plus_two", "200"] == 2
    name = "windtunnel_container_engine_duration_seconds_count"
    assert found[name, "a.tar.gz", "model_server", "half_plus_two"] == 2
    assert found[REQUESTS, "", "door", "", "404"] == 1
    assert found["windtunnel_container_requests_in_hand", "", "door"] == 0

    assert request(url, "DELETE", "/models/0123").status == 200
    assert "a.tar.gz" not in {labels[1] for labels in scrape(url)}


def test_batches_and_grpc_are_counted(run_alone: Run, tiny_models: Path) -> None:
    """Batching is tuned by how many rows a batch really has."""
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    alone = run_alone(
        tiny_models / "half_plus_two",
        "--port=0",
        "--grpc-port=0",
        SAGEMAKER_TFS_ENABLE_BATCHING="true",
    )
    url = alone.wait_ready()
    assert invoke(url, '{"instances": [1, 2, 3]}').status == 200
    with grpc.insecure_channel(alone.wait_grpc()) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.Predict(predict_pb2.PredictRequest())
    found = scrape(url)

    name = "windtunnel_container_batch_size_rows"
    assert found[f"{name}_sum", "model_server"] == 3
    assert found[f"{name}_bucket", "model_server", "4"] == 1
    assert found[REQUESTS, "model_server", "", "INVALID_ARGUMENT"] == 1


def test_a_scripts_requests_and_the_models_are_counted_apart(
    run_alone: Run, scripted: Callable[..., Path]
) -> None:
    """One client's request is a request of the worker, and another of a model server."""
    model_dir = scripted(
        "def input_handler(data, context):\n    return data.read()\n\n"
        "def output_handler(response, context):\n    return response.content, 'application/json'\n"
    )
    alone = run_alone(model_dir, "--port=0", SAGEMAKER_GUNICORN_WORKERS="2")
    url = alone.wait_ready()
    for _ in range(4):
        assert invoke(url, '{"instances": [1]}').status == 200
    found = scrape(url)

    for process in ("script_worker", "model_server"):
        assert found[REQUESTS, process, "half_plus_two", "200"] == 4


def test_clients_that_leave_a_script_are_counted(
    run_alone: Run, scripted: Callable[..., Path], tmp_path: Path
) -> None:
    """They waited for too long: without them a slow script looks as if nobody had asked it."""
    model_dir = scripted(
        "import pathlib, time\n"
        "def handler(data, context):\n"
        "    folder = pathlib.Path(data.read().decode())\n"
        "    (folder / 'begun').touch()\n"
        "    while not (folder / 'go on').exists():\n"
        "        time.sleep(0.01)\n"
        "    return '', None\n"
    )
    url = run_alone(model_dir, "--port=0").wait_ready()

    def leave(number: int) -> float:
        folder = tmp_path / str(number)
        folder.mkdir()
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        connection.request("POST", "/invocations", str(folder))
        wait_until((folder / "begun").exists, "the script")
        connection.close()
        in_hand = "windtunnel_container_requests_in_hand"
        wait_until(lambda: scrape(url)[in_hand, "front"] == 0, "the front's farewell")
        (folder / "go on").touch()
        wait_until(lambda: scrape(url)[in_hand, "script_worker"] == 0, "the end of the script")
        return scrape(url).get((REQUESTS, "script_worker", "half_plus_two", "499"), 0.0)

    # The worker hears of it a little later than the front, and may have answered before.
    numbers = itertools.count()
    wait_until(lambda: leave(next(numbers)), "a client that was missed")
