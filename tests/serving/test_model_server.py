"""A real model server answers as TensorFlow Serving behind SageMaker's nginx does."""

import gzip
import io
import json
import socket
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.serving.harness import Answer, invoke, request

from windtunnel.core import limits

pytestmark = pytest.mark.slow


def predict(address: str, body: str, path: str = "/v1/models/half_plus_two:predict") -> Answer:
    return request(address, "POST", path, body)


def test_the_contract_of_sagemaker_and_of_tensorflow_serving_meet(half: str) -> None:
    """One model, asked through /invocations and through /v1/models, gives one answer."""
    assert request(half, "GET", "/ping").status == 200
    for answer in (
        invoke(half, '{"instances": [1, 2, 5]}'),
        predict(half, '{"instances": [1, 2, 5]}'),
    ):
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json == {"predictions": [2.5, 3.0, 4.5]}
    assert predict(half, '{"inputs": [1]}').json == {"outputs": [2.5]}


def test_the_status_of_a_model_reads_as_in_tensorflow_serving(half: str) -> None:
    """Health checks look for AVAILABLE in this document."""
    answer = request(half, "GET", "/v1/models/half_plus_two/versions/123")

    assert answer.status == 200
    assert answer.json == {
        "model_version_status": [
            {
                "version": "123",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


def test_the_metadata_of_a_model_read_as_in_tensorflow_serving(half: str) -> None:
    """Generic clients learn a model's inputs from this document."""
    answer = request(half, "GET", "/v1/models/half_plus_two/metadata")
    found = answer.json["metadata"]["signature_def"]["signature_def"]["serving_default"]

    assert answer.status == 200
    assert answer.json["model_spec"] == {
        "name": "half_plus_two",
        "signature_name": "",
        "version": "123",
    }
    assert found["method_name"] == "tensorflow/serving/predict"
    assert found["inputs"]["x"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "serving_default_x:0",
    }


def test_a_picture_as_the_workshop_sends_it(conv: str) -> None:
    """A bare nested list of whole numbers in, `predictions` out, right to the last digit."""
    picture = np.random.Generator(np.random.PCG64(3)).integers(0, 256, (1, 8, 8, 3))
    bare = invoke(conv, json.dumps(picture.tolist()))
    named = invoke(conv, json.dumps({"instances": picture.astype(float).tolist()}))

    assert bare.status == 200
    assert np.shape(bare.json["predictions"]) == (1, 8, 8, 1)
    assert bare.json == named.json


def test_json_lines_and_csv_are_rows(half: str) -> None:
    """What the original's nginx rewrites."""
    assert invoke(half, "1\n2", "text/csv").json == {"predictions": [2.5, 3.0]}
    assert invoke(half, '{"x": 1}\n{"x": 2}', "application/jsonlines").json == {
        "predictions": [2.5, 3.0]
    }


def saved(array: npt.NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_a_picture_as_an_array_in_and_out(conv: str) -> None:
    """What the SageMaker SDK's NumpySerializer sends and its NumpyDeserializer reads."""
    picture = np.random.Generator(np.random.PCG64(3)).integers(0, 256, (1, 8, 8, 3), np.uint8)
    headers = {"Content-Type": "application/x-npy", "Accept": "application/x-npy"}
    array = request(conv, "POST", "/invocations", saved(picture), headers)
    text = invoke(conv, saved(picture), "application/x-npy")
    raw = invoke(conv, picture.tobytes(), "application/octet-stream;shape=1,8,8,3;dtype=uint8")

    assert array.headers["content-type"] == "application/x-npy"
    mask = np.load(io.BytesIO(array.body))
    assert mask.dtype == np.float32
    assert np.array_equal(mask, np.array(text.json["predictions"], np.float32))
    assert text.json == raw.json == invoke(conv, json.dumps(picture.tolist())).json


def test_gzip_bodies_are_unpacked_for_both_contracts(half: str) -> None:
    """JSON shrinks to a third on its way from clients that are far."""
    for path in ("/invocations", "/v1/models/half_plus_two:predict"):
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        body = gzip.compress(b'{"instances": [1, 2]}')
        answer = request(half, "POST", path, body, headers)
        bad = request(half, "POST", path, body[:-4], headers)

        assert answer.json == {"predictions": [2.5, 3.0]}
        assert bad.status == 400
        assert "ends too early" in bad.json["error"]


def test_nan_and_infinity_go_in_and_come_out(half: str) -> None:
    """As TensorFlow Serving treats them: bare tokens."""
    answer = invoke(half, '{"instances": [NaN, Infinity, -Infinity, 0]}')

    assert answer.body == b'{"predictions":[NaN,Infinity,-Infinity,2.0]}'


@pytest.mark.parametrize(
    ("body", "content_type", "status", "message"),
    [
        ("", "application/json", 400, "The document is empty"),
        ("[[1]]", "image/png", 415, "Unsupported Media Type: image/png"),
        ('{"instances": [1, 2', "application/json", 400, "(the text ends there)"),
        ('{"instances": [[1, 2], [3]]}', "application/json", 400, "Expecting tensor size: 2"),
        ('{"instances": [[1, 2]]}', "application/json", 400, "has shape [1,2]"),
        ('{"instances": ["a"]}', "application/json", 400, "is not of expected type: float"),
        ("[" * 5000, "application/json", 400, "nests 5000 deep"),
        ('{"signature_name": "x", "instances": [1]}', "application/json", 400, "not found in sig"),
    ],
)
def test_bad_requests_are_answered_and_leave_the_server_well(
    half: str, body: str, content_type: str, status: int, message: str
) -> None:
    """One client's mistake is that client's answer."""
    answer = invoke(half, body, content_type)

    assert answer.status == status
    assert message in answer.json["error"]
    assert invoke(half, "[[1]]").status == 400
    assert invoke(half, "1").json == {"predictions": [2.5]}


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/nothing", 404, "Not Found"),
        ("GET", "/invocations", 405, "Method Not Allowed"),
        ("GET", "/v1/models/other", 404, "Could not find any versions of model other"),
        ("GET", "/v1/models/half_plus_two/versions/9", 404, "Could not find version 9 of model"),
        ("POST", "/v1/models/other:predict", 404, "Servable not found for request: Latest(other)"),
        (
            "POST",
            "/v1/models/half_plus_two/versions/9:predict",
            404,
            "Servable not found for request: Specific(half_plus_two, 9)",
        ),
        ("GET", "/v1/models/other/metadata", 404, "Servable not found for request: Latest(other)"),
        ("GET", "/v1/models/half_plus_two/labels/x", 400, "Unrecognized servable version label: x"),
        ("POST", "/v1/models/half_plus_two/labels/x:predict", 400, "version label: x"),
        ("POST", "/v1/models/half_plus_two:classify", 400, "key 'examples' is expected"),
    ],
)
def test_what_is_not_there_is_said(
    half: str, method: str, path: str, status: int, message: str
) -> None:
    """TensorFlow Serving's words for models and versions, nginx's for paths."""
    answer = request(half, method, path, '{"instances": [1]}' if method == "POST" else None)

    assert answer.status == status
    assert message in answer.json["error"]


def test_custom_attributes_choose_model_and_version(half: str) -> None:
    """What InvokeEndpoint's CustomAttributes bring to the container."""

    def with_attributes(value: str) -> Answer:
        headers = {
            "Content-Type": "application/json",
            "X-Amzn-SageMaker-Custom-Attributes": value,
        }
        return request(half, "POST", "/invocations", "1", headers)

    assert with_attributes("tfs-model-name=half_plus_two,tfs-model-version=123").status == 200
    assert with_attributes("tfs-model-name=other").status == 404
    assert with_attributes("tfs-method=regress").status == 400


def test_a_body_over_the_limit_is_refused_before_it_is_sent(half: str) -> None:
    """A declared length is enough to say no."""
    length = limits.CONTAINER_BODY_BYTES_MAX + 1
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(half.removeprefix("unix:"))
        client.sendall(
            b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n" % length
        )
        assert client.recv(12) == b"HTTP/1.1 413"


def test_many_clients_at_once_get_their_own_answers(half: str) -> None:
    """Threads share parsers, engine and loop, and must not share answers."""
    wrong: list[object] = []

    def ask(number: int) -> None:
        for step in range(20):
            value = number * 1000 + step
            answer = invoke(half, json.dumps({"instances": [value]}))
            if answer.json != {"predictions": [value / 2 + 2]}:
                wrong.append((value, answer))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
