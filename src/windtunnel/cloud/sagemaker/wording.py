"""What SageMaker says when something is there, not there, or busy, word for word.

Sources: amazon-sagemaker-examples#2339 (not found), spot-tagging-bot-for-digital-assets#2 and
modernisation-platform-environments#9383 (already there), sagemaker-python-sdk#155 (health check).
"""

from windtunnel.cloud.errors import ConflictError, NotFoundError
from windtunnel.cloud.sagemaker.lifecycle import Status

# The longest FailureReason: "max": 1024 in botocore's model.
_REASON_CHARACTERS_MAX = 1024

# What a sentence calls a resource, by the word in its ARN.
_NOUNS = {"model": "model", "endpoint-config": "endpoint configuration", "endpoint": "endpoint"}


def not_found(kind: str, arn: str) -> NotFoundError:
    """Return the answer for a resource that does not exist."""
    return NotFoundError(f'Could not find {_NOUNS[kind]} "{arn}".')


def already_exists(kind: str, arn: str) -> ConflictError:
    """Return the answer for a name that is taken."""
    return ConflictError(f'Cannot create already existing {_NOUNS[kind]} "{arn}".')


def cannot_update(arn: str, status: Status) -> ConflictError:
    """Return the answer for an endpoint whose state allows no change, or no such change."""
    if status is Status.FAILED:
        # "DeleteEndpoint is the only operation that can be performed on a failed endpoint."
        return ConflictError(f'Cannot update failed endpoint "{arn}": it can only be deleted.')
    return ConflictError(f'Cannot update in-progress endpoint "{arn}".')


def failed_health_check(variant_name: str, reason: str) -> str:
    """Return the FailureReason of an endpoint whose container did not come up: AWS's, then ours."""
    text = (
        f"The primary container for production variant {variant_name} did not pass the ping health "
        f"check. Please check CloudWatch logs for this endpoint. {reason}"
    )
    return text[:_REASON_CHARACTERS_MAX]
