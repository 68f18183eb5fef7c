"""Archives with `code/inference.py`: the user's functions between the client and the models."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.serving.harness import Alone, Answer, Container, Zygote, invoke, request, wait_until

pytestmark = pytest.mark.slow

Scripted = Callable[..., Path]

HANDLER = """
import json, os, sys, threading
import grpc, numpy, requests, tensorflow
import beside
arrived = threading.Event()
print("imported on stdout")
def handler(data, context):
    body = data.read()
    command = body.decode("utf-8", "replace")
    if command == "context":
        return json.dumps(context._replace(channel=None)), "application/json"
    if command == "beside":
        return beside.TEXT, "text/plain; charset=utf-8"
    if command == "environment":
        return json.dumps({"stdin": sys.stdin.read(), "path": sys.path[0]}), None
    if command == "variables":
        return json.dumps(dict(os.environ)), "application/json"
    if command == "raise":
        raise ValueError("no such thing")
    if command == "nothing":
        return None
    if command == "exit":
        sys.exit(3)
    if command == "_exit":
        os._exit(4)
    if command == "binary":
        sys.stdout.buffer.write(b"\\xff\\x00\\n")
        print("\\ud800 is half a pair", flush=True)
        return b"\\xff", "application/octet-stream"
    if command == "wait":
        return str(arrived.wait(60)), "text/plain"
    if command == "arrive":
        arrived.set()
        return "", "text/plain"
    if command == "stream":
        answer = requests.post(context.rest_uri, data=iter([b'{"instances":', b'[3]}']))
    else:
        answer = requests.post(context.rest_uri, data=command)
    return answer.content, context.accept_header
"""
PAIR = """
import json
def input_handler(data, context):
    values = [float(line) for line in data]
    text = json.dumps({"instances": values})
    return text if values[0] > 0 else text.encode()
def output_handler(response, context):
    if response.status_code != 200:
        raise ValueError(response.text)
    return json.dumps({"doubled": [2 * y for y in response.json()["predictions"]]}), "a/b"
"""


@pytest.fixture(scope="module")
def shared(
    zygote: Zygote, tiny_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """A container with one worker, for tests that leave it as it is."""
    directory = tmp_path_factory.mktemp("shared") / "model"
    (directory / "code").mkdir(parents=True)
    (directory / "half_plus_two").symlink_to(tiny_models / "half_plus_two" / "half_plus_two")
    (directory / "code" / "inference.py").write_text(HANDLER)
    (directory / "code" / "beside.py").write_text("TEXT = 'ä module beside'")
    container = zygote.start(directory)
    yield container
    container.stop()


@pytest.fixture(scope="module")
def worker(shared: Container) -> str:
    """The address of that worker."""
    (address,) = shared.wait_listening()
    return address


def test_a_handler_answers_with_what_it_asked_the_model_server(worker: str) -> None:
    """The commonest script: pass on, post to context.rest_uri, give back."""
    assert invoke(worker, '{"instances": [1, 2]}').json == {"predictions": [2.5, 3.0]}
    assert invoke(worker, "stream").json == {"predictions": [3.5]}


def test_a_handler_is_told_of_its_request(worker: str) -> None:
    """The default model's URI, and the request's own headers."""
    answer = request(
        worker,
        "POST",
        "/invocations",
        "context",
        {"Content-Type": "x/y", "X-Amzn-SageMaker-Custom-Attributes": "tfs-model-version=123"},
    )
    fields = answer.json

    assert answer.headers["content-type"] == "application/json"
    assert fields[3].startswith("http://localhost:")
    assert fields[3].endswith("/v1/models/half_plus_two/versions/123:predict")
    assert fields[4].isdigit()
    assert fields[6:] == ["tfs-model-version=123", "x/y", "application/json", 7, 30.0]


def test_text_is_sent_as_utf8_under_the_handlers_type(worker: str) -> None:
    """A body of str, and a module beside the script."""
    answer = invoke(worker, "beside")

    assert answer.body.decode() == "ä module beside"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_script_gets_nothing_of_the_containers(worker: str, shared: Container) -> None:
    """Reading stdin does not wait for a terminal; code/ is first on the path."""
    found = invoke(worker, "environment").json

    assert found["stdin"] == ""
    assert found["path"].endswith("/model/code")


def test_a_script_finds_the_originals_variables_and_its_archive(worker: str) -> None:
    """Scripts open models' ports by them, and what OpenMP runs takes one core unless it is told."""
    fields = invoke(worker, "context").json
    variables = invoke(worker, "variables").json

    assert f"localhost:{variables['TFS_REST_PORTS']}/" in fields[3]
    assert variables["TFS_GRPC_PORTS"] == fields[4]
    assert variables["TFS_DEFAULT_MODEL_NAME"] == "half_plus_two"
    assert variables["OMP_NUM_THREADS"] == "1"
    assert (Path(variables["SM_MODEL_DIR"]) / "code" / "inference.py").is_file()


