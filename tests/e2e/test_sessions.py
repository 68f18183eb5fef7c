"""Assumed credentials through the real gateway: one session, every service, and no other."""

import json
import time
import uuid
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.e2e.play import Client, Maker, client_of, invoke, server

from windtunnel.cli.cloud_process import CloudProcess

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

ECHO = server("def respond(body): return body")
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}],
    }
)


@pytest.fixture(scope="module")
def session(client: Client) -> dict[str, Any]:
    """Credentials of a role that was made for these tests."""
    name = f"Role-{uuid.uuid4().hex[:8]}"
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]
    answer: dict[str, Any] = client("sts").assume_role(
        RoleArn=role["Arn"], RoleSessionName="e2e", DurationSeconds=900
    )["Credentials"]
    return answer


@pytest.fixture(scope="module")
def assumed(cloud: CloudProcess, session: dict[str, Any]) -> Client:
    """Clients that have the session's credentials and nothing else."""
    return lambda service: _client(cloud, service, session)


def _client(cloud: CloudProcess, service: str, session: dict[str, Any], **options: Any) -> Any:
    return boto3.Session(
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session.get("SessionToken"),
        region_name="us-east-1",
    ).client(
        service,  # type: ignore[call-overload]
        endpoint_url=cloud.url,
        config=Config(retries={"total_max_attempts": 1}, **options),
    )


def test_a_session_uploads_deploys_and_invokes(assumed: Client, make: Maker) -> None:
    """A job that runs under an assumed role does everything its owner can."""
    body = b"x" * 200_000
    assumed("s3").put_object(Bucket=make.bucket, Key="k", Body=body, ChecksumAlgorithm="SHA256")
    assert assumed("s3").get_object(Bucket=make.bucket, Key="k")["Body"].read() == body
    make.client = assumed
    name = make.command(ECHO)

    assert invoke(assumed, name, {"a": 1}) == {"a": 1}
    assert assumed("sts").get_caller_identity()["Arn"].endswith("/e2e")


def test_a_session_signs_every_chunk_of_a_stream(
    cloud: CloudProcess, session: dict[str, Any], make: Maker
) -> None:
    """The SDKs of Java and Go upload so over http; each chunk has a signature of the session's."""
    from windtunnel.aws import sigv4

    host = cloud.url.removeprefix("http://")
    data = b"the bytes of a model" * 100
    date = sigv4.amz_date(time.time())
    declared = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    headers = {
        "host": host,
        "content-encoding": "aws-chunked",
        "x-amz-content-sha256": declared,
        "x-amz-date": date,
        "x-amz-decoded-content-length": str(len(data)),
        "x-amz-security-token": session["SessionToken"],
    }
    target = f"/{make.bucket}/chunks"
    scope = sigv4.credential_scope(date, "us-east-1", "s3")
    canonical = sigv4.canonical_request(
        "PUT", target, headers.items(), headers, declared, service="s3"
    )
    key = sigv4.signing_key(session["SecretAccessKey"], date[:8], "us-east-1", "s3")
    proof = sigv4.signature(key, sigv4.string_to_sign(date, scope, canonical))
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={session['AccessKeyId']}/{scope}, "
        f"SignedHeaders={';'.join(sorted(headers))}, Signature={proof}"
    )
    body = b""
    for chunk in (data, b""):
        text = "\n".join(
            (
                "AWS4-HMAC-SHA256-PAYLOAD",
                date,
                scope,
                proof,
                sigv4.EMPTY_PAYLOAD_HASH,
                sigv4.payload_hash(chunk),
            )
        )
        proof = sigv4.signature(key, text)
        body += b"%x;chunk-signature=%b\r\n%b\r\n" % (len(chunk), proof.encode(), chunk)
    request = Request(  # noqa: S310 - loopback
        cloud.url + target, body, {**headers, "authorization": authorization}, method="PUT"
    )
    with urlopen(request) as answer:  # noqa: S310 - loopback
        assert answer.status == 200

    assert make.client("s3").get_object(Bucket=make.bucket, Key="chunks")["Body"].read() == data


@pytest.mark.parametrize("version", [None, "s3v4"])
def test_boto3s_presigned_urls_open_in_either_version(
    cloud: CloudProcess, session: dict[str, Any], make: Maker, version: str | None
) -> None:
    """boto3's default in us-east-1 is the older one; a browser holds nothing but the link."""
    owner = cloud.home.credentials()
    home = {"AccessKeyId": owner.access_key_id, "SecretAccessKey": owner.secret_access_key}
    options = {} if version is None else {"signature_version": version}
    for credentials in (home, session):
        s3 = _client(cloud, "s3", credentials, **options)
        params = {"Bucket": make.bucket, "Key": "a key/ü"}
        link = s3.generate_presigned_url("put_object", Params=params, ExpiresIn=60)
        assert ("X-Amz-Signature" in link) is (version is not None)
        put = Request(link, b"through the link", {"Content-Type": ""}, method="PUT")  # noqa: S310
        with urlopen(put) as answer:  # noqa: S310 - loopback
            assert answer.status == 200
        link = s3.generate_presigned_url("get_object", Params=params, ExpiresIn=60)
        with urlopen(link) as answer:  # noqa: S310 - loopback
            assert answer.read() == b"through the link"
        with pytest.raises(OSError, match="403"):
            urlopen(link.replace("a%20key", "b%20key"))  # noqa: S310 - loopback


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("s3", "list_buckets", "InvalidToken"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("iam", "list_roles", "InvalidClientTokenId"),
        ("sagemaker", "list_endpoints", "UnrecognizedClientException"),
        ("logs", "describe_log_groups", "UnrecognizedClientException"),
    ],
)
def test_a_leaked_session_token_is_refused_by_every_service(
    cloud: CloudProcess, service: str, operation: str, code: str
) -> None:
    """A real AWS_SESSION_TOKEN left in the shell: refused, and the cause is named."""
    owner = cloud.home.credentials()
    leaking = _client(
        cloud,
        service,
        {
            "AccessKeyId": owner.access_key_id,
            "SecretAccessKey": owner.secret_access_key,
            "SessionToken": "IQoJb3JpZ2luX2VjEJr",
        },
    )
    with pytest.raises(ClientError, match="stale AWS_SESSION_TOKEN") as caught:
        getattr(leaking, operation)()
    assert caught.value.response["Error"]["Code"] == code


def test_a_session_without_its_token_is_nobody(
    cloud: CloudProcess, session: dict[str, Any]
) -> None:
    """The secret alone is not enough."""
    bare = {key: session[key] for key in ("AccessKeyId", "SecretAccessKey")}
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        _client(cloud, "sts", bare).get_caller_identity()


def test_a_web_identity_is_refused_by_name(cloud: CloudProcess) -> None:
    """A pod with a web identity learns that this is not offered here."""
    sts = client_of(cloud, "sts", signature_version=UNSIGNED)
    with pytest.raises(ClientError, match="does not offer AssumeRoleWithWebIdentity of sts"):
        sts.assume_role_with_web_identity(
            RoleArn="arn:aws:iam::000000000000:role/x",
            RoleSessionName="pod",
            WebIdentityToken="a-token",
        )
    with pytest.raises(ClientError, match="MissingAuthenticationToken"):
        sts.get_caller_identity()
