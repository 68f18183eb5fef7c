"""boto3 without an endpoint URL, through the proxy: AWS's hosts, AWS's protocols, this cloud."""

import contextlib
import io
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError, ProxyConnectionError
from tests import processes
from tests.e2e.play import Maker, invoke

from windtunnel.cli.cloud_process import CloudProcess

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

MIB = 1024 * 1024
Proxied = Callable[..., Any]


@pytest.fixture(scope="package")
def proxied(cloud: CloudProcess) -> Iterator[Proxied]:
    """Clients that were told a proxy and whom to trust, and nothing of the cloud."""
    owner = cloud.home.credentials()
    made = contextlib.ExitStack()

    def client(service: str, region: str = "us-east-1", *, tls: bool = True, **options: Any) -> Any:
        session = boto3.Session(
            aws_access_key_id=owner.access_key_id,
            aws_secret_access_key=owner.secret_access_key,
            region_name=region,
        )
        opened = session.client(
            service,  # type: ignore[call-overload]
            use_ssl=tls,
            verify=str(cloud.home.authority_certificate),
            config=Config(
                retries={"total_max_attempts": 1},
                proxies={"http": cloud.url, "https": cloud.url},
                **options,
            ),
        )
        # Tunnels are left open to whoever collects the garbage otherwise.
        return made.enter_context(contextlib.closing(opened))

    with made:
        yield client


@pytest.fixture
def bucket(proxied: Proxied) -> Iterator[str]:
    """A bucket, which is emptied and deleted afterwards."""
    s3 = proxied("s3")
    name = f"b-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    yield name
    for entry in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=entry["Key"])
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-3", "us-gov-west-1"])
@pytest.mark.parametrize("tls", [True, False])
def test_every_region_of_every_service_is_here(
    proxied: Proxied,
    region: str,
    tls: bool,  # noqa: FBT001
) -> None:
    """Signed for AWS's own host, verified as such, over https and plain http."""
    identity = proxied("sts", region, tls=tls).get_caller_identity()

    assert identity["Account"] == "000000000000"
    assert "Models" in proxied("sagemaker", region, tls=tls).list_models()


def test_an_endpoint_is_invoked_through_the_proxy(proxied: Proxied, make: Maker) -> None:
    """A whole deployment and a payload of the largest size."""
    echo = Path(__file__).parents[2] / "benchmarks" / "echo_server.py"
    name = make.command(echo.read_text())
    runtime = proxied("sagemaker-runtime", "us-west-2")
    largest = runtime.invoke_endpoint(EndpointName=name, Body=b"x" * 6_291_456)

    assert largest["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(ClientError, match="413"):
        runtime.invoke_endpoint(EndpointName=name, Body=b"x" * 6_291_457)
    with pytest.raises(ClientError) as caught:
        invoke(proxied, "nobody", [1.0])
    assert caught.value.response["Error"]["Code"] == "ValidationError"


# --- S3 -------------------------------------------------------------------------------------------


def s3_process(cloud: CloudProcess) -> psutil.Process:
    """Return the process that keeps the objects."""
    [found] = processes.below(cloud.process.pid, "windtunnel.cloud.foundation.s3")
    return found


class _Seen:
    """What of a request tells which form its body has."""

    def __init__(self, client: Any) -> None:
        self.url = ""
        self.headers: dict[str, str] = {}
        client.meta.events.register("before-send.s3", self)

    def __call__(self, request: Any, **_: Any) -> None:
        self.url = request.url
        self.headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }


@pytest.mark.parametrize("size", [0, 10, 100_000, 8 * MIB])
def test_a_signed_hash_over_http(proxied: Proxied, bucket: str, size: int) -> None:
    """The first form: the body's hash is signed, its checksum a header."""
    s3 = proxied("s3", tls=False)
    seen = _Seen(s3)
    body = b"y" * size
    s3.put_object(Bucket=bucket, Key="k", Body=body)

    assert seen.url == f"http://{bucket}.s3.amazonaws.com/k"
    assert len(seen.headers["x-amz-content-sha256"]) == 64
    assert "x-amz-checksum-crc32" in seen.headers
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


