"""Several models, versions, signatures and types in one archive, through one container."""

import pytest
from tests.serving.harness import Answer, invoke, request

pytestmark = pytest.mark.slow


def predict(address: str, path: str, body: str) -> Answer:
    return request(address, "POST", f"/v1/models/{path}:predict", body)


def test_the_latest_version_of_the_first_model_is_the_default(many: str) -> None:
    """A request that names nothing is for it."""
    assert invoke(many, '{"instances": [1, 2]}').json == {"predictions": [-1.0, -2.0]}


def test_versions_and_signatures_are_chosen_by_name(many: str) -> None:
    """By path, by custom attributes, and by `signature_name`."""
    body = '{"instances": [1, 2]}'
    headers = {
        "Content-Type": "application/json",
        "X-Amzn-SageMaker-Custom-Attributes": "tfs-model-name=a_pairs,tfs-model-version=1",
    }

    assert predict(many, "a_pairs/versions/1", body).json == {"predictions": [[1.0, 2.0]]}
    assert request(many, "POST", "/invocations", body, headers).json == {
        "predictions": [[1.0, 2.0]]
    }
    assert predict(many, "a_pairs", '{"signature_name": "paired", "instances": [1, 2]}').json == {
        "predictions": [[1.0, 2.0]]
    }
    states = request(many, "GET", "/v1/models/a_pairs").json["model_version_status"]
    assert [state["version"] for state in states] == ["2", "1"]


def test_what_an_operation_refuses_is_the_clients_error(many: str) -> None:
    """The operation's own words, without a story of graphs and stack traces."""
    answer = predict(many, "a_pairs/versions/1", '{"instances": [1, 2, 3]}')

    assert answer.status == 400
    assert "3" in answer.json["error"]
    assert "reshape" in answer.json["error"].lower()
    for noise in ("Graph execution error", "Detected at", "stack traces", "[[{{node", "[Op:"):
        assert noise not in answer.json["error"]


def test_strings_and_several_outputs(many: str) -> None:
    """Rows are objects, `_bytes` outputs base64, 64-bit lengths whole numbers."""
    body = '{"instances": ["hé", {"b64": "aGk="}]}'
    rows = predict(many, "described", body).json["predictions"]
    columns = predict(many, "described", '{"inputs": ["a"]}').json["outputs"]

    assert rows == [
        {"length": 3, "same_bytes": {"b64": "aMOp"}, "upper": "Hé"},
        {"length": 2, "same_bytes": {"b64": "aGk="}, "upper": "HI"},
    ]
    assert columns == {"length": [1], "same_bytes": [{"b64": "YQ=="}], "upper": ["A"]}


def test_several_inputs_by_row_and_by_column(many: str) -> None:
    """Identifiers of 64 bits come through whole, beside booleans."""
    great = 2**53 + 1
    row = predict(
        many, "masked", f'{{"instances": [{{"ids": [{great}, 5], "mask": [true, false]}}]}}'
    )
    column = predict(
        many, "masked", f'{{"inputs": {{"ids": [[{great}, 5]], "mask": [[true, false]]}}}}'
    )

    assert row.json == {"predictions": [{"kept": [great, 0], "mask": [True, False]}]}
    assert column.json == {"outputs": {"kept": [[great, 0]], "mask": [[True, False]]}}
    missing = predict(many, "masked", '{"inputs": {"ids": [[1, 2]]}}')
    assert missing.status == 400
    assert "Missing named input: mask" in missing.json["error"]
