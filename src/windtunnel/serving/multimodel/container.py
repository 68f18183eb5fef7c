"""One container of many models: its leader, its door, and a container within it for each model."""

import functools
import logging
import socket

from windtunnel.serving.container import Order, import_engines
from windtunnel.serving.errors import SettingsError
from windtunnel.serving.leader import Leader, Listener, Role
from windtunnel.serving.meters import FILE_NAME, MeterPlan
from windtunnel.serving.multimodel.door import run_door
from windtunnel.serving.multimodel.shelf import Shelf
from windtunnel.serving.settings import MULTI_MODEL, parse_settings

logger = logging.getLogger(__name__)

_NUMBER_DOOR = 0
# The door ends first: what it has in hand still asks the models.
_RANK_DOOR = 3
_SOCKET = "door.sock"


def run_models(order: Order, listener: Listener, lifeline: int | None) -> int:
    """Serve until SIGTERM; return the exit status. Raises ServingError for what cannot start."""
    # Any model may bring a script, so no variable of scripts is without effect.
    settings = parse_settings(order.environment, is_on_port=order.port is not None, has_script=True)
    assert settings.multi_model is not None
    if order.grpc_port is not None:
        raise SettingsError(
            f"{MULTI_MODEL}=true: no gRPC port is for all models; a script reaches its own model's."
        )
    logger.info(
        "Windtunnel's model server, with the contract of SageMaker's multi-model endpoints:"
        " at most %d models, each with %d model servers and %g s to load",
        settings.multi_model.count_max,
        settings.server_count,
        settings.multi_model.load_timeout_s,
    )
    import_engines(for_scripts=True, for_compiled=True)
    leader = Leader(settings.multi_model.load_timeout_s, listener, lifeline)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    leader.watch(ours.fileno(), Shelf(order, settings, leader, ours).read)
    listen = _listen(order)
    meters = MeterPlan(str(order.socket_dir / FILE_NAME), [], ["door"])
    meters.create()
    leader.add(
        Role(
            name="door",
            number=_NUMBER_DOOR,
            run=functools.partial(run_door, listen, theirs, meters),
            keep=(listen.fileno(), theirs.fileno()),
            rank=_RANK_DOOR,
        )
    )
    if leader.wait_available():
        listener.send("listening", addresses=[f"unix:{order.socket_dir / _SOCKET}"])
    return leader.run()


def _listen(order: Order) -> socket.socket:
    """Return the socket that requests come to; a door that is replaced leaves it to the next."""
    if order.port is not None:
        return order.port
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(order.socket_dir / _SOCKET))
    return bound