@pytest.mark.parametrize("size", [0, 10, 100_000, 8 * MIB])
def test_unsigned_chunks_with_a_trailer_over_https(
    proxied: Proxied, bucket: str, size: int
) -> None:
    """The second form: what boto3 sends wherever TLS protects the body."""
    s3 = proxied("s3")
    seen = _Seen(s3)
    body = b"y" * size
    s3.put_object(Bucket=bucket, Key="k", Body=body)

    assert seen.headers["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert seen.headers["content-encoding"] == "aws-chunked"
    answer = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert answer["Body"].read() == body
    assert "ContentEncoding" not in answer


@pytest.mark.parametrize("tls", [True, False])
def test_a_file_that_waits_for_100_continue(
    cloud: CloudProcess,
    proxied: Proxied,
    bucket: str,
    tmp_path: Path,
    tls: bool,  # noqa: FBT001
) -> None:
    """The third form: whoever refuses spares the client the sending."""
    file = tmp_path / "file"
    file.write_bytes(b"z" * 3 * MIB)
    s3 = proxied("s3", tls=tls)
    seen = _Seen(s3)
    with file.open("rb") as opened:
        s3.put_object(Bucket=bucket, Key="k", Body=opened)

    assert seen.headers["expect"] == "100-continue"
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 3 * MIB
    with file.open("rb") as opened, pytest.raises(ClientError, match="NoSuchBucket"):
        s3.put_object(Bucket=f"{bucket}-not", Key="k", Body=opened)
    # A refused body is waited for by nobody: the next upload finds a free place.
    deadline_s = time.monotonic() + 20
    own = s3_process(cloud)
    while len([each for each in own.net_connections("unix") if "s3.sock" in each.laddr]) > 1:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("region", "options", "host"),
    [
        ("us-east-1", {}, "{}.s3.amazonaws.com"),
        ("eu-west-1", {}, "{}.s3.eu-west-1.amazonaws.com"),
        ("us-west-2", {"use_dualstack_endpoint": True}, "{}.s3.dualstack.us-west-2.amazonaws.com"),
        ("us-west-2", {"s3": {"use_accelerate_endpoint": True}}, "{}.s3-accelerate.amazonaws.com"),
        ("us-west-2", {"s3": {"addressing_style": "path"}}, "s3.us-west-2.amazonaws.com"),
    ],
)
def test_a_bucket_is_found_under_each_of_its_hosts(
    proxied: Proxied, bucket: str, region: str, options: dict[str, Any], host: str
) -> None:
    """The fourth form: without an endpoint URL the bucket is in the host's name."""
    s3 = proxied("s3", region, **options)
    seen = _Seen(s3)
    s3.put_object(Bucket=bucket, Key="a b/ü+%2F", Body=b"body")

    assert seen.url.startswith(f"https://{host.format(bucket)}/")
    assert s3.get_object(Bucket=bucket, Key="a b/ü+%2F")["Body"].read() == b"body"


@pytest.mark.parametrize("tls", [True, False])
def test_a_presigned_url_is_all_a_client_needs(
    cloud: CloudProcess,
    proxied: Proxied,
    bucket: str,
    tls: bool,  # noqa: FBT001
) -> None:
    """The fifth form: no header is signed but the host, and any client may use it."""
    s3 = proxied("s3", tls=tls, signature_version="s3v4")
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"http": cloud.url, "https": cloud.url}),
        urllib.request.HTTPSHandler(
            context=ssl.create_default_context(cafile=cloud.home.authority_certificate)
        ),
    )
    where = {"Bucket": bucket, "Key": "k"}
    put = urllib.request.Request(  # noqa: S310 - the URL is the cloud's
        s3.generate_presigned_url("put_object", Params=where), b"presigned", method="PUT"
    )
    assert opener.open(put, timeout=20).status == 200
    get = s3.generate_presigned_url("get_object", Params=where)
    assert opener.open(get, timeout=20).read() == b"presigned"
    assert f"{bucket}.s3." in get


def test_a_public_object_is_read_by_nobody_in_particular(
    cloud: CloudProcess, proxied: Proxied, bucket: str
) -> None:
    """Notebooks read public buckets anonymously, by their hosts."""
    proxied("s3").put_object(Bucket=bucket, Key="endpoints/a", Body=b"all", ACL="public-read")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": cloud.url}))

    url = f"http://{bucket}.s3.us-east-2.amazonaws.com/endpoints/a"
    assert opener.open(url, timeout=20).read() == b"all"


