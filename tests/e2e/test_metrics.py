"""Metrics of a real cloud: what was invoked and what was put, by clients, and after kill -9."""

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.play import Client, Maker, client_of, invoke, server
from tests.serving.harness import request

from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

_SERVER = server("def respond(body): return b'[1]'")


def _sums(cloud: CloudProcess, namespace: str, name: str, **dimensions: str) -> list[float]:
    """Return the sums of the last ten minutes that are not zero."""
    now = datetime.now(UTC)
    metric: Any = {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
    }
    answer = client_of(cloud, "cloudwatch").get_metric_data(
        MetricDataQueries=[
            {"Id": "m1", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
        ],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
    )
    (result,) = answer["MetricDataResults"]
    return [value for value in result["Values"] if value]


def test_metrics_can_be_read_at_once_and_survive_kill_9(tmp_path: Path) -> None:
    """A dashboard goes on after the worst; what was acknowledged is there to the last value."""
    home = Home(tmp_path / "home")
    with running_cloud(home, log=tmp_path / "first.log") as cloud:

        def client(service: str) -> Any:
            return client_of(cloud, service)

        maker = Maker(client, "none")
        maker.directory = tmp_path
        name = maker.command(_SERVER, count=2)
        for _ in range(6):
            assert invoke(client, name, [1]) == [1]
        variant = {"EndpointName": name, "VariantName": "AllTraffic"}
        # At once, without a pause: asking sees everything that was recorded.
        assert sum(_sums(cloud, "AWS/SageMaker", "Invocations", **variant)) == 6
        assert sum(_sums(cloud, "AWS/SageMaker", "InvocationsPerInstance", **variant)) == 3
        client("cloudwatch").put_metric_data(
            Namespace="Own", MetricData=[{"MetricName": "m", "Value": 2.5}]
        )
        os.kill(cloud.process.pid, signal.SIGKILL)
        cloud.process.wait()

    with running_cloud(home, log=tmp_path / "second.log") as cloud:
        assert sum(_sums(cloud, "Own", "m")) == 2.5
        assert sum(_sums(cloud, "AWS/SageMaker", "Invocations", **variant)) == 6


def test_prometheus_reads_the_cloud_and_its_containers(
    cloud: CloudProcess, client: Client, make: Maker, archives: Path
) -> None:
    """One unsigned scrape of one port tells of every endpoint, down to its model servers."""
    name = make.tensorflow(
        archives / "half_plus_two.tar.gz", {"SAGEMAKER_TFS_INSTANCE_COUNT": "2"}, count=2
    )
    for _ in range(6):
        invoke(client, name, {"instances": [1.0]})
    answer = request(cloud.url, "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(answer.body.decode()))
    samples = [sample for family in families for sample in family.samples]
    mine = [sample for sample in samples if sample.labels.get("endpoint") == name]

    def total(metric: str, **labels: str) -> float:
        return sum(
            sample.value
            for sample in mine
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    assert total("windtunnel_invocations_total", status="200", variant="AllTraffic") == 6
    assert total("windtunnel_model_latency_seconds_count") == 6
    assert total("windtunnel_instance_healthy") == 2
    assert total("windtunnel_instance_restarts_total") == 0
    assert total("windtunnel_container_requests_total", process="model_server") == 6
    assert total("windtunnel_container_engine_duration_seconds_count") == 6
    assert len({sample.labels["instance"] for sample in mine if "instance" in sample.labels}) == 2


def test_a_bucket_may_be_called_metrics(cloud: CloudProcess, client: Client) -> None:
    """The path is a bucket's, too, for whoever signs; a web page gets neither."""
    s3 = client("s3")
    s3.create_bucket(Bucket="metrics")
    s3.put_object(Bucket="metrics", Key="k", Body=b"v")

    assert s3.get_object(Bucket="metrics", Key="k")["Body"].read() == b"v"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="metrics")["Contents"]] == ["k"]
    page = {"Origin": "http://evil.example"}
    assert request(cloud.url, "GET", "/metrics", headers=page).status == 403
