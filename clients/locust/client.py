"""Two load tests with Locust as users run them: one as many are written, and the example's.

Usage: client.py MODEL.tar.gz, an archive with TensorFlow Serving's model `half_plus_two`. Every
line that begins with ok is a step whose outcome was checked.
"""

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import boto3
from botocore.client import BaseClient

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:1.15.3-cpu"
NAME = f"locust-{os.getpid()}"
# From the start of the processes to their end: the runs themselves take 7 and 5 s.
TIMEOUT_S = 120


def main(archive: str) -> None:
    """Deploy, put load on it twice, delete."""
    os.chdir(Path(__file__).parent)
    Path("payload.json").write_text('{"instances": [1.0, 2.0, 5.0]}')
    for stale in Path().glob("*_stats*.csv"):
        stale.unlink()
    sagemaker = boto3.client("sagemaker")
    deploy(sagemaker, archive)
    print(f"ok: deployed {NAME}")

    said = run(["bash", "careless.sh", NAME, str(free_port())])
    row = statistics("careless")
    assert row["Type"] == "boto3", said
    assert int(row["Request Count"]) > int(row["Failure Count"]) > 0, row
    print(f"ok: careless.sh: {row['Request Count']} requests, {row['Failure Count']} failed")

    variables = {"USERS": "12", "WORKERS": "3", "RUN_TIME": "5s", "PAYLOAD": "payload.json"}
    said = run(["bash", "distributed.sh", NAME], MASTER_PORT=str(free_port()), **variables)
    assert said.rstrip().endswith("12 of 12 users were reached."), said[-200:]
    row = statistics("results")
    assert (row["Type"], row["Name"]) == ("InvokeEndpoint", NAME), row
    assert int(row["Request Count"]) > 0, row
    assert int(row["Failure Count"]) == 0, row
    assert float(row["Average Content Size"]) > 0, row
    print(f"ok: distributed.sh: {row['Request Count']} requests by 12 users")

    sagemaker.delete_endpoint(EndpointName=NAME)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=NAME, WaiterConfig={"Delay": 1})
    print("ok: deleted")


def deploy(sagemaker: BaseClient, archive: str) -> None:
    """Bring a model into service."""
    account = boto3.client("sts").get_caller_identity()["Account"]
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=NAME)
    s3.upload_file(archive, NAME, "model.tar.gz")
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{NAME}/model.tar.gz"}
    sagemaker.create_model(
        ModelName=NAME,
        ExecutionRoleArn=f"arn:aws:iam::{account}:role/load",
        PrimaryContainer=container,
    )
    variant = {
        "VariantName": "all",
        "ModelName": NAME,
        "InstanceType": "ml.c5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=NAME, WaiterConfig={"Delay": 1})


def run(command: list[str], **variables: str) -> str:
    """Run a load test until all that it started has ended; show and return what it said."""
    done = subprocess.run(
        command,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    print(done.stdout, flush=True)
    return done.stdout


def statistics(prefix: str) -> dict[str, str]:
    """Return the first line of Locust's table of a run."""
    with Path(f"{prefix}_stats.csv").open() as file:
        return next(csv.DictReader(file))


def free_port() -> int:
    """Return a port for Locust's master: others may run Locust on this machine, too."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main(sys.argv[1])
