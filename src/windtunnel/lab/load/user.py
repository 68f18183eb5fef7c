"""A Locust user for anybody's locustfile that sends signed requests to an endpoint.

Everything around it is Locust's own: tasks, wait times, load shapes, UI, CSV files, workers. Its
statistics say what a user had to wait from the moment it was free to send. Importing this module
imports Locust, which patches the process: only load processes and locustfiles do that.
"""

import functools
import time
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

import gevent
from locust import User, events
from locust.exception import StopTest
from locust.runners import LocalRunner

from windtunnel.core import limits
from windtunnel.core.errors import UsageError, WindtunnelError
from windtunnel.lab.load import failures
from windtunnel.lab.load.answer import AnswerReader
from windtunnel.lab.load.caller import caller_of
from windtunnel.lab.load.connection import Address, Connection
from windtunnel.lab.load.locust_feed import FailedInvocationError, feed_of
from windtunnel.lab.load.request import SignedRequest
from windtunnel.lab.payload import check_header, read_payload

if TYPE_CHECKING:
    from locust.env import Environment
    from locust.runners import Runner
    from locust.web import WebUI

    from windtunnel.lab.target import TargetOptions

__all__ = ["EndpointUser", "FailedInvocationError"]


class EndpointUser(User):
    """A Locust user that invokes an endpoint with signed, prepared requests.

    `endpoint_name` (str): the endpoint; else the last part of Locust's host.
    `payload` (str or Path): the file that is sent, unless `invoke` is given another.
    `content_type` (str): what it is; else what its name says, as with `windtunnel load`.
    `accept` (str): what the answer should be.
    `target` (windtunnel.lab.target.TargetOptions): where the endpoint is; else in the local cloud
    of the home.

    Call `invoke` in your tasks. A class with a payload and without a task has one that does. After
    an answer that says there is no such endpoint, or none at all, a user waits up to a second. In
    the table of the terminal and in CSV files Locust cuts off what percentiles below 10 ms have
    behind the point; its page and the medians have three digits.
    """

    abstract = True
    endpoint_name: ClassVar[str | None] = None
    payload: ClassVar[str | Path | None] = None
    content_type: ClassVar[str | None] = None
    accept: ClassVar[str | None] = None
    target: ClassVar["TargetOptions | None"] = None

    def __init_subclass__(cls) -> None:
        """Give a class without a task of its own one that invokes."""
        super().__init_subclass__()
        # Tasks are inherited, beside those of the class.
        own = [each for each in cls.tasks if each is not _invoke]
        cls.tasks = own or ([_invoke] if cls.payload is not None else [])

    def __init__(self, environment: Any) -> None:  # noqa: ANN401 - Locust's own
        super().__init__(environment)
        self._feed = feed_of(environment)
        self._name = _name(type(self), self.host)
        self._connection: Connection | None = None
        self._pause_s = limits.RECONNECT_PAUSE_FIRST_S
        # By what `invoke` is given.
        self._requests: dict[tuple[str | Path | None, str | None], SignedRequest] = {}
        try:
            # What takes its time is done before anything is measured, and for all users at once.
            caller_of(self.target)
            if self.payload is not None:
                self._prepare(None, None)
        except WindtunnelError as error:
            # A run without users must not look like a good one: Locust's exit status says so, the
            # master's, too.
            environment.events.user_error.fire(
                user_instance=self, exception=error, tb=error.__traceback__
            )
            raise StopTest(str(error)) from None

    def invoke(
        self, payload: str | Path | None = None, content_type: str | None = None
    ) -> AnswerReader | None:
        """Send a file to the endpoint and tell Locust's statistics; return the answer, if any.

        Of the answer there are `status` and `has_failed`, `body_bytes` (how long the body was) and,
        where it failed, `body_start`; a good body is counted, not kept. None: nobody answered.
        """
        request = self._requests.get((payload, content_type))
        if request is None:
            request = self._prepare(payload, content_type)
        # Whatever comes from here on is the user's to wait for.
        free_s = perf_counter()
        connection = self._connection
        if connection is None:
            connection = self._connection = Connection(Address.of(caller_of(self.target).url))
        answer: AnswerReader | None = None
        failure: failures.Failure | None = None
        try:
            answer = connection.exchange(request.wire(time.time()))
        except Exception as error:  # noqa: BLE001 - Locust counts it, as it counts an HttpUser's
            failure = failures.from_exception(error)
        else:
            if answer.has_failed:
                failure = failures.from_answer(answer)
        self._feed.record(
            self._name,
            free_s,
            perf_counter(),
            answer.body_bytes if answer else 0,
            failure,
            self.context,
        )
        if answer is None or (failure is not None and failures.is_refusal(failure.kind)):
            # Who asks again at once, a thousand times a second, is not a user.
            gevent.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, limits.RECONNECT_PAUSE_S_MAX)
        else:
            self._pause_s = limits.RECONNECT_PAUSE_FIRST_S
        return answer

    def on_stop(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _prepare(self, payload: str | Path | None, content_type: str | None) -> SignedRequest:
        request = _request(type(self), self._name, payload, content_type)
        self._requests[payload, content_type] = request
        return request


def _invoke(user: EndpointUser) -> None:
    """Be the task of a class that has none."""
    user.invoke()


def _refuse(
    environment: "Environment", runner: "Runner", web_ui: "WebUI | None", **_: object
) -> None:
    """End a Locust whose users could not begin, in a sentence.

    A worker tells its master instead, when it is given users: who waits for it must learn of it.
    """
    if not isinstance(runner, LocalRunner):
        return
    for user_class in environment.user_classes:
        if not issubclass(user_class, EndpointUser):
            continue
        try:
            caller_of(user_class.target)
            name = _name(user_class, environment.host or user_class.host)
            # Locust's page asks for a host that nobody named before.
            if user_class.payload is not None and (name or web_ui is None):
                _request(user_class, name, None, None)
        except WindtunnelError as error:
            raise SystemExit(f"windtunnel: {error}") from None


# Locust's events have no types.
_events: Any = events
_events.init.add_listener(_refuse)


def _name(user_class: type[EndpointUser], host: str | None) -> str:
    return user_class.endpoint_name or (host or "").rstrip("/").rpartition("/")[2]


def _request(
    user_class: type[EndpointUser],
    name: str,
    payload: str | Path | None,
    content_type: str | None,
) -> SignedRequest:
    path = payload or user_class.payload
    if path is None or not name:
        raise UsageError("An EndpointUser needs a payload, and an endpoint_name or a host.")
    return _prepared(
        user_class.target,
        name,
        Path(path),
        content_type or user_class.content_type,
        user_class.accept,
    )


@functools.cache
def _prepared(
    options: "TargetOptions | None",
    name: str,
    path: Path,
    content_type: str | None,
    accept: str | None,
) -> SignedRequest:
    """Return the request that all users of this process share."""
    caller = caller_of(options)
    check_header("accepted type", accept)
    payload = read_payload(path, content_type)
    request = SignedRequest(
        url=caller.url,
        endpoint_name=name,
        body=payload.body,
        content_type=payload.content_type,
        accept=accept,
        credentials=caller.credentials,
        region=caller.region,
    )
    caller.on_renewal.append(request.renew)
    return request
