"""One invocation: choose where it goes, forward it, measure it.

Runs on the hot path, by callbacks: nothing here waits, and nothing is looked up twice. What the
container gets and what the client gets are the gateway's business; here a request is a list of
chunks, and an answer is a status, headers and chunks.

Rules: a request is sent to exactly one address, once. Every request that was taken ends in exactly
one outcome and one record, also when its client left, the container died or the time ran out.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from windtunnel.cloud.cloudwatch.samples import InvocationRecord
from windtunnel.cloud.errors import (
    CloudError,
    InvalidError,
    ModelError,
    ThrottledError,
    UnavailableError,
    UnreadyError,
)
from windtunnel.cloud.multimodel.books import Holding, LoadFailedError
from windtunnel.cloud.router.choice import (
    choose_by_weight,
    choose_holder,
    choose_least_outstanding,
)
from windtunnel.cloud.router.routes import (
    EndpointRoutes,
    Lane,
    OpenModels,
    VariantLanes,
    VariantLoad,
    VariantRoute,
)
from windtunnel.core import limits
from windtunnel.core.clock import Clock
from windtunnel.core.home import ACCOUNT_ID
from windtunnel.http.message import Headers
from windtunnel.http.upstream import Call

# How often overdue requests are looked for: time-outs are of whole seconds.
_SWEEP_INTERVAL_S = 0.5
_CLIENT_ERROR_MIN = 400
_OK_MIN = 200
_OK_END = 300
# ModelError's status in botocore's model.
_STATUS_MODEL_ERROR = 424
# A status for the record of a request whose client left before its answer: nginx's own.
_STATUS_CLIENT_CLOSED = 499
# What a client gets whose model did not come.
_STATUS_INVALID = 400
_STATUS_NOT_READY = 429
_STATUS_UNAVAILABLE = 503
# The container's answer for a model that it does not have.
_STATUS_NOT_LOADED = 404


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for by name; None leaves it to the weights."""

    variant: str | None = None
    model: str | None = None
    request_id: str = ""


_NO_WISH = Wish()


class InvocationLog(Protocol):
    """Takes one record for each invocation; called on the hot path."""

    def record(self, record: InvocationRecord) -> None:
        """Take a record."""


class Waiter(Protocol):
    """What wants the outcome of an invocation."""

    def on_result(
        self, invocation: "Invocation", headers: Headers, chunks: list[bytes], size: int
    ) -> None:
        """Take the container's good answer."""

    def on_error(self, invocation: "Invocation", error: CloudError) -> None:
        """Take the reason why there is none."""


