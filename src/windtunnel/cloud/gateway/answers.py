"""What went wrong, as AWS says it: the code, the status and the words of each failure.

The rooms raise the errors of `cloud/errors.py`; which code and status those are depends on the
service, and is written here and nowhere else. How a failure looks on the wire is the business of
`protocols`.

Sources: botocore's models for declared errors; for the rest what public threads show AWS answering
(a 400 with `{"__type":"UnknownOperationException"}`: aws-sdk-net#1536; a throttled invocation's 400
with a null message).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windtunnel.cloud.cloudwatch.errors import (
    ActionError,
    CombinationError,
    FormatError,
    MissingParameterError,
    QueryError,
    TokenError,
)
from windtunnel.cloud.errors import (
    CloudError,
    ConflictError,
    ModelError,
    NotFoundError,
    ThrottledError,
    UnavailableError,
    UnreadyError,
)
from windtunnel.cloud.foundation.errors import (
    AttachedError,
    DeniedError,
    MalformedPolicyError,
    UnmodifiableError,
)
from windtunnel.cloud.gateway.shapes import OperationModel
from windtunnel.cloud.sagemaker.errors import LimitExceededError

_BAD_REQUEST = 400
_INTERNAL_ERROR = 500
_UNAVAILABLE = 503
_NOT_READY = 429
_FORBIDDEN = 403
_MODEL_ERROR = 424

# What each service calls a request that cannot be carried out.
_INVALID_CODES = {
    "sagemaker": "ValidationException",
    "sagemaker-runtime": "ValidationError",
    "iam": "ValidationError",
    "logs": "InvalidParameterException",
    "sts": "ValidationError",
    "cloudwatch": "InvalidParameterValue",
}
_INVALID_CODE_ELSEWHERE = "ValidationException"
# What each service calls its own failure, where it is not InternalFailure.
_INTERNAL_CODES = {
    "application-autoscaling": "InternalServiceException",
    "cloudwatch": "InternalServiceError",
}


@dataclass(frozen=True)
class Answer:
    """One answer, ready for the wire but for its length and date."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True)
class Fault:
    """One failure as AWS names it; `members` are what the error carries beside its message."""

    code: str
    message: str | None
    status: int = _BAD_REQUEST
    members: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_sender(self) -> bool:
        """Whether the client is to blame."""
        return self.status < _INTERNAL_ERROR


class FaultError(Exception):
    """A request that the gateway itself refuses."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.code}: {fault.message}")
        self.fault = fault


def serialization_fault(message: str) -> FaultError:
    """Return the refusal of a body that is not what its protocol says."""
    return FaultError(Fault("SerializationException", message))


def unknown_operation(name: str | None) -> FaultError:
    """Return the refusal of an operation that AWS does not have."""
    message = f"Unknown operation: {name}." if name else "The request names no operation."
    return FaultError(Fault("UnknownOperationException", message))


def unsupported_operation(service: str, name: str) -> FaultError:
    """Return the refusal of an operation that AWS has and this cloud does not."""
    message = f"Windtunnel's local cloud does not offer {name} of {service}."
    return FaultError(Fault("UnsupportedOperationException", message))


def unsupported_service(service: str) -> FaultError:
    """Return the refusal of a service that AWS has and this cloud does not."""
    message = f"Windtunnel's local cloud does not offer the service {service}."
    return FaultError(Fault("UnsupportedOperationException", message))


def invalid(service: str, message: str) -> Fault:
    """Return a service's own refusal of a request."""
    return Fault(_INVALID_CODES.get(service, _INVALID_CODE_ELSEWHERE), message)


def internal_fault(service: str) -> Fault:
    """Return what a client is told when the fault is ours; the log has the rest."""
    code = _INTERNAL_CODES.get(service, "InternalFailure")
    message = "We encountered an internal error. Please try again."
    return Fault(code, message, _INTERNAL_ERROR)


# Errors that no operation need declare.
_EVERYWHERE: tuple[tuple[type[CloudError], str, int], ...] = (
    (UnavailableError, "ServiceUnavailable", _UNAVAILABLE),
    (UnreadyError, "ModelNotReadyException", _NOT_READY),
    (QueryError, "ValidationError", _BAD_REQUEST),
    (ActionError, "ValidationError", _BAD_REQUEST),
    (DeniedError, "AccessDenied", _FORBIDDEN),
)
# Errors that an operation may declare, the first that fits; where none does, it is simply invalid.
_DECLARED: tuple[tuple[type[CloudError], str], ...] = (
    (AttachedError, "DeleteConflictException"),
    (MalformedPolicyError, "MalformedPolicyDocumentException"),
    (UnmodifiableError, "UnmodifiableEntityException"),
    (NotFoundError, "NoSuchEntityException"),
    (NotFoundError, "ResourceNotFoundException"),
    (ConflictError, "EntityAlreadyExistsException"),
    (ConflictError, "ResourceAlreadyExistsException"),
    (LimitExceededError, "LimitExceededException"),
    (LimitExceededError, "TooManyTagsException"),
    (NotFoundError, "ResourceNotFound"),
    (NotFoundError, "ObjectNotFoundException"),
    (ConflictError, "ResourceInUse"),
    (LimitExceededError, "ResourceLimitExceeded"),
    (CombinationError, "InvalidParameterCombinationException"),
    (MissingParameterError, "MissingRequiredParameterException"),
    (LimitExceededError, "LimitExceededFault"),
    (TokenError, "InvalidNextToken"),
    (TokenError, "InvalidNextTokenException"),
    (FormatError, "InvalidFormatFault"),
)


def fault_of(error: CloudError, service: str, operation: OperationModel | None = None) -> Fault:
    """Return how a service says what one of the rooms raised."""
    if isinstance(error, ModelError):
        members = {
            "OriginalStatusCode": error.status,
            "OriginalMessage": error.original,
            "LogStreamArn": error.log_stream_arn,
        }
        return Fault("ModelError", error.message, _MODEL_ERROR, members)
    if isinstance(error, ThrottledError):
        # SageMaker's own answer has no message; boto3 retries it because of its code.
        message = None if service == "sagemaker-runtime" else error.message
        return Fault("ThrottlingException", message)
    for kind, code, status in _EVERYWHERE:
        if isinstance(error, kind):
            return Fault(code, error.message, status)
    if operation is not None:
        for kind, code in _DECLARED:
            if isinstance(error, kind) and code in operation.errors:
                return Fault(code, error.message, operation.model.errors_by_code[code].status)
    return invalid(service, error.message)
