"""Errors of services that this cloud does not have, each in the protocol that the service speaks.

Their models are not read: which protocol a service speaks shows in the request, but for the few
that are named here. `tests/unit/cloud/gateway/test_foreign.py` holds this against all of botocore.
"""

from windtunnel.cloud.gateway.answers import Answer, Fault
from windtunnel.cloud.gateway.protocols.json_rpc import JsonRpc
from windtunnel.cloud.gateway.protocols.query_form import is_form
from windtunnel.cloud.gateway.protocols.query_rpc import QueryRpc, escape_text
from windtunnel.cloud.gateway.protocols.rpc_v2_cbor import RpcV2Cbor
from windtunnel.http.message import Head

# All of botocore's services that speak rest-xml, by signing name and endpoint prefix. S3 is here.
_REST_XML = frozenset(("cloudfront", "route53", "s3-control"))
# The one service that speaks the protocol of its name.
_EC2 = "ec2"


def foreign_error(service: str, fault: Fault, head: Head, request_id: str) -> Answer:
    """Return a refusal as the clients of a service read it."""
    if head.get(b"smithy-protocol") is not None:
        return RpcV2Cbor().error(None, fault, request_id)
    if service == _EC2:
        return _ec2_error(fault, request_id)
    is_query = is_form(head.get(b"content-type")) or b"Action=" in head.query
    if service in _REST_XML or is_query:
        return QueryRpc().error(None, fault, request_id)
    answer = JsonRpc().error(None, fault, request_id)
    # Where clients of rest-json look for the code.
    kind = (b"x-amzn-ErrorType", fault.code.encode())
    return Answer(answer.status, [*answer.headers, kind], answer.body)


def _ec2_error(fault: Fault, request_id: str) -> Answer:
    text = (
        "<Response><Errors><Error>"
        f"<Code>{fault.code}</Code><Message>{escape_text(fault.message or '')}</Message>"
        f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    )
    headers = [(b"x-amzn-RequestId", request_id.encode()), (b"Content-Type", b"text/xml")]
    return Answer(fault.status, headers, text.encode())
