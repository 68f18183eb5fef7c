"""What the tests do as a client: make endpoints, invoke them, take them down."""

import io
import json
import sys
import tarfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from windtunnel.cli.cloud_process import CloudProcess

ROLE = "arn:aws:iam::000000000000:role/service-role/tests"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.19-cpu"

Client = Callable[[str], Any]


def client_of(cloud: CloudProcess, service: str, **options: Any) -> Any:
    """Return a boto3 client that was told the URL and the key, and nothing else."""
    owner = cloud.home.credentials()
    return boto3.Session(
        aws_access_key_id=owner.access_key_id,
        aws_secret_access_key=owner.secret_access_key,
        region_name="us-east-1",
    ).client(
        service,  # type: ignore[call-overload]
        endpoint_url=cloud.url,
        config=Config(retries={"total_max_attempts": 1}, **options),
    )


_SERVER = """
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    def log_message(self, *args): pass
    def answer(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self): self.answer(b"")
    def do_POST(self):
        self.answer(respond(self.rfile.read(int(self.headers["content-length"]))))
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def server(respond: str) -> str:
    """Return a server that answers with what `respond`, of which this is the source, returns."""
    return f"import http.server, os, signal, threading, time\n{respond}\n{_SERVER}"


def one_slot(service_s: float) -> str:
    """Return a server whose time is waiting: so long for each request, one after the other.

    Four instances of it have four times the capacity on any machine.
    """
    return server(f"""
slot = threading.Lock()
def respond(body):
    with slot:
        time.sleep({service_s})
    return b"done"
""")


class Maker:
    """Makes models and endpoints under names of their own and takes them down again."""

    def __init__(self, client: Client, bucket: str) -> None:
        self.client = client
        self.bucket = bucket
        self._endpoints: list[str] = []

    def upload(self, body: bytes | Path, key: str | None = None) -> str:
        """Upload an archive; return its S3 URI."""
        key = key or f"{uuid.uuid4().hex}/model.tar.gz"
        data = body.read_bytes() if isinstance(body, Path) else body
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=data)
        return f"s3://{self.bucket}/{key}"

    def endpoint(
        self,
        container: dict[str, Any],
        *,
        count: int = 1,
        instance_type: str = "ml.c5.large",
        wait: bool = True,
    ) -> str:
        """Create a model, a config and an endpoint of one name; wait until it is in service."""
        name = f"t-{uuid.uuid4().hex[:10]}"
        sagemaker = self.client("sagemaker")
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": name,
                    "InitialInstanceCount": count,
                    "InstanceType": instance_type,
                }
            ],
        )
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        self._endpoints.append(name)
        if wait:
            sagemaker.get_waiter("endpoint_in_service").wait(
                EndpointName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 900}
            )
        return name

    def tensorflow(
        self, archive: bytes | Path, environment: dict[str, str] | None = None, **options: Any
    ) -> str:
        """Serve an archive by the TensorFlow container."""
        return self.endpoint(
            {
                "Image": IMAGE,
                "ModelDataUrl": self.upload(archive),
                "Environment": environment or {},
            },
            **options,
        )

    def command(self, code: str, environment: dict[str, str] | None = None, **options: Any) -> str:
        """Serve by a Python program given as text."""
        program = self.program(code)
        command = {"WINDTUNNEL_COMMAND": f"{sys.executable} {program}"}
        return self.endpoint(
            {"Image": "local/command", "Environment": {**(environment or {}), **command}}, **options
        )

    def program(self, code: str) -> Path:
        """Write a program to a file and return its path."""
        path = self.directory / f"{uuid.uuid4().hex}.py"
        path.write_text(code)
        return path

    directory: Path

    def delete(self, name: str) -> None:
        """Delete an endpoint and wait until it is gone."""
        sagemaker = self.client("sagemaker")
        sagemaker.delete_endpoint(EndpointName=name)
        sagemaker.get_waiter("endpoint_deleted").wait(
            EndpointName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
        )
        self._endpoints.remove(name)

    def close(self) -> None:
        """Delete what is left."""
        for name in list(self._endpoints):
            self.delete(name)


def archive_of(files: dict[str, bytes]) -> bytes:
    """Return a model.tar.gz of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def invoke(client: Client, name: str, body: Any, **options: Any) -> Any:
    """Invoke an endpoint with JSON and return what its JSON says."""
    answer = client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name,
        Body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        **{"ContentType": "application/json", **options},
    )
    return json.loads(answer["Body"].read())
