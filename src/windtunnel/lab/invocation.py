"""One request to an endpoint, and what it answered."""

from botocore.exceptions import ClientError

from windtunnel.core.errors import NotReadyError, WindtunnelError
from windtunnel.lab import refusals
from windtunnel.lab.payload import Payload
from windtunnel.lab.target import Target


def invoke(target: Target, endpoint_name: str, payload: Payload, accept: str | None) -> bytes:
    """Return the endpoint's answer, byte for byte."""
    words = {} if accept is None else {"Accept": accept}
    with refusals.explained(f"endpoint {endpoint_name}"):
        try:
            answer = target.runtime().invoke_endpoint(
                EndpointName=endpoint_name,
                Body=payload.body,
                ContentType=payload.content_type,
                **words,
            )
            return answer["Body"].read()
        except ClientError as error:
            raise _explain(error, endpoint_name, target) from error


def _explain(error: ClientError, endpoint_name: str, target: Target) -> Exception:
    code = refusals.code_of(error)
    if code == "ModelError":
        return WindtunnelError(model_failure(error))
    if refusals.is_missing(error):
        return NotReadyError(
            f"There is no endpoint {endpoint_name} in {target.name}: `windtunnel deploy` makes one."
        )
    if code == "ThrottlingException":
        return WindtunnelError(
            f"Endpoint {endpoint_name} has more requests than it takes (ThrottlingException)."
        )
    return error


def model_failure(error: ClientError) -> str:
    """Return what the model's own container said when it failed."""
    status = error.response.get("OriginalStatusCode", 0)
    original = str(error.response.get("OriginalMessage") or refusals.message_of(error)).strip()
    return f"The model answered {status}: {original}"
