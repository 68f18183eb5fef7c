"""Names of operations, against botocore's model of S3."""

from typing import Any

import botocore.session
import pytest

from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.operations import OPERATIONS
from windtunnel.cloud.foundation.s3.request import Request
from windtunnel.cloud.foundation.s3.routes import operation_name

MODEL: Any = botocore.session.get_session().get_service_model("s3")
# Two names for one request: the older is deprecated.
SYNONYMS = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    # On S3's own hosts this is ListBuckets; directory buckets have hosts of their own.
    "ListDirectoryBuckets": "ListBuckets",
}
# Asked at hosts of their own, which the local cloud does not have.
ELSEWHERE = {"WriteGetObjectResponse"}


def sample(name: str) -> Request:
    """Return a request for an operation, with everything that its model requires."""
    model = MODEL.operation_model(name)
    path, _, query = model.http["requestUri"].partition("?")
    members = model.input_shape.members if model.input_shape else {}
    required = model.input_shape.required_members if model.input_shape else []
    headers = []
    for member in required:
        serialization = members[member].serialization
        if serialization.get("location") == "querystring":
            query += f"&{serialization['name']}=1"
        elif serialization.get("location") == "header":
            headers.append((serialization["name"].lower().encode(), b"b/k"))
    target = path.replace("{Bucket}", "b").replace("{Key+}", "k") + "?" + query.lstrip("&")
    return Request(model.http["method"], target.encode(), headers)


@pytest.mark.parametrize("name", sorted(set(MODEL.operation_names) - ELSEWHERE))
def test_every_operation_of_s3_is_known_by_its_name(name: str) -> None:
    """What is not offered is refused by name, never taken for something else and carried out."""
    assert operation_name(sample(name)) == SYNONYMS.get(name, name)


def test_every_operation_offered_is_one_of_s3() -> None:
    """A misspelt name would refuse what is there."""
    assert set(OPERATIONS) <= set(MODEL.operation_names)


@pytest.mark.parametrize(
    ("method", "target"), [("POST", b"/"), ("PATCH", b"/b"), ("POST", b"/b/k"), ("POST", b"/b?acl")]
)
def test_a_method_that_means_nothing_is_refused(method: str, target: bytes) -> None:
    """PATCH is not a spelling of PUT."""
    with pytest.raises(S3Error, match="MethodNotAllowed"):
        operation_name(Request(method, target, []))


def test_unknown_parameters_are_ignored() -> None:
    """As S3 does: SDKs add `x-id` to every request."""
    assert operation_name(Request("PUT", b"/b/k?x-id=PutObject", [])) == "PutObject"
