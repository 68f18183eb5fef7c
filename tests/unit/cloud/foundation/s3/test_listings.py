"""Listings, through boto3's paginators."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

# In the order of their UTF-8 bytes, which is S3's.
KEYS = ["a", "b/1", "b/2", "b/c/3", "z 1", "z+2", "z😀", "é/x"]


@pytest.fixture
def filled(s3: Any, bucket: str) -> str:
    """A bucket with objects."""
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def told(pages: Any) -> tuple[list[str], list[str]]:
    keys, prefixes = [], []
    for page in pages:
        keys += [found["Key"] for found in page.get("Contents", [])]
        prefixes += [found["Prefix"] for found in page.get("CommonPrefixes", [])]
    return keys, prefixes


@pytest.mark.parametrize("method", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_paginators_see_everything_once(s3: Any, filled: str, method: str, size: int) -> None:
    """`aws s3 ls`, `sync` and `rm` all stand on these two."""
    paginator = s3.get_paginator(method)
    paging = {"PageSize": size}

    assert told(paginator.paginate(Bucket=filled, PaginationConfig=paging)) == (KEYS, [])
    rolled = paginator.paginate(Bucket=filled, Delimiter="/", PaginationConfig=paging)
    assert told(rolled) == (["a", "z 1", "z+2", "z😀"], ["b/", "é/"])
    inside = paginator.paginate(Bucket=filled, Prefix="b/", Delimiter="/", PaginationConfig=paging)
    assert told(inside) == (["b/1", "b/2"], ["b/c/"])


def test_a_listing_tells_what_an_object_is(s3: Any, filled: str) -> None:
    """Sync decides by size, time and tag."""
    first = s3.list_objects_v2(Bucket=filled, FetchOwner=True)["Contents"][0]
    head = s3.head_object(Bucket=filled, Key="a")

    assert first["ETag"] == head["ETag"]
    assert first["LastModified"] == head["LastModified"]
    assert (first["Size"], first["StorageClass"]) == (1, "STANDARD")
    assert first["Owner"]["ID"] == s3.list_buckets()["Owner"]["ID"]


def test_a_listing_begins_where_it_is_told(s3: Any, filled: str) -> None:
    """StartAfter need not be a key that exists."""
    assert told([s3.list_objects_v2(Bucket=filled, StartAfter="b/9")])[0] == KEYS[3:]
    assert told([s3.list_objects(Bucket=filled, Marker="b/2")])[0] == KEYS[3:]
    # The two versions differ here: a marker's own folder was listed before, a start's was not.
    version_2 = s3.list_objects_v2(Bucket=filled, StartAfter="b/1", Delimiter="/")
    assert told([version_2])[1] == ["b/", "é/"]
    assert told([s3.list_objects(Bucket=filled, Marker="b/1", Delimiter="/")])[1] == ["é/"]


def test_a_page_of_nothing_is_the_end(s3: Any, filled: str) -> None:
    """MaxKeys=0 asks whether the bucket is there."""
    answer = s3.list_objects_v2(Bucket=filled, MaxKeys=0)

    assert (answer["KeyCount"], answer["IsTruncated"]) == (0, False)


def test_a_token_of_somebody_elses_is_refused(s3: Any, filled: str) -> None:
    """Rather than begin anywhere."""
    with pytest.raises(ClientError, match="continuation token"):
        s3.list_objects_v2(Bucket=filled, ContinuationToken="%%%")


@pytest.mark.parametrize("encoded", [True, False])
def test_keys_survive_with_and_without_encoding(
    shared_s3: Any, s3: Any, filled: str, *, encoded: bool
) -> None:
    """boto3 asks for encoded keys, other clients read the XML as it is."""
    client = shared_s3.client()
    if not encoded:
        client.meta.events.unregister("before-parameter-build.s3.ListObjectsV2", _encoding())

    answer = client.list_objects_v2(Bucket=filled)

    assert ("EncodingType" in answer) is encoded
    assert told([answer])[0] == KEYS


def _encoding() -> Any:
    from botocore.handlers import set_list_objects_encoding_type_url

    return set_list_objects_encoding_type_url
