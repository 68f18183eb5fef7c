"""The one door: every request to the local cloud, from its first byte to its answer.

What happens to a request is the two lists of steps that the gateway is made with (`app.py`): those
run on its head, and those run when its body is in. A step that turns the request away raises; it
becomes AWS's kind of error in the protocol of the service, here and nowhere else.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence

from windtunnel.cloud.errors import CloudError
from windtunnel.cloud.foundation.callers import set_current_caller
from windtunnel.cloud.gateway.answers import Fault, FaultError
from windtunnel.cloud.gateway.api import Api
from windtunnel.cloud.gateway.request import Request
from windtunnel.cloud.gateway.scrapes import Scrapes
from windtunnel.cloud.gateway.turns import Turns
from windtunnel.core import limits
from windtunnel.http.server import BodySink, Exchange

log = logging.getLogger(__name__)

Step = Callable[["Gateway", Request], None]


class Gateway:
    """The handler of the cloud's HTTP server."""

    def __init__(
        self,
        api: Api,
        on_head: Sequence[Step],
        on_body: Sequence[Step],
        scrapes: Scrapes | None = None,
    ) -> None:
        self._api = api
        self._scrapes = scrapes
        self._on_head = tuple(on_head)
        self._on_body = tuple(on_body)
        self._loop = asyncio.get_running_loop()
        self.turns = Turns(self._loop)
        self._tasks: set[asyncio.Task[None]] = set()
        self._held_bytes = 0

    # --- http.server.Handler -------------------------------------------------------------------

    def begin(self, exchange: Exchange) -> int | BodySink:
        """Run the steps on a request's head; return where its body goes."""
        if self._scrapes is not None and (scrape := self._scrapes.take(exchange)) is not None:
            return scrape
        request = Request(exchange)
        exchange.context = request
        try:
            for step in self._on_head:
                step(self, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            self.fail(request, error)
            return 0
        return request.plan

    def complete(self, exchange: Exchange) -> None:
        """Run the steps on a whole request."""
        request: Request = exchange.context
        self.release(request)
        try:
            for step in self._on_body:
                step(self, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            self.fail(request, error)

    def overflow(self, exchange: Exchange) -> None:
        """Answer a body over its limit, as AWS does for the service."""
        request: Request = exchange.context
        self.release(request)
        limit = request.plan if isinstance(request.plan, int) else 0
        if request.service == "sagemaker-runtime":
            # No error type and these words: what clients report as "An error occurred (413)"
            # (github.com/aws/sagemaker-python-sdk/issues/171).
            message = f"HTTP content length exceeded {limit} bytes."
            exchange.respond(
                413,
                [(b"content-type", b"application/json"), (b"x-amzn-requestid", request.request_id)],
                json.dumps({"message": message}).encode(),
            )
        else:
            message = f"The request's body must be at most {limit} bytes."
            self.fail(request, FaultError(Fault("RequestEntityTooLargeException", message, 413)))

    def malformed(self, exchange: Exchange, status: int, reason: str) -> None:
        """Answer what is not HTTP: no service can be told, so the answer is plain."""
        if exchange.context is not None:
            self.release(exchange.context)
        exchange.respond(
            status, [(b"content-type", b"text/plain; charset=utf-8")], f"{reason}\n".encode()
        )

    # --- what steps use --------------------------------------------------------------------------

    def hold(self, request: Request, body_bytes: int) -> None:
        """Make room for a body that will be kept, or turn the request away."""
        if self._held_bytes + body_bytes > limits.GATEWAY_HELD_BYTES_MAX:
            raise FaultError(Fault("ThrottlingException", None, 400))
        self._held_bytes += body_bytes
        request.held_bytes = body_bytes
        request.exchange.on_abandon = lambda: self.release(request)

    def release(self, request: Request) -> None:
        """Give a body's room back; what holds it from here on counts it itself."""
        self._held_bytes -= request.held_bytes
        request.held_bytes = 0
        request.exchange.on_abandon = None

    def answer_by_api(self, request: Request) -> None:
        """Have the API answer a verified request; the answer comes later."""
        if len(self._tasks) >= limits.CONTROL_IN_FLIGHT_MAX:
            raise FaultError(Fault("ThrottlingException", "Rate exceeded", 400))
        task = self._loop.create_task(self._answer_by_api(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def unsigned(self, request: Request) -> FaultError:
        """Return the refusal of a request that nobody signed."""
        return self._api.unsigned(request.service, request.head, request.exchange.body())

    async def _answer_by_api(self, request: Request) -> None:
        body = request.exchange.body()
        assert request.caller is not None
        set_current_caller(request.caller)
        answer = await self._api.answer(request.service, request.head, body)
        request.exchange.respond(answer.status, answer.headers, answer.body)

    def fail(self, request: Request, error: Exception) -> None:
        """Answer a request with AWS's kind of error."""
        exchange = request.exchange
        if exchange.is_answered:
            log.error("A request failed after its answer had begun.", exc_info=error)
            exchange.drop()
            return
        if isinstance(error, FaultError):
            fault = error.fault
            answer = self._api.error(
                request.service, fault.code, fault.message, fault.status, request.head
            )
        elif isinstance(error, CloudError):
            answer = self._api.failure(request.service, error, request.head)
        else:
            log.error("%s failed.", request.head.target.decode("latin-1"), exc_info=error)
            answer = self._api.internal_failure(request.service, request.head)
        exchange.respond(answer.status, answer.headers, answer.body)

    async def close(self) -> None:
        """Wait for what is being answered."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._scrapes is not None:
            await self._scrapes.close()
