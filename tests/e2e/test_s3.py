"""S3 through the real gateway, in the forms that clients send bodies over plain http."""

import hashlib
import io
import os
from pathlib import Path
from urllib.request import urlopen

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.e2e.play import Client, Maker

from windtunnel.cli.cloud_process import CloudProcess

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

MEBIBYTE = 2**20


def test_bodies_arrive_whole_in_every_form(client: Client, make: Maker, tmp_path: Path) -> None:
    """Bytes, files (which wait for 100-continue), streams and parts are all the same object."""
    data = os.urandom(12 * MEBIBYTE)
    path = tmp_path / "data"
    path.write_bytes(data)
    s3 = client("s3")
    s3.put_object(Bucket=make.bucket, Key="bytes", Body=data)
    with path.open("rb") as file:
        s3.put_object(Bucket=make.bucket, Key="file", Body=file)
    s3.upload_file(
        str(path),
        make.bucket,
        "parts",
        Config=TransferConfig(multipart_threshold=5 * MEBIBYTE, multipart_chunksize=5 * MEBIBYTE),
    )
    s3.upload_fileobj(io.BytesIO(data), make.bucket, "stream")

    wanted = hashlib.sha256(data).digest()
    for key in ("bytes", "file", "parts", "stream"):
        body = s3.get_object(Bucket=make.bucket, Key=key)["Body"].read()
        assert hashlib.sha256(body).digest() == wanted, key
    assert s3.head_object(Bucket=make.bucket, Key="parts")["ETag"].endswith('-3"')
    part = s3.get_object(Bucket=make.bucket, Key="parts", Range="bytes=5242875-5242884")
    assert part["Body"].read() == data[5242875:5242885]


@pytest.mark.parametrize("key", ["a b+c", "ü/ñ/日本", "a//b/../c", "100%", "~tilde", "q?x=1&y#z"])
def test_a_key_is_signed_and_stored_as_it_stands(client: Client, make: Maker, key: str) -> None:
    """Neither the signature nor the disk normalises what a user called a thing."""
    s3 = client("s3")
    s3.put_object(Bucket=make.bucket, Key=key, Body=key.encode())

    assert s3.get_object(Bucket=make.bucket, Key=key)["Body"].read() == key.encode()
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=make.bucket)["Contents"]] == [key]


def test_a_presigned_link_needs_no_key_and_tampering_breaks_it(
    cloud: CloudProcess, client: Client, make: Maker
) -> None:
    """A link can be handed to a browser; another object's name on it opens nothing."""
    client("s3").put_object(Bucket=make.bucket, Key="linked", Body=b"through the link")
    owner = cloud.home.credentials()
    s3 = boto3.Session(
        aws_access_key_id=owner.access_key_id,
        aws_secret_access_key=owner.secret_access_key,
        region_name="us-east-1",
    ).client("s3", endpoint_url=cloud.url, config=Config(signature_version="s3v4"))
    link = s3.generate_presigned_url(
        "get_object", Params={"Bucket": make.bucket, "Key": "linked"}, ExpiresIn=60
    )

    with urlopen(link) as answer:  # noqa: S310 - loopback
        assert answer.read() == b"through the link"
    with pytest.raises(OSError, match="403"):
        urlopen(link.replace("linked", "others"))  # noqa: S310 - loopback


def test_a_wrong_bucket_is_told_in_s3s_words(client: Client) -> None:
    """Clients branch on NoSuchBucket and NoSuchKey."""
    s3 = client("s3")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.list_objects_v2(Bucket="no-such-bucket-here")
    s3.create_bucket(Bucket="empty-bucket")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="empty-bucket", Key="nothing")
