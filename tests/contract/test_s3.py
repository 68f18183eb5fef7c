"""Every S3 operation on offer, by boto3 at AWS's own hosts: shapes, codes, statuses.

What S3 does with bytes is held to in tests/unit/cloud/foundation/s3; here it is what boto3 makes of
the answers when buckets are hosts and the road leads through the proxy.
"""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from windtunnel.cloud.foundation.s3.operations import OPERATIONS

pytestmark = pytest.mark.slow

_TAGS = {"TagSet": [{"Key": "team", "Value": "ml"}]}


@pytest.fixture
def bucket(s3: Any) -> str:
    """A bucket with the object `k`."""
    name = f"b-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"body")
    return name


def _upload(s3: Any, bucket: str) -> dict[str, Any]:
    """Begin an upload with one part; return what names it."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    names = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    s3.upload_part(**names, PartNumber=1, Body=b"part")
    return names


def _complete(s3: Any, bucket: str) -> Any:
    names = _upload(s3, bucket)
    parts = [
        {"PartNumber": each["PartNumber"], "ETag": each["ETag"]}
        for each in s3.list_parts(**names)["Parts"]
    ]
    return s3.complete_multipart_upload(**names, MultipartUpload={"Parts": parts})


def _empty(s3: Any, bucket: str) -> str:
    s3.delete_object(Bucket=bucket, Key="k")
    return bucket


def _tagged(s3: Any, bucket: str) -> str:
    s3.put_bucket_tagging(Bucket=bucket, Tagging=_TAGS)
    return bucket


# Each calls its operation on a bucket with the object `k`, and returns the answer.
CASES: dict[str, Callable[[Any, str], Any]] = {
    "AbortMultipartUpload": lambda s3, b: s3.abort_multipart_upload(**_upload(s3, b)),
    "CompleteMultipartUpload": _complete,
    "CopyObject": lambda s3, b: s3.copy_object(
        Bucket=b, Key="copy", CopySource={"Bucket": b, "Key": "k"}
    ),
    "CreateBucket": lambda s3, b: s3.create_bucket(Bucket=f"{b}-2", ACL="private"),
    "CreateMultipartUpload": lambda s3, b: s3.create_multipart_upload(Bucket=b, Key="parts"),
    "DeleteBucket": lambda s3, b: s3.delete_bucket(Bucket=_empty(s3, b)),
    "DeleteBucketTagging": lambda s3, b: s3.delete_bucket_tagging(Bucket=_tagged(s3, b)),
    "DeleteObject": lambda s3, b: s3.delete_object(Bucket=b, Key="k"),
    "DeleteObjectTagging": lambda s3, b: s3.delete_object_tagging(Bucket=b, Key="k"),
    "DeleteObjects": lambda s3, b: s3.delete_objects(
        Bucket=b, Delete={"Objects": [{"Key": "k"}, {"Key": "none"}]}
    ),
    "GetBucketAcl": lambda s3, b: s3.get_bucket_acl(Bucket=b),
    "GetBucketLocation": lambda s3, b: s3.get_bucket_location(Bucket=b),
    "GetBucketTagging": lambda s3, b: s3.get_bucket_tagging(Bucket=_tagged(s3, b)),
    "GetBucketVersioning": lambda s3, b: s3.get_bucket_versioning(Bucket=b),
    "GetObject": lambda s3, b: s3.get_object(Bucket=b, Key="k", Range="bytes=1-2"),
    "GetObjectAcl": lambda s3, b: s3.get_object_acl(Bucket=b, Key="k"),
    "GetObjectTagging": lambda s3, b: s3.get_object_tagging(Bucket=b, Key="k"),
    "HeadBucket": lambda s3, b: s3.head_bucket(Bucket=b, ExpectedBucketOwner="000000000000"),
    "HeadObject": lambda s3, b: s3.head_object(Bucket=b, Key="k"),
    "ListBuckets": lambda s3, _: s3.list_buckets(),
    "ListMultipartUploads": lambda s3, b: s3.list_multipart_uploads(
        Bucket=_upload(s3, b)["Bucket"]
    ),
    "ListObjects": lambda s3, b: s3.list_objects(Bucket=b),
    "ListObjectsV2": lambda s3, b: s3.list_objects_v2(Bucket=b, MaxKeys=1, FetchOwner=True),
    "ListParts": lambda s3, b: s3.list_parts(**_upload(s3, b)),
    "PutBucketAcl": lambda s3, b: s3.put_bucket_acl(Bucket=b, ACL="public-read"),
    "PutBucketTagging": lambda s3, b: s3.put_bucket_tagging(Bucket=b, Tagging=_TAGS),
    "PutObject": lambda s3, b: s3.put_object(Bucket=b, Key="a b/ü+", Body=b"x", ACL="private"),
    "PutObjectAcl": lambda s3, b: s3.put_object_acl(Bucket=b, Key="k", ACL="public-read"),
    "PutObjectTagging": lambda s3, b: s3.put_object_tagging(Bucket=b, Key="k", Tagging=_TAGS),
    "UploadPart": lambda s3, b: s3.upload_part(**_upload(s3, b), PartNumber=2, Body=b"more"),
    "UploadPartCopy": lambda s3, b: s3.upload_part_copy(
        **_upload(s3, b), PartNumber=2, CopySource={"Bucket": b, "Key": "k"}
    ),
}


@pytest.mark.parametrize("operation", sorted(CASES))
def test_an_answer_keeps_its_output_shape(s3: Any, bucket: str, operation: str) -> None:
    """What boto3 hands on is what S3's model says, member by member."""
    answer = CASES[operation](s3, bucket)
    metadata = answer.pop("ResponseMetadata")
    shape = s3.meta.service_model.operation_model(operation).output_shape

    assert metadata["HTTPStatusCode"] in (200, 204, 206)
    assert metadata["RequestId"]
    if shape is None:
        assert answer == {}
        return
    # botocore itself tells us-east-1's location as None, which its own model does not know.
    told = {name: value for name, value in answer.items() if value is not None}
    assert not ParamValidator().validate(told, shape).has_errors()


