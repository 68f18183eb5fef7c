"""Endpoints for the time of a measurement, made as any boto3 script makes them."""

import contextlib
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3

from benchmarks.machine import tree
from windtunnel.cli.cloud_process import CloudProcess

ROLE = "arn:aws:iam::000000000000:role/benchmarks"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.19-cpu"
BUCKET = "benchmarks"
ECHO_SERVER = Path(__file__).parent / "echo_server.py"


def client(session: boto3.Session, cloud: CloudProcess, service: str) -> Any:
    """Return a boto3 client of the local cloud."""
    owner = cloud.home.credentials()
    return session.client(
        service,  # type: ignore[call-overload]
        endpoint_url=cloud.url,
        region_name="us-east-1",
        aws_access_key_id=owner.access_key_id,
        aws_secret_access_key=owner.secret_access_key,
    )


def upload(session: boto3.Session, cloud: CloudProcess, archive: Path, key: str) -> str:
    """Upload an archive and return its S3 URI."""
    s3 = client(session, cloud, "s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.upload_file(str(archive), BUCKET, key)
    return f"s3://{BUCKET}/{key}"


@contextlib.contextmanager
def endpoint(
    session: boto3.Session,
    cloud: CloudProcess,
    container: dict[str, Any],
    instance_type: str = "ml.c5.large",
) -> Iterator[str]:
    """Hold an endpoint in service; the value is its name."""
    sagemaker = client(session, cloud, "sagemaker")
    name = f"bench-{uuid.uuid4().hex[:8]}"
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "InstanceType": instance_type,
                "InitialInstanceCount": 1,
                "InitialVariantWeight": 1.0,
            }
        ],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    try:
        sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )
        yield name
    finally:
        sagemaker.delete_endpoint(EndpointName=name)
        sagemaker.get_waiter("endpoint_deleted").wait(
            EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )


@contextlib.contextmanager
def echo_endpoint(
    session: boto3.Session, cloud: CloudProcess, answer_bytes: int
) -> Iterator[tuple[str, str, int]]:
    """Hold an endpoint of the echo server; the value is its name, the server's own URL and pid."""
    container = {
        "Image": "local/command",
        "Environment": {
            "WINDTUNNEL_COMMAND": f"{sys.executable} {ECHO_SERVER}",
            "ECHO_ANSWER_BYTES": str(answer_bytes),
        },
    }
    with endpoint(session, cloud, container) as name:
        for process in tree(cloud.process.pid):
            if process.cmdline()[1:] != [str(ECHO_SERVER)]:
                continue
            ports = [
                each.laddr.port for each in process.net_connections() if each.status == "LISTEN"
            ]
            yield name, f"http://127.0.0.1:{ports[0]}", process.pid
            return
        raise SystemExit("The echo server is not among the cloud's processes.")
