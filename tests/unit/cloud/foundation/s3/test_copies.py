"""Copies, through boto3."""

import base64
import functools
import hashlib
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from windtunnel.cloud.foundation.s3.errors import S3Error
from windtunnel.cloud.foundation.s3.operations.copies import source_of

# What entity tags are made of.
md5 = functools.partial(hashlib.md5, usedforsecurity=False)

MIB = 1024 * 1024


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture
def source(s3: Any, bucket: str) -> dict[str, str]:
    """An object to copy, with a key that must be quoted."""
    key = "from/é 😀+%?"
    s3.put_object(
        Bucket=bucket,
        Key=key,
        Body=b"copied",
        ContentType="text/plain",
        Metadata={"a": "1"},
        Tagging="t=1",
    )
    return {"Bucket": bucket, "Key": key}


def test_a_copy_has_the_bytes_and_the_words_of_its_source(
    s3: Any, shared_s3: Any, source: dict[str, str]
) -> None:
    """And shares its bytes on disk, until the last of the two is gone."""
    bucket = source["Bucket"]
    before = len(shared_s3.blobs)
    result = s3.copy_object(Bucket=bucket, Key="to", CopySource=source)["CopyObjectResult"]
    assert result["ETag"] == f'"{md5(b"copied").hexdigest()}"'
    assert len(shared_s3.blobs) == before
    s3.delete_object(**source)

    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"], got["TagCount"]) == (
        b"copied",
        "text/plain",
        {"a": "1"},
        1,
    )
    s3.delete_object(Bucket=bucket, Key="to")
    assert len(shared_s3.blobs) == before - 1


def test_a_copy_can_be_given_other_words(s3: Any, source: dict[str, str]) -> None:
    """`REPLACE` replaces all of them; without it new ones are ignored, as on AWS."""
    bucket = source["Bucket"]
    new = {"Metadata": {"b": "2"}, "ContentType": "image/png"}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source, **new)
    s3.copy_object(
        Bucket=bucket, Key="replaced", CopySource=source, MetadataDirective="REPLACE", **new
    )

    assert s3.head_object(Bucket=bucket, Key="kept")["Metadata"] == {"a": "1"}
    replaced = s3.head_object(Bucket=bucket, Key="replaced")
    assert (replaced["Metadata"], replaced["ContentType"]) == ({"b": "2"}, "image/png")


def test_copying_onto_itself_must_change_something(s3: Any, source: dict[str, str]) -> None:
    """The usual way to change metadata; without a change it is a mistake."""
    with pytest.raises(ClientError) as refused:
        s3.copy_object(**source, CopySource=source)
    assert code_of(refused) == ("InvalidRequest", 400)
    s3.copy_object(
        **source, CopySource=source, MetadataDirective="REPLACE", Metadata={"new": "yes"}
    )

    got = s3.get_object(**source)
    assert (got["Body"].read(), got["Metadata"]) == (b"copied", {"new": "yes"})


def test_a_copy_can_depend_on_its_source(s3: Any, source: dict[str, str]) -> None:
    """Copy only what has not changed meanwhile."""
    bucket = source["Bucket"]
    with pytest.raises(ClientError) as refused:
        s3.copy_object(Bucket=bucket, Key="to", CopySource=source, CopySourceIfMatch='"other"')
    assert code_of(refused) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as missing:
        s3.copy_object(Bucket=bucket, Key="to", CopySource={**source, "Key": "nothing"})
    assert code_of(missing) == ("NoSuchKey", 404)
    with pytest.raises(ClientError) as nowhere:
        s3.copy_object(Bucket=bucket, Key="to", CopySource={**source, "Bucket": "no-such-one"})
    assert code_of(nowhere) == ("NoSuchBucket", 404)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("bucket/key", ("bucket", "key")),
        ("/bucket/a/b//c", ("bucket", "a/b//c")),
        ("/bucket/%C3%A9%20%2B+?versionId=null", ("bucket", "é ++")),
        # UTF-8 that was not quoted comes as Latin-1, as all of a header does.
        ("bucket/\xc3\xa9", ("bucket", "é")),
    ],
)
def test_a_copys_source_is_read_as_clients_write_it(header: str, named: tuple[str, str]) -> None:
    """With and without a slash, quoted and not."""
    assert source_of(header) == named


@pytest.mark.parametrize(
    "header", ["", "bucket", "bucket/", "/", "bucket/k?versionId=x", "bucket/%FF"]
)
def test_a_copys_source_that_names_nothing_is_refused(header: str) -> None:
    """Rather than that something else is copied."""
    with pytest.raises(S3Error, match="InvalidArgument"):
        source_of(header)


def test_a_copy_can_have_another_checksum(s3: Any, source: dict[str, str]) -> None:
    """Computed from the bytes, not taken on trust."""
    answer = s3.copy_object(
        Bucket=source["Bucket"], Key="to", CopySource=source, ChecksumAlgorithm="SHA256"
    )
    head = s3.head_object(Bucket=source["Bucket"], Key="to", ChecksumMode="ENABLED")

    assert head["ChecksumSHA256"] == answer["CopyObjectResult"]["ChecksumSHA256"]
    assert base64.b64decode(head["ChecksumSHA256"]) == hashlib.sha256(b"copied").digest()


@pytest.mark.slow
def test_large_objects_are_copied_in_parts(s3: Any, shared_s3: Any, bucket: str) -> None:
    """The transfer manager copies ranges; a copy in one piece again has a plain MD5."""
    body = bytes(range(256)) * (12 * MIB // 256)
    s3.put_object(Bucket=bucket, Key="from", Body=body)
    before = len(shared_s3.blobs)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.copy({"Bucket": bucket, "Key": "from"}, bucket, "parts", Config=config)
    s3.copy_object(Bucket=bucket, Key="whole", CopySource={"Bucket": bucket, "Key": "parts"})
    s3.delete_object(Bucket=bucket, Key="from")

    assert len(shared_s3.blobs) == before
    parts, whole = (s3.get_object(Bucket=bucket, Key=key) for key in ("parts", "whole"))
    assert parts["ETag"].endswith('-3"')
    assert whole["ETag"] == f'"{md5(body).hexdigest()}"'
    assert parts["Body"].read() == whole["Body"].read() == body


@pytest.mark.parametrize("wanted", ["bytes=0-6", "bytes=3-1", "0-1", "bytes=2-"])
def test_a_part_cannot_be_copied_from_outside_its_source(
    s3: Any, source: dict[str, str], wanted: str
) -> None:
    """A part that is shorter than asked would shift everything behind it."""
    bucket = source["Bucket"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="to")["UploadId"]
    with pytest.raises(ClientError) as refused:
        s3.upload_part_copy(
            Bucket=bucket,
            Key="to",
            UploadId=upload,
            PartNumber=1,
            CopySource=source,
            CopySourceRange=wanted,
        )

    assert code_of(refused) == ("InvalidArgument", 400)