def test_every_operation_on_offer_has_a_case() -> None:
    """What is not checked here drifts away from AWS."""
    assert set(CASES) == set(OPERATIONS)


def test_boto3s_waiters_see_buckets_and_objects_come_and_go(s3: Any, bucket: str) -> None:
    """Scripts wait for what they just made."""
    patience = {"Delay": 0, "MaxAttempts": 3}
    s3.get_waiter("bucket_exists").wait(Bucket=bucket, WaiterConfig=patience)
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key="k", WaiterConfig=patience)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.get_waiter("object_not_exists").wait(Bucket=bucket, Key="k", WaiterConfig=patience)
    s3.delete_bucket(Bucket=bucket)
    s3.get_waiter("bucket_not_exists").wait(Bucket=bucket, WaiterConfig=patience)


def test_boto3s_paginator_sees_every_object_once(s3: Any, bucket: str) -> None:
    """A sync that misses a page loses a file."""
    keys = ["k", *(f"m/{number:02}" for number in range(7))]
    for key in keys[1:]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": 3}
    )

    assert [each["Key"] for page in pages for each in page["Contents"]] == keys


_INVALID: list[tuple[str, dict[str, Any], str, int]] = [
    ("get_object", {"Key": "none"}, "NoSuchKey", 404),
    ("get_object", {"Key": "k", "Range": "bytes=9-"}, "InvalidRange", 416),
    ("get_object", {"Key": "k", "IfMatch": '"other"'}, "PreconditionFailed", 412),
    ("head_object", {"Key": "none"}, "404", 404),
    ("list_objects_v2", {"Bucket": "b-no-such-bucket"}, "NoSuchBucket", 404),
    ("create_bucket", {"Bucket": "UPPER"}, "InvalidBucketName", 400),
    ("delete_bucket", {}, "BucketNotEmpty", 409),
    ("put_object", {"Key": "x", "Body": b"x", "ContentMD5": "AAAA"}, "InvalidDigest", 400),
    ("put_object", {"Key": "x", "ServerSideEncryption": "aws:kms:dsse"}, "NotImplemented", 501),
    ("copy_object", {"Key": "x", "CopySource": "b-none/k"}, "NoSuchBucket", 404),
    (
        "complete_multipart_upload",
        {
            "Key": "x",
            "UploadId": "none",
            "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": "x"}]},
        },
        "NoSuchUpload",
        404,
    ),
    ("get_bucket_tagging", {}, "NoSuchTagSet", 404),
    ("get_bucket_policy", {}, "NotImplemented", 501),
    ("head_bucket", {"ExpectedBucketOwner": "111111111111"}, "403", 403),
]


@pytest.mark.parametrize(("operation", "request_", "code", "status"), _INVALID)
def test_what_is_wrong_gets_s3s_own_error(
    s3: Any, bucket: str, operation: str, request_: dict[str, Any], code: str, status: int
) -> None:
    """`except ClientError` with S3's codes is how scripts tell mistakes apart."""
    with pytest.raises(ClientError) as caught:
        getattr(s3, operation)(**{"Bucket": bucket, **request_})
    response = caught.value.response

    assert response["Error"]["Code"] == code
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
