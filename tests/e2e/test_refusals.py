"""Bad input gets AWS's kind of error, and the service goes on as if nothing had been."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.e2e.play import IMAGE, ROLE, Client, Maker, archive_of, invoke

from windtunnel.cli.cloud_process import CloudProcess
from windtunnel.core import limits

pytestmark = [pytest.mark.slow, pytest.mark.cloud]


def refused(call: Callable[[], Any]) -> tuple[str, int, str]:
    """Return the code, the status and the message that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return answer["Error"]["Code"], status, answer["Error"].get("Message", "")


# --- who may come in ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code", "status"),
    [
        ("sagemaker", "list_models", {}, "UnrecognizedClientException", 400),
        ("sts", "get_caller_identity", {}, "InvalidClientTokenId", 403),
        ("s3", "list_buckets", {}, "InvalidAccessKeyId", 403),
        (
            "sagemaker-runtime",
            "invoke_endpoint",
            {"EndpointName": "any", "Body": b"x"},
            "UnrecognizedClientException",
            403,
        ),
    ],
)
def test_strangers_are_refused_by_every_service(
    cloud: CloudProcess,
    service: str,
    operation: str,
    arguments: dict[str, Any],
    code: str,
    status: int,
) -> None:
    """A neighbour who can reach the port cannot run code with it."""
    stranger = boto3.Session(
        aws_access_key_id="AKIASOMEBODYELSE0000",
        aws_secret_access_key="x" * 40,
        region_name="us-east-1",
    ).client(service, endpoint_url=cloud.url)  # type: ignore[call-overload]

    assert refused(lambda: getattr(stranger, operation)(**arguments))[:2] == (code, status)


def test_a_forged_upload_is_not_stored(cloud: CloudProcess, client: Client) -> None:
    """Nothing is executed for a request whose signature fails, not even half."""
    client("s3").create_bucket(Bucket="forged")
    forger = boto3.Session(
        aws_access_key_id=cloud.home.credentials().access_key_id,
        aws_secret_access_key="x" * 40,
        region_name="us-east-1",
    ).client("s3", endpoint_url=cloud.url)
    said = refused(lambda: forger.put_object(Bucket="forged", Key="k", Body=b"x" * 100_000))

    assert said[:2] == ("SignatureDoesNotMatch", 403)
    assert "Contents" not in client("s3").list_objects_v2(Bucket="forged")


def test_nobody_reads_what_is_private_or_writes_at_all(cloud: CloudProcess, client: Client) -> None:
    """Public objects are for everyone, and claiming to be the gateway does not help."""
    s3 = client("s3")
    s3.create_bucket(Bucket="mixed")
    s3.put_object(Bucket="mixed", Key="public", Body=b"for all", ACL="public-read")
    s3.put_object(Bucket="mixed", Key="private", Body=b"for me")
    connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"), timeout=10)

    def status_of(method: str, key: str, **headers: str) -> tuple[int, bytes]:
        connection.request(method, f"/mixed/{key}", body=b"x" * 10, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    assert status_of("GET", "public") == (200, b"for all")
    assert status_of("GET", "private")[0] == 403
    assert status_of("PUT", "mine")[0] == 403
    assert status_of("GET", "private", **{"x-windtunnel-caller": "owner"})[0] == 403
    connection.close()


def test_an_unsigned_request_is_told_what_is_missing(cloud: CloudProcess) -> None:
    """A web page that posts to the port gets nowhere."""
    host = cloud.url.removeprefix("http://")
    for path, kind in (("/endpoints/e/invocations", "json"), ("/", "xml")):
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("POST" if kind == "json" else "GET", path, body=b"{}")
        answer = connection.getresponse()
        said = answer.read().decode()
        assert answer.status == 403
        assert "Missing Authentication Token" in said if kind == "json" else "AccessDenied" in said
        connection.close()


# --- invocations ----------------------------------------------------------------------------------


def test_an_unknown_endpoint_is_named(client: Client) -> None:
    """A typing error is seen at a glance."""
    assert refused(lambda: invoke(client, "nobody", [1.0])) == (
        "ValidationError",
        400,
        "Endpoint nobody of account 000000000000 not found.",
    )


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b'{"instances": [[[[1, 2', ""),
        (json.dumps([[[[1, 2, 3]] * 8] * 7 + [[[1, 2, 3]] * 7]]).encode(), ""),
        (json.dumps([[[[1, 2, 3]] * 8] * 7 + [[[1, 2, 3]] * 7 + [[1, 2, 3, 4]]]]).encode(), ""),
        (json.dumps([[[1, 2, 3], 4]]).encode(), ""),
        (json.dumps([[[[1, 2, 3]] * 9] * 8]).encode(), ""),
        (json.dumps([[[["a", "b", "c"]] * 8] * 8]).encode(), ""),
        (b'{"instances": []}', ""),
        (b'{"wrong": 1, "inputs": {"nobody": [1]}}', ""),
        (b"[" * 100_000, ""),
        (b"\xff\xfe\x00", ""),
        (b'{"instances": ["\\ud800"]}', ""),
        (b'{"signature_name": "\\ud800", "instances": [1.0]}', "ud800"),
        (b'{"\\ud800": [1.0]}', ""),
    ],
)
def test_a_body_that_is_no_tensor_is_a_model_error_that_says_why(
    client: Client, tiny_conv: str, body: bytes, part: str
) -> None:
    """The container's own 400 reaches the client, and the next good request is served."""
    code, status, message = refused(lambda: invoke(client, tiny_conv, body))

    assert (code, status) == ("ModelError", 424)
    assert message.startswith("Received client error (400) from primary with message")
    assert '"error"' in message
    assert part in message
    good = invoke(client, tiny_conv, [[[[0, 128, 255]] * 8] * 8])
    assert len(good["predictions"][0]) == 8