def test_an_exception_is_an_answer_and_a_traceback_in_the_log(
    worker: str, shared: Container
) -> None:
    """The original's form: HTTP 500 with the exception's text."""
    answer = invoke(worker, "raise")

    assert (answer.status, answer.json) == (500, {"error": "no such thing"})
    assert "ValueError: no such thing" in shared.log
    assert 'code/inference.py", line' in shared.log


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("nothing", "handler returned NoneType, not two values"),
        ("exit", "The script called sys.exit(3) at code/inference.py:"),
        ("_exit", "The script called os._exit(4) at code/inference.py:"),
    ],
)
def test_a_handler_that_goes_wrong_fails_its_request_alone(
    worker: str, shared: Container, command: str, said: str
) -> None:
    """The answer says what and where, and the next request finds the same worker."""
    before = shared.servers()
    answer = invoke(worker, command)

    assert answer.status == 500
    assert said in answer.json["error"]
    assert invoke(worker, '{"instances": [1]}').status == 200
    assert shared.servers() == before


def test_whatever_a_script_prints_goes_to_the_log(worker: str, shared: Container) -> None:
    """Also what is no text at all; and printing it is no error."""
    answer = invoke(worker, "binary")
    log = shared.log_file.read_bytes()

    assert answer.status == 200
    assert answer.body == b"\xff"
    assert b"imported on stdout" in log
    assert b"\xff\x00\n" in log
    assert b"\\ud800 is half a pair" in log


def test_a_worker_takes_requests_while_others_wait(worker: str) -> None:
    """The default class is gevent: one worker must keep several model servers busy."""
    answers: list[Answer] = []
    waiting = threading.Thread(target=lambda: answers.append(invoke(worker, "wait")))
    waiting.start()
    assert invoke(worker, "arrive").status == 200
    waiting.join()

    assert answers[0].body == b"True"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/ping", 200),
        ("GET", "/invocations", 405),
        ("GET", "/v1/models/half_plus_two", 404),
    ],
)
def test_a_worker_has_the_containers_two_paths(
    worker: str, method: str, path: str, status: int
) -> None:
    """SageMaker asks /ping; the model server's own API is behind context.rest_uri."""
    assert request(worker, method, path).status == status


def test_a_pair_stands_before_and_after_the_model(zygote: Zygote, scripted: Scripted) -> None:
    """`input_handler` makes TensorFlow Serving's JSON of anything, `output_handler` the reverse."""
    container = zygote.start(scripted(PAIR))
    (address,) = container.wait_listening()
    answer = invoke(address, "2\n4\n", "text/csv")

    assert answer.json == {"doubled": [6.0, 8.0]}
    assert answer.headers["content-type"] == "a/b"
    assert invoke(address, "-2").json == {"doubled": [2.0]}
    assert invoke(address, "nonsense").status == 500
    container.stop()


def test_a_script_asks_the_model_over_grpc(zygote: Zygote, scripted: Scripted) -> None:
    """With context.channel, or with one of its own to context.grpc_port; messages are there."""
    script = """
import grpc, json
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
def handler(data, context):
    channel = context.channel
    if data.read() == b"own":
        channel = grpc.insecure_channel("localhost:" + context.grpc_port)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_two"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, 60)
    return json.dumps(list(answer.outputs["y"].float_val)), None
"""
    container = zygote.start(scripted(script), SAGEMAKER_TFS_INSTANCE_COUNT="2")
    (address,) = container.wait_listening()

    for body in ("", "own", "", ""):
        assert invoke(address, body).json == [2.5, 3.0]
    container.stop()


def test_requirements_without_a_script_get_the_default_handler(
    zygote: Zygote, scripted: Scripted
) -> None:
    """The original's own, but for one thing: an error of the model server is not called 200."""
    container = zygote.start(scripted(**{"lib/vendored.py": ""}))
    (address,) = container.wait_listening()

    assert invoke(address, '{"instances": [1]}').json == {"predictions": [2.5]}
    refused = invoke(address, "[1]")
    assert refused.status == 400
    assert "error" in refused.json
    container.stop()


