"""What callers without credentials may see, as the gateway marks them."""

import http.client
from typing import Any

import pytest

ANONYMOUS = {"x-windtunnel-caller": "anonymous"}


def anonymous(shared_s3: Any, method: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", shared_s3.forwarder.port)
    connection.request(method, path, headers=ANONYMOUS)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_only_what_was_made_public_is_read_without_credentials(
    s3: Any, shared_s3: Any, bucket: str
) -> None:
    """A public model archive is for everybody; the one beside it is not."""
    s3.put_object(Bucket=bucket, Key="public", Body=b"for all", ACL="public-read")
    s3.put_object(Bucket=bucket, Key="private", Body=b"secret")

    assert anonymous(shared_s3, "GET", f"/{bucket}/public") == (200, b"for all")
    assert anonymous(shared_s3, "HEAD", f"/{bucket}/public") == (200, b"")
    status, body = anonymous(shared_s3, "GET", f"/{bucket}/private")
    assert status == 403
    assert b"<Code>AccessDenied</Code>" in body
    # Whether a key exists is no stranger's business either.
    assert anonymous(shared_s3, "GET", f"/{bucket}/nothing")[0] == 403
    assert anonymous(shared_s3, "GET", "/no-such-bucket/k")[0] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
def test_nothing_is_changed_without_credentials(
    s3: Any, shared_s3: Any, bucket: str, method: str
) -> None:
    """Also where an object is public."""
    s3.put_object(Bucket=bucket, Key="public", Body=b"for all", ACL="public-read-write")

    assert anonymous(shared_s3, method, f"/{bucket}/public?uploads")[0] in (403, 405)
    assert anonymous(shared_s3, "GET", "/")[0] == 403
    assert anonymous(shared_s3, "GET", f"/{bucket}")[0] == 403
    assert s3.get_object(Bucket=bucket, Key="public")["Body"].read() == b"for all"


def test_a_public_bucket_is_listed_by_anybody(s3: Any, shared_s3: Any, bucket: str) -> None:
    """As the workshop's notebook reads a public bucket of AWS's."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    status, body = anonymous(shared_s3, "GET", f"/{bucket}?list-type=2")

    assert status == 200
    assert b"<Key>k</Key>" in body
    assert anonymous(shared_s3, "GET", f"/{bucket}/nothing")[0] == 404
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    assert anonymous(shared_s3, "GET", f"/{bucket}?list-type=2")[0] == 403


def test_acls_are_told_as_grants(s3: Any, bucket: str) -> None:
    """Tools check for the AllUsers group to warn of public objects."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert [grant["Permission"] for grant in s3.get_bucket_acl(Bucket=bucket)["Grants"]] == [
        "FULL_CONTROL"
    ]
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    grants = s3.get_object_acl(Bucket=bucket, Key="k")["Grants"]

    assert [(grant["Grantee"]["Type"], grant["Permission"]) for grant in grants] == [
        ("CanonicalUser", "FULL_CONTROL"),
        ("Group", "READ"),
    ]
    assert grants[1]["Grantee"]["URI"].endswith("/AllUsers")
    # A copy is private, whatever its source was.
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    assert len(s3.get_object_acl(Bucket=bucket, Key="copy")["Grants"]) == 1
