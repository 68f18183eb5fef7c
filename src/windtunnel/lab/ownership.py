"""How Windtunnel's own things are told from everybody else's in an account.

Everything it makes carries these marks, and `clean` deletes only what carries them. Resources are
tagged; an object in S3 says it in its metadata, which every S3 keeps.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import TagTypeDef

CREATED_BY = "windtunnel:created-by"
CREATOR = "windtunnel"
ENDPOINT = "windtunnel:endpoint"
STUDY = "windtunnel:study"
OBJECT_PREFIX = "windtunnel/"
OBJECT_METADATA = {"windtunnel-created-by": CREATOR}


def tags(endpoint_name: str, study: str | None = None) -> "list[TagTypeDef]":
    """Return the tags of what is made for an endpoint."""
    made: list[TagTypeDef] = [
        {"Key": CREATED_BY, "Value": CREATOR},
        {"Key": ENDPOINT, "Value": endpoint_name},
    ]
    if study is not None:
        made.append({"Key": STUDY, "Value": study})
    return made


def is_ours(found: "Sequence[TagTypeDef]", endpoint_name: str | None = None) -> bool:
    """Say whether tags mark something of ours, and of one endpoint where one is named."""
    marks = {tag["Key"]: tag["Value"] for tag in found}
    if marks.get(CREATED_BY) != CREATOR:
        return False
    return endpoint_name is None or marks.get(ENDPOINT) == endpoint_name


def is_our_object(metadata: Mapping[str, str]) -> bool:
    """Say whether an object's metadata marks it as ours."""
    return all(metadata.get(key) == value for key, value in OBJECT_METADATA.items())


def default_bucket(region: str, account: str) -> str:
    """Return the bucket that the SageMaker SDKs use too when none is named."""
    return f"sagemaker-{region}-{account}"
