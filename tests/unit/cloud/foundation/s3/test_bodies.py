"""The forms a body may come in, byte by byte, and what is refused of them."""

import base64
import hashlib
import http.client
import io
import socket
import zlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from windtunnel.aws import sigv4
from windtunnel.cloud.foundation.s3.framing import ChunkSigner

CRC32 = base64.b64encode(zlib.crc32(b"hello world").to_bytes(4, "big")).decode()
SHA256 = hashlib.sha256(b"hello world").hexdigest()
TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def sent(shared_s3: Any, target: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
    """Put a body as it stands; return the answer's status and text."""
    with shared_s3.connect() as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"PUT {target} HTTP/1.1\r\nHost: s3\r\n{lines}\r\n".encode() + body)
        answer = http.client.HTTPResponse(connection, method="PUT")
        answer.begin()
        return answer.status, answer.read().decode()


def framed(*chunks: bytes, trailer: str = "") -> bytes:
    lines = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return lines + b"0\r\n" + trailer.encode() + b"\r\n"


def stored(s3: Any, bucket: str) -> bytes | None:
    try:
        body: bytes = s3.get_object(Bucket=bucket, Key="k")["Body"].read()
    except ClientError:
        return None
    return body


FRAMED = framed(b"hello ", b"world", trailer=f"x-amz-checksum-crc32:{CRC32}\r\n")
OF_TRAILER = {
    "x-amz-content-sha256": TRAILER,
    "x-amz-decoded-content-length": "11",
    "x-amz-trailer": "x-amz-checksum-crc32",
    "content-encoding": "aws-chunked",
    "content-length": str(len(FRAMED)),
}
PLAIN = {"content-length": "11"}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (PLAIN, b"hello world"),
        ({**PLAIN, "x-amz-content-sha256": SHA256}, b"hello world"),
        ({**PLAIN, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, b"hello world"),
        ({**PLAIN, "x-amz-checksum-crc32": CRC32}, b"hello world"),
        ({**PLAIN, "content-md5": "XrY7u+Ae7tCTyyK7j1rNww=="}, b"hello world"),
        (OF_TRAILER, FRAMED),
        (
            {name: value for name, value in OF_TRAILER.items() if name != "content-length"}
            | {"transfer-encoding": "chunked"},
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(FRAMED), FRAMED),
        ),
    ],
)
def test_every_form_of_a_body_is_taken(
    s3: Any, shared_s3: Any, bucket: str, headers: dict[str, str], body: bytes
) -> None:
    """Which of them an SDK sends depends on its language, its version and on TLS."""
    status, text = sent(shared_s3, f"/{bucket}/k", headers, body)

    assert (status, text) == (200, "")
    assert stored(s3, bucket) == b"hello world"
    assert "ContentEncoding" not in s3.head_object(Bucket=bucket, Key="k")


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({**PLAIN, "x-amz-content-sha256": "0" * 64}, b"", 400, "XAmzContentSHA256Mismatch"),
        ({**PLAIN, "x-amz-content-sha256": "MAGIC"}, b"", 400, "InvalidArgument"),
        ({**PLAIN, "content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, b"", 400, "BadDigest"),
        ({**PLAIN, "content-md5": "short"}, b"", 400, "InvalidDigest"),
        ({**PLAIN, "x-amz-checksum-crc32": "AAAAAA=="}, b"", 400, "BadDigest"),
        ({**PLAIN, "x-amz-checksum-crc32c": "AAAAAA=="}, b"", 400, "BadDigest"),
        ({**PLAIN, "x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}, b"", 400, "BadDigest"),
        ({**PLAIN, "x-amz-checksum-sha1": "A" * 27 + "="}, b"", 400, "BadDigest"),
        ({**PLAIN, "x-amz-checksum-sha256": "A" * 43 + "="}, b"", 400, "BadDigest"),
        ({**PLAIN, "x-amz-checksum-crc32": "AAAA"}, b"", 400, "InvalidRequest"),
        ({**PLAIN, "x-amz-checksum-xxhash64": "AAAAAAAAAAA="}, b"", 501, "NotImplemented"),
        ({**PLAIN, "x-amz-checksum-crc99": "AAAA"}, b"", 400, "InvalidRequest"),
        ({**PLAIN, "x-amz-sdk-checksum-algorithm": "CRC32"}, b"", 400, "InvalidRequest"),
        (
            {**PLAIN, "x-amz-checksum-crc32": CRC32, "x-amz-checksum-sha1": "A" * 27 + "="},
            b"",
            400,
            "InvalidRequest",
        ),
        ({}, b"", 411, "MissingContentLength"),
        ({"transfer-encoding": "chunked"}, b"0\r\n\r\n", 501, "NotImplemented"),
        ({"content-length": str(6 * 1024**3)}, b"", 400, "EntityTooLarge"),
        ({**OF_TRAILER, "x-amz-decoded-content-length": "12"}, FRAMED, 400, "IncompleteBody"),
        ({**OF_TRAILER, "x-amz-trailer": "x-amz-checksum-sha1"}, FRAMED, 400, "Malformed"),
        ({**OF_TRAILER, "x-amz-trailer": "x-else"}, FRAMED, 400, "InvalidRequest"),
        (
            OF_TRAILER,
            FRAMED.replace(CRC32.encode(), b"AAAAAA=="),
            400,
            "BadDigest",
        ),
        (OF_TRAILER, FRAMED.replace(b"world", b"w0rld"), 400, "BadDigest"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_not_stored(
    s3: Any,
    shared_s3: Any,
    bucket: str,
    headers: dict[str, str],
    body: bytes,
    status: int,
    code: str,
) -> None:
    """A model that was damaged on the way must fail the upload, not the endpoint."""
    before = len(shared_s3.blobs)
    got_status, text = sent(shared_s3, f"/{bucket}/k", headers, body or b"hello world")

    assert (got_status, f"<Code>{code}" in text) == (status, True), text
    assert stored(s3, bucket) is None
    assert len(shared_s3.blobs) == before


def signed_body(seed: str, key: bytes) -> bytes:
    scope = "20261122/us-east-1/s3/aws4_request"
    signer = ChunkSigner(key, "20261122T000000Z", scope, seed)
    body = b""
    for chunk in (b"hello ", b"world", b""):
        signature = signer.next_chunk(hashlib.sha256(chunk).hexdigest())
        body += b"%x;chunk-signature=%s\r\n" % (len(chunk), signature.encode()) + chunk
        body += b"\r\n"
    return body


@pytest.mark.parametrize(("told", "status"), [("right", 200), ("wrong", 403), (None, 200)])
def test_signed_chunks_are_verified_with_the_key_the_gateway_tells(
    s3: Any, shared_s3: Any, bucket: str, told: str | None, status: int
) -> None:
    """In this form the head's signature says nothing of the body: the chunks' signatures do."""
    key = sigv4.signing_key("secret", "20261122", "us-east-1", "s3")
    seed = "ab" * 32
    body = signed_body(seed, key if told != "wrong" else b"another key")
    headers = {
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20261122/us-east-1/s3/aws4_request, "
        f"SignedHeaders=host, Signature={seed}",
        "x-amz-date": "20261122T000000Z",
        "x-amz-content-sha256": SIGNED,
        "x-amz-decoded-content-length": "11",
        "content-length": str(len(body)),
    }
    if told is not None:
        headers["x-windtunnel-signing-key"] = key.hex()
    got_status, text = sent(shared_s3, f"/{bucket}/k", headers, body)

    assert got_status == status, text
    assert stored(s3, bucket) == (b"hello world" if status == 200 else None)


def test_a_client_waits_for_100_continue_and_gets_it(s3: Any, shared_s3: Any, bucket: str) -> None:
    """A client asks before it sends a file-like body of any size."""
    with shared_s3.connect() as connection:
        connection.sendall(
            f"PUT /{bucket}/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 11\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello world")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")

    assert stored(s3, bucket) == b"hello world"


def test_a_refusal_comes_instead_of_100_continue(shared_s3: Any) -> None:
    """Five gigabytes are not sent to be told that they are not wanted."""
    with shared_s3.connect() as connection:
        connection.sendall(
            b"PUT /bucket/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 6000000000\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert b"<Code>EntityTooLarge</Code>" in connection.recv(65536)


def test_a_file_of_unknown_kind_goes_up_by_boto3(s3: Any, bucket: str) -> None:
    """`upload_fileobj` and Body=file: the third form."""
    s3.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(b"hello world"))
    assert stored(s3, bucket) == b"hello world"
    s3.upload_fileobj(io.BytesIO(b"from a stream"), bucket, "k")

    assert stored(s3, bucket) == b"from a stream"


def test_half_a_body_is_no_object(s3: Any, shared_s3: Any, bucket: str) -> None:
    """Whole or not at all: also when the old object is to be replaced."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    before = set(shared_s3.blobs)
    with shared_s3.connect() as connection:
        connection.sendall(
            f"PUT /{bucket}/k HTTP/1.1\r\nHost: s3\r\nContent-Length: 3000000\r\n\r\n".encode()
            + b"x" * 2_000_000
        )
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    assert stored(s3, bucket) == b"old"
    shared_s3.wait_until(lambda: set(shared_s3.blobs) == before)


@pytest.mark.parametrize(
    "document",
    [
        b"not xml",
        b"<Delete>",
        b"<Other/>",
        b"<Delete></Delete>",
        b"<Delete><Object></Object></Delete>",
        b'<!DOCTYPE d [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE d><Delete/>'.encode("utf-16"),
        b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
        b"<a>" * 100_000,
    ],
)
def test_malformed_xml_is_refused_as_s3_does(
    s3: Any, shared_s3: Any, bucket: str, document: bytes
) -> None:
    """With an XML error, never HTML or a stack trace; bombs are not lit."""
    digest = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest()).decode()
    head = (
        f"POST /{bucket}?delete HTTP/1.1\r\nHost: s3\r\nConnection: close\r\n"
        f"Content-MD5: {digest}\r\nContent-Length: {len(document)}\r\n\r\n"
    )
    with shared_s3.connect() as connection:
        connection.sendall(head.encode() + document)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<Code>MalformedXML</Code>" in answer
    assert b"content-type: application/xml" in answer


@pytest.mark.parametrize("line", [b"nonsense\r\n\r\n", b"GET /%ff HTTP/1.1\r\nHost: s3\r\n\r\n"])
def test_nonsense_gets_an_xml_error(shared_s3: Any, line: bytes) -> None:
    """What is no request at all, and what names nothing."""
    with shared_s3.connect() as connection:
        connection.sendall(line)
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<Error><Code>Invalid" in answer
