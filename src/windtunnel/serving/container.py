"""One container: what the SageMaker TensorFlow Serving image is, without `code/inference.py`.

Read the settings, find the models, start a process for each model server, say where they listen,
keep them there. The process that runs this imports engines but never runs one: it forks, also
later, when it replaces a server that crashed.
"""

import functools
import gc
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from windtunnel.serving import front
from windtunnel.serving.leader import Leader, Listener, Role
from windtunnel.serving.models import Models, choose_models, list_files
from windtunnel.serving.modelserver import process
from windtunnel.serving.modelserver.process import ServerPlan
from windtunnel.serving.settings import Settings, parse_settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What one container shall be."""

    model_dir: Path
    environment: Mapping[str, str]
    # Where the model servers' Unix sockets go.
    socket_dir: Path
    # A bound TCP socket to answer on, for a container that runs alone.
    port: socket.socket | None = None
    # Where all model servers serve gRPC besides; the kernel shares out connections over them.
    grpc_port: int | None = None
    grpc_host: str = "127.0.0.1"


def run_container(order: Order, listener: Listener, lifeline: int | None) -> int:
    """Serve until SIGTERM; return the exit status. Raises ServingError for what cannot start."""
    is_on_port = order.port is not None
    settings = parse_settings(order.environment, is_on_port=is_on_port)
    models = choose_models(list_files(order.model_dir), settings.default_model)
    _tell(settings, models)
    import_engines()
    leader = Leader(settings.wait_time_s, listener, lifeline)
    addresses = []
    for number in range(settings.server_count):
        path = str(order.socket_dir / f"{number}.sock")
        addresses.append(f"unix:{path}")
        # A single server answers on the port itself: nothing stands between it and its clients.
        port = order.port if settings.server_count == 1 else None
        leader.add(_server_role(number, order, settings, models, port or path))
    if leader.wait_available() and order.port is not None and settings.server_count > 1:
        leader.add(_front_role(addresses, order.port))
    if leader.wait_available():
        listener.send("listening", addresses=addresses)
    return leader.run()


def _server_role(
    number: int, order: Order, settings: Settings, models: Models, listen: str | socket.socket
) -> Role:
    plan = ServerPlan(
        models=models,
        directory=order.model_dir,
        engine_threads=settings.threads,
        listen=listen,
        logs_requests=settings.logs_requests,
        grpc_port=order.grpc_port,
        grpc_host=order.grpc_host,
    )
    return Role(
        name=f"model server {number}",
        number=number,
        run=functools.partial(process.run_model_server, plan),
        keep=() if isinstance(listen, str) else (listen.fileno(),),
    )


def _front_role(addresses: list[str], port: socket.socket) -> Role:
    return Role(
        name="front",
        number=len(addresses),
        run=functools.partial(front.run_front, addresses, port),
        keep=(port.fileno(),),
    )


def import_engines() -> None:
    """Import what takes seconds, once for all forks; a zygote has done it long before."""
    from windtunnel.serving.engines import tensorflow  # noqa: F401 - for the forks

    # What is here now stays, and no collection in a fork looks at it again: that would take half a
    # second and copy most of the pages that it shares.
    gc.collect()
    gc.freeze()


def _tell(settings: Settings, models: Models) -> None:
    """Say in the log what was found and what it will be run with."""
    logger.info("Windtunnel's model server, with the contract of SageMaker's TensorFlow Serving")
    for model in models.by_name.values():
        logger.info(
            "found model %s, version %s%s",
            model.name,
            ", ".join(map(str, sorted(model.versions))),
            " (the default model)" if model.name == models.default else "",
        )
    cores = process.core_count()
    logger.info(
        "model servers: %d; cores: %d; intra-op threads: %s; inter-op threads: %s",
        settings.server_count,
        cores,
        settings.threads.intra_op or f"{cores} (TensorFlow chooses)",
        settings.threads.inter_op or f"{cores} (TensorFlow chooses)",
    )
    for notice in settings.notices:
        logger.warning("%s", notice)
