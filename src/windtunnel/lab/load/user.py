"""A Locust user for anybody's locustfile that sends signed requests to an endpoint.

Importing this module imports Locust, which patches the process: only load processes and locustfiles
do that.
"""

import functools
import time
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

from locust import User

from windtunnel.core.errors import UsageError
from windtunnel.lab.load import failures
from windtunnel.lab.load.answer import AnswerReader
from windtunnel.lab.load.connection import Address, Connection
from windtunnel.lab.load.request import SignedRequest
from windtunnel.lab.payload import read_payload
from windtunnel.lab.target import Target, TargetOptions, open_target


class FailedInvocationError(Exception):
    """An invocation that was not answered well; what Locust's statistics count."""


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
    target: ClassVar[TargetOptions] = TargetOptions()

    def __init__(self, environment: Any) -> None:  # noqa: ANN401 - Locust's own
        super().__init__(environment)
        self._connection: Connection | None = None

    def invoke(
        self, payload: str | Path | None = None, content_type: str | None = None
    ) -> AnswerReader | None:
        """Send a file to the endpoint and tell Locust's statistics; return the answer, if any."""
        path = payload or self.payload
        name = self.endpoint_name or (self.host or "").rstrip("/").rpartition("/")[2]
        if path is None or not name:
            raise UsageError("An EndpointUser needs a payload, and an endpoint_name or a host.")
        request, address = _prepared(
            self.target, name, Path(path), content_type or self.content_type, self.accept
        )
        if self._connection is None:
            self._connection = Connection(address)
        answer: AnswerReader | None = None
        failure: failures.Failure | None = None
        began_s = perf_counter()
        try:
            answer = self._connection.exchange(request.wire(time.time()))
        except Exception as error:  # noqa: BLE001 - Locust counts it, as it counts an HttpUser's
            failure = failures.from_exception(error)
        else:
            if answer.has_failed:
                failure = failures.from_answer(answer)
        self.environment.events.request.fire(
            request_type="InvokeEndpoint",
            name=name,
            response_time=(perf_counter() - began_s) * 1000,
            response_length=answer.body_bytes if answer else 0,
            exception=FailedInvocationError(failure.kind) if failure else None,
            context=self.context(),
        )
        return answer

    def on_stop(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()


@functools.cache
def _target(options: TargetOptions) -> Target:
    return open_target(options)


@functools.cache
def _prepared(
    options: TargetOptions, name: str, path: Path, content_type: str | None, accept: str | None
) -> tuple[SignedRequest, Address]:
    """Return the request that all users of this process share, and where it goes."""
    target = _target(options)
    payload = read_payload(path, content_type)
    url = target.runtime().meta.endpoint_url
    request = SignedRequest(
        url=url,
        endpoint_name=name,
        body=payload.body,
        content_type=payload.content_type,
        accept=accept,
        credentials=target.signing_credentials,
        region=target.region,
    )
    return request, Address.of(url)
