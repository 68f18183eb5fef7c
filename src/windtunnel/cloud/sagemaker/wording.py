"""What SageMaker says when something is there, not there, or busy, word for word.

Sources: amazon-sagemaker-examples#2339 (not found), spot-tagging-bot-for-digital-assets#2 and
modernisation-platform-environments#9383 (already there), sagemaker-python-sdk#155 (health check),
fraud-detection-using-machine-learning#9 and deep-learning-containers#569 (model data).
"""

from collections.abc import Mapping, Sequence

from windtunnel.cloud.errors import ConflictError, InvalidError, NotFoundError
from windtunnel.cloud.fleet.instance import Stage, StartFailedError
from windtunnel.cloud.sagemaker.lifecycle import Status

# The longest FailureReason: "max": 1024 in botocore's model.
_REASON_CHARACTERS_MAX = 1024

# What AWS says of each stage of a start; of a place to run it has no word for what is wrong here.
_AWS_REASONS: Mapping[Stage, str] = {
    "admission": "",
    "download": 'Failed to download model data for container "container_1" from URL: "{url}". '
    "Please ensure that there is an object located at the URL and that the role passed to "
    "CreateModel has permissions to download the object. ",
    "extraction": 'Failed to extract model data archive for container "container_1" from URL '
    '"{url}". Please ensure that the object located at the URL is a valid tar.gz archive. ',
    "container": "The primary container for production variant {variant} did not pass the ping "
    "health check. Please check CloudWatch logs for this endpoint. ",
}
# What a sentence calls a resource, by the word in its ARN.
_NOUNS = {
    "model": "model",
    "endpoint-config": "endpoint configuration",
    "endpoint": "endpoint",
    "compilation-job": "compilation job",
}


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


def scaled_type_changed(variant_names: Sequence[str]) -> InvalidError:
    """Return the answer for variants that are scalable targets and would change their type."""
    # As remembered of AWS's answer: no source that quotes it was found.
    return InvalidError(
        f'The variant(s) "[{", ".join(variant_names)}]" must be deregistered as scalable targets '
        "with AWS Auto Scaling before they can have their instance type updated."
    )


def name_taken(arn: str) -> ConflictError:
    """Return the answer for a job whose name another job has, or had."""
    return ConflictError(
        "Job name must be unique within an AWS account and region, and a job with this name "
        f"already exists ({arn})"
    )


def job_in_status(status: str) -> ConflictError:
    """Return the answer for a job whose state does not allow what is asked."""
    return ConflictError(
        f"The request was rejected because the compilation job is in status {status}."
    )


def failed_start(variant_name: str, model_data_url: str | None, error: StartFailedError) -> str:
    """Return the FailureReason of an endpoint whose instance did not come up: AWS's, then ours."""
    text = _AWS_REASONS[error.stage].format(variant=variant_name, url=model_data_url)
    return f"{text}{error.reason}"[:_REASON_CHARACTERS_MAX]
