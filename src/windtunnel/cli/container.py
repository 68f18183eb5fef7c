"""`windtunnel container`: one inference container in the foreground."""

import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from windtunnel.core.errors import NotReadyError, UsageError

# Where SageMaker's platform tells a container to listen, when it does not say (serve.py).
_PORT = 8080


def container(
    model_dir: Annotated[
        Path,
        typer.Option(help="The unpacked archive: what is /opt/ml/model on SageMaker."),
    ],
    port: Annotated[
        int | None,
        typer.Option(help="The port; 0 picks a free one, default SAGEMAKER_BIND_TO_PORT or 8080."),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve models as SageMaker's TensorFlow Serving container does, set up by the environment.

    Prints `ready http://HOST:PORT` on stdout when it answers; its log goes to stderr. SIGTERM and
    Ctrl-C let requests in hand finish.
    """
    # numpy's BLAS would start threads with its import, and this process is going to fork.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # serving is imported here: it needs what only `windtunnel[local]` brings.
    from windtunnel.serving.container import Order, run_container
    from windtunnel.serving.errors import ServingError
    from windtunnel.serving.logs import configure_logs
    from windtunnel.serving.settings import parse_settings

    configure_logs()
    try:
        if port is None:
            port = parse_settings(os.environ, is_on_port=True).bind_port
        with _bind(host, port) as bound, tempfile.TemporaryDirectory(prefix="windtunnel-") as where:
            order = Order(model_dir, os.environ, Path(where), bound)
            status = run_container(order, _Announcer(bound), None)
    except ServingError as error:
        raise UsageError(str(error)) from error
    sys.exit(status)


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket that holds the address, and does not listen yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise NotReadyError(
            f"Cannot listen on {host}:{port} ({error.strerror}): choose another --port or --host."
        ) from error
    return bound


class _Announcer:
    """Tells whoever waits on stdout that the container answers."""

    def __init__(self, bound: socket.socket) -> None:
        host, port, *_ = bound.getsockname()
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def send(self, event: str, **details: object) -> None:
        """Take one event of the container."""
        del details
        if event == "listening":
            print(f"ready {self._url}", flush=True)  # noqa: T201 - what the command is for
