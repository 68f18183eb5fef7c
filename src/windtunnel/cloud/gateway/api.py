"""AWS's API in front of the rooms: bytes in, an operation run, bytes out.

    protocol -> operation -> throttle -> parse -> validate -> run -> serialise

Rules. Every failure becomes an error of the service and protocol that was spoken, never HTML and
never a stack trace. An operation that has begun is carried to its end, also when its client leaves:
what it committed and what the rooms remember must not part.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from windtunnel.cloud.errors import CloudError
from windtunnel.cloud.gateway import coverage, validation
from windtunnel.cloud.gateway.answers import (
    Answer,
    Fault,
    FaultError,
    fault_of,
    internal_fault,
    unknown_operation,
    unsupported_operation,
)
from windtunnel.cloud.gateway.compression import plain_body
from windtunnel.cloud.gateway.identify import SIGNING_NAMES
from windtunnel.cloud.gateway.patterns import compile_pattern
from windtunnel.cloud.gateway.protocols.foreign import foreign_error
from windtunnel.cloud.gateway.protocols.json_rpc import JsonRpc
from windtunnel.cloud.gateway.protocols.query_form import is_form
from windtunnel.cloud.gateway.protocols.query_rpc import QueryRpc
from windtunnel.cloud.gateway.protocols.rest import RestJson, s3_error
from windtunnel.cloud.gateway.protocols.rpc_v2_cbor import RpcV2Cbor
from windtunnel.cloud.gateway.shapes import OperationModel, ServiceModel, Shape, load_service
from windtunnel.cloud.gateway.signature import missing
from windtunnel.cloud.gateway.throttle import Throttle
from windtunnel.core import limits
from windtunnel.http.message import Head

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# Members under the project's names, in and out; times are seconds since the epoch, blobs bytes.
Operation = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

_Protocol = JsonRpc | QueryRpc | RestJson | RpcV2Cbor

_JSON = JsonRpc()
_QUERY = QueryRpc()
_REST_JSON = RestJson()
_CBOR = RpcV2Cbor()
# "authtype": "none" in botocore's model of STS: who asks has no key yet.
_UNSIGNED = frozenset(("AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"))
# Read at the start, so that refusals before any operation have the service's form too.
_RUNTIME = "sagemaker-runtime"


class Api:
    """The operations of the services that this cloud offers."""

    def __init__(
        self, services: Mapping[str, Mapping[str, Operation]], throttle: Throttle | None = None
    ) -> None:
        self._services = services
        self._throttle = throttle
        self._models = {name: load_service(name) for name in (*services, _RUNTIME)}
        self._running: set[asyncio.Future[dict[str, Any]]] = set()
        for name, operations in services.items():
            for operation in operations:
                assert operation in coverage.HONOURED[name], f"{operation} is not in coverage.py"
                _prepare(self._models[name].operation(operation).input, set())

    async def answer(self, service: str, head: Head, body: bytes) -> Answer:
        """Run the operation that a request names and return its answer, or the reason why not."""
        request_id = new_request_id()
        model = self._models.get(service)
        protocol = _protocol(model, head)
        operation: OperationModel | None = None
        try:
            body = plain_body(head, body)
            operation = self._operation(service, protocol, head, body)
            if self._throttle is not None:
                self._throttle.check(service, operation.name)
            assert not isinstance(protocol, RestJson), "rest-json is served before this"
            is_large = len(body) > limits.API_INLINE_BYTES_MAX
            parsed = await _apart(is_large, _read, protocol, operation, head, body)
            output = await self._run(self._services[service][operation.name], parsed)
            is_large = any(
                isinstance(part, list) and len(part) > limits.API_INLINE_COUNT_MAX
                for part in output.values()
            )
            return await _apart(is_large, protocol.answer, operation, output, request_id)
        except FaultError as error:
            fault = error.fault
        except CloudError as error:
            fault = fault_of(error, service, operation)
        except Exception:
            log.exception("request %s to %s failed inside", request_id, service)
            fault = internal_fault(service)
        return protocol.error(model, fault, request_id)

    def error(
        self, service: str, code: str, message: str | None, status: int, head: Head
    ) -> Answer:
        """Return a refusal of the gateway's own in the form of the service it was meant for."""
        return self._error(service, Fault(code, message, status), head)

    def unsigned(self, service: str, head: Head, body: bytes) -> FaultError:
        """Return the refusal of a request without a signature.

        The operations that AWS answers without one are refused by name: not offered, not forbidden.
        """
        model = self._models.get(service)
        protocol = _protocol(model, head)
        try:
            name = protocol.operation_name(model, head, body)
        except FaultError as error:
            # Who signs nothing says only by the version which query service is meant.
            is_ours = model is not None and model.api_version.encode() in body
            return error if is_ours else missing(service)
        return unsupported_operation(service, name) if name in _UNSIGNED else missing(service)

    def failure(self, service: str, error: CloudError, head: Head) -> Answer:
        """Return what a room raised outside of `answer`, in the form of the service."""
        return self._error(service, fault_of(error, service), head)

    def internal_failure(self, service: str, head: Head) -> Answer:
        """Return what a client is told of a fault of ours; the caller has logged it."""
        return self._error(service, internal_fault(service), head)

    def _error(self, service: str, fault: Fault, head: Head) -> Answer:
        request_id = new_request_id()
        if service == "s3":
            return s3_error(fault, head.path, request_id)
        if service not in SIGNING_NAMES:
            return foreign_error(service, fault, head, request_id)
        model = self._models.get(service)
        return _protocol(model, head).error(model, fault, request_id)

    def _operation(
        self, service: str, protocol: _Protocol, head: Head, body: bytes
    ) -> OperationModel:
        """Return the operation that a request names, when it is one that is served here."""
        model = self._models.get(service)
        asked = head.get(b"smithy-protocol")
        if asked is not None and not isinstance(protocol, RpcV2Cbor):
            name = asked.decode("latin-1")[:100]
            raise unsupported_operation(service, f"the Smithy protocol {name}")
        name = protocol.operation_name(model, head, body)
        if model is not None and name not in model.operation_names:
            raise unknown_operation(name)
        if model is None or name not in self._services.get(service, {}):
            raise unsupported_operation(service, name)
        return model.operation(name)

    async def _run(self, run: Operation, parsed: dict[str, Any]) -> dict[str, Any]:
        task = asyncio.ensure_future(run(parsed))
        self._running.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: "asyncio.Future[dict[str, Any]]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Nobody may be left to be told; asking keeps asyncio from complaining.
            task.exception()


