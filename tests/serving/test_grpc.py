"""A real model server answers over gRPC as TensorFlow Serving does, to clients written for it."""

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from tests.serving.harness import PATIENCE_S, Addresses, Alone, wait_until
from tests.tensors import make_array, make_proto

from windtunnel.core import limits

pytestmark = pytest.mark.slow

# The first whole number that a double cannot hold.
GREAT = 2**53 + 1
Code = grpc.StatusCode
Stub = Any


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> Stub:
    """TensorFlow Serving's PredictionService."""
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def model_stub(channel: grpc.Channel) -> Stub:
    """TensorFlow Serving's ModelService."""
    from tensorflow_serving.apis import model_service_pb2_grpc

    return model_service_pb2_grpc.ModelServiceStub(channel)


def predict_request(model: str, **inputs: Any) -> Any:
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(make_proto(values))
    return request


def examples_request(kind: Any, *values: float, signature: str = "") -> Any:
    request = kind(model_spec={"name": "scored", "signature_name": signature})
    for value in values:
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(value)
    return request


def ask(method: Any, request: Any) -> Any:
    return method(request, timeout=PATIENCE_S, wait_for_ready=True)


def refusal(method: Any, request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        ask(method, request)
    return caught.value.code(), caught.value.details()


def test_predict_answers_with_the_model_that_answered(stub: Stub) -> None:
    """The latest version and the default signature, said by name; floats in a list."""
    answer = ask(stub.Predict, predict_request("a_pairs", x=np.array([1, 2], np.float32)))

    assert list(answer.outputs["y"].float_val) == [-1, -2]
    assert make_array(answer.outputs["y"]).tolist() == [-1, -2]
    assert answer.model_spec.name == "a_pairs"
    assert answer.model_spec.version.value == 2
    assert answer.model_spec.signature_name == "serving_default"


def test_versions_and_signatures_are_chosen_by_the_spec(stub: Stub) -> None:
    """As over REST by path and document."""
    request = predict_request("a_pairs", x=[1.0, 2.0])
    request.model_spec.signature_name = "paired"
    paired = ask(stub.Predict, request)
    request.model_spec.ClearField("signature_name")
    request.model_spec.version.value = 1
    older = ask(stub.Predict, request)

    assert make_array(paired.outputs["y"]).tolist() == [[1, 2]]
    assert make_array(older.outputs["y"]).tolist() == [[1, 2]]
    assert older.model_spec.version.value == 1


def test_strings_booleans_and_64_bits_come_through_whole(stub: Stub) -> None:
    """What JSON has no exact form for."""
    texts = ask(stub.Predict, predict_request("described", text=["hé".encode(), b"\xff"]))
    kept = ask(stub.Predict, predict_request("masked", ids=[[GREAT, 5]], mask=[[True, False]]))

    assert list(texts.outputs["same_bytes"].string_val) == ["hé".encode(), b"\xff"]
    assert list(texts.outputs["length"].int64_val) == [3, 1]
    assert make_array(kept.outputs["kept"]).tolist() == [[GREAT, 0]]
    assert make_array(kept.outputs["mask"]).tolist() == [[True, False]]


def test_an_output_filter_chooses_outputs(stub: Stub) -> None:
    """A client that wants one tensor is not sent three."""
    request = predict_request("described", text=[b"a"])
    request.output_filter.append("upper")

    assert dict(ask(stub.Predict, request).outputs).keys() == {"upper"}


def spec(**fields: Any) -> Callable[[Any], None]:
    """Return what sets fields of a request's ModelSpec; the messages are imported in its time."""

    def change(request: Any) -> None:
        request.model_spec.MergeFrom(type(request.model_spec)(**fields))

    return change


@pytest.mark.parametrize(
    ("change", "code", "details"),
    [
        (
            lambda request: request.ClearField("model_spec"),
            Code.INVALID_ARGUMENT,
            "Missing ModelSpec",
        ),
        (
            lambda request: request.model_spec.ClearField("name"),
            Code.INVALID_ARGUMENT,
            "ModelSpec has no name specified.",
        ),
        (
            spec(name="other"),
            Code.NOT_FOUND,
            "Servable not found for request: Latest(other)",
        ),
        (
            spec(version={"value": 9}),
            Code.NOT_FOUND,
            "Servable not found for request: Specific(a_pairs, 9)",
        ),
        (
            spec(version_label="stable"),
            Code.INVALID_ARGUMENT,
            "Unrecognized servable version label: stable",
        ),
        (
            spec(signature_name="no"),
            Code.FAILED_PRECONDITION,
            'Serving signature key "no" not found.',
        ),
        (
            lambda request: request.inputs["z"].CopyFrom(make_proto(1)),
            Code.INVALID_ARGUMENT,
            "input size does not match signature: 2!=1 len({x,z}) != len({x})."
            " Sent extra: {z}. Missing but required: {}.",
        ),
        (
            lambda request: request.ClearField("inputs"),
            Code.INVALID_ARGUMENT,
            "input size does not match signature: 0!=1 len({}) != len({x})."
            " Sent extra: {}. Missing but required: {x}.",
        ),
        (
            lambda request: request.inputs["x"].CopyFrom(make_proto([1])),
            Code.INVALID_ARGUMENT,
            "Expects arg[0] to be float but int32 is provided (x)",
        ),
        (
            lambda request: request.inputs["x"].CopyFrom(make_proto([[1.0]])),
            Code.INVALID_ARGUMENT,
            "Tensor name: x has shape [1,1], which is not the signature's [-1]",
        ),
        (
            lambda request: request.inputs["x"].MergeFrom(make_proto([1.0, 2.0])),
            Code.INVALID_ARGUMENT,
            "tensor parsing error: x (8 bytes for 4 elements)",
        ),
        (
            lambda request: request.output_filter.append("z"),
            Code.INVALID_ARGUMENT,
            "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        ),
        (
            lambda request: request.output_filter.extend(["y", "y"]),
            Code.INVALID_ARGUMENT,
            "duplicate output tensor alias: y",
        ),
    ],
)
def test_what_is_wrong_is_said_in_tensorflow_servings_words(
    stub: Stub, change: Callable[[Any], None], code: grpc.StatusCode, details: str
) -> None:
    """Clients tell errors apart by their code, people by their text; the server stays well."""
    request = predict_request("a_pairs", x=[1.0, 2.0])
    change(request)

    assert refusal(stub.Predict, request) == (code, details)
    assert ask(stub.Predict, predict_request("a_pairs", x=[1.0])).outputs["y"].float_val == [-1]


def test_what_an_operation_refuses_keeps_its_code(stub: Stub) -> None:
    """TensorFlow's codes are gRPC's."""
    request = predict_request("a_pairs", x=[1.0])
    request.model_spec.version.value = 1
    code, details = refusal(stub.Predict, request)

    assert code is Code.INVALID_ARGUMENT
    assert details.startswith("Input to reshape is a tensor with 1 values")


def test_classify_and_regress_score_examples(stub: Stub) -> None:
    """A result for each example, and the signature that gave it."""
    from tensorflow_serving.apis import classification_pb2, regression_pb2

    request = examples_request(
        classification_pb2.ClassificationRequest, 1.0, 2.0, signature="classified"
    )
    classes = ask(stub.Classify, request)
    values = ask(stub.Regress, examples_request(regression_pb2.RegressionRequest, 1.0, 4.5))

    assert [
        [(one.label, one.score) for one in each.classes] for each in classes.result.classifications
    ] == [[("low", 2.5), ("?", -2.5)], [("low", 3.0), ("?", -3.0)]]
    assert classes.model_spec.signature_name == "classified"
    assert [each.value for each in values.result.regressions] == [2.5, 4.25]
    assert values.model_spec.version.value == 5


def test_a_context_is_every_examples(stub: Stub) -> None:
    """What all examples share is sent once."""
    from tensorflow_serving.apis import regression_pb2

    request = regression_pb2.RegressionRequest(model_spec={"name": "scored"})
    shared = request.input.example_list_with_context
    shared.context.features.feature["x"].float_list.value.append(8)
    shared.examples.add()
    shared.examples.add()

    assert [each.value for each in ask(stub.Regress, request).result.regressions] == [6, 6]


def test_what_cannot_be_scored_is_said(stub: Stub) -> None:
    """The wrong kind of signature, none, and no examples."""
    from tensorflow_serving.apis import classification_pb2, regression_pb2

    kind = classification_pb2.ClassificationRequest
    assert refusal(stub.Classify, examples_request(kind, 1.0)) == (
        Code.INVALID_ARGUMENT,
        "Expected classification signature method_name to be tensorflow/serving/classify."
        " Was: tensorflow/serving/regress",
    )
    assert refusal(stub.Classify, examples_request(kind, 1.0, signature="no")) == (
        Code.INVALID_ARGUMENT,
        "No signature was found with the name: no",
    )
    assert refusal(stub.Regress, examples_request(regression_pb2.RegressionRequest)) == (
        Code.INVALID_ARGUMENT,
        "Input is empty.",
    )


def test_several_signatures_score_the_same_examples(stub: Stub) -> None:
    """MultiInference: one request, a result for each task."""
    from tensorflow_serving.apis import inference_pb2

    request = inference_pb2.MultiInferenceRequest()
    example = request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.append(1)
    for method, signature in (("classify", "scores_only"), ("regress", "")):
        request.tasks.add(
            method_name=f"tensorflow/serving/{method}",
            model_spec={"name": "scored", "signature_name": signature},
        )
    classified, regressed = ask(stub.MultiInference, request).results

    assert [one.score for one in classified.classification_result.classifications[0].classes] == [
        2.5,
        -2.5,
    ]
    assert regressed.regression_result.regressions[0].value == 2.5
    request.tasks[1].CopyFrom(request.tasks[0])
    assert refusal(stub.MultiInference, request) == (
        Code.INVALID_ARGUMENT,
        "Duplicate evaluation of signature: scores_only",
    )


def test_metadata_are_the_models_own(stub: Stub) -> None:
    """A generic client learns what to send."""
    from tensorflow_serving.apis import get_model_metadata_pb2

    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec={"name": "scored"}, metadata_field=["signature_def"]
    )
    answer = ask(stub.GetModelMetadata, request)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)

    assert answer.model_spec.version.value == 5
    assert found.signature_def["classified"].method_name == "tensorflow/serving/classify"
    assert found.signature_def["classified"].inputs["inputs"].name == "tf_example:0"
    request.metadata_field.append("x")
    assert refusal(stub.GetModelMetadata, request) == (
        Code.INVALID_ARGUMENT,
        "Metadata field x is not supported",
    )


