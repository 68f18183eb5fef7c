"""An unmodified boto3 script deploys, invokes and deletes, given only `windtunnel env`."""

import datetime as dt
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.play import Client, Maker, invoke

from windtunnel.cli.cloud_process import CloudProcess

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

SCRIPT = """
import json, sys, time, boto3
archive = sys.argv[1]
account = boto3.client("sts").get_caller_identity()["Account"]
s3 = boto3.client("s3")
bucket = f"sagemaker-{boto3.Session().region_name}-{account}"
s3.create_bucket(Bucket=bucket)
s3.upload_file(archive, bucket, "model/model.tar.gz")
sm = boto3.client("sagemaker")
image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.19-cpu"
sm.create_model(
    ModelName="script",
    ExecutionRoleArn=f"arn:aws:iam::{account}:role/any",
    PrimaryContainer={"Image": image, "ModelDataUrl": f"s3://{bucket}/model/model.tar.gz"},
)
sm.create_endpoint_config(
    EndpointConfigName="script",
    ProductionVariants=[{"VariantName": "AllTraffic", "ModelName": "script",
                         "InitialInstanceCount": 1, "InstanceType": "ml.c5.xlarge"}],
)
sm.create_endpoint(EndpointName="script", EndpointConfigName="script")
first = sm.describe_endpoint(EndpointName="script")["EndpointStatus"]
sm.get_waiter("endpoint_in_service").wait(EndpointName="script", WaiterConfig={"Delay": 1})
answer = boto3.client("sagemaker-runtime").invoke_endpoint(
    EndpointName="script",
    ContentType="application/json",
    Body=json.dumps({"instances": [2.0, 4.0]}),
)
said = json.loads(answer["Body"].read())
sm.delete_endpoint(EndpointName="script")
sm.get_waiter("endpoint_deleted").wait(EndpointName="script", WaiterConfig={"Delay": 1})
sm.delete_endpoint_config(EndpointConfigName="script")
sm.delete_model(ModelName="script")
print(json.dumps({"first": first, "said": said, "variant": answer["InvokedProductionVariant"]}))
"""


def test_a_boto3_script_needs_nothing_but_the_environment(
    cloud: CloudProcess, archives: Path, tmp_path: Path
) -> None:
    """Code written for SageMaker runs here without a line changed."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    python, home = shlex.quote(sys.executable), shlex.quote(str(cloud.home.path))
    env = f"{python} -m windtunnel env --home {home}"
    archive = shlex.quote(str(archives / "half_plus_two.tar.gz"))
    shell = f'eval "$({env})" && exec {python} {script} {archive}'
    stale = {
        "PATH": "/usr/bin:/bin",
        "AWS_PROFILE": "somebody-else",
        "AWS_SESSION_TOKEN": "stale",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    }
    done = subprocess.run(["bash", "-c", shell], capture_output=True, env=stale, check=False)

    assert done.returncode == 0, done.stderr.decode()
    said = json.loads(done.stdout)
    assert said == {
        "first": "Creating",
        "said": {"predictions": [3.0, 4.0]},
        "variant": "AllTraffic",
    }


def test_several_instances_share_the_requests(client: Client, make: Maker, archives: Path) -> None:
    """More instances are more addresses: each takes its part."""
    name = make.tensorflow(archives / "half_plus_two.tar.gz", count=2)
    variant = client("sagemaker").describe_endpoint(EndpointName=name)["ProductionVariants"][0]

    assert variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"] == 2
    for _ in range(4):
        assert invoke(client, name, {"instances": [1.0]}) == {"predictions": [2.5]}


def test_the_workshops_variables_take_effect(client: Client, make: Maker, archives: Path) -> None:
    """Several model servers in one instance answer as one."""
    name = make.tensorflow(
        archives / "half_plus_two.tar.gz",
        {
            "SAGEMAKER_TFS_INSTANCE_COUNT": "2",
            "SAGEMAKER_TFS_INTER_OP_PARALLELISM": "1",
            "SAGEMAKER_TFS_INTRA_OP_PARALLELISM": "1",
        },
    )

    assert invoke(client, name, {"inputs": [0.0]}) == {"outputs": [2.0]}


def test_a_foreign_server_runs_as_an_instance(client: Client, make: Maker) -> None:
    """PyTorch, XGBoost or a user's own server: whatever keeps the contract."""
    echo = Path(__file__).parents[2] / "benchmarks" / "echo_server.py"
    name = make.command(echo.read_text())
    answer = client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"any bytes")

    assert answer["Body"].read() == b"any bytes"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_cloudwatch_counts_what_was_invoked(client: Client, make: Maker, archives: Path) -> None:
    """The figures a user would tune by are there, in AWS's units."""
    name = make.tensorflow(archives / "half_plus_two.tar.gz")
    for _ in range(3):
        invoke(client, name, {"instances": [1.0]})
    now = dt.datetime.now(dt.UTC)
    asked = {
        "Namespace": "AWS/SageMaker",
        "Dimensions": [
            {"Name": "EndpointName", "Value": name},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        "StartTime": now - dt.timedelta(minutes=10),
        "EndTime": now + dt.timedelta(minutes=1),
        "Period": 60,
    }
    cloudwatch = client("cloudwatch")
    counts = cloudwatch.get_metric_statistics(
        MetricName="Invocations", Statistics=["Sum"], **asked
    )["Datapoints"]
    latencies = cloudwatch.get_metric_statistics(
        MetricName="ModelLatency", Statistics=["Average", "SampleCount"], **asked
    )["Datapoints"]

    assert sum(point["Sum"] for point in counts) == 3
    assert sum(point["SampleCount"] for point in latencies) == 3
    assert all(point["Unit"] == "Microseconds" and point["Average"] > 0 for point in latencies)
