"""SageMaker's contract before TensorFlow Serving's REST API: what njs is in the original's nginx.

/invocations becomes a model's `:predict` (or what custom attributes ask for) and its body
TensorFlow Serving's JSON; /ping asks for the default model. All else of the API passes as it is.
"""

import time
from collections.abc import Sequence
from urllib.parse import quote

from windtunnel.core import limits
from windtunnel.http.message import Headers
from windtunnel.http.server import Exchange
from windtunnel.serving.codecs.invocations import complete_invocation
from windtunnel.serving.codecs.media import unpack_body
from windtunnel.serving.errors import RequestError
from windtunnel.serving.exposition import PATH as METRICS_PATH
from windtunnel.serving.front import FrontHandler
from windtunnel.serving.meters import Meter
from windtunnel.serving.modelserver.routes import (
    CUSTOM_ATTRIBUTES,
    Infer,
    Metrics,
    Ping,
    Target,
    choose_route,
)

_STATUS_OK = 200


class TfsFrontHandler(FrontHandler):
    """Translates requests for the binaries, and counts them: those count nothing themselves."""

    def __init__(self, addresses: Sequence[str], default_model: str, meter: Meter) -> None:
        super().__init__(addresses, meter, idle_timeout_s=limits.FOREIGN_IDLE_TIMEOUT_S)
        self._default_model = default_model
        self._meter = meter

    def begin(self, exchange: Exchange) -> int:
        """Route a request; refuse at once what is not served."""
        head = exchange.head
        if head.path == METRICS_PATH:
            return super().begin(exchange)
        try:
            exchange.context = choose_route(head.method, head.path, head.get(CUSTOM_ATTRIBUTES))
        except RequestError as error:
            self.refuse(exchange, error.status, error.message)
            return 0
        assert not isinstance(exchange.context, Metrics)
        return limits.CONTAINER_BODY_BYTES_MAX

    def complete(self, exchange: Exchange) -> None:
        """Send a request on in TensorFlow Serving's words."""
        route = exchange.context
        if isinstance(route, Ping):
            self.forward(exchange, _head(b"GET", self._path(Target()), 0), [])
        elif isinstance(route, Infer) and route.is_invocation:
            try:
                body = self._translate(exchange)
            except RequestError as error:
                self.refuse(exchange, error.status, error.message)
                return
            path = self._path(route.target) + b":" + route.method.value
            self.forward(exchange, _head(b"POST", path, len(body)), [body])
        else:
            super().complete(exchange)

    def _translate(self, exchange: Exchange) -> bytes:
        head = exchange.head
        body = unpack_body(exchange.body(), head.get(b"content-encoding"))
        if not body:
            raise RequestError("JSON Parse error: The document is empty")
        return complete_invocation(body, head.get(b"content-type"))

    def _path(self, target: Target) -> bytes:
        # Quoted again: a name must not end the line it stands in.
        path = f"/v1/models/{quote(target.model or self._default_model, safe='')}"
        if target.version is not None:
            path += f"/versions/{target.version}"
        return path.encode()

    def answer(
        self, exchange: Exchange, status: int, headers: Headers, chunks: list[bytes]
    ) -> None:
        """Hand an answer on; that of a ping is only whether the model is available."""
        if isinstance(exchange.context, Ping):
            is_there = status == _STATUS_OK and b'"AVAILABLE"' in b"".join(chunks)
            exchange.respond(_STATUS_OK if is_there else 502, ())
            return
        self._count(exchange, status)
        super().answer(exchange, status, headers, chunks)

    def note_refusal(self, exchange: Exchange, status: int) -> None:
        """Count a request that was refused here."""
        self._count(exchange, status)

    def _count(self, exchange: Exchange, status: int) -> None:
        route = exchange.context
        if isinstance(route, Infer):
            model = route.target.model or self._default_model
            self._meter.note_answer(model, str(status), time.monotonic() - exchange.received_s)


def _head(method: bytes, path: bytes, body_bytes: int) -> bytes:
    return (
        b"%s %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n" % (method, path, body_bytes)
    )