def test_the_state_of_models_is_told(model_stub: Stub) -> None:
    """What health checks ask."""
    from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2

    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "a_pairs"})
    found = ask(model_stub.GetModelStatus, request).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE

    assert [(each.version, each.state) for each in found] == [(2, available), (1, available)]
    assert found[0].HasField("status")
    request.model_spec.name = "other"
    assert refusal(model_stub.GetModelStatus, request) == (
        Code.NOT_FOUND,
        "Could not find any versions of model other",
    )
    reload = model_management_pb2.ReloadConfigRequest()
    assert refusal(model_stub.HandleReloadConfigRequest, reload)[0] is Code.UNIMPLEMENTED


def test_what_is_no_message_and_what_is_too_large_is_refused(channel: grpc.Channel) -> None:
    """Neither a broken client nor a careless one costs the others anything."""
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    assert refusal(call, b"\x0a\x05ab")[0] is Code.INTERNAL
    code, details = refusal(call, bytes(limits.CONTAINER_BODY_BYTES_MAX + 1))
    assert code is Code.RESOURCE_EXHAUSTED
    assert "larger than max" in details


def test_grpc_is_loaded_behind_the_last_fork(many_models: Addresses) -> None:
    """The leader forks again after a crash; gRPC's threads would not come along."""
    leader = psutil.Process(many_models.leader_pid)
    (server,) = leader.children()

    assert any("cygrpc" in found.path for found in server.memory_maps())
    assert not any("cygrpc" in found.path for found in leader.memory_maps())
    assert leader.num_threads() == 1


