"""From CreateEndpoint to InService for the U-Net, with a warm zygote.

Status is asked every 20 ms; the zygote is warm because an endpoint was in service before. The
archive is unpacked once (first start) and found in the model cache afterwards (next starts).
"""

import statistics
import tempfile
import time
from pathlib import Path

import boto3

from benchmarks.endpoints import IMAGE, ROLE, client, endpoint, upload
from benchmarks.unet import sample
from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

ROUNDS = 7


def main() -> list[str]:
    """Measure and return the lines of a table."""
    archive = sample() / "model.tar.gz"
    with tempfile.TemporaryDirectory() as directory:
        home = Home(Path(directory) / "home")
        with running_cloud(home, log=Path(directory) / "up.log") as cloud:
            session = boto3.Session()
            small = upload(session, cloud, archive, "warm/model.tar.gz")
            with endpoint(session, cloud, {"Image": IMAGE, "ModelDataUrl": small}):
                pass
            times_s = [_start_s(session, cloud, archive, number) for number in range(ROUNDS)]
    ordered = sorted(times_s)
    return [
        "| CreateEndpoint to InService | min | median | max |",
        "|---|---|---|---|",
        f"| warm zygote, {ROUNDS} starts | {ordered[0]:.2f} s "
        f"| {statistics.median(ordered):.2f} s | {ordered[-1]:.2f} s |",
    ]


def _start_s(session: boto3.Session, cloud: CloudProcess, archive: Path, number: int) -> float:
    sagemaker = client(session, cloud, "sagemaker")
    url = upload(session, cloud, archive, f"{number}/model.tar.gz")
    name = f"start-{number}"
    sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": url},
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "InstanceType": "ml.c5.large",
                "InitialInstanceCount": 1,
            }
        ],
    )
    begin_s = time.perf_counter()
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    while sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating":
        time.sleep(0.02)
    took_s = time.perf_counter() - begin_s
    status = sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
    if status != "InService":
        raise SystemExit(f"The endpoint is {status}.")
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    return took_s
