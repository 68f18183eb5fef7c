"""Uploads in parts, through boto3 and its transfer manager."""

import base64
import functools
import hashlib
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

# What entity tags are made of.
md5 = functools.partial(hashlib.md5, usedforsecurity=False)

MIB = 1024 * 1024
# Parts at S3's least size, and a short last one; bytes that differ from part to part.
PARTS = [bytes([number]) * (5 * MIB) for number in (1, 2)] + [b"the end"]


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def uploaded(s3: Any, bucket: str, bodies: list[bytes], **options: Any) -> tuple[str, list[Any]]:
    """Upload parts by hand; return the upload's id and what completion is to name."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **options)["UploadId"]
    named = []
    for number, body in enumerate(bodies, 1):
        answer = s3.upload_part(
            Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=body
        )
        sums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        named.append({"PartNumber": number, "ETag": answer["ETag"], **sums})
    return upload, named


def completed(s3: Any, bucket: str, upload: str, named: list[Any], **options: Any) -> Any:
    return s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": named}, **options
    )


def etag_of(bodies: list[bytes]) -> str:
    digests = b"".join(md5(body).digest() for body in bodies)
    return f'"{md5(digests).hexdigest()}-{len(bodies)}"'


@pytest.mark.slow
def test_boto3s_transfer_manager_uploads_and_downloads(
    s3: Any, bucket: str, tmp_path: Path
) -> None:
    """`upload_file` and `download_file` are how models get here and back."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"".join(PARTS) * 2)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.upload_file(
        str(source), bucket, "k", Config=config, ExtraArgs={"Metadata": {"model": "unet"}}
    )
    s3.download_file(bucket, "k", str(target), Config=config)
    head = s3.head_object(Bucket=bucket, Key="k", PartNumber=1)

    assert target.read_bytes() == source.read_bytes()
    assert head["PartsCount"] == 5
    assert head["ContentLength"] == 5 * MIB
    assert head["Metadata"] == {"model": "unet"}


@pytest.mark.slow
def test_a_finished_upload_is_one_object_with_s3s_etag(
    s3: Any, shared_s3: Any, bucket: str
) -> None:
    """Tools recognise a multipart object, and its parts' size, by the entity tag."""
    before = len(shared_s3.blobs)
    upload, named = uploaded(s3, bucket, PARTS)
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=bucket, Key="k")
    answer = completed(s3, bucket, upload, named)

    assert answer["ETag"] == etag_of(PARTS)
    assert answer["Key"] == "k"
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["ETag"], got["Body"].read()) == (etag_of(PARTS), b"".join(PARTS))
    # A range over the seam of two parts, and one part by its number.
    seam = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={5 * MIB - 1}-{5 * MIB}")
    assert seam["Body"].read() == b"\1\2"
    last = s3.get_object(Bucket=bucket, Key="k", PartNumber=3)
    assert (last["Body"].read(), last["PartsCount"]) == (b"the end", 3)
    with pytest.raises(ClientError, match="InvalidPartNumber"):
        s3.get_object(Bucket=bucket, Key="k", PartNumber=4)
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    s3.delete_object(Bucket=bucket, Key="k")
    assert len(shared_s3.blobs) == before


def test_an_aborted_upload_leaves_nothing(s3: Any, shared_s3: Any, bucket: str) -> None:
    """Neither an object, nor bytes on the disk."""
    before = len(shared_s3.blobs)
    upload, named = uploaded(s3, bucket, [b"one", b"two"])
    assert len(shared_s3.blobs) == before + 2
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)

    assert len(shared_s3.blobs) == before
    refusals: list[Callable[[], object]] = [
        lambda: completed(s3, bucket, upload, named),
        lambda: s3.list_parts(Bucket=bucket, Key="k", UploadId=upload),
        lambda: s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"late"),
        lambda: s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload),
    ]
    for late in refusals:
        with pytest.raises(ClientError) as refused:
            late()
        assert code_of(refused) == ("NoSuchUpload", 404)


def test_a_part_sent_again_replaces_the_first(s3: Any, bucket: str) -> None:
    """A retry after a lost answer."""
    upload, _ = uploaded(s3, bucket, [b"first try"])
    again = s3.upload_part(
        Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"second try"
    )
    named = [{"PartNumber": 1, "ETag": again["ETag"], "ChecksumCRC32": again["ChecksumCRC32"]}]
    completed(s3, bucket, upload, named)

    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second try"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda named: list(reversed(named)), "InvalidPartOrder"),
        (lambda named: [named[0], named[0]], "InvalidPartOrder"),
        (lambda named: [{**named[0], "ETag": '"00"'}], "InvalidPart"),
        (lambda named: [{**named[0], "PartNumber": 9}], "InvalidPart"),
        (lambda named: [{**named[0], "ChecksumCRC32": "AAAAAA=="}], "InvalidPart"),
        (lambda named: [{"PartNumber": 1, "ETag": named[0]["ETag"]}], "InvalidRequest"),
        (lambda named: named, "EntityTooSmall"),
    ],
)
def test_a_wrong_completion_is_refused_and_the_upload_stays(
    s3: Any, bucket: str, change: Any, code: str
) -> None:
    """An object of other parts than were meant would be found out much later."""
    upload, named = uploaded(s3, bucket, [b"small", b"last"], ChecksumAlgorithm="CRC32")
    with pytest.raises(ClientError) as refused:
        completed(s3, bucket, upload, change(named))

    assert code_of(refused) == (code, 400)
    parts = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)["Parts"]
    assert [part["Size"] for part in parts] == [5, 4]


