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

from locust import User
from locust.exception import StopTest

from windtunnel.core.errors import UsageError, WindtunnelError
from windtunnel.lab.load import failures
from windtunnel.lab.load.answer import AnswerReader
from windtunnel.lab.load.caller import caller_of
from windtunnel.lab.load.connection import Address, Connection
from windtunnel.lab.load.locust_feed import FailedInvocationError, feed_of
from windtunnel.lab.load.request import SignedRequest
from windtunnel.lab.payload import check_header, read_payload

if TYPE_CHECKING:
    from windtunnel.lab.target import TargetOptions

__all__ = ["EndpointUser", "FailedInvocationError"]


class EndpointUser(User):
    """A Locust user that invokes an endpoint with signed, prepared requests.

    Name the endpoint in `endpoint_name`, or as the last part of Locust's host; say where it is in
    `target` (the home's local cloud unless told otherwise); then call `invoke` in your tasks.
    """

    abstract = True
    endpoint_name: ClassVar[str | None] = None
    payload: ClassVar[str | Path | None] = None
    content_type: ClassVar[str | None] = None
    accept: ClassVar[str | None] = None
    target: ClassVar["TargetOptions | None"] = None

    def __init__(self, environment: Any) -> None:  # noqa: ANN401 - Locust's own
        super().__init__(environment)
        self._feed = feed_of(environment)
        self._name = self.endpoint_name or (self.host or "").rstrip("/").rpartition("/")[2]
        self._connection: Connection | None = None
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
        """Send a file to the endpoint and tell Locust's statistics; return the answer, if any."""
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
            failure.kind if failure else None,
            self.context,
        )
        return answer

    def on_stop(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _prepare(self, payload: str | Path | None, content_type: str | None) -> SignedRequest:
        path = payload or self.payload
        if path is None or not self._name:
            raise UsageError("An EndpointUser needs a payload, and an endpoint_name or a host.")
        request = _prepared(
            self.target, self._name, Path(path), content_type or self.content_type, self.accept
        )
        self._requests[payload, content_type] = request
        return request


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
