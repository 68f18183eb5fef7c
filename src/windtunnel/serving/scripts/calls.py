"""From HTTP exchanges to a script's handler and back: the event loop's half of a worker.

A request waits for one of the worker's threads, runs the script there, and is answered from here.
Nobody waits for ever: a script that has one request for too long costs its worker, which is
replaced; a request that waits for too long is told so. What a script raises is an answer, too.
"""

import asyncio
import functools
import logging
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from windtunnel.core import limits
from windtunnel.http.server import Exchange
from windtunnel.serving.answering import STATUS_CLIENT_CLOSED, Answering, log_answer
from windtunnel.serving.errors import render_error
from windtunnel.serving.exposition import CONTENT_TYPE, render_metrics
from windtunnel.serving.exposition import PATH as METRICS_PATH
from windtunnel.serving.meters import Meter
from windtunnel.serving.modelserver.routes import CUSTOM_ATTRIBUTES, parse_attributes
from windtunnel.serving.modelserver.threads import Threads
from windtunnel.serving.scripts.allowance import lift_limit
from windtunnel.serving.scripts.context import Backend, Context, make_context
from windtunnel.serving.scripts.exits import ScriptExit
from windtunnel.serving.scripts.handlers import Answer, Handler
from windtunnel.serving.scripts.stream import Stream
from windtunnel.serving.scripts.whereabouts import hint_at_path, locate, locate_frame
from windtunnel.serving.settings import WorkerSettings

logger = logging.getLogger(__name__)

_JSON = b"application/json"
_INVOCATIONS = b"/invocations"
_TIMEOUT = "SAGEMAKER_GUNICORN_TIMEOUT_SECONDS"
_READ_TIMEOUT = "SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a script's requests need besides the script."""

    settings: WorkerSettings
    # Where the archive was unpacked.
    directory: Path
    default_model: str
    # What the container is called among many.
    model_name: str | None
    rest_ports: Sequence[int]
    # Port and channel of each.
    grpc: Sequence[tuple[int, object]]
    logs_requests: bool


class ScriptService(Answering):
    """What a worker does with requests."""

    def __init__(
        self,
        handle: Handler,
        threads: Threads,
        surroundings: Surroundings,
        meter: Meter,
        retire: Callable[[], None],
    ) -> None:
        self.handle = handle
        self.surroundings = surroundings
        # Set when the process begins to end; /ping then tells balancers to look elsewhere.
        self.is_draining = False
        self._threads = threads
        self._meter = meter
        self._retire = retire
        self._loop = asyncio.get_running_loop()
        # In the order they came.
        self._calls: dict[_Call, None] = {}
        self._sweep_timer = self._loop.call_later(limits.SCRIPT_SWEEP_INTERVAL_S, self._sweep)

    # --- http.exchange.Handler ------------------------------------------------------------------

    def begin(self, exchange: Exchange) -> int:
        """Answer at once what needs no body."""
        head = exchange.head
        if head.path == _INVOCATIONS:
            if head.method == b"POST":
                return limits.CONTAINER_BODY_BYTES_MAX
            self.refuse(exchange, 405, "Method Not Allowed")
        elif head.path == METRICS_PATH:
            self.answer(exchange, 200, CONTENT_TYPE, render_metrics(self._meter))
        elif head.path != b"/ping":
            self.refuse(exchange, 404, "Not Found")
        elif self.is_draining:
            self.refuse(exchange, 503, "This script worker is ending.")
        else:
            # Its script was imported before this worker began to listen.
            self.answer(exchange, 200, _JSON, b"")
        return 0

    def complete(self, exchange: Exchange) -> None:
        """Hand a whole request to the threads."""
        call = _Call(self, exchange)
        if self._threads.submit(call):
            self._calls[call] = None
        else:
            self.refuse(exchange, 503, "Too many requests wait for this script worker.")

    def refuse(self, exchange: Exchange, status: int, message: str) -> None:
        """Answer with an error in the original's form."""
        self.answer(exchange, status, _JSON, render_error(message))

    def answer(self, exchange: Exchange, status: int, content_type: bytes, body: bytes) -> None:
        """Answer a request, and log it where requests are logged."""
        if self.surroundings.logs_requests:
            log_answer(logger, exchange, status, len(body))
        if exchange.head.path == _INVOCATIONS:
            self.count(exchange, status)
        exchange.respond(status, ((b"content-type", content_type),), body)

    def count(self, exchange: Exchange, status: int) -> None:
        """Count a request for the script that ended."""
        given = parse_attributes(exchange.head.get(CUSTOM_ATTRIBUTES)).get(b"tfs-model-name")
        model = self.surroundings.default_model if given is None else given.decode("latin-1")
        self._meter.note_answer(model, str(status), time.monotonic() - exchange.received_s)

    # --- calls ----------------------------------------------------------------------------------

    def make_context(self, exchange: Exchange) -> Context:
        """Return what a handler is told, with a model server picked at random, as the original."""
        around = self.surroundings
        grpc_port, channel = random.choice(around.grpc)  # noqa: S311 - a balancer, no secret
        rest_port = random.choice(around.rest_ports)  # noqa: S311 - a balancer, no secret
        return make_context(
            exchange.head,
            Backend(rest_port, grpc_port, channel),
            around.default_model,
            around.settings.timeout_s,
            around.model_name,
        )

    def forget(self, call: "_Call") -> None:
        """Drop a call that is over."""
        self._calls.pop(call, None)

    def retire(self, reason: str) -> None:
        """Have this worker replaced: what waits is told why, what runs may end."""
        if self.is_draining:
            return
        self.is_draining = True
        logger.error("this script worker is replaced: %s", reason)
        self._give_up(reason, is_all=False)
        last = functools.partial(self._give_up, reason, is_all=True)
        self._loop.call_later(limits.SCRIPT_RETIRE_GRACE_S, last)
        self._retire()

    def _give_up(self, reason: str, *, is_all: bool) -> None:
        """Answer what the script has not begun, or all that it has not ended."""
        for call in list(self._calls):
            if is_all or not call.is_begun:
                call.give_up(503, f"This script worker is replaced: {reason}")

    def close(self) -> None:
        """Stop looking for calls that take too long."""
        self._sweep_timer.cancel()

    def _sweep(self) -> None:
        self._sweep_timer = self._loop.call_later(limits.SCRIPT_SWEEP_INTERVAL_S, self._sweep)
        settings = self.surroundings.settings
        now_s = time.monotonic()
        for call in list(self._calls):
            if settings.timeout_s and call.running_s(now_s) >= settings.timeout_s:
                if not call.is_overdue:
                    self._end_overdue(call)
            elif now_s - call.received_s >= settings.read_timeout_s:
                call.give_up(
                    504, f"No answer came within {settings.read_timeout_s:g} s ({_READ_TIMEOUT})."
                )

    def _end_overdue(self, call: "_Call") -> None:
        call.is_overdue = True
        frame = sys._current_frames().get(call.thread_id)  # noqa: SLF001 - its documented name
        place = locate_frame(frame, self.surroundings.directory)
        reason = (
            f"the script did not answer within {self.surroundings.settings.timeout_s:g} s"
            f" ({_TIMEOUT}){f'; it was at {place}' if place else ''}."
        )
        logger.error("a request took too long, here:\n%s", "".join(traceback.format_stack(frame)))
        # First, so that who hears of it and asks again finds the next worker.
        self.retire(reason)
        call.give_up(504, f"This script worker is replaced: {reason}")


