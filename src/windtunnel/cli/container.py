"""`windtunnel container`: one inference container in the foreground."""

import contextlib
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.core.home import Home

# Where SageMaker's platform tells a container to listen, when it does not say (serve.py).
_PORT = 8080


def container(
    model_dir: Annotated[
        Path,
        typer.Option(
            help="The unpacked archive: what is /opt/ml/model on SageMaker; for many models"
            " /opt/ml/models."
        ),
    ],
    port: Annotated[
        int | None,
        typer.Option(help="The port; 0 picks a free one, default SAGEMAKER_BIND_TO_PORT or 8080."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    grpc_port: Annotated[
        int | None,
        typer.Option(
            help="The port for TensorFlow Serving's gRPC API; 0 picks a free one, default none."
        ),
    ] = None,
    model_server: Annotated[
        str | None,
        typer.Option(
            help="windtunnel, which needs nothing (the default), or tfs: TensorFlow Serving's own"
            " tensorflow_model_server, where it is on PATH."
        ),
    ] = None,
) -> None:
    """Serve models as SageMaker's TensorFlow Serving container does, set up by the environment.

    Prints `ready http://HOST:PORT` on stdout when it answers, and then `grpc HOST:PORT` if it has
    such a port; its log goes to stderr. SIGTERM and Ctrl-C let requests in hand finish.
    """
    # numpy's BLAS would start threads with its import, and this process is going to fork.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # serving is imported here: it needs what only `windtunnel[local]` brings.
    from windtunnel.serving.container import Order
    from windtunnel.serving.errors import ServingError
    from windtunnel.serving.logs import configure_logs
    from windtunnel.serving.modes import run_order
    from windtunnel.serving.settings import MODEL_SERVER, parse_settings

    configure_logs()
    if model_server is not None:
        os.environ[MODEL_SERVER] = model_server
    try:
        if port is None:
            port = parse_settings(os.environ, is_on_port=True).bind_port
        with contextlib.ExitStack() as held:
            bound = held.enter_context(_bind(host, port, "--port"))
            shared = None
            if grpc_port is not None:
                shared = held.enter_context(_reserve(host, grpc_port))
            where = held.enter_context(tempfile.TemporaryDirectory(prefix="windtunnel-"))
            order = Order(
                model_dir,
                os.environ,
                Path(where),
                Home.resolve().cache,
                bound,
                grpc_port=None if shared is None else shared.getsockname()[1],
                grpc_host=host,
            )
            status = run_order(order, _Announcer(bound, shared), None)
    except ServingError as error:
        raise UsageError(str(error)) from error
    sys.exit(status)


def _bind(host: str, port: int, option: str, reuse: int = socket.SO_REUSEADDR) -> socket.socket:
    """Return a socket that holds the address, and does not listen yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, reuse, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise NotReadyError(
            f"Cannot listen on {host}:{port} ({error.strerror}): choose another {option} or --host."
        ) from error
    return bound


def _reserve(host: str, port: int) -> socket.socket:
    """Return a socket that holds the address for the gRPC servers, which listen on it together.

    Whoever shares a port this way is not told that others do, so it must first be free.
    """
    with _bind(host, port, "--grpc-port") as first:
        port = first.getsockname()[1]
    return _bind(host, port, "--grpc-port", socket.SO_REUSEPORT)


def _render_address(bound: socket.socket) -> str:
    host, port, *_ = bound.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Announcer:
    """Tells whoever waits on stdout that the container answers."""

    def __init__(self, bound: socket.socket, shared: socket.socket | None) -> None:
        self._lines = [f"ready http://{_render_address(bound)}"]
        if shared is not None:
            self._lines.append(f"grpc {_render_address(shared)}")

    def send(self, event: str, **details: object) -> None:
        """Take one event of the container."""
        del details
        if event == "listening":
            print(*self._lines, sep="\n", flush=True)  # noqa: T201 - what the command is for