def test_what_lies_in_lib_can_be_imported_and_requirements_do_not_count(
    zygote: Zygote, scripted: Scripted
) -> None:
    """For those whose endpoints may not reach a package index."""
    script = "import vendored\ndef handler(data, context): return vendored.TEXT, 'text/plain'"
    files = {"lib/vendored.py": "TEXT = 'vendored'", "requirements.txt": "there-is-no-such-thing"}
    container = zygote.start(scripted(script, **files))
    (address,) = container.wait_listening()

    assert invoke(address, "").body == b"vendored"
    assert "code/requirements.txt has no effect: code/lib holds" in container.log
    container.stop()


def test_workers_and_model_servers_are_as_many_as_was_asked_for(
    zygote: Zygote, scripted: Scripted
) -> None:
    """Each worker has an address of its own, and reaches every model server."""
    script = (
        "import os, json\n"
        "def handler(data, context):\n"
        "    return json.dumps([os.getpid(), context.rest_uri]), None\n"
    )
    container = zygote.start(
        scripted(script), SAGEMAKER_GUNICORN_WORKERS="3", SAGEMAKER_TFS_INSTANCE_COUNT="2"
    )
    addresses = container.wait_listening()
    found = [invoke(address, "").json for address in addresses * 20]

    assert len(addresses) == 3
    assert len({pid for pid, _ in found}) == 3
    assert len({uri for _, uri in found}) == 2
    assert len(container.servers()) == 5
    container.stop()


def test_requests_are_logged_where_gunicorn_is_to_tell_most(
    zygote: Zygote, scripted: Scripted
) -> None:
    """SAGEMAKER_GUNICORN_LOGLEVEL: debug shows each request, error hides what goes well."""
    script = "def handler(data, context): return '', 'text/plain'"
    directory = scripted(script)
    logs = {}
    for level in ("debug", "error"):
        container = zygote.start(directory, SAGEMAKER_GUNICORN_LOGLEVEL=level)
        (address,) = container.wait_listening()
        invoke(address, "abc")
        container.stop()
        logs[level] = container.log

    assert "POST /invocations 200, 3 bytes in, 0 out" in logs["debug"]
    assert "POST /invocations" not in logs["error"]


def test_ports_come_from_the_safe_range(zygote: Zygote, scripted: Scripted) -> None:
    """A range that is too small is said at the start, not by the first request."""
    container = zygote.start(scripted(HANDLER), SAGEMAKER_SAFE_PORT_RANGE="9000-9001")

    assert (
        "SAGEMAKER_SAFE_PORT_RANGE=9000-9001 has too few free ports"
        in (container.reports.wait("failed")["reason"])
    )
    assert container.wait_exit() == 1


def test_a_stop_lets_a_script_finish_that_still_needs_its_model(
    zygote: Zygote, scripted: Scripted
) -> None:
    """Model servers end behind the workers: an answer that was under way must arrive."""
    script = (
        "import pathlib, requests, time\n"
        "def handler(data, context):\n"
        "    pathlib.Path('begun').touch()\n"
        "    while not pathlib.Path('go on').exists(): time.sleep(0.01)\n"
        "    return requests.post(context.rest_uri, data=data.read()).content, None\n"
    )
    container = zygote.start(scripted(script))
    (address,) = container.wait_listening()
    sockets = Path(address.removeprefix("unix:")).parent
    answers: list[Answer] = []
    body = '{"instances": [1]}'
    asking = threading.Thread(target=lambda: answers.append(invoke(address, body)))
    asking.start()
    wait_until((sockets / "begun").exists, "the request to arrive")
    os.kill(container.pid, signal.SIGTERM)
    wait_until(lambda: "draining, 1 requests in hand" in container.log, "the drain")
    (sockets / "go on").touch()

    assert container.wait_exit() == 0
    asking.join()
    assert answers[0].json == {"predictions": [2.5]}


def test_a_script_runs_in_a_container_alone(
    run_alone: Callable[..., Alone], scripted: Scripted
) -> None:
    """A front stands before its workers, as nginx does on SageMaker."""
    script = "import os\ndef handler(data, context): return str(os.getpid()), 'text/plain'"
    model_dir = scripted(script)
    for count, processes in (("1", 3), ("2", 4)):
        alone = run_alone(model_dir, "--port=0", SAGEMAKER_GUNICORN_WORKERS=count)
        url = alone.wait_ready()
        pids = {invoke(url, "").body for _ in range(10)}
        assert request(url, "GET", "/ping").status == 200
        assert len(pids) == int(count)
        assert len(psutil.Process(alone.process.pid).children()) == processes
        alone.process.send_signal(signal.SIGTERM)

        assert alone.wait_exit()[0] == 0