class Router:
    """Sends invocations to the healthy instances of their endpoint."""

    def __init__(
        self,
        clock: Clock,
        invocations: InvocationLog,
        *,
        region: str,
        answer_bytes_max: int = limits.INVOKE_ANSWER_BYTES_MAX,
        choose_point: Callable[[], float] = random.random,
        open_models: OpenModels | None = None,
    ) -> None:
        self._clock = clock
        self._log = invocations
        self._region = region
        self._answer_bytes_max = answer_bytes_max
        self._choose_point = choose_point
        self._open_models = open_models
        self._loop = asyncio.get_running_loop()
        self._endpoints: dict[str, EndpointRoutes] = {}
        self._leaving: dict[str, EndpointRoutes] = {}
        # In order of their start, so that the overdue ones are in front.
        self._in_flight: dict[Invocation, None] = {}
        # Those whose model is not there yet, likewise.
        self._waiting: dict[Invocation, None] = {}
        self._timer = self._loop.call_later(_SWEEP_INTERVAL_S, self._sweep)

    # --- routes -------------------------------------------------------------------------------

    def publish(self, endpoint_name: str, variants: Sequence[VariantRoute]) -> None:
        """Replace where an endpoint's requests go, for every request from now on."""
        routes = self._endpoints.get(endpoint_name)
        if routes is None:
            routes = self._leaving.pop(endpoint_name, None) or EndpointRoutes(
                endpoint_name, self._answer_bytes_max, self._open_models
            )
            self._endpoints[endpoint_name] = routes
        routes.replace(variants)

    def withdraw(self, endpoint_name: str) -> None:
        """Take no more requests for an endpoint; those in flight go on."""
        routes = self._endpoints.pop(endpoint_name, None)
        if routes is not None:
            self._leaving[endpoint_name] = routes

    async def wait_idle(self, endpoint_name: str, grace_s: float) -> bool:
        """Wait for what is in flight to an endpoint; say whether it ended within `grace_s`."""
        routes = self._leaving.get(endpoint_name) or self._endpoints.get(endpoint_name)
        if routes is None:
            return True
        try:
            await asyncio.wait_for(routes.wait_idle(), grace_s)
        except TimeoutError:
            return False
        finally:
            if self._leaving.get(endpoint_name) is routes:
                del self._leaving[endpoint_name]
                routes.replace(())
        return True

    async def wait_drained(self, endpoint_name: str, instance_id: str, grace_s: float) -> bool:
        """Wait for an instance that was taken out of the routes; say whether `grace_s` sufficed."""
        routes = self._endpoints.get(endpoint_name) or self._leaving.get(endpoint_name)
        if routes is None:
            return True
        try:
            await asyncio.wait_for(routes.wait_drained(instance_id), grace_s)
        except TimeoutError:
            return False
        return True

    def loads(self) -> list[VariantLoad]:
        """Return what each variant that takes requests has in flight now."""
        return [load for routes in self._endpoints.values() for load in routes.loads()]

    def close(self) -> None:
        """Stop looking for overdue requests and let every connection go."""
        self._timer.cancel()
        for routes in (*self._endpoints.values(), *self._leaving.values()):
            routes.close()

    # --- invocations --------------------------------------------------------------------------

    def _admitted(self, endpoint_name: str, body_bytes: int) -> EndpointRoutes:
        routes = self._endpoints.get(endpoint_name)
        if routes is None:
            raise InvalidError(f"Endpoint {endpoint_name} of account {ACCOUNT_ID} not found.")
        if (
            routes.in_flight_count >= limits.INVOKE_QUEUE_COUNT_MAX
            or routes.in_flight_bytes + body_bytes > limits.INVOKE_QUEUE_BYTES_MAX
        ):
            raise ThrottledError(f"Endpoint {endpoint_name} has too many requests waiting.")
        return routes

    def _chosen_variant(self, routes: EndpointRoutes, target: str | None) -> VariantLanes:
        variants = routes.variants
        if target is not None:
            for variant in variants:
                if variant.name == target:
                    return variant
            raise InvalidError(f"Variant {target} of endpoint {routes.name} not found.")
        if len(variants) == 1:
            return variants[0]
        weights = [each.weight for each in variants]
        return variants[choose_by_weight(weights, self._choose_point())]

    def _chosen_lane(self, endpoint_name: str, variant: VariantLanes, model: str | None) -> Lane:
        lanes = variant.lanes
        if model is None and variant.is_random and len(variant.lanes_by_instance) > 1:
            instances = variant.lanes_by_instance
            lanes = instances[int(self._choose_point() * len(instances))]
        if not lanes:
            raise UnavailableError(
                f"Endpoint {endpoint_name} has no healthy instance for variant {variant.name} now."
            )
        if len(lanes) == 1:
            return lanes[0]
        variant.turn += 1
        outstanding = [each.outstanding for each in lanes]
        if model is None:
            return lanes[choose_least_outstanding(outstanding, variant.turn)]
        holds = [each.models is not None and each.models.holds(model) for each in lanes]
        return lanes[choose_holder(outstanding, holds, variant.turn)]

    def _check_model(self, endpoint_name: str, variant: VariantLanes, wish: Wish) -> None:
        """Refuse a request that names a model where there is one, or none where there are many."""
        if wish.model is None and variant.source is not None:
            # sagemaker-tensorflow-serving-container#166
            raise InvalidError(f"Request {wish.request_id} is missing a target model header.")
        if wish.model is not None and variant.source is None:
            # amazon-sagemaker-examples#1026
            raise InvalidError(
                f"Endpoint {endpoint_name} is not a multi-model endpoint and does not support"
                " target model header."
            )

    def invoke(
        self,
        endpoint_name: str,
        chunks: Sequence[bytes],
        body_bytes: int,
        received_s: float,
        waiter: Waiter,
        wish: Wish = _NO_WISH,
    ) -> "Invocation":
        """Forward a request; `received_s` is when its head came, on the monotonic clock.

        It goes to a variant by weight, unless it names one; and it waits for the model that it
        names to be loaded.
        """
        routes = self._admitted(endpoint_name, body_bytes)
        variant = self._chosen_variant(routes, wish.variant)
        self._check_model(endpoint_name, variant, wish)
        lane = self._chosen_lane(endpoint_name, variant, wish.model)
        invocation = Invocation(self, routes, variant, lane, body_bytes, received_s, waiter)
        routes.enter(body_bytes)
        lane.outstanding += 1
        if wish.model is None or lane.models is None:
            self.send(invocation, chunks)
            return invocation
        invocation.model = wish.model
        invocation.holding = lane.models.acquire(wish.model, invocation.on_ready)
        invocation.is_hit = invocation.holding.is_loaded
        if invocation.is_hit:
            self.send(invocation, chunks)
        else:
            invocation.chunks = chunks
            invocation.waiting_since_s = self._clock.monotonic_s()
            self._waiting[invocation] = None
        return invocation

    def send(self, invocation: "Invocation", chunks: Sequence[bytes]) -> None:
        """Send a request to its address."""
        now_s = self._clock.monotonic_s()
        if self._waiting.pop(invocation, 0) is None:
            invocation.waited_s = now_s - invocation.waiting_since_s
        self._in_flight[invocation] = None
        invocation.sent_s = now_s
        invocation.call = invocation.lane.upstream.send(chunks, invocation)

    def finish(self, invocation: "Invocation", status: int, model_status: int | None) -> None:
        """Take an invocation out of the books and record it.

        `status` is what the client gets, `model_status` what the container answered, if anything.
        """
        self._in_flight.pop(invocation, None)
        self._waiting.pop(invocation, None)
        lane = invocation.lane
        lane.outstanding -= 1
        if invocation.holding is not None and lane.models is not None:
            assert invocation.model is not None
            if model_status == _STATUS_NOT_LOADED:
                lane.models.forget(invocation.model)
            lane.models.release(invocation.model, invocation.holding, invocation.on_ready)
        if lane.is_retired and lane.outstanding == 0:
            invocation.routes.note_drained(lane)
        invocation.routes.leave(invocation.body_bytes)
        now_s = self._clock.monotonic_s()
        # One that waited in vain for its model never reached it.
        model_s = now_s - invocation.sent_s if invocation.sent_s else None
        self._log.record(
            InvocationRecord(
                invocation.routes.name,
                invocation.variant.name,
                self._clock.now_s(),
                status,
                model_s,
                now_s - invocation.received_s - (model_s or 0.0),
                invocation.variant.instance_count,
                status == _STATUS_MODEL_ERROR,
                model_status,
                invocation.is_hit,
                invocation.waited_s,
            )
        )

    def _sweep(self) -> None:
        overdue_s = self._clock.monotonic_s() - limits.MODEL_TIMEOUT_S
        for invocation in list(self._in_flight):
            if invocation.sent_s > overdue_s:
                break
            invocation.expire()
        for invocation in list(self._waiting):
            if invocation.waiting_since_s > overdue_s:
                break
            invocation.expire()
        self._timer = self._loop.call_later(_SWEEP_INTERVAL_S, self._sweep)

    def model_error(self, endpoint_name: str, status: int, original: str) -> ModelError:
        """Return the error that a client gets for a container's failure, in AWS's words."""
        side = "client" if _CLIENT_ERROR_MIN <= status < 500 else "server"  # noqa: PLR2004
        group = f"/aws/sagemaker/Endpoints/{endpoint_name}"
        return ModelError(
            f'Received {side} error ({status}) from primary with message "{original}". See '
            f"https://{self._region}.console.aws.amazon.com/cloudwatch/home?region={self._region}"
            f"#logEventViewer:group={group} in account {ACCOUNT_ID} for more information.",
            status=status,
            original=original,
            log_stream_arn=f"arn:aws:logs:{self._region}:{ACCOUNT_ID}:log-group:{group}",
        )


