"""From CreateEndpoint to InService for the U-Net, and an added instance's first answer.

Status is asked every 20 ms; the zygote is warm because an endpoint was in service before. The
archive is unpacked once (first start) and found in the model cache afterwards (next starts).

An instance is added by UpdateEndpointWeightsAndCapacities from 1 to 2, while one client asks for
predictions one after the other. Idle instances take turns, so of two requests that are sent once
two instances are there, one is the new one's: the clock stops when both are answered, and the new
one's processes must have worked for it.
"""

import statistics
import tempfile
import time
from pathlib import Path

import boto3

from benchmarks.compiler import compile_for
from benchmarks.endpoints import IMAGE, ROLE, client, endpoint, upload
from benchmarks.machine import cpu_s, tree
from benchmarks.unet import sample
from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

ROUNDS = 7
# A third of what the U-Net takes, measured on 2026-11-25: one that did less did not infer.
WORK_S_MIN = 0.01


def main() -> list[str]:
    """Measure and return the lines of a table."""
    archive = sample() / "model.tar.gz"
    with tempfile.TemporaryDirectory() as directory:
        compiled, _ = compile_for(Path(directory), archive, "bf16", None, "local")
        home = Home(Path(directory) / "home")
        with running_cloud(home, log=Path(directory) / "up.log") as cloud:
            session = boto3.Session()
            small = upload(session, cloud, archive, "warm/model.tar.gz")
            with endpoint(session, cloud, {"Image": IMAGE, "ModelDataUrl": small}):
                pass
            times_s = [_start_s(session, cloud, archive, number) for number in range(ROUNDS)]
            small_s = [
                _start_s(session, cloud, compiled, ROUNDS + number) for number in range(ROUNDS)
            ]
            body = (archive.parent / "payload.json").read_bytes()
            with endpoint(session, cloud, {"Image": IMAGE, "ModelDataUrl": small}) as name:
                added_s = [_add_s(session, cloud, name, body) for _ in range(ROUNDS)]
    return [
        f"| warm zygote, {ROUNDS} times each | min | median | max |",
        "|---|---|---|---|",
        _row("CreateEndpoint to InService", times_s),
        _row("CreateEndpoint to InService, compiled for this machine", small_s),
        _row("from 1 instance to 2, until the new one has answered", added_s),
    ]


def _row(label: str, times_s: list[float]) -> str:
    return (
        f"| {label} | {min(times_s):.2f} s | {statistics.median(times_s):.2f} s "
        f"| {max(times_s):.2f} s |"
    )


def _add_s(session: boto3.Session, cloud: CloudProcess, name: str, body: bytes) -> float:
    sagemaker = client(session, cloud, "sagemaker")
    runtime = client(session, cloud, "sagemaker-runtime")

    def scale(count: int) -> None:
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[
                {"VariantName": "AllTraffic", "DesiredInstanceCount": count}
            ],
        )

    def instance_count() -> int:
        variant = sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"][0]
        count: int = variant["CurrentInstanceCount"]
        return count

    def ask() -> None:
        answer = runtime.invoke_endpoint(
            EndpointName=name, Body=body, ContentType="application/json"
        )
        answer["Body"].read()

    ask()
    before = {process.pid for process in tree(cloud.process.pid)}
    begin_s = time.perf_counter()
    scale(2)
    while instance_count() < 2:
        ask()
    added = [process for process in tree(cloud.process.pid) if process.pid not in before]
    worked_s = cpu_s(added)
    for _ in range(2):
        ask()
    took_s = time.perf_counter() - begin_s
    if cpu_s(added) - worked_s < WORK_S_MIN:
        raise SystemExit("The added instance answered neither of two requests.")
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    scale(1)
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    return took_s


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