def test_parts_of_eight_megabytes_in_parallel(proxied: Proxied, bucket: str) -> None:
    """What `upload_file` does with anything large: several tunnels at once."""
    body = bytes(range(256)) * (20 * MIB // 256) + b"end"
    s3 = proxied("s3", "us-west-2")
    s3.upload_fileobj(io.BytesIO(body), bucket, "large")
    back = io.BytesIO()
    s3.download_fileobj(bucket, "large", back)

    assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-3"')
    assert back.getvalue() == body


def test_a_large_body_passes_at_flat_memory(
    cloud: CloudProcess, proxied: Proxied, bucket: str, tmp_path: Path
) -> None:
    """Objects of gigabytes must not need gigabytes: nothing on the way holds a body."""
    file = tmp_path / "large"
    with file.open("wb") as opened:
        opened.truncate(64 * MIB)
    s3 = proxied("s3")
    gateway, own = psutil.Process(cloud.process.pid), s3_process(cloud)
    one = TransferConfig(multipart_threshold=1024 * MIB, use_threads=False)
    # What both need once: buffers, caches, a thread or two.
    s3.put_object(Bucket=bucket, Key="warm", Body=b"w" * 4 * MIB)
    s3.get_object(Bucket=bucket, Key="warm")["Body"].read()
    before = [process.memory_info().rss for process in (gateway, own)]
    peaks = list(before)
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.005):
            for at, process in enumerate((gateway, own)):
                peaks[at] = max(peaks[at], process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    s3.upload_file(str(file), bucket, "large", Config=one)
    # A reader that is slow at first: what it does not take must wait on disk.
    body = s3.get_object(Bucket=bucket, Key="large")["Body"]
    time.sleep(0.5)
    size = sum(len(piece) for piece in iter(lambda: body.read(MIB), b""))
    is_over.set()
    watching.join()

    assert size == 64 * MIB
    grown = [(peak - least) / MIB for peak, least in zip(peaks, before, strict=True)]
    assert max(grown) < 24, grown


# --- what is refused ------------------------------------------------------------------------------


def test_a_service_that_is_not_here_is_named_in_its_own_protocol(proxied: Proxied) -> None:
    """A notebook that also uses DynamoDB learns at which call, and why."""
    for service, operation in (("dynamodb", "list_tables"), ("ec2", "describe_instances")):
        with pytest.raises(ClientError) as caught:
            getattr(proxied(service), operation)()
        assert caught.value.response["Error"]["Code"] == "UnsupportedOperationException"
        assert service in caught.value.response["Error"]["Message"]


def test_a_wrong_key_is_refused_through_the_proxy_too(cloud: CloudProcess, bucket: str) -> None:
    """Whoever can reach the port holds nothing yet."""
    s3 = boto3.Session(
        aws_access_key_id=cloud.home.credentials().access_key_id,
        aws_secret_access_key="wrong",
        region_name="us-east-1",
    ).client(
        "s3",
        verify=str(cloud.home.authority_certificate),
        config=Config(retries={"total_max_attempts": 1}, proxies={"https": cloud.url}),
    )
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x" * MIB)


def test_an_endpoint_url_elsewhere_is_not_reached(cloud: CloudProcess) -> None:
    """A forgotten `endpoint_url` of another service must not leave this machine."""
    sts = boto3.Session(
        aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    ).client(
        "sts",
        endpoint_url="https://aws.example.org",
        config=Config(retries={"total_max_attempts": 1}, proxies={"https": cloud.url}),
    )
    with pytest.raises(ProxyConnectionError) as caught:
        sts.get_caller_identity()
    assert "--allow-host aws.example.org" in str(caught.value.kwargs["error"])


def test_the_sdks_workers_share_no_tunnel_but_all_get_through(cloud: CloudProcess) -> None:
    """Twenty processes' worth of connections at once, each with a handshake of its own."""
    code = (
        "import boto3, os, concurrent.futures as c\n"
        "del os.environ['AWS_ENDPOINT_URL']\n"
        "def ask(n):\n"
        "    return boto3.Session().client('sts').get_caller_identity()['Account']\n"
        "with c.ThreadPoolExecutor(20) as pool:\n"
        "    print(set(pool.map(ask, range(40))))"
    )
    command = [sys.executable, "-m", "windtunnel", "run", "--home", str(cloud.home.path), "--"]
    done = subprocess.run(
        [*command, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout == "{'000000000000'}\n", done.stderr
