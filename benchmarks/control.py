"""Control calls with 1,000 models and configs, and what they and an upload cost the data plane.

First table: one boto3 client, one call after the other, over a home with 1,000 models and 1,000
endpoint configs. Second: signed requests at a constant rate to an echo container, alone and beside
uploads of 500 MB and a stream of control calls, in turns; latency counts from when each request
was due. The uploading client takes CPU of its own, and on the same two cores it would be measured
too: it is kept on the last core, and once left free, with the container asked directly beside, past
the gateway, to tell what the machine does from what the cloud does.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3

from benchmarks.endpoints import ROLE, client, echo_endpoint
from benchmarks.prepared_client import drive_at_rate
from benchmarks.signed import invocation, plain
from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

COUNT = 1000
ROUNDS = 5
RATE_RPS = 100
DURATION_S = 8.0
UPLOAD_BYTES = 500_000_000
CONNECTIONS = 4
ANY_CORE = sorted(os.sched_getaffinity(0))
LAST_CORE = ANY_CORE[-1]


def main() -> list[str]:
    """Measure and return the lines of two tables."""
    with tempfile.TemporaryDirectory() as directory:
        home = Home(Path(directory) / "home")
        with running_cloud(home, log=Path(directory) / "up.log") as cloud:
            session = boto3.Session()
            calls = _control_rows(client(session, cloud, "sagemaker"))
            with echo_endpoint(session, cloud, 0) as (name, echo_url, _):
                beside = _beside_rows(cloud, name, echo_url, Path(directory))
    return [*calls, "", *beside]


# --- control calls --------------------------------------------------------------------------------


def _control_rows(sagemaker: Any) -> list[str]:
    names = [f"bench-{number:04d}" for number in range(COUNT)]
    container = {
        "Image": "local/command",
        "Environment": {"WINDTUNNEL_COMMAND": "true"},
    }
    variant = {
        "VariantName": "AllTraffic",
        "InstanceType": "ml.c5.large",
        "InitialInstanceCount": 1,
    }

    def create_model(name: str) -> None:
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)

    def create_config(name: str) -> None:
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[{**variant, "ModelName": name}]
        )

    def each(call: Callable[[str], Any]) -> Callable[[], int]:
        return lambda: sum(1 for name in names if call(name) is not False)

    def pages(operation: str, size: int) -> Callable[[], int]:
        paginator = sagemaker.get_paginator(operation)
        return lambda: sum(1 for _ in paginator.paginate(PaginationConfig={"PageSize": size}))

    work = {
        "CreateModel": each(create_model),
        "CreateEndpointConfig": each(create_config),
        "DescribeModel": each(lambda name: sagemaker.describe_model(ModelName=name)),
        "DescribeEndpointConfig": each(
            lambda name: sagemaker.describe_endpoint_config(EndpointConfigName=name)
        ),
        "ListModels, all pages of 10": pages("list_models", 10),
        "ListModels, all pages of 100": pages("list_models", 100),
        "ListEndpointConfigs, all pages of 10": pages("list_endpoint_configs", 10),
        "DeleteModel": each(lambda name: sagemaker.delete_model(ModelName=name)),
    }
    rows = ["| with 1,000 of each | calls | calls/s |", "|---|---|---|"]
    for label, run in work.items():
        began_s = time.perf_counter()
        count = run()
        rows.append(f"| {label} | {count:,} | {count / (time.perf_counter() - began_s):,.0f} |")
    return rows


# --- the data plane beside them -------------------------------------------------------------------

_DISTURBER = """
import sys, time, threading, boto3
url, key, secret, path = sys.argv[1:]
def client(service):
    return boto3.client(service, endpoint_url=url, region_name="us-east-1",
                        aws_access_key_id=key, aws_secret_access_key=secret)
s3, sagemaker = client("s3"), client("sagemaker")
s3.create_bucket(Bucket="disturber")
print("ready", flush=True)
def control():
    while True:
        sagemaker.list_endpoint_configs(MaxResults=100)
        time.sleep(0.05)
threading.Thread(target=control, daemon=True).start()
while True:
    s3.upload_file(path, "disturber", "large")
"""


def _beside_rows(cloud: CloudProcess, name: str, echo_url: str, directory: Path) -> list[str]:
    large = directory / "large"
    with large.open("wb") as file:
        file.truncate(UPLOAD_BYTES)

    def through() -> tuple[float, float]:
        # Signed anew: a signature is accepted for five minutes.
        return _quantiles_ms(cloud.url, invocation(cloud.home, cloud.url, name, b"x" * 10))

    def direct() -> tuple[float, float]:
        return _quantiles_ms(echo_url, plain(echo_url, "/invocations", b"x" * 10))

    ways: dict[str, tuple[Callable[[], tuple[float, float]], list[int] | None]] = {
        "alone": (through, None),
        "beside uploads on the last core and control calls": (through, [LAST_CORE]),
        "beside uploads on any core and control calls": (through, ANY_CORE),
        "the container itself, beside the same": (direct, ANY_CORE),
    }
    figures: dict[str, list[tuple[float, float]]] = {label: [] for label in ways}
    for _ in range(ROUNDS):
        for label, (measure, cores) in ways.items():
            around = _disturbed(cloud, large, cores) if cores else contextlib.nullcontext()
            with around:
                figures[label].append(measure())
    rows = [
        f"| {RATE_RPS} requests/s | p50 | p99, median of {ROUNDS} rounds | p99, rounds |",
        "|---|---|---|---|",
    ]
    for label, found in figures.items():
        p99s = sorted(p99 for _, p99 in found)
        rows.append(
            f"| {label} | {statistics.median(p50 for p50, _ in found):.2f} ms "
            f"| {statistics.median(p99s):.2f} ms | {p99s[0]:.2f} to {p99s[-1]:.2f} ms |"
        )
    return rows


def _quantiles_ms(url: str, request: bytes) -> tuple[float, float]:
    host, _, port = url.removeprefix("http://").partition(":")
    count = drive_at_rate(
        host, int(port), request, rate_rps=RATE_RPS, connections=CONNECTIONS, duration_s=DURATION_S
    )
    if count.failures:
        raise SystemExit(f"{count.failures} requests failed")
    return count.quantile_s(0.5) * 1e3, count.quantile_s(0.99) * 1e3


@contextlib.contextmanager
def _disturbed(cloud: CloudProcess, large: Path, cores: list[int]) -> Iterator[None]:
    """Have another process, at low priority, upload and ask for as long as the block runs."""
    owner = cloud.home.credentials()
    process = subprocess.Popen(
        [
            *(
                "taskset",
                "-c",
                ",".join(map(str, cores)),
                "nice",
                "-n",
                "10",
                sys.executable,
                "-c",
                _DISTURBER,
                cloud.url,
            ),
            *(owner.access_key_id, owner.secret_access_key, str(large)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