def test_several_model_servers_share_the_port(
    run_alone: Callable[..., Alone], tiny_models: Path
) -> None:
    """The kernel shares out connections, so one server's end leaves the others reachable."""
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    alone = run_alone(
        tiny_models / "half_plus_two",
        "--port=0",
        "--grpc-port=0",
        SAGEMAKER_TFS_INSTANCE_COUNT="2",
    )
    alone.wait_ready()
    address = alone.wait_grpc()
    port = int(address.rpartition(":")[2])

    def listeners() -> set[int]:
        found = set()
        for child in psutil.Process(alone.process.pid).children():
            # The one that is killed below may end between the two questions.
            with contextlib.suppress(psutil.NoSuchProcess):
                found |= {
                    child.pid
                    for each in child.net_connections("tcp")
                    if each.status == psutil.CONN_LISTEN and each.laddr.port == port
                }
        return found

    first = listeners()
    assert len(first) == 2
    for _ in range(8):
        # A connection of its own each time: channels to one address share theirs otherwise.
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(address, options) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            answer = ask(stub.Predict, predict_request("half_plus_two", x=[1.0]))
            assert list(answer.outputs["y"].float_val) == [2.5]
    psutil.Process(min(first)).kill()
    wait_until(lambda: len(listeners() - {min(first)}) == 2, "the replaced server")
    alone.process.send_signal(signal.SIGTERM)

    assert alone.wait_exit()[0] == 0


