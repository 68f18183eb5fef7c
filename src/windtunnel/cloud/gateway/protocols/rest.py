"""Errors of services that lay their operations out over methods and paths.

Only errors: the one operation of rest-json here, InvokeEndpoint, carries megabytes and has a path
of its own (`gateway/invocation.py`), and S3 is a service of its own that says its own errors once
a request has reached it. What is refused before that is said here.
"""

import re
from functools import cache

import orjson

from windtunnel.cloud.gateway.answers import Answer, Fault, unknown_operation
from windtunnel.cloud.gateway.protocols.json_rpc import message_member
from windtunnel.cloud.gateway.protocols.query_rpc import escape_text
from windtunnel.cloud.gateway.shapes import ServiceModel
from windtunnel.http.message import Head


class RestJson:
    """The protocol that its models call `rest-json`."""

    name = "rest-json"

    def operation_name(self, model: ServiceModel | None, head: Head, body: bytes) -> str:
        """Return the operation whose method and path a request has."""
        del body
        path = head.path.decode("latin-1")
        for method, pattern, name in _routes(model) if model is not None else ():
            if method == head.method.decode("latin-1") and pattern.fullmatch(path):
                return name
        raise unknown_operation(f"{head.method.decode('latin-1')} {path[:200]}")

    def error(self, model: ServiceModel | None, fault: Fault, request_id: str) -> Answer:
        """Return the answer of an operation that did not go well."""
        headers = [
            (b"x-amzn-RequestId", request_id.encode()),
            (b"x-amzn-ErrorType", fault.code.encode()),
            (b"Content-Type", b"application/json"),
        ]
        body = {message_member(model, fault.code): fault.message, **fault.members}
        return Answer(fault.status, headers, orjson.dumps(body))


def s3_error(fault: Fault, resource: bytes, request_id: str) -> Answer:
    """Return a refusal in S3's own form."""
    where = escape_text(resource.decode("utf-8", "replace"))
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{fault.code}</Code>"
        f"<Message>{escape_text(fault.message or '')}</Message>"
        f"<Resource>{where}</Resource><RequestId>{request_id}</RequestId></Error>"
    )
    headers = [
        (b"x-amz-request-id", request_id.encode()),
        (b"Content-Type", b"application/xml"),
    ]
    return Answer(fault.status, headers, text.encode())


@cache
def _routes(model: ServiceModel) -> list[tuple[str, re.Pattern[str], str]]:
    """Return method, path and name of every operation of a service."""
    routes = []
    for name in sorted(model.operation_names):
        operation = model.operation(name)
        path = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(operation.request_uri.partition("?")[0]))
        routes.append((operation.method, re.compile(path), name))
    return routes
