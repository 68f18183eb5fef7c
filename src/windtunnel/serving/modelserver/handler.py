"""From HTTP exchanges to inferences and back, on the event loop's thread.

Routes are decided when the head is in, so that what will be refused is refused before its body is
read. The work itself is a task for one of the threads (`threads.py`).
"""

import logging
import time
from collections.abc import Sequence

from windtunnel.core import limits
from windtunnel.http.server import Exchange
from windtunnel.serving.answering import STATUS_CLIENT_CLOSED, Answering, log_answer
from windtunnel.serving.codecs.media import JSON, JSON_LINES, choose_answer, unpack_body
from windtunnel.serving.errors import RequestError, render_error
from windtunnel.serving.exposition import CONTENT_TYPE, render_metrics
from windtunnel.serving.meters import Meter, Stages
from windtunnel.serving.modelserver import rest
from windtunnel.serving.modelserver.routes import (
    CUSTOM_ATTRIBUTES,
    Infer,
    Metadata,
    Metrics,
    Ping,
    Status,
    choose_route,
)
from windtunnel.serving.modelserver.served import ServedModels
from windtunnel.serving.modelserver.threads import Threads

logger = logging.getLogger(__name__)


class ModelHandler(Answering):
    """What a model server does with requests."""

    def __init__(
        self, models: ServedModels, threads: Threads, meter: Meter, *, logs_requests: bool
    ) -> None:
        self._models = models
        self._threads = threads
        self._meter = meter
        self._logs_requests = logs_requests
        # Set when the process begins to end; /ping then tells balancers to look elsewhere.
        self.is_draining = False

    def begin(self, exchange: Exchange) -> int:
        """Route a request; answer at once what needs no body."""
        head = exchange.head
        try:
            route = choose_route(head.method, head.path, head.get(CUSTOM_ATTRIBUTES))
            if isinstance(route, Infer):
                exchange.context = route
                return limits.CONTAINER_BODY_BYTES_MAX
            if isinstance(route, Status):
                self.answer(exchange, 200, (rest.render_status(self._models, route.target),))
            elif isinstance(route, Metadata):
                self.answer(exchange, 200, (rest.render_metadata(self._models, route.target),))
            elif isinstance(route, Metrics):
                self.answer(exchange, 200, (render_metrics(self._meter),), CONTENT_TYPE)
            else:
                self._ping(exchange, route)
        except RequestError as error:
            self.refuse(exchange, error.status, error.message)
        return 0

    def _ping(self, exchange: Exchange, _: Ping) -> None:
        # The models were loaded before this server began to listen.
        if self.is_draining:
            self.refuse(exchange, 503, "This model server is ending.")
        elif not self._threads.is_whole:
            self.refuse(exchange, 503, "This model server has lost a thread.")
        else:
            self.answer(exchange, 200, ())

    def complete(self, exchange: Exchange) -> None:
        """Hand a whole request to the threads."""
        if not self._threads.submit(_Inference(self, self._models, exchange)):
            self.refuse(exchange, 503, "Too many requests wait for this model server.")

    def refuse(self, exchange: Exchange, status: int, message: str) -> None:
        """Answer with an error in TensorFlow Serving's form."""
        self.answer(exchange, status, (render_error(message),))

    def answer(
        self,
        exchange: Exchange,
        status: int,
        body: Sequence[bytes],
        media: bytes = JSON,
        stages: Stages | None = None,
    ) -> None:
        """Answer; JSON goes under the name that the client asked for it by."""
        if media == JSON and choose_answer(exchange.head.get(b"accept")) == JSON_LINES:
            media = JSON_LINES
        if self._logs_requests:
            log_answer(logger, exchange, status, sum(map(len, body)))
        if isinstance(exchange.context, Infer):
            self.count(exchange, status, stages)
        exchange.respond(status, ((b"content-type", media),), body)

    def count(self, exchange: Exchange, status: int, stages: Stages | None) -> None:
        """Count a request for an inference that ended."""
        model = self._models.name_of(exchange.context.target)
        self._meter.note_answer(model, str(status), time.monotonic() - exchange.received_s, stages)


class _Inference:
    """One request on its way through a thread."""

    __slots__ = (
        "_answer",
        "_body",
        "_exchange",
        "_handler",
        "_media",
        "_models",
        "_stages",
        "_status",
        "size_bytes",
    )

    def __init__(self, handler: ModelHandler, models: ServedModels, exchange: Exchange) -> None:
        self._handler = handler
        self._models = models
        self._exchange = exchange
        self._body = exchange.chunks
        self.size_bytes = exchange.body_bytes
        self._stages: Stages | None = None
        self._status = 500
        self._media = JSON
        self._answer: Sequence[bytes] = (render_error("The inference failed."),)

    def run(self) -> None:
        """Infer, unless the client has gone; the outcome is an answer in any case."""
        exchange = self._exchange
        if exchange.is_abandoned:
            return
        self._stages = Stages()
        try:
            # The one copy of a body on its way in, when it came in several pieces.
            body = b"".join(self._body)
            head = exchange.head
            # TensorFlow Serving's own paths answer JSON, whatever is accepted.
            accept = head.get(b"accept") if exchange.context.is_invocation else None
            self._media, self._answer = rest.infer(
                self._models,
                exchange.context,
                unpack_body(body, head.get(b"content-encoding")),
                head.get(b"content-type"),
                choose_answer(accept),
            )
            self._status = 200
        except RequestError as error:
            self._fail(error.status, error.message)
        except Exception as error:
            # A defect of an engine or of ours ends this request, not the server.
            logger.exception("an inference failed")
            self._fail(500, f"{type(error).__name__}: {error}")
        self._stages.end()

    def _fail(self, status: int, message: str) -> None:
        self._status = status
        self._answer = (render_error(message),)

    def finish(self) -> None:
        """Answer the request, if its client is still there."""
        exchange = self._exchange
        if exchange.is_abandoned:
            self._handler.count(exchange, STATUS_CLIENT_CLOSED, self._stages)
            return
        self._handler.answer(exchange, self._status, self._answer, self._media, self._stages)