def test_nan_goes_in_and_out_as_tensorflow_serving_does(client: Client, half_plus_two: str) -> None:
    """Bare NaN and Infinity are not JSON, but clients of TF Serving send and read them."""
    said = invoke(client, half_plus_two, b'{"instances": [NaN, Infinity, -Infinity, 2.0]}')

    first, second, third, fourth = said["predictions"]
    assert first != first  # noqa: PLR0124 - only NaN differs from itself
    assert (second, third, fourth) == (float("inf"), float("-inf"), 3.0)


def test_no_number_of_bad_requests_wears_a_model_server_out(
    client: Client, half_plus_two: str
) -> None:
    """Half a surrogate pair in a JSON escape once cost a thread each time."""
    for _ in range(40):
        code, _status, _ = refused(
            lambda: invoke(client, half_plus_two, b'{"instances": ["\\ud800"]}')
        )
        assert code == "ModelError"
    assert invoke(client, half_plus_two, {"instances": [0.0]}) == {"predictions": [2.0]}


def test_half_a_surrogate_pair_in_a_name_is_refused(client: Client) -> None:
    """The control plane's errors repeat what was sent, whatever it was."""
    said = refused(
        lambda: client("sagemaker").describe_endpoint(EndpointName="a\ud800b"),
    )

    assert said[:2] == ("SerializationException", 400)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [("application/pdf", b"%PDF", 415), ("application/json", b"", 400)],
)
def test_what_the_container_refuses_keeps_its_status(
    client: Client, half_plus_two: str, content_type: str, body: bytes, status: int
) -> None:
    """415 and an empty body's 400 are seen as they are, inside a ModelError."""
    with pytest.raises(ClientError) as caught:
        invoke(client, half_plus_two, body, ContentType=content_type)

    said: dict[str, Any] = {**caught.value.response}
    assert said["OriginalStatusCode"] == status


def test_a_body_over_the_limit_is_refused_whole_and_at_its_edge(
    client: Client, make: Maker
) -> None:
    """AWS's limit holds here too, or a payload would fail only once it flies."""
    echo = Path(__file__).parents[2] / "benchmarks" / "echo_server.py"
    name = make.command(echo.read_text())
    runtime = client("sagemaker-runtime")
    at_limit = b"x" * limits.INVOKE_BODY_BYTES_MAX

    answer = runtime.invoke_endpoint(EndpointName=name, Body=at_limit)
    assert len(answer["Body"].read()) == len(at_limit)
    assert refused(lambda: runtime.invoke_endpoint(EndpointName=name, Body=at_limit + b"x")) == (
        "413",
        413,
        "HTTP content length exceeded 6291456 bytes.",
    )


def test_an_unsupported_member_is_refused_by_name(client: Client, half_plus_two: str) -> None:
    """What AWS has and this cloud has not is never silently ignored."""
    said = refused(lambda: invoke(client, half_plus_two, [1.0], TargetContainerHostname="a"))

    assert said[:2] == ("ValidationError", 400)
    assert "TargetContainerHostname" in said[2]


