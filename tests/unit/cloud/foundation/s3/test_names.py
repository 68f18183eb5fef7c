"""Bucket and key names."""

import pytest

from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.names import check_key, is_bucket_name


@pytest.mark.parametrize(
    "name", ["abc", "a1b", "my.bucket.of.models", "sagemaker-us-east-1-000000000000", "a" * 63]
)
def test_aws_names_of_buckets_are_taken(name: str) -> None:
    """A script's bucket must be creatable here as it is there."""
    assert is_bucket_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Upper",
        "under_score",
        "-ends",
        "ends-",
        ".dot",
        "two..dots",
        "192.168.5.4",
        "xn--bucket",
        "bucket-s3alias",
        "sthree-x",
        "späte",
    ],
)
def test_names_that_aws_refuses_are_refused(name: str) -> None:
    """A name that works here and fails on AWS is found only after the first deployment."""
    assert not is_bucket_name(name)


def test_a_keys_length_is_counted_in_bytes() -> None:
    """An emoji is four bytes of the 1,024."""
    check_key("é" * 512)
    with pytest.raises(S3Error, match="KeyTooLongError"):
        check_key("é" * 512 + "a")
