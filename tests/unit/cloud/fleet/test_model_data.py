"""Where model data is said to lie."""

import pytest

from windtunnel.cloud.fleet.model_data import ModelDataError, split_url


@pytest.mark.parametrize(
    ("url", "bucket", "key"),
    [
        ("s3://bucket/model.tar.gz", "bucket", "model.tar.gz"),
        ("s3://bucket/a/b c/100%25?#.tar.gz", "bucket", "a/b c/100%25?#.tar.gz"),
        ("https://s3.us-east-1.amazonaws.com/bucket/a/m.tar.gz", "bucket", "a/m.tar.gz"),
        ("https://s3-us-west-2.amazonaws.com/bucket/m%20m.tar.gz", "bucket", "m m.tar.gz"),
        ("https://my.bucket.s3.eu-west-1.amazonaws.com/a/m.tar.gz", "my.bucket", "a/m.tar.gz"),
    ],
)
def test_a_model_data_url_names_bucket_and_key(url: str, bucket: str, key: str) -> None:
    """Every form that SageMaker's own pattern admits for S3 works."""
    assert split_url(url) == (bucket, key)


@pytest.mark.parametrize(
    "url",
    ["s3://bucket", "s3://bucket/", "s3:///key", "https://example.com/a/b", "file:///a/b", ""],
)
def test_an_address_of_no_object_is_refused(url: str) -> None:
    """A typing error is told as one, and nothing outside S3 is ever read."""
    with pytest.raises(ModelDataError, match="is not the address of an S3 object"):
        split_url(url)