def test_a_half_sent_request_holds_up_nobody(
    cloud: CloudProcess, client: Client, half_plus_two: str
) -> None:
    """Slow clients keep their own connection busy, and no other."""
    host, _, port = cloud.url.removeprefix("http://").partition(":")
    slow = []
    for _ in range(50):
        connection = socket.create_connection((host, int(port)), timeout=10)
        connection.sendall(b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: x\r\nContent-")
        slow.append(connection)

    assert invoke(client, half_plus_two, {"instances": [0.0]}) == {"predictions": [2.0]}
    for connection in slow:
        connection.close()


def test_an_endpoint_deleted_under_load_cuts_no_request(
    cloud: CloudProcess, client: Client, make: Maker
) -> None:
    """Each request is answered in full or told that the endpoint is gone."""
    del cloud
    slow = """
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.reply(b"ok")
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"])); time.sleep(0.3); self.reply(b"whole")
    def reply(self, body):
        self.send_response(200); self.send_header("content-length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
    name = make.command(slow)
    outcomes: list[str] = []

    def user() -> None:
        runtime = client("sagemaker-runtime")
        with contextlib.suppress(ClientError):
            while True:
                try:
                    body = runtime.invoke_endpoint(EndpointName=name, Body=b"x")["Body"].read()
                    outcomes.append(body.decode())
                except ClientError as error:
                    outcomes.append(error.response["Error"]["Code"])
                    raise

    users = [threading.Thread(target=user) for _ in range(4)]
    for each in users:
        each.start()
    while len(outcomes) < 4:
        time.sleep(0.01)
    make.delete(name)
    for each in users:
        each.join()

    assert set(outcomes) == {"whole", "ValidationError"}
    assert outcomes.count("ValidationError") == 4


# --- models and endpoints -------------------------------------------------------------------------


def test_missing_model_data_fails_at_create_model(client: Client) -> None:
    """A wrong key is told at once, not after minutes of waiting."""
    said = refused(
        lambda: client("sagemaker").create_model(
            ModelName="nothing",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": "s3://nowhere/model.tar.gz"},
        )
    )

    assert said[:2] == ("ValidationException", 400)
    assert said[2].startswith("Could not find model data at s3://nowhere/model.tar.gz")


def test_an_image_that_does_not_run_here_is_answered_with_what_does(client: Client) -> None:
    """Better a list of choices at CreateModel than a failed endpoint."""
    said = refused(
        lambda: client("sagemaker").create_model(
            ModelName="other",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"},
        )
    )

    assert said[:2] == ("ValidationException", 400)
    assert "tensorflow-inference" in said[2]
    assert "local/command" in said[2]


def evil_archives() -> dict[str, bytes]:
    """Return archives that must not be served, by what is wrong with them."""
    import io
    import tarfile

    def with_link(target: str) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            member = tarfile.TarInfo("export/Servo/1/variables")
            member.type = tarfile.SYMTYPE
            member.linkname = target
            archive.addfile(member)
        return buffer.getvalue()

    return {
        "not a tar.gz": b"PK\x03\x04 this is a zip",
        "without a SavedModel": archive_of({"readme.txt": b"hello"}),
        "that climbs out": archive_of({"../../evil.txt": b"x"}),
        "with an absolute path": archive_of({"/tmp/evil.txt": b"x"}),
        "with a link out": with_link("/etc"),
        "cut off": archive_of({"export/Servo/1/saved_model.pb": b"x" * 100_000})[:-60],
        "whose model does not load": archive_of({"export/Servo/1/saved_model.pb": b"not a model"}),
    }


@pytest.mark.parametrize("what", list(evil_archives()))
def test_a_bad_archive_fails_the_endpoint_with_a_reason(
    client: Client, make: Maker, what: str
) -> None:
    """Within seconds, without restarts, in words a person can act on; and it can be deleted."""
    name = make.tensorflow(evil_archives()[what], wait=False)
    sagemaker = client("sagemaker")
    begin_s = time.monotonic()
    while (said := sagemaker.describe_endpoint(EndpointName=name))["EndpointStatus"] == "Creating":
        assert time.monotonic() - begin_s < 60, "still Creating"
        time.sleep(0.1)

    assert said["EndpointStatus"] == "Failed"
    # AWS's sentence for how far the start came, and then our own reason.
    reason = said["FailureReason"]
    if what in ("without a SavedModel", "whose model does not load"):
        assert "did not pass the ping health check. Please check CloudWatch logs" in reason
        assert not reason.endswith("for this endpoint. ")
    else:
        assert reason.startswith("Failed to extract model data archive for container")
        assert "is a valid tar.gz archive. The archive s3://" in reason
    not_found = refused(lambda: invoke(client, name, {"instances": [1.0]}))
    assert not_found[0] == "ValidationError"


def test_throttling_has_awss_shape(cloud: CloudProcess, client: Client, make: Maker) -> None:
    """A full queue answers 400 ThrottlingException with a null message, as AWS does."""
    held = """
import asyncio, os
async def serve(reader, writer):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    if head.startswith(b"POST"):
        await asyncio.sleep(20)
    writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok")
    writer.close()
async def main():
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()
asyncio.run(main())
"""
    from benchmarks.signed import invocation

    name = make.command(held)
    request = invocation(cloud.home, cloud.url, name, b"x")
    host, _, port = cloud.url.removeprefix("http://").partition(":")
    connections = []
    for _ in range(limits.INVOKE_QUEUE_COUNT_MAX):
        connection = socket.create_connection((host, int(port)), timeout=30)
        connection.sendall(request)
        connections.append(connection)
    runtime = boto3.Session(
        aws_access_key_id=cloud.home.credentials().access_key_id,
        aws_secret_access_key=cloud.home.credentials().secret_access_key,
        region_name="us-east-1",
    ).client(
        "sagemaker-runtime",
        endpoint_url=cloud.url,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=5),
    )
    code, status, _ = refused(lambda: runtime.invoke_endpoint(EndpointName=name, Body=b"x"))
    for connection in connections:
        connection.close()

    assert (code, status) == ("ThrottlingException", 400)
