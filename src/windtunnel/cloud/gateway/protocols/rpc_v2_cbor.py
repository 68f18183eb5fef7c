"""Smithy RPC v2 with CBOR: the operation in the path, a CBOR map each way.

    POST /service/GraniteServiceVersion20100801/operation/ListMetrics
    smithy-protocol: rpc-v2-cbor

Spoken by every service whose model names it (smithy.io, "Smithy RPC v2 CBOR protocol"; RFC 8949 for
CBOR). Floats of all sizes and strings, lists and maps of indefinite length are accepted, as the
protocol asks of servers; answers have doubles and definite lengths. A timestamp is tag 1.

Errors are a map with `__type`; services that once spoke the query protocol also give the old code
in `x-amzn-query-error`, as in JSON.
"""

import re
from typing import Any

import cbor2

from windtunnel.cloud.gateway.answers import Answer, Fault, serialization_fault, unknown_operation
from windtunnel.cloud.gateway.protocols import json_values
from windtunnel.cloud.gateway.protocols.json_rpc import error_members, query_error
from windtunnel.cloud.gateway.shapes import OperationModel, ServiceModel, Shape
from windtunnel.core import limits
from windtunnel.http.message import Head

_PATH = re.compile(r"/service/([^/]+)/operation/([^/]+)")
_EPOCH_TAG = 1


class RpcV2Cbor:
    """The protocol that its models call `smithy-rpc-v2-cbor`."""

    name = "smithy-rpc-v2-cbor"
    # What the header smithy-protocol calls it.
    header = b"rpc-v2-cbor"

    def operation_name(self, model: ServiceModel | None, head: Head, body: bytes) -> str:
        """Return the operation that a request names."""
        del body
        path = head.path.decode("latin-1")
        match = _PATH.fullmatch(path)
        if match is None or (model is not None and match.group(1) != model.target_prefix):
            raise unknown_operation(path[:200])
        return match.group(2)

    def parse(self, operation: OperationModel, head: Head, body: bytes) -> dict[str, Any]:
        """Return the request's members under the project's names."""
        del head
        if operation.input is None or not body:
            return {}
        parsed: dict[str, Any] = json_values.decode(operation.input, _read(body))
        return parsed

    def answer(self, operation: OperationModel, output: dict[str, Any], request_id: str) -> Answer:
        """Return the answer of an operation that went well."""
        body = b""
        if operation.output is not None:
            body = cbor2.dumps(json_values.encode(operation.output, output, _encode_scalar))
        return Answer(200, _headers(request_id), body)

    def error(self, model: ServiceModel | None, fault: Fault, request_id: str) -> Answer:
        """Return the answer of an operation that did not."""
        headers = [*_headers(request_id), *query_error(model, fault)]
        return Answer(fault.status, headers, cbor2.dumps(error_members(model, fault)))


def _headers(request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-amzn-RequestId", request_id.encode()),
        (b"Content-Type", b"application/cbor"),
        (b"smithy-protocol", RpcV2Cbor.header),
    ]


def _read(body: bytes) -> Any:  # noqa: ANN401 - any CBOR
    try:
        return cbor2.loads(
            body,
            semantic_decoders={_EPOCH_TAG: _seconds},
            max_depth=limits.CONTROL_JSON_DEPTH_MAX,
            strict_hashable_types=True,
        )
    except (cbor2.CBORDecodeError, RecursionError, ValueError, TypeError) as error:
        raise serialization_fault(f"The request's body is not CBOR: {error}") from None


def _seconds(value: Any, _: bool) -> Any:  # noqa: ANN401, FBT001 - as cbor2 calls it
    """Leave a timestamp's number as it is: `json_values` holds it against its shape."""
    return value


def _encode_scalar(shape: Shape, value: Any) -> Any:  # noqa: ANN401 - any scalar
    match shape.kind:
        case "timestamp":
            return cbor2.CBORTag(_EPOCH_TAG, json_values.encode_scalar(shape, float(value)))
        case "float" | "double":
            return float(value)
        case _:
            return value