class Invocation:
    """One request in flight."""

    __slots__ = (
        "_router",
        "_waiter",
        "body_bytes",
        "call",
        "chunks",
        "holding",
        "is_hit",
        "lane",
        "model",
        "received_s",
        "routes",
        "sent_s",
        "variant",
        "waited_s",
        "waiting_since_s",
    )

    def __init__(
        self,
        router: Router,
        routes: EndpointRoutes,
        variant: VariantLanes,
        lane: Lane,
        body_bytes: int,
        received_s: float,
        waiter: Waiter,
    ) -> None:
        self._router = router
        self._waiter = waiter
        self.routes = routes
        self.variant = variant
        self.lane = lane
        self.body_bytes = body_bytes
        self.received_s = received_s
        self.sent_s = 0.0
        self.call: Call | None = None
        # Of a multi-model variant: the model, and whether it was there at once.
        self.model: str | None = None
        self.is_hit: bool | None = None
        # What is sent once the model is there, and how long that took.
        self.chunks: Sequence[bytes] = ()
        self.waiting_since_s = 0.0
        self.waited_s: float | None = None
        self.holding: Holding | None = None

    def on_ready(self, error: CloudError | None) -> None:
        """Go on with the model that was waited for, or say why it did not come."""
        chunks, self.chunks = self.chunks, ()
        if error is None:
            self._router.send(self, chunks)
            return
        if isinstance(error, LoadFailedError):
            self._fail(error.status, error.original)
            return
        is_invalid = isinstance(error, InvalidError)
        self._router.finish(self, _STATUS_INVALID if is_invalid else _STATUS_UNAVAILABLE, None)
        self._waiter.on_error(self, error)

    def on_answer(self, status: int, headers: Headers, chunks: list[bytes], size: int) -> None:
        """Hand the container's answer on; anything but a 2xx is a ModelError (424)."""
        if _OK_MIN <= status < _OK_END:
            self._router.finish(self, 200, status)
            self._waiter.on_result(self, headers, chunks, size)
            return
        text = b"".join(chunks)[: limits.MODEL_ERROR_MESSAGE_BYTES_MAX]
        self._fail(status, text.decode(errors="replace"))

    def on_failure(self, reason: str) -> None:
        """Say that the container did not answer."""
        self._fail(
            0,
            "Amazon SageMaker could not get a response from the "
            f"{self.routes.name} endpoint. Please check your model container health and logs in "
            f"Amazon CloudWatch. ({reason})",
        )

    def expire(self) -> None:
        """Give up waiting for the container, or for the model."""
        if self.model is not None and not self.sent_s:
            self.chunks = ()
            self._router.finish(self, _STATUS_NOT_READY, None)
            self._waiter.on_error(
                self,
                UnreadyError(
                    f"The model {self.model} is still being downloaded or loaded. Wait and try"
                    " your request again."
                ),
            )
            return
        if self.call is not None:
            self.call.cancel()
        self._fail(
            0,
            "Your invocation timed out while waiting for a response from container primary. "
            "Review the latency metrics for each container in Amazon CloudWatch, resolve the "
            "issue, and try again.",
        )

    def abandon(self) -> None:
        """Drop the request because its client is gone."""
        if self.chunks:
            self.chunks = ()
            self._router.finish(self, _STATUS_CLIENT_CLOSED, None)
        elif self.call is not None and not self.call.is_over:
            self.call.cancel()
            self._router.finish(self, _STATUS_CLIENT_CLOSED, None)

    def _fail(self, status: int, original: str) -> None:
        self._router.finish(self, _STATUS_MODEL_ERROR, status or None)
        self._waiter.on_error(self, self._router.model_error(self.routes.name, status, original))
