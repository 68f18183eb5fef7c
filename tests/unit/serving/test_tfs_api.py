"""`import tensorflow_serving` works as with the official package, and gives way to it."""

import importlib
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2

from windtunnel.serving import tfs_api

pytestmark = pytest.mark.slow

MODULES = sorted(
    path.relative_to(tfs_api.PATH).with_suffix("").as_posix().replace("/", ".")
    for path in Path(tfs_api.PATH).rglob("*_pb2*.py")
)


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests import the messages by their name."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    tfs_api.offer()


def test_every_module_has_the_messages_of_its_file() -> None:
    """What the official modules hold, a script finds here: messages, nested ones, enumerations."""
    described = descriptor_pb2.FileDescriptorSet.FromString(
        (Path(tfs_api.PATH).parent / "tensorflow_serving.binpb").read_bytes()
    )
    assert len(MODULES) == len(described.file) + 2
    for file in described.file:
        name = file.name.removesuffix(".proto").replace("/", ".") + "_pb2"
        module = importlib.import_module(name)
        assert module.DESCRIPTOR.serialized_pb == file.SerializeToString()
        for message in file.message_type:
            assert getattr(module, message.name).__module__ == name
            for nested in message.nested_type:
                assert hasattr(getattr(module, message.name), nested.name)
        for kind in file.enum_type:
            assert getattr(module, kind.name).Name(kind.value[0].number) == kind.value[0].name


def test_messages_go_through_pickle() -> None:
    """Multiprocessing sends them so."""
    from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

    request = predict_pb2.PredictRequest(output_filter=["y"])
    request.inputs["x"].float_val.extend([1, 2])

    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 - it was made here
    assert get_model_status_pb2.ModelVersionStatus.AVAILABLE == 30


@pytest.fixture
def channel() -> Iterator[grpc.Channel]:
    """A channel to a server that knows one method of PredictionService and no more."""
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
        def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802 - as the service has it
            return predict_pb2.PredictResponse(model_spec=request.model_spec)

    server = grpc.server(ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    server.stop(None).wait()


def test_stubs_and_servicers_meet(channel: grpc.Channel) -> None:
    """A user's own server and client, written for the official package."""
    from tensorflow_serving.apis import (
        classification_pb2,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"

    assert stub.Predict(request, timeout=60).model_spec.name == "m"
    with pytest.raises(grpc.RpcError) as caught:
        stub.Classify(classification_pb2.ClassificationRequest(), timeout=60)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("expected", ["official", "ours"])
def test_the_official_package_is_the_one_that_is_found(tmp_path: Path, expected: str) -> None:
    """A version that a user chose is never replaced behind their back."""
    if expected == "official":
        package = tmp_path / "tensorflow_serving"
        package.mkdir()
        (package / "__init__.py").touch()
    code = (
        "from windtunnel.serving import tfs_api; tfs_api.offer(); tfs_api.offer()\n"
        "import sys, tensorflow_serving\n"
        "assert sys.path.count(tfs_api.PATH) == 1\n"
        "print('ours' if tensorflow_serving.__file__.startswith(tfs_api.PATH) else 'official')"
    )
    # In front of what is installed beside Windtunnel: its user's own folder.
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{code}"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == expected
