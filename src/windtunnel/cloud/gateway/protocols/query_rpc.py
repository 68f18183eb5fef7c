"""The query protocol: a form in, XML out. STS speaks it, and CloudWatch's older clients."""

import base64
import re
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from windtunnel.cloud.gateway.answers import Answer, Fault, FaultError
from windtunnel.cloud.gateway.protocols import query_form
from windtunnel.cloud.gateway.shapes import OperationModel, ServiceModel, Shape
from windtunnel.http.message import Head

# What XML 1.0 cannot hold, escaped or not.
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class QueryRpc:
    """The protocol that its models call `query`."""

    name = "query"

    def operation_name(self, model: ServiceModel | None, head: Head, body: bytes) -> str:
        """Return the operation that a request names."""
        pairs = query_form.read_pairs(head.query, head.get(b"content-type"), body)
        name = pairs.get("Action")
        if not name:
            raise FaultError(Fault("MissingAction", "The request has no Action."))
        version = pairs.get("Version")
        if model is not None and (
            name not in model.operation_names or version not in (None, model.api_version)
        ):
            message = f"Could not find operation {name} for version {version or 'NO_VERSION'}"
            raise FaultError(Fault("InvalidAction", message))
        return name

    def parse(self, operation: OperationModel, head: Head, body: bytes) -> dict[str, Any]:
        """Return the request's members under the project's names."""
        if operation.input is None:
            return {}
        pairs = query_form.read_pairs(head.query, head.get(b"content-type"), body)
        return query_form.decode(operation.input, pairs)

    def answer(self, operation: OperationModel, output: dict[str, Any], request_id: str) -> Answer:
        """Return the answer of an operation that went well."""
        result = ""
        if operation.output is not None:
            result = _parts(operation.output, output)
            wrapper = operation.result_wrapper
            if wrapper is not None:
                result = f"<{wrapper}>{result}</{wrapper}>"
        text = (
            f'<{operation.name}Response xmlns="{operation.model.xml_namespace or ""}">{result}'
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
            f"</{operation.name}Response>"
        )
        return Answer(200, _headers(request_id), text.encode())

    def error(self, model: ServiceModel | None, fault: Fault, request_id: str) -> Answer:
        """Return the answer of an operation that did not."""
        declared = None if model is None else model.errors_by_code.get(fault.code)
        namespace = (model.xml_namespace if model is not None else None) or ""
        text = (
            f'<ErrorResponse xmlns="{namespace}"><Error>'
            f"<Type>{'Sender' if fault.is_sender else 'Receiver'}</Type>"
            f"<Code>{fault.code if declared is None else declared.code}</Code>"
            f"<Message>{escape_text(fault.message or '')}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Answer(fault.status, _headers(request_id), text.encode())


def escape_text(text: str) -> str:
    """Return a text as XML holds it; what XML cannot hold becomes U+FFFD."""
    # A parser reads a bare carriage return as a line feed.
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})


def _headers(request_id: str) -> list[tuple[bytes, bytes]]:
    return [(b"x-amzn-RequestId", request_id.encode()), (b"Content-Type", b"text/xml")]


def _parts(shape: Shape, value: dict[str, Any]) -> str:
    written = []
    for key, part in value.items():
        member = shape.members_by_key.get(key)
        if member is None:
            raise TypeError(f"{shape.name} has no member for {key!r}")
        if part is not None:
            written.append(f"<{member.wire}>{_content(member.shape, part)}</{member.wire}>")
    return "".join(written)


def _content(shape: Shape, value: Any) -> str:  # noqa: ANN401, PLR0911 - one return a kind
    match shape.kind:
        case "structure":
            return _parts(shape, value)
        case "list":
            name = shape.member.wire
            element = shape.member.shape
            return "".join(f"<{name}>{_content(element, part)}</{name}>" for part in value)
        case "map":
            key, name = shape.map_key.wire, shape.map_value.wire
            element = shape.map_value.shape
            return "".join(
                f"<entry><{key}>{escape_text(each)}</{key}>"
                f"<{name}>{_content(element, part)}</{name}></entry>"
                for each, part in value.items()
            )
        case "boolean":
            return "true" if value else "false"
        case "timestamp":
            return _timestamp(value)
        case "blob":
            return base64.b64encode(value).decode("ascii")
        case _:
            return escape_text(str(value))


def _timestamp(epoch_s: float) -> str:
    """Return a moment in ISO 8601, with milliseconds where there are any."""
    moment = datetime.fromtimestamp(round(epoch_s, 3), UTC)
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