def test_a_stop_lets_calls_in_hand_finish(
    run_alone: Callable[..., Alone], tiny_models: Path
) -> None:
    """As over HTTP: an answer that was under way arrives, and then nobody listens."""
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    alone = run_alone(tiny_models / "tiny_conv", "--port=0", "--grpc-port=0")
    alone.wait_ready()
    (server,) = psutil.Process(alone.process.pid).children()
    with grpc.insecure_channel(alone.wait_grpc()) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        # From then on the server works for nobody but the request that follows.
        ask(stub.Predict, predict_request("tiny_conv", inputs=np.ones((1, 8, 8, 3), np.float32)))
        pictures = np.ones((12_000, 8, 8, 3), np.float32)
        before_s = server.cpu_times().user
        pending = stub.Predict.future(predict_request("tiny_conv", inputs=pictures))
        # Under way as soon as the server has begun to work on it.
        wait_until(lambda: server.cpu_times().user > before_s, "the request to arrive")
        alone.process.send_signal(signal.SIGTERM)

        assert len(pending.result(PATIENCE_S).outputs["outputs"].float_val) == 12_000 * 64
    assert alone.wait_exit()[0] == 0


def test_a_taken_port_is_said_before_anything_is_loaded(
    run_alone: Callable[..., Alone], tiny_models: Path, many_models: Addresses
) -> None:
    """Another container's port could be shared without a word, and half the answers be its own."""
    port = many_models.grpc.rpartition(":")[2]
    alone = run_alone(tiny_models / "half_plus_two", "--port=0", f"--grpc-port={port}")
    status, errors = alone.wait_exit()

    assert status == 4
    assert f"Cannot listen on 127.0.0.1:{port} (Address already in use)" in errors
    assert "choose another --grpc-port" in errors
