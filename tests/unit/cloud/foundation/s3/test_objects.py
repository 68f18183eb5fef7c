"""Objects, through boto3."""

import datetime as dt
import functools
import hashlib
from typing import Any
from urllib.request import Request, urlopen

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

# What entity tags are made of.
md5 = functools.partial(hashlib.md5, usedforsecurity=False)

KEYS = [
    "plain",
    "a/b/c.tar.gz",
    "..",
    "../../../etc/passwd",
    "a/../b",
    "./x",
    "trailing/",
    "//double//",
    "sp ace",
    "pl+us%20%2F",
    "emoji 😀 é",
    "quote\"'<>&",
    "tab\tnew\nline\rnul-free",
    "?query#fragment",
    "\ufffe",
    "k" * 1024,
]


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: ascii(key[:20]))
def test_any_key_is_kept_and_is_no_path(s3: Any, shared_s3: Any, bucket: str, key: str) -> None:
    """Keys are names, not places: `..` must neither fail nor escape."""
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())

    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert {path.name for path in shared_s3.root.iterdir()} <= {
        "blobs",
        "index.sqlite3",
        "index.sqlite3-shm",
        "index.sqlite3-wal",
        "lock",
    }
    s3.delete_object(Bucket=bucket, Key=key)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_key_too_long_is_refused(s3: Any, bucket: str) -> None:
    """At 1,024 bytes, as on AWS."""
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="k" * 1025, Body=b"")

    assert code_of(refused) == ("KeyTooLongError", 400)


def test_what_was_said_about_an_object_comes_back(s3: Any, bucket: str) -> None:
    """Headers and metadata are part of the object."""
    said = {
        "ContentType": "application/x-tar",
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "ContentDisposition": 'attachment; filename="m.tar.gz"',
        "CacheControl": "no-store",
        "Metadata": {"framework": "tensorflow", "empty": ""},
        "StorageClass": "STANDARD_IA",
    }
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 10, **said)
    for answer in (s3.head_object(Bucket=bucket, Key="k"), s3.get_object(Bucket=bucket, Key="k")):
        assert answer["ContentLength"] == 10
        assert answer["ETag"] == put["ETag"] == f'"{md5(b"x" * 10).hexdigest()}"'
        assert answer["AcceptRanges"] == "bytes"
        assert {name: answer[name] for name in said} == said


def test_replacing_an_object_replaces_all_of_it(s3: Any, shared_s3: Any, bucket: str) -> None:
    """And the old bytes do not stay on the disk."""
    before = len(shared_s3.blobs)
    s3.put_object(Bucket=bucket, Key="k", Body=b"old", Metadata={"a": "1"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"newer")
    answer = s3.get_object(Bucket=bucket, Key="k")

    assert (answer["Body"].read(), answer["Metadata"]) == (b"newer", {})
    assert len(shared_s3.blobs) == before + 1
    s3.delete_object(Bucket=bucket, Key="k")
    assert len(shared_s3.blobs) == before


def test_an_empty_object_is_an_object(s3: Any, bucket: str) -> None:
    """Folders in consoles are empty objects whose keys end in a slash."""
    s3.put_object(Bucket=bucket, Key="folder/", Body=b"")

    assert s3.get_object(Bucket=bucket, Key="folder/")["Body"].read() == b""
    assert s3.head_object(Bucket=bucket, Key="folder/")["ContentLength"] == 0


@pytest.mark.parametrize(
    ("wanted", "expected", "told"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=5-500", b"56789", "bytes 5-9/10"),
    ],
)
def test_a_range_brings_those_bytes(
    s3: Any, bucket: str, wanted: str, expected: bytes, told: str
) -> None:
    """Parallel downloads are made of ranges."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    answer = s3.get_object(Bucket=bucket, Key="k", Range=wanted)

    assert answer["Body"].read() == expected
    assert answer["ContentRange"] == told
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206


def test_a_range_outside_is_refused_with_the_size(s3: Any, bucket: str) -> None:
    """416, as clients that resume downloads expect it."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-")

    assert code_of(refused) == ("InvalidRange", 416)
    assert dict(refused.value.response["Error"])["ActualObjectSize"] == "10"


def test_a_read_can_be_made_conditional(s3: Any, bucket: str) -> None:
    """Sync tools save the download when nothing changed."""
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    s3.get_object(Bucket=bucket, Key="k", IfMatch=etag)
    with pytest.raises(ClientError) as unchanged:
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)
    assert code_of(unchanged) == ("304", 304)
    with pytest.raises(ClientError) as changed:
        s3.head_object(Bucket=bucket, Key="k", IfMatch='"other"')
    assert code_of(changed) == ("412", 412)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    with pytest.raises(ClientError) as older:
        s3.get_object(Bucket=bucket, Key="k", IfModifiedSince=later)
    assert code_of(older) == ("304", 304)


def test_a_write_can_be_made_conditional(s3: Any, bucket: str) -> None:
    """Locks and leases on S3 are built on If-None-Match: one of two writers must lose."""
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as second:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert code_of(second) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as outdated:
        s3.put_object(Bucket=bucket, Key="k", Body=b"2", IfMatch='"other"')
    assert code_of(outdated) == ("PreconditionFailed", 412)
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=etag)

    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"


