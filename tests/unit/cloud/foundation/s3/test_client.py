"""How the rest of the cloud asks the S3 process."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from windtunnel.cloud.errors import UnavailableError
from windtunnel.cloud.foundation.s3.client import ObjectFacts, S3Client


def test_it_tells_what_an_object_is(s3: Any, shared_s3: Any, bucket: str) -> None:
    """CreateModel asks whether the model data is there."""
    key = "models/é 😀/model.tar.gz"
    etag = s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 12)["ETag"].strip('"')
    client = S3Client(shared_s3.socket)

    assert asyncio.run(client.head_object(bucket, key)) == ObjectFacts(etag, 12)
    assert asyncio.run(client.head_object(bucket, "nothing")) is None
    assert asyncio.run(client.head_object("no-such-bucket", key)) is None


@pytest.mark.parametrize("name", ["", "a b", "../x", "😀"])
def test_a_name_that_cannot_be_is_not_there(shared_s3: Any, name: str) -> None:
    """Users' URLs are passed on as they are."""
    client = S3Client(shared_s3.socket)

    assert asyncio.run(client.head_object(name, name or "k")) is None


def test_an_s3_that_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    """Not that the model is missing."""
    with pytest.raises(UnavailableError):
        asyncio.run(S3Client(tmp_path / "none").head_object("bucket", "k"))