async def _apart(is_large: bool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:  # noqa: FBT001 - a decision, not a mode
    """Do work here when it is small, in a thread when the loop should not wait for it."""
    return await asyncio.to_thread(work, *args, **kwargs) if is_large else work(*args, **kwargs)


def _read(
    protocol: JsonRpc | QueryRpc | RpcV2Cbor, operation: OperationModel, head: Head, body: bytes
) -> dict[str, Any]:
    """Return a request's members, when they are what AWS takes and this cloud offers."""
    parsed = protocol.parse(operation, head, body)
    validation.check(operation, parsed)
    coverage.check(operation, parsed)
    return parsed


def new_request_id() -> str:
    """Return an id that names one request, as every answer carries it."""
    return str(uuid.uuid4())


def _protocol(model: ServiceModel | None, head: Head) -> _Protocol:
    """Return the protocol that a request is written in, as far as its service speaks it."""
    if model is not None and model.protocols == ("rest-json",):
        return _REST_JSON
    spoken = model.protocols if model is not None else ("json", "query")
    if _CBOR.name in spoken and head.get(b"smithy-protocol") == _CBOR.header:
        return _CBOR
    if "json" in spoken and head.get(b"x-amz-target") is not None:
        return _JSON
    if "query" in spoken and (is_form(head.get(b"content-type")) or b"Action=" in head.query):
        return _QUERY
    return _JSON if "json" in spoken else _QUERY


def _prepare(shape: Shape | None, seen: set[str]) -> None:
    """Compile the patterns of a request at the start, not while a client waits."""
    if shape is None or shape.name in seen:
        return
    seen.add(shape.name)
    if shape.pattern is not None:
        compile_pattern(shape.pattern)
    match shape.kind:
        case "structure":
            for member in shape.members:
                _prepare(member.shape, seen)
        case "list":
            _prepare(shape.member.shape, seen)
        case "map":
            _prepare(shape.map_key.shape, seen)
            _prepare(shape.map_value.shape, seen)