def test_a_read_can_be_given_other_headers(s3: Any, bucket: str) -> None:
    """Presigned links for browsers name the file to save as."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ContentType="text/plain")
    answer = s3.get_object(
        Bucket=bucket,
        Key="k",
        ResponseContentType="application/json",
        ResponseContentDisposition="attachment; filename=x",
    )

    assert answer["ContentType"] == "application/json"
    assert answer["ContentDisposition"] == "attachment; filename=x"


def test_a_parameter_cannot_smuggle_a_header_in(s3: Any, bucket: str) -> None:
    """A link somebody else made must not set cookies in our name."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=bucket, Key="k", ResponseContentType="a\r\nset-cookie: b=c")

    assert code_of(refused) == ("InvalidArgument", 400)


def test_a_presigned_link_reads_and_writes(s3: Any, bucket: str) -> None:
    """The fourth body form: no headers of AWS at all, everything in the query."""
    named = {"Bucket": bucket, "Key": "k"}
    target = s3.generate_presigned_url("put_object", Params=named)
    source = s3.generate_presigned_url("get_object", Params=named)
    assert target.startswith("http://127.0.0.1:")
    urlopen(Request(target, b"by link", method="PUT")).close()  # noqa: S310 - loopback, see above
    with urlopen(source) as answer:  # noqa: S310 - the same
        assert answer.read() == b"by link"


def test_deleting_is_the_same_the_second_time(s3: Any, bucket: str) -> None:
    """A retry of a lost answer must not fail."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for _ in range(2):
        status = s3.delete_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"]
        assert status == 204


def test_many_objects_are_deleted_at_once(s3: Any, bucket: str) -> None:
    """`aws s3 rm --recursive` deletes by the thousand, strange keys among them."""
    keys = ["a", "b/c", "é 😀", "quote\"'<>&", "never there"]
    for key in keys[:-1]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    named = {"Objects": [{"Key": key} for key in keys]}
    answer = s3.delete_objects(Bucket=bucket, Delete=named)

    assert [deleted["Key"] for deleted in answer["Deleted"]] == keys
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert "Deleted" not in s3.delete_objects(Bucket=bucket, Delete={**named, "Quiet": True})


def test_a_deletion_can_depend_on_the_etag(s3: Any, bucket: str) -> None:
    """What somebody has replaced meanwhile is not deleted."""
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    with pytest.raises(ClientError) as refused:
        s3.delete_object(Bucket=bucket, Key="k", IfMatch='"other"')
    assert code_of(refused) == ("PreconditionFailed", 412)
    named = [{"Key": "k", "ETag": '"other"'}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": named})
    assert [error["Code"] for error in answer["Errors"]] == ["PreconditionFailed"]

    s3.delete_object(Bucket=bucket, Key="k", IfMatch=etag)


def test_tags_of_an_object_are_kept(s3: Any, bucket: str) -> None:
    """`aws s3 cp` reads them before it copies in parts."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="stage=test&team=a%20b")
    tags = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert tags == [{"Key": "stage", "Value": "test"}, {"Key": "team", "Value": "a b"}]
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2

    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tags[:1]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags[:1]
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    with pytest.raises(ClientError, match="InvalidTag"):
        s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [tags[0], tags[0]]})


@pytest.mark.parametrize(
    "asked",
    [
        {"ServerSideEncryption": "aws:kms:dsse"},
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/mine"},
        {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32},
        {"StorageClass": "GLACIER"},
        {"GrantRead": "id=abc"},
        {"WebsiteRedirectLocation": "/x"},
        {"ObjectLockLegalHoldStatus": "ON"},
        {"ChecksumAlgorithm": "XXHASH3", "ChecksumXXHASH3": "AAAAAAAAAAA="},
    ],
)
def test_what_a_header_asks_for_is_done_or_refused(
    shared_s3: Any, bucket: str, asked: dict[str, Any]
) -> None:
    """An object that was to be encrypted must not silently lie there in the clear."""
    client = shared_s3.client()
    with pytest.raises(ClientError) as refused:
        client.put_object(Bucket=bucket, Key="k", Body=b"secret", **asked)

    assert code_of(refused) == ("NotImplemented", 501)
    with pytest.raises(ClientError):
        client.head_object(Bucket=bucket, Key="k")


@pytest.mark.parametrize("encryption", ["AES256", "aws:kms"])
def test_encryption_with_a_key_of_awss_may_be_asked_for(
    s3: Any, bucket: str, encryption: str
) -> None:
    """Every other script and the SageMaker SDK do; the answer does not claim what is not so."""
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption=encryption)

    assert "ServerSideEncryption" not in answer


def test_too_much_metadata_is_refused(s3: Any, bucket: str) -> None:
    """At 2 KB, as on AWS."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "b" * 2000})
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"a": "b" * 2048})

    assert code_of(refused) == ("MetadataTooLarge", 400)


def test_unsigned_clients_are_the_gateways_matter(shared_s3: Any, bucket: str) -> None:
    """This process trusts its socket; who is anonymous, it is told by the gateway."""
    client = shared_s3.client(signature_version=UNSIGNED)
    client.put_object(Bucket=bucket, Key="k", Body=b"x")

    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
