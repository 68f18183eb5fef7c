"""What a gRPC server says of its end."""

import time
from pathlib import Path

import grpc
import pytest

from windtunnel.core import limits
from windtunnel.serving import tfs_api
from windtunnel.serving.meters import MeterPlan
from windtunnel.serving.models import Models
from windtunnel.serving.modelserver.grpc_server import GrpcServer
from windtunnel.serving.modelserver.served import ServedModels

PATIENCE_S = 60.0


def load(_: Path) -> None:
    raise AssertionError("there are no models")


def test_only_a_server_that_has_just_answered_waits_for_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts have a gRPC port that few use: each of their containers would end later for it."""
    tfs_api.offer()
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    plan = MeterPlan(str(tmp_path / "meters"), [], ["model_server"])
    plan.create()
    models = ServedModels(Models({}, "none"), tmp_path, load)  # type: ignore[arg-type]
    # Short, because the path of a Unix socket is.
    monkeypatch.chdir(tmp_path)
    address = "unix:grpc.sock"
    server = GrpcServer(models, plan.open(), [address], thread_count=1, logs_requests=False)
    begun_s = time.monotonic()
    assert server.linger_s(begun_s) == 0.0

    with grpc.insecure_channel(address) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.GetModelStatus(get_model_status_pb2.GetModelStatusRequest(), timeout=PATIENCE_S)
    assert server.stop(PATIENCE_S).wait(PATIENCE_S)

    assert server.linger_s(begun_s) >= limits.GRPC_LINGER_S
    assert server.linger_s(begun_s + PATIENCE_S) == 0.0