def test_only_the_parts_named_become_the_object(s3: Any, shared_s3: Any, bucket: str) -> None:
    """And the others' bytes are freed."""
    before = len(shared_s3.blobs)
    upload, named = uploaded(s3, bucket, [b"left out", b"taken"])
    completed(s3, bucket, upload, named[1:])

    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"taken"
    assert len(shared_s3.blobs) == before + 1


def test_parts_and_uploads_are_listed_in_pages(s3: Any, bucket: str) -> None:
    """A resuming client asks what is there already."""
    upload, _ = uploaded(s3, bucket, [bytes([number]) for number in range(5)])
    parts = s3.get_paginator("list_parts").paginate(
        Bucket=bucket, Key="k", UploadId=upload, PaginationConfig={"PageSize": 2}
    )
    assert [[part["PartNumber"] for part in page["Parts"]] for page in parts] == [
        [1, 2],
        [3, 4],
        [5],
    ]

    ids = [upload]
    ids += [s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"] for _ in range(2)]
    s3.create_multipart_upload(Bucket=bucket, Key="folder/a 😀")
    s3.create_multipart_upload(Bucket=bucket, Key="folder/b")
    pages = list(
        s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 2}
        )
    )
    found = [known["UploadId"] for page in pages for known in page.get("Uploads", [])]
    prefixes = [known["Prefix"] for page in pages for known in page.get("CommonPrefixes", [])]
    assert (found, prefixes) == (ids, ["folder/"])


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA256"])
def test_checksums_of_parts_make_the_objects(s3: Any, bucket: str, algorithm: str) -> None:
    """End-to-end integrity: the client's own sums are compared, joined and told again."""
    # botocore computes CRC32 itself; the others it takes as told.
    from windtunnel.cloud.foundation.s3 import checksums

    def told(body: bytes) -> str:
        running = checksums.start(algorithm)
        running.update(body)
        return base64.b64encode(running.digest()).decode()

    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm)
    named = []
    for number, body in enumerate(PARTS, 1):
        sums = {f"Checksum{algorithm}": told(body)}
        answer = s3.upload_part(
            Bucket=bucket,
            Key="k",
            UploadId=upload["UploadId"],
            PartNumber=number,
            Body=body,
            **sums,
        )
        named.append({"PartNumber": number, "ETag": answer["ETag"], **sums})
    answer = completed(s3, bucket, upload["UploadId"], named)
    value, kind = answer[f"Checksum{algorithm}"], answer["ChecksumType"]

    if algorithm == "CRC64NVME":
        assert (value, kind) == (told(b"".join(PARTS)), "FULL_OBJECT")
    else:
        digests = b"".join(base64.b64decode(told(body)) for body in PARTS)
        assert (value, kind) == (f"{told(digests)}-3", "COMPOSITE")
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == value


def test_a_full_checksum_of_an_upload_is_verified(s3: Any, bucket: str) -> None:
    """The client says what the whole must be, and is told when it is not."""
    options = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
    right = base64.b64encode(zlib.crc32(b"whole").to_bytes(4, "big")).decode()
    upload, named = uploaded(s3, bucket, [b"whole"], **options)
    with pytest.raises(ClientError) as refused:
        completed(s3, bucket, upload, named, ChecksumCRC32="AAAAAA==", ChecksumType="FULL_OBJECT")
    assert code_of(refused) == ("BadDigest", 400)
    answer = completed(s3, bucket, upload, named, ChecksumCRC32=right, ChecksumType="FULL_OBJECT")

    assert (answer["ChecksumCRC32"], answer["ChecksumType"]) == (right, "FULL_OBJECT")


@pytest.mark.parametrize("number", [0, 10_001])
def test_a_part_number_out_of_bounds_is_refused(s3: Any, bucket: str, number: int) -> None:
    """1 to 10,000, as on AWS."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    with pytest.raises(ClientError) as refused:
        s3.upload_part(
            Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=io.BytesIO(b"x")
        )

    assert code_of(refused) == ("InvalidArgument", 400)
