"""Which of the two kinds of container an order is for: one archive, or many models."""

from windtunnel.serving.container import Order, run_container
from windtunnel.serving.leader import Listener
from windtunnel.serving.multimodel.container import run_models
from windtunnel.serving.settings import is_multi_model


def run_order(order: Order, listener: Listener, lifeline: int | None) -> int:
    """Serve until SIGTERM; return the exit status. Raises ServingError for what cannot start."""
    run = run_models if is_multi_model(order.environment) else run_container
    return run(order, listener, lifeline)
