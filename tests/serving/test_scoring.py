"""Classify and regress over REST answer as TensorFlow Serving does."""

import json
from typing import Any

import pytest
from tests.serving.harness import Answer, request

pytestmark = pytest.mark.slow


def ask(address: str, method: str, document: dict[str, Any], model: str = "scored") -> Answer:
    return request(address, "POST", f"/v1/models/{model}:{method}", json.dumps(document))


def test_regress_gives_a_number_for_each_example(many: str) -> None:
    """The example of TensorFlow Serving's REST page, and a context for all."""
    answer = ask(many, "regress", {"examples": [{"x": 1.0}, {"x": [4.5]}]})
    shared = ask(many, "regress", {"context": {"x": 8.0}, "examples": [{"tag": "a"}, {}]})

    assert answer.body == b'{"results":[2.5,4.25]}'
    assert answer.headers["content-type"] == "application/json"
    assert shared.json == {"results": [6.0, 6.0]}


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("classified", [[["low", 2.5], ["é", -2.5]]]),
        ("scores_only", [[["", 2.5], ["", -2.5]]]),
        ("labels_only", [[["low", 0.0], ["é", 0.0]]]),
    ],
)
def test_classify_gives_pairs_of_label_and_score(
    many: str, signature: str, expected: list[Any]
) -> None:
    """A model may name classes, score them, or both."""
    document = {"signature_name": signature, "examples": [{"x": 1.0, "tag": {"b64": "w6k="}}]}

    assert ask(many, "classify", document).json == {"results": expected}


@pytest.mark.parametrize(
    ("method", "model", "document", "expected"),
    [
        ("classify", "scored", {"examples": [{}]}, "method_name to be tensorflow/serving/classify"),
        ("regress", "a_pairs", {"examples": [{}]}, "Was: tensorflow/serving/predict"),
        (
            "regress",
            "scored",
            {"signature_name": "no", "examples": [{}]},
            "found with the name: no",
        ),
        (
            "regress",
            "scored",
            {"signature_name": "wide", "examples": [{"x": 1.0}, {"x": 2.0}]},
            "[batch_size, 1] but got [2,2]",
        ),
        ("regress", "scored", {"examples": [{}]}, "Feature: x (data type: float) is required"),
        ("regress", "scored", {"instances": [1]}, "key 'examples' is expected and was not found"),
    ],
)
def test_what_cannot_be_scored_is_said(
    many: str, method: str, model: str, document: dict[str, Any], expected: str
) -> None:
    """A signature for one method is not used for another; the model's own words, and no stack."""
    answer = ask(many, method, document, model)

    assert answer.status == 400
    assert expected in answer.json["error"]
    assert "File" not in answer.json["error"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "expected"),
    [
        ('{"examples": [{"x": 1.0}]}', "application/json", 200, '{"results":[2.5]}'),
        ("[1.0]", "application/json", 400, "'examples' is expected"),
        ("1.0", "text/csv", 400, "'examples' is expected"),
        ("1.0", "image/png", 415, "Unsupported Media Type"),
    ],
)
def test_an_invocation_may_ask_for_it(
    many: str, body: str, content_type: str, status: int, expected: str
) -> None:
    """InvokeEndpoint's CustomAttributes carry the method: tfs-method=regress."""
    headers = {
        "Content-Type": content_type,
        "X-Amzn-SageMaker-Custom-Attributes": "tfs-model-name=scored,tfs-method=regress",
    }
    answer = request(many, "POST", "/invocations", body, headers)

    assert answer.status == status
    assert expected in answer.body.decode()


def test_predict_takes_the_same_models(many: str) -> None:
    """Any signature may be predicted with, by its tensors."""
    document = {"signature_name": "predicted", "instances": [1.0, 2.0]}

    assert ask(many, "predict", document).json == {"predictions": [2.5, 3.0]}


def test_metadata_say_what_each_signature_is_for(many: str) -> None:
    """The only way to learn that a signature classifies, and what its tensors are."""
    answer = request(many, "GET", "/v1/models/scored/versions/5/metadata")
    found = answer.json["metadata"]["signature_def"]["signature_def"]

    assert answer.json["model_spec"]["version"] == "5"
    assert {name: each["method_name"].rpartition("/")[2] for name, each in found.items()} == {
        "serving_default": "regress",
        "classified": "classify",
        "scores_only": "classify",
        "labels_only": "classify",
        "wide": "regress",
        "predicted": "predict",
    }
    assert found["classified"]["inputs"]["inputs"]["name"] == "tf_example:0"
    assert found["classified"]["outputs"]["classes"]["dtype"] == "DT_STRING"