class _Call:
    """One request on its way through the script."""

    def __init__(self, service: ScriptService, exchange: Exchange) -> None:
        self._service = service
        self._exchange = exchange
        self._answer = Answer(500, render_error("The script failed."), _JSON)
        self._started_s = 0.0
        self._is_done = False
        self._exhausted = ""
        self.is_overdue = False
        self.thread_id = 0
        self.size_bytes = exchange.body_bytes
        self.received_s = exchange.received_s

    @property
    def is_begun(self) -> bool:
        """Whether the script has it, or had it."""
        return self._started_s > 0

    def running_s(self, now_s: float) -> float:
        """Return for how long the script has had it; 0 before and after."""
        return now_s - self._started_s if self._started_s and not self._is_done else 0.0

    def run(self) -> None:
        """Run the script, on a thread, unless nobody waits any more."""
        if self._exchange.is_abandoned or self._exchange.is_answered:
            return
        self.thread_id = threading.get_ident()
        self._started_s = time.monotonic()
        directory = self._service.surroundings.directory
        try:
            body = self._exchange.body()
            context = self._service.make_context(self._exchange)
            self._answer = self._service.handle(Stream(body), context)
        except MemoryError as error:
            lift_limit()
            logger.exception("exception handling request")
            place = locate(error.__traceback__, directory)
            self._exhausted = (
                f"the script asked for more memory than there is{f', at {place}' if place else ''}."
            )
            self._fail(f"MemoryError: {self._exhausted}")
        except SystemExit as error:
            logger.exception("exception handling request")
            what = error.what if isinstance(error, ScriptExit) else "sys.exit"
            place = locate(error.__traceback__, directory)
            self._fail(
                f"The script called {what}({error.code!r}) at {place}; on SageMaker that ends its"
                " worker, here it ends its request."
            )
        except BaseException as error:
            logger.exception("exception handling request")
            if hint := hint_at_path(error, directory):
                logger.error("%s", hint)  # noqa: TRY400 - the traceback stands above it
            self._fail(str(error) or type(error).__name__)
        finally:
            self._is_done = True

    def _fail(self, message: str) -> None:
        self._answer = Answer(500, render_error(message), _JSON)

    def finish(self) -> None:
        """Answer the request, if somebody still waits for it."""
        self._service.forget(self)
        if self._exhausted:
            self._service.retire(self._exhausted)
        exchange = self._exchange
        if exchange.is_answered:
            return
        if exchange.is_abandoned:
            self._service.count(exchange, STATUS_CLIENT_CLOSED)
            return
        self._service.answer(
            exchange, self._answer.status, self._answer.content_type, self._answer.body
        )

    def give_up(self, status: int, message: str) -> None:
        """Answer in the script's place, once; what it still brings is dropped."""
        exchange = self._exchange
        if not exchange.is_abandoned and not exchange.is_answered:
            self._service.refuse(exchange, status, message)
