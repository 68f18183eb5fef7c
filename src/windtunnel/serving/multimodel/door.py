"""Where the requests of a container of many models come in: a process of its own.

It answers what is asked of the models, hands invocations to the processes of theirs, and passes
orders on to the leader (`shelf.py`), which forks and therefore serves nobody itself. They speak by
datagrams of JSON:

    to the leader   {"hello": true}   tell me of all that is loaded
                    {"load": NAME, "url": FOLDER, "label": TEXT, "id": ID}
                    {"unload": NAME, "id": ID}
    from it         {"loaded": NAME, "url": FOLDER, "label": TEXT, "addresses": […], "meters": PATH}
                    {"gone": NAME}
                    {"told": true}    that was all, in answer to hello
                    {"id": ID, "status": STATUS, "answer": {…}}

A door that crashes is replaced; its successor says hello, and listens once it has been told.
"""

import asyncio
import itertools
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import uvloop

from windtunnel.core import limits
from windtunnel.core.allocator import keep_freed_memory
from windtunnel.http.server import Exchange, serve
from windtunnel.serving.answering import Answering
from windtunnel.serving.children import Reports
from windtunnel.serving.errors import RequestError, render_error
from windtunnel.serving.exposition import CONTENT_TYPE, render_models_metrics
from windtunnel.serving.front import FrontHandler
from windtunnel.serving.meters import NO_MODEL, Meter, MeterPlan
from windtunnel.serving.multimodel import messages
from windtunnel.serving.multimodel.routes import (
    Describe,
    Invoke,
    List,
    Load,
    Metrics,
    Ping,
    Unload,
    choose_route,
    parse_load,
    render_model,
    render_page,
)

logger = logging.getLogger(__name__)

_JSON = ((b"content-type", b"application/json"),)
_ONE_MODELS_PATH = b"/invocations"
_TARGET_MODEL = b"x-amzn-sagemaker-target-model"


