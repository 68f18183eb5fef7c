"""AWS JSON 1.0 and 1.1: the operation in X-Amz-Target, a JSON object each way.

Errors are `{"__type": …, "message": …}`. A service that once spoke the query protocol (CloudWatch)
also gives the old code in `x-amzn-query-error`, which is what its clients' exceptions carry.
"""

from typing import Any

import orjson

from windtunnel.cloud.gateway.answers import Answer, Fault, serialization_fault, unknown_operation
from windtunnel.cloud.gateway.protocols import json_values
from windtunnel.cloud.gateway.shapes import OperationModel, ServiceModel
from windtunnel.http.message import Head

# SageMaker's version; CloudWatch speaks 1.0.
_VERSION_ELSEWHERE = "1.1"


class JsonRpc:
    """The protocol that its models call `json`."""

    name = "json"

    def operation_name(self, model: ServiceModel | None, head: Head, body: bytes) -> str:
        """Return the operation that a request names."""
        del body
        target = (head.get(b"x-amz-target") or b"").decode("latin-1")
        prefix, _, name = target.rpartition(".")
        if not name or (model is not None and prefix != model.target_prefix):
            raise unknown_operation(target)
        return name

    def parse(self, operation: OperationModel, head: Head, body: bytes) -> dict[str, Any]:
        """Return the request's members under the project's names."""
        del head
        if operation.input is None or not body:
            return {}
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise serialization_fault(f"The request's body is not JSON: {error}") from None
        parsed: dict[str, Any] = json_values.decode(operation.input, value)
        return parsed

    def answer(self, operation: OperationModel, output: dict[str, Any], request_id: str) -> Answer:
        """Return the answer of an operation that went well."""
        body = b""
        if operation.output is not None:
            body = orjson.dumps(json_values.encode(operation.output, output))
        return Answer(200, _headers(operation.model, request_id), body)

    def error(self, model: ServiceModel | None, fault: Fault, request_id: str) -> Answer:
        """Return the answer of an operation that did not."""
        headers = [*_headers(model, request_id), *query_error(model, fault)]
        return Answer(fault.status, headers, orjson.dumps(error_members(model, fault)))


def error_members(model: ServiceModel | None, fault: Fault) -> dict[str, Any]:
    """Return what is said of an error in a body whose members have names."""
    declared = None if model is None else model.errors_by_code.get(fault.code)
    type_name = fault.code if declared is None else declared.name
    members = {message_member(model, type_name): fault.message, **fault.members}
    return {"__type": type_name, **members}


def query_error(model: ServiceModel | None, fault: Fault) -> list[tuple[bytes, bytes]]:
    """Return the header with an error's old code, where the service once spoke query."""
    if model is None or not model.is_query_compatible:
        return []
    declared = model.errors_by_code.get(fault.code)
    code = fault.code if declared is None else declared.code
    side = "Sender" if fault.is_sender else "Receiver"
    return [(b"x-amzn-query-error", f"{code};{side}".encode())]


def message_member(model: ServiceModel | None, error_name: str) -> str:
    """Return whether an error's message is called `message` or `Message`: AWS has both."""
    if model is not None and error_name in model.shape_names:
        for member in model.shape(error_name).members:
            if member.key == "message":
                return member.name
    return "message"


def _headers(model: ServiceModel | None, request_id: str) -> list[tuple[bytes, bytes]]:
    version = _VERSION_ELSEWHERE if model is None else model.json_version
    return [
        (b"x-amzn-RequestId", request_id.encode()),
        (b"Content-Type", f"application/x-amz-json-{version}".encode()),
    ]
