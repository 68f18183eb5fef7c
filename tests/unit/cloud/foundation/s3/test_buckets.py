"""Buckets, through boto3."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from windtunnel.core.home import ACCOUNT_ID


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_bucket_is_listed_located_and_headed(s3: Any, bucket: str) -> None:
    """What the SDKs ask of a bucket before they use it."""
    assert bucket in [known["Name"] for known in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


def test_making_ones_own_bucket_again_is_no_error_in_us_east_1(s3: Any, bucket: str) -> None:
    """Every notebook begins with create_bucket, and is run twice."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    s3.create_bucket(Bucket=bucket)

    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


def test_a_bucket_of_another_region_has_that_regions_rules(shared_s3: Any) -> None:
    """A script for eu-west-1 names its region, or AWS refuses it: so does this S3."""
    europe = shared_s3.client("eu-west-1")
    place = {"LocationConstraint": "eu-west-1"}
    europe.create_bucket(Bucket="bucket-in-europe", CreateBucketConfiguration=place)

    location = europe.get_bucket_location(Bucket="bucket-in-europe")["LocationConstraint"]
    assert location == "eu-west-1"
    assert europe.head_bucket(Bucket="bucket-in-europe")["BucketRegion"] == "eu-west-1"
    with pytest.raises(ClientError) as again:
        europe.create_bucket(Bucket="bucket-in-europe", CreateBucketConfiguration=place)
    assert code_of(again) == ("BucketAlreadyOwnedByYou", 409)
    with pytest.raises(ClientError) as unnamed:
        europe.create_bucket(Bucket="bucket-unnamed")
    assert code_of(unnamed) == ("IllegalLocationConstraintException", 400)


@pytest.mark.parametrize("name", ["Upper-case", "192.168.0.1", "xn--abc"])
def test_a_name_no_bucket_may_have_is_refused(s3: Any, name: str) -> None:
    """As on AWS, before anything is stored under it."""
    with pytest.raises(ClientError) as refused:
        s3.create_bucket(Bucket=name)

    assert code_of(refused) == ("InvalidBucketName", 400)


def test_what_is_not_there_is_said_to_be_not_there(s3: Any, bucket: str) -> None:
    """Scripts decide by these codes whether to create."""
    with pytest.raises(ClientError) as headed:
        s3.head_bucket(Bucket="bucket-that-is-not")
    assert code_of(headed) == ("404", 404)
    with pytest.raises(ClientError) as listed:
        s3.list_objects_v2(Bucket="bucket-that-is-not")
    assert code_of(listed) == ("NoSuchBucket", 404)
    with pytest.raises(ClientError) as got:
        s3.get_object(Bucket=bucket, Key="nothing")
    assert code_of(got) == ("NoSuchKey", 404)


def test_only_an_empty_bucket_can_be_deleted(s3: Any, bucket: str) -> None:
    """Nobody loses a model by deleting the wrong bucket."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(ClientError) as refused:
        s3.delete_bucket(Bucket=bucket)
    assert code_of(refused) == ("BucketNotEmpty", 409)

    s3.delete_object(Bucket=bucket, Key="k")
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    s3.delete_bucket(Bucket=bucket)

    assert bucket not in [known["Name"] for known in s3.list_buckets()["Buckets"]]


def test_another_accounts_bucket_is_never_touched_by_mistake(s3: Any, bucket: str) -> None:
    """The SageMaker SDK guards its default bucket with ExpectedBucketOwner."""
    s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=ACCOUNT_ID)
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="k", Body=b"", ExpectedBucketOwner="123456789012")

    assert code_of(refused) == ("AccessDenied", 403)


def test_buckets_are_listed_in_pages(s3: Any) -> None:
    """The paginator of ListBuckets, with its prefix."""
    names = [f"paged-bucket-{number}" for number in range(5)]
    for name in names:
        s3.create_bucket(Bucket=name)
    pages = list(
        s3.get_paginator("list_buckets").paginate(
            Prefix="paged-bucket-", PaginationConfig={"PageSize": 2}
        )
    )

    assert [bucket["Name"] for page in pages for bucket in page["Buckets"]] == names
    assert len(pages) == 3


def test_tags_of_a_bucket_are_kept(s3: Any, bucket: str) -> None:
    """The lab tags what it makes, so that `clean` finds it again."""
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=bucket)
    tags = [{"Key": "project", "Value": "wind tunnel"}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags

    s3.delete_bucket_tagging(Bucket=bucket)
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=bucket)


@pytest.mark.parametrize(
    ("method", "arguments", "named"),
    [
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}}, "Versioning"),
        ("list_object_versions", {}, "ListObjectVersions"),
        ("put_bucket_policy", {"Policy": "{}"}, "PutBucketPolicy"),
        ("get_bucket_cors", {}, "GetBucketCors"),
        ("list_bucket_metrics_configurations", {}, "ListBucketMetricsConfigurations"),
        ("get_object_attributes", {"Key": "k", "ObjectAttributes": ["ETag"]}, "Attributes"),
        ("get_object_torrent", {"Key": "k"}, "GetObjectTorrent"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(
    s3: Any, bucket: str, method: str, arguments: dict[str, Any], named: str
) -> None:
    """A setting that is silently ignored is found out on AWS, too late."""
    with pytest.raises(ClientError) as refused:
        getattr(s3, method)(Bucket=bucket, **arguments)

    assert code_of(refused) == ("NotImplemented", 501)
    assert named in refused.value.response["Error"]["Message"]
