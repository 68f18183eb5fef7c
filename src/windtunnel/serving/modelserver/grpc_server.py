"""The gRPC server of one model server: from calls to `grpc_service.py` and back.

Messages pass as bytes, so that nothing is parsed before a thread has time for it. gRPC takes a
call's message only when a thread asks for it, so what waits holds no more than its head.

Rule: imported only behind the last fork. gRPC starts threads, which a fork would be without.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from windtunnel.core import limits
from windtunnel.serving.errors import Code, RequestError, ServingError
from windtunnel.serving.meters import Meter, Stages
from windtunnel.serving.modelserver.grpc_service import SERVICES, Call
from windtunnel.serving.modelserver.served import ServedModels

logger = logging.getLogger(__name__)

# The calls that are counted, as over REST.
_INFERENCES = frozenset(("Predict", "Classify", "Regress", "MultiInference"))

# What gRPC calls with a request's bytes.
Handle = Callable[[bytes, Any], bytes]

_OPTIONS = (
    # TensorFlow Serving allows 2 GiB (server.cc, SetMaxMessageSize); the container's limit is that
    # of REST.
    ("grpc.max_receive_message_length", limits.CONTAINER_BODY_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    # Several model servers share a port, and the kernel shares out the connections.
    ("grpc.so_reuseport", 1),
)


class GrpcServer:
    """Serves until it is stopped."""

    def __init__(
        self,
        models: ServedModels,
        meter: Meter,
        addresses: Sequence[str],
        *,
        thread_count: int,
        logs_requests: bool,
    ) -> None:
        """Listen and serve; raise ServingError where an address cannot be had."""
        # When the last call was answered.
        self._answered_s = -math.inf
        self._server = grpc.server(
            ThreadPoolExecutor(thread_count, thread_name_prefix="grpc"),
            options=_OPTIONS,
            maximum_concurrent_rpcs=limits.MODEL_SERVER_QUEUE_COUNT_MAX,
        )
        for service, calls in SERVICES.items():
            handlers = {}
            for method, call in calls.items():
                name = f"{service}/{method}"
                handle = _handle(models, meter, call, name, logs_requests=logs_requests)
                handlers[method] = grpc.unary_unary_rpc_method_handler(self._note_answers(handle))
            handler = grpc.method_handlers_generic_handler(service, handlers)
            self._server.add_generic_rpc_handlers((handler,))
        for address in addresses:
            try:
                self._server.add_insecure_port(address)
            except RuntimeError as error:
                raise ServingError(f"gRPC cannot listen on {address}: {error}") from None
        self._server.start()
        logger.info("gRPC on %s", " and ".join(addresses))

    def stop(self, grace_s: float) -> threading.Event:
        """Take no more calls; return what is set when those in hand have ended, or the grace."""
        stopped: threading.Event = self._server.stop(grace_s)
        return stopped

    def linger_s(self, now_s: float) -> float:
        """Return for how long the last answer may still be on its way, once this has stopped.

        gRPC calls a call ended when its answer is with the transport; a process that is gone before
        that has sent it resets the connection instead.
        """
        return max(0.0, self._answered_s + limits.GRPC_LINGER_S - now_s)

    def _note_answers(self, handle: Handle) -> Handle:
        def noting(data: bytes, context: Any) -> bytes:  # noqa: ANN401 - gRPC is untyped
            try:
                return handle(data, context)
            finally:
                self._answered_s = time.monotonic()

        return noting


def _handle(
    models: ServedModels, meter: Meter, call: Call, name: str, *, logs_requests: bool
) -> Handle:
    """Return what gRPC calls with a request's bytes."""
    is_inference = name.rpartition("/")[2] in _INFERENCES

    def handle(data: bytes, context: Any) -> bytes:  # noqa: ANN401 - gRPC is untyped
        stages = Stages()
        code: Code | None = None
        answer, details = b"", ""
        try:
            # A client that went away while its call waited is owed nothing.
            answer = call(models, data) if context.is_active() else b""
        except RequestError as error:
            code, details = error.code, error.message
        except Exception as error:
            # A defect of an engine or of ours ends this call, not the server.
            logger.exception("a call failed")
            code, details = Code.INTERNAL, f"{type(error).__name__}: {error}"
        stages.end()
        if is_inference:
            status = "OK" if code is None else code.name
            meter.note_answer(stages.model, status, stages.end_s - stages.begin_s, stages)
        if logs_requests:
            logger.info(
                "gRPC %s %s, %d bytes in, %d out, %.1f ms",
                name,
                "OK" if code is None else code.name,
                len(data),
                len(answer),
                (stages.end_s - stages.begin_s) * 1000,
            )
        if code is not None:
            context.set_code(grpc.StatusCode[code.name])
            context.set_details(shorten(details))
        return answer

    return handle


def shorten(details: str) -> str:
    """Return what a client can be told of an error: no more than it takes, and in UTF-8."""
    encoded = details.encode("utf-8", "backslashreplace")
    return encoded[: limits.GRPC_DETAILS_BYTES_MAX].decode("utf-8", "ignore")