def run_door(
    listen: socket.socket,
    channel: socket.socket,
    meters: MeterPlan,
    reports: Reports,
    lifeline: int,
) -> int:
    """Serve until SIGTERM; return the exit status. Runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    return uvloop.run(_serve(listen, channel, meters.open(), reports, lifeline))


async def _serve(
    listen: socket.socket, channel: socket.socket, meter: Meter, reports: Reports, lifeline: int
) -> int:
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, end.set)
    loop.add_reader(lifeline, os._exit, 1)
    door = Door(channel, meter)
    loop.add_reader(channel.fileno(), door.read)
    door.send({"hello": True})
    await door.is_told.wait()
    server = await serve(door, sock=listen)
    reports.send("available")
    await end.wait()
    door.is_draining = True
    await server.drain(limits.STOP_GRACE_S)
    return 0


class _ModelFront(FrontHandler):
    """Balances over one model's processes; what all models have in hand is the door's to say."""

    @property
    def outstanding(self) -> int:
        """How many requests the model has."""
        return sum(server.outstanding for server in self.servers)

    def note_load(self) -> None:
        """Leave it to the door, which is asked now and then."""


@dataclass(frozen=True, slots=True)
class _Model:
    """One that is loaded: where it came from, and what balances over its processes."""

    url: str
    label: str
    front: _ModelFront
    # Where its processes count.
    meters: str


class Door(Answering):
    """What a container of many models does with requests."""

    def __init__(self, channel: socket.socket, meter: Meter) -> None:
        self.is_draining = False
        self._meter = meter
        # Set once all that is loaded is known here.
        self.is_told = asyncio.Event()
        self._channel = channel
        self._channel.setblocking(False)
        self._models: dict[str, _Model] = {}
        # What waits for the leader.
        self._waiting: dict[str, Exchange] = {}
        # Never an id of a predecessor's.
        self._ids = (f"{os.getpid()}-{number}" for number in itertools.count())

    # --- the leader -----------------------------------------------------------------------------

    def send(self, message: Mapping[str, Any]) -> None:
        """Tell the leader something; raises OSError when it does not listen."""
        self._channel.send(json.dumps(message).encode())

    def read(self) -> None:
        """Take what the leader has said."""
        for message in messages.waiting(self._channel):
            self._take(message)

    def _take(self, message: Mapping[str, Any]) -> None:
        if "loaded" in message:
            self._forget(message["loaded"])
            front = _ModelFront(message["addresses"], self._meter)
            self._models[message["loaded"]] = _Model(
                message["url"], message["label"], front, message["meters"]
            )
        elif "gone" in message:
            self._forget(message["gone"])
        elif "told" in message:
            self.is_told.set()
        else:
            exchange = self._waiting.pop(message["id"], None)
            if exchange is not None and not exchange.is_abandoned:
                self._answer(exchange, message["status"], message["answer"])

    def _forget(self, name: str) -> None:
        model = self._models.pop(name, None)
        if model is not None:
            # What is on its way still comes back.
            for server in model.front.servers:
                server.upstream.close()

    def _order(self, exchange: Exchange, order: Mapping[str, Any]) -> None:
        identity = next(self._ids)
        try:
            self.send({**order, "id": identity})
        except OSError as error:
            logger.warning("the leader does not listen: %s", error)
            self.refuse(exchange, 503, "The container is busy with other models.")
            return
        self._waiting[identity] = exchange

    # --- http.exchange.Handler ------------------------------------------------------------------

    def begin(self, exchange: Exchange) -> int:
        """Route a request; answer at once what needs no body."""
        head = exchange.head
        try:
            route = choose_route(head.method, head.path, head.query)
            exchange.context = route
            if isinstance(route, Invoke):
                self._find(route.name)
                return limits.CONTAINER_BODY_BYTES_MAX
            if isinstance(route, Load):
                return limits.MODEL_LOAD_BODY_BYTES_MAX
            if isinstance(route, Unload | Metrics):
                # It is answered later, and so comes to `complete`.
                return 0
            if isinstance(route, Describe):
                model = self._find(route.name)
                self._answer(exchange, 200, render_model(route.name, model.url))
            elif isinstance(route, List):
                urls = {name: model.url for name, model in self._models.items()}
                self._answer(exchange, 200, render_page(urls, route.page_token))
            else:
                self._ping(exchange, route)
        except RequestError as error:
            self.refuse(exchange, error.status, error.message)
        return 0

    def _ping(self, exchange: Exchange, _: Ping) -> None:
        if self.is_draining:
            self.refuse(exchange, 503, "This container is ending.")
        else:
            exchange.respond(200, _JSON)

    def _find(self, name: str) -> _Model:
        model = self._models.get(name)
        if model is None:
            raise RequestError(f"Model {name} is not loaded yet.", 404)
        return model

    def complete(self, exchange: Exchange) -> None:
        """Pass a whole request on: to a model, or as an order."""
        route = exchange.context
        try:
            if isinstance(route, Metrics):
                self._scrape(exchange)
                return
            if isinstance(route, Unload):
                self._order(exchange, {"unload": route.name})
                return
            if isinstance(route, Load):
                name, url = parse_load(exchange.body())
                # SageMaker names a model by a number of its own, and says the other name beside it.
                label = (exchange.head.get(_TARGET_MODEL) or b"").decode("latin-1") or name
                label = label[: limits.MODEL_LABEL_LENGTH_MAX]
                self._order(exchange, {"load": name, "url": url, "label": label})
                return
            # It may have been unloaded while the body came.
            model = self._find(route.name)
        except RequestError as error:
            self.refuse(exchange, error.status, error.message)
            return
        exchange.head.retarget(_ONE_MODELS_PATH, exchange.head.get(b"host") or b"localhost")
        model.front.complete(exchange)

    def overflow(self, exchange: Exchange) -> None:
        """Refuse a body that is too large."""
        self.refuse(exchange, 413, "The body is too large.")

    def refuse(self, exchange: Exchange, status: int, message: str) -> None:
        """Answer in the original's form."""
        if isinstance(exchange.context, Invoke):
            # What a model's processes answer they count themselves.
            self._meter.note_answer(NO_MODEL, str(status), time.monotonic() - exchange.received_s)
        exchange.respond(status, _JSON, render_error(message))

    def _scrape(self, exchange: Exchange) -> None:
        """Answer with the numbers of all models, which one of the loop's threads gathers."""
        models = list(self._models.values())
        self._meter.note_queue(sum(model.front.outstanding for model in models), 0)
        paths = [(model.label, model.meters) for model in models]

        def answer(text: "asyncio.Future[bytes]") -> None:
            if not exchange.is_abandoned:
                exchange.respond(200, ((b"content-type", CONTENT_TYPE),), text.result())

        loop = asyncio.get_running_loop()
        gathering = loop.run_in_executor(None, render_models_metrics, self._meter, paths)
        gathering.add_done_callback(answer)

    def _answer(self, exchange: Exchange, status: int, document: Mapping[str, Any]) -> None:
        exchange.respond(status, _JSON, json.dumps(document).encode())
