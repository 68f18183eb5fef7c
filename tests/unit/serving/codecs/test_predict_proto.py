"""Requests are taken apart, and answers put together, as protobuf does it."""

import sys
from typing import Any

import numpy as np
import pytest
from tests.tensors import make_array, make_proto

from windtunnel.serving import tfs_api

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the module under test find the messages."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    tfs_api.offer()


def request() -> Any:
    from tensorflow_serving.apis import predict_pb2

    made = predict_pb2.PredictRequest(output_filter=["y", "z"])
    made.model_spec.name = "m"
    made.model_spec.version.value = 3
    return made


def test_a_request_is_its_small_parts_and_its_inputs() -> None:
    """The inputs' bytes are the message's own, so a picture in them is not copied."""
    from windtunnel.serving.codecs.predict_proto import split_request

    whole, bare = request(), request()
    whole.inputs["a"].CopyFrom(make_proto([1.0, 2.0]))
    whole.inputs["é"].CopyFrom(make_proto([b"s"]))
    data = whole.SerializeToString()
    rest, inputs = split_request(data)

    assert rest == bare
    assert {name: bytes(text) for name, text in inputs.items()} == {
        name: whole.inputs[name].SerializeToString() for name in ("a", "é")
    }
    for text in inputs.values():
        assert np.shares_memory(np.frombuffer(text, np.uint8), np.frombuffer(data, np.uint8))


def test_messages_behind_one_another_are_one() -> None:
    """Protobuf's own rule: fields merge, and of two inputs of a name the last counts."""
    from windtunnel.serving.codecs.predict_proto import split_request

    first, second = request(), request()
    first.inputs["a"].CopyFrom(make_proto([1.0]))
    second.inputs["a"].CopyFrom(make_proto([2.0]))
    rest, inputs = split_request(first.SerializeToString() + second.SerializeToString())

    assert list(rest.output_filter) == ["y", "z", "y", "z"]
    assert bytes(inputs["a"]) == second.inputs["a"].SerializeToString()


def test_an_answer_reads_as_protobuf_would_have_written_it() -> None:
    """Any client parses it."""
    from tensorflow_serving.apis import predict_pb2

    from windtunnel.serving.codecs.predict_proto import join_response

    response = predict_pb2.PredictResponse()
    response.model_spec.name = "m"
    outputs = {"y": np.ones((2, 200), np.float32), "n": np.array(5), "s": np.array([b"a"], object)}
    found = predict_pb2.PredictResponse.FromString(join_response(response, outputs))

    assert found.model_spec == response.model_spec
    assert found.outputs.keys() == outputs.keys()
    for name, wanted in outputs.items():
        assert make_array(found.outputs[name]).tolist() == wanted.tolist()
    assert len(found.outputs["y"].float_val) == 400
