"""Auto scaling with real instances: policies that fire, and requests that none of it costs.

The endpoint is a server with one slot of 100 ms. The clock of scaling runs 60 times as fast: a
minute of alarms and cooldowns lasts a second.
"""

import functools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.e2e.play import Client, Maker, client_of, one_slot

from windtunnel.cli.cloud_process import CloudProcess, running_cloud
from windtunnel.core.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.cloud]

_WARP = "60"
_PATIENCE_S = 90.0
_SERVER = one_slot(0.1)
_PLACE = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


@pytest.fixture
def there(warped: CloudProcess) -> Client:
    """Clients of that cloud, by service."""
    return lambda service: client_of(warped, service)


@pytest.fixture
def endpoint(there: Client, tmp_path: Path) -> Iterator[str]:
    """An endpoint of one instance with one slot."""
    maker = Maker(there, "none")
    maker.directory = tmp_path
    yield maker.command(_SERVER)
    maker.close()


class Load:
    """So many users, each with its next request when the last one was answered."""

    def __init__(self, client: Client, name: str, users: int) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._client = client
        self._name = name
        self._threads = [threading.Thread(target=self._call) for _ in range(users)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = self.answered + count
        _wait(lambda: self.answered >= wanted, "no answers")

    def _call(self) -> None:
        runtime = self._client("sagemaker-runtime")
        while not self._stop.is_set():
            try:
                answer = runtime.invoke_endpoint(EndpointName=self._name, Body=b"x")
                assert answer["Body"].read() == b"done"
                self.answered += 1
            except ClientError as error:
                self.failures.append(str(error))


def _counts(client: Client, name: str) -> tuple[str, int, int]:
    answer = client("sagemaker").describe_endpoint(EndpointName=name)
    (variant,) = answer["ProductionVariants"]
    return (
        answer["EndpointStatus"],
        variant["CurrentInstanceCount"],
        variant["DesiredInstanceCount"],
    )


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.05)


def _wait_settled(client: Client, name: str, count: int) -> None:
    wanted = ("InService", count, count)
    _wait(lambda: _counts(client, name) == wanted, f"never {wanted}")


def _register(client: Client, name: str, low: int, high: int) -> str:
    resource_id = f"endpoint/{name}/variant/AllTraffic"
    client("application-autoscaling").register_scalable_target(
        ResourceId=resource_id, MinCapacity=low, MaxCapacity=high, **_PLACE
    )
    return resource_id


def _activities(client: Client, resource_id: str) -> list[dict[str, Any]]:
    answer = client("application-autoscaling").describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=resource_id
    )
    found: list[dict[str, Any]] = answer["ScalingActivities"]
    return found


def _statuses(client: Client, resource_id: str) -> list[str]:
    return [each["StatusCode"] for each in _activities(client, resource_id)]


def test_a_ramp_scales_out_a_calm_scales_in_and_no_request_fails(
    there: Client, endpoint: str
) -> None:
    """The workshop's own calls, and the scene that its notebook waits for."""
    scaling = there("application-autoscaling")
    resource_id = _register(there, endpoint, 1, 4)
    scaling.put_scaling_policy(
        PolicyName="SageMakerEndpointInvocationScalingPolicy",
        ServiceNamespace="sagemaker",
        ResourceId=resource_id,
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            # 10 a minute there; a minute lasts a second here, and counts are not multiplied.
            "TargetValue": 1.5,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            "ScaleInCooldown": 500,
            "ScaleOutCooldown": 30,
        },
    )
    with Load(there, endpoint, users=6) as load:
        _wait_settled(there, endpoint, 4)
        load.wait_for(40)
    _wait_settled(there, endpoint, 1)
    _wait(lambda: "InProgress" not in _statuses(there, resource_id), "an activity without an end")
    activities = _activities(there, resource_id)

    assert load.failures == []
    told = [each["Description"] for each in activities]
    # At once, or by way of 3, where the last of the three seconds had fewer requests.
    assert "Setting desired instance count to 4." in told
    assert activities[0]["Description"] == "Setting desired instance count to 1."
    assert "-AlarmHigh-" in activities[-1]["Cause"]
    assert "-AlarmLow-" in activities[0]["Cause"]
    assert set(_statuses(there, resource_id)) == {"Successful"}
    assert all("(clock x60)" in each["Details"] for each in activities)


def test_no_request_is_lost_however_often_capacity_changes(there: Client, endpoint: str) -> None:
    """Every scale-in ends instances that were just answering."""
    with Load(there, endpoint, users=6) as load:
        for count in (4, 1, 3, 2, 4, 1):
            _register(there, endpoint, count, count)
            _wait_settled(there, endpoint, count)
            load.wait_for(6)

    assert load.failures == []


def test_kill_9_loses_nothing_of_what_scales(tmp_path: Path) -> None:
    """After a power cut the policies fire as before, without anybody putting them again."""
    home = Home(tmp_path / "home")
    with running_cloud(home, "--warp", _WARP, log=tmp_path / "first.log") as cloud:
        first = functools.partial(client_of, cloud)
        maker = Maker(first, "none")
        maker.directory = tmp_path
        name = maker.command(_SERVER)
        resource_id = _register(first, name, 1, 3)
        put = {
            "PolicyName": "p",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 1.5,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                },
            },
        }
        scaling = first("application-autoscaling")
        alarms = scaling.put_scaling_policy(ResourceId=resource_id, **_PLACE, **put)["Alarms"]
        cloud.process.kill()
        cloud.process.wait()

    with running_cloud(home, "--warp", _WARP, log=tmp_path / "second.log") as cloud:
        then = functools.partial(client_of, cloud)
        (policy,) = then("application-autoscaling").describe_scaling_policies(
            ServiceNamespace="sagemaker"
        )["ScalingPolicies"]
        _wait_settled(then, name, 1)
        with Load(then, name, users=4) as load:
            _wait_settled(then, name, 3)

    assert policy["Alarms"] == alarms
    assert load.failures == []


def test_autoscale_proposes_a_target_and_registers_it(
    warped: CloudProcess, there: Client, endpoint: str
) -> None:
    """The formula, its arithmetic at this clock, and a policy that is there afterwards."""
    command = [sys.executable, "-m", "windtunnel", "autoscale", endpoint]
    where = ["--home", str(warped.home.path), "--json"]
    first = subprocess.run(
        [*command, *where, "--capacity-rps", "10", "--max", "3", "--in-cooldown", "500s"],
        check=True,
        capture_output=True,
        text=True,
    )
    second = subprocess.run(
        [*command, *where, "--target", "0.1"], check=True, capture_output=True, text=True
    )
    found = json.loads(first.stdout)
    (policy,) = there("application-autoscaling").describe_scaling_policies(
        ResourceId=f"endpoint/{endpoint}/variant/AllTraffic", **_PLACE
    )["ScalingPolicies"]

    assert found["arithmetic"].startswith(
        "10 requests/s x 0.5 x 60 = 300 a minute and instance; at clock x60 a minute is 1 s: 5 ("
    )
    assert found["clock"] == "x60"
    assert len(found["Alarms"]) == 2
    assert found["ScalableTarget"]["MaxCapacity"] == 3
    assert "warning   its target of 0.1 is one request every 10 s" in second.stderr
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 0.1


def test_what_belongs_together_across_services_is_known(
    warped: CloudProcess, there: Client, endpoint: str
) -> None:
    """SageMaker knows what scales, and alarms and `autoscale` which policies there are."""
    resource_id = _register(there, endpoint, 1, 4)
    scaling, alarms, sagemaker = (
        there(name) for name in ("application-autoscaling", "cloudwatch", "sagemaker")
    )
    arn = scaling.put_scaling_policy(
        ResourceId=resource_id,
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
        **_PLACE,
    )["PolicyARN"]
    alarms.put_metric_alarm(
        AlarmName=endpoint,
        AlarmActions=[arn.replace("policyName/steps", "policyName/none")],
        Namespace="Own",
        MetricName="M",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    alarms.set_alarm_state(AlarmName=endpoint, StateValue="ALARM", StateReason="a try")
    (item,) = alarms.describe_alarm_history(AlarmName=endpoint, HistoryItemType="Action")[
        "AlarmHistoryItems"
    ]
    alarms.delete_alarms(AlarmNames=[endpoint])
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint)[
        "ProductionVariants"
    ]
    larger = f"{endpoint}-larger"
    sagemaker.create_endpoint_config(
        EndpointConfigName=larger,
        ProductionVariants=[{**variant, "InstanceType": "ml.m5.xlarge"}],
    )
    with pytest.raises(ClientError, match="must be deregistered as scalable targets") as caught:
        sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=larger)
    command = [sys.executable, "-m", "windtunnel", "autoscale", endpoint, "--target", "100"]
    done = subprocess.run(
        [*command, "--home", str(warped.home.path)], check=True, capture_output=True, text=True
    )

    assert item["HistorySummary"].startswith("Failed to execute action arn:aws:autoscaling:")
    assert json.loads(item["HistoryData"])["actionState"] == "Failed"
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert "warning   the variant has other policies, too: steps." in done.stderr


@pytest.mark.parametrize("protocol", ["json", "query", "smithy-rpc-v2-cbor"])
def test_alarms_speak_every_protocol_of_cloudwatch(warped: CloudProcess, protocol: str) -> None:
    """Old SDKs send forms, new ones CBOR; all see the same alarm."""
    client = _speaking(warped, protocol)
    assert client.meta.service_model.resolved_protocol == protocol
    name = f"of {protocol}"
    client.put_metric_alarm(
        AlarmName=name,
        Namespace="Own",
        MetricName="M",
        Dimensions=[{"Name": "d", "Value": "1"}],
        ExtendedStatistic="p99",
        Period=60,
        EvaluationPeriods=3,
        DatapointsToAlarm=2,
        Threshold=0.5,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="notBreaching",
    )
    client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a try")
    (shown,) = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    items = client.describe_alarm_history(AlarmName=name, ScanBy="TimestampAscending")
    with pytest.raises(client.exceptions.ResourceNotFound):
        client.delete_alarms(AlarmNames=["nobody"])
    client.delete_alarms(AlarmNames=[name])

    assert (shown["ExtendedStatistic"], shown["Threshold"]) == ("p99", 0.5)
    assert shown["Dimensions"] == [{"Name": "d", "Value": "1"}]
    assert shown["ActionsEnabled"] is True
    assert items["AlarmHistoryItems"][0]["HistorySummary"] == f'Alarm "{name}" created'
    assert client.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []


def _speaking(cloud: CloudProcess, protocol: str) -> Any:
    """Return a client of CloudWatch that speaks one protocol."""
    environment = cloud.environment({})
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    loader = session._session.get_component("data_loader")
    load = loader.load_service_model

    def one_protocol(service: str, kind: str, *more: Any, **options: Any) -> Any:
        model = load(service, kind, *more, **options)
        if (service, kind) == ("cloudwatch", "service-2"):
            metadata = {**model["metadata"], "protocol": protocol, "protocols": [protocol]}
            model = {**model, "metadata": metadata}
        return model

    loader.load_service_model = one_protocol
    return session.client("cloudwatch", endpoint_url=cloud.url)


def test_what_is_not_offered_is_refused_by_name(there: Client) -> None:
    """Nothing of another service's scaling is taken and then never done."""
    scaling = there("application-autoscaling")
    with pytest.raises(ClientError) as caught:
        scaling.register_scalable_target(
            ServiceNamespace="ecs",
            ResourceId="service/a/b",
            ScalableDimension="ecs:service:DesiredCount",
            MinCapacity=1,
            MaxCapacity=2,
        )
    with pytest.raises(scaling.exceptions.ObjectNotFoundException):
        scaling.delete_scaling_policy(PolicyName="p", ResourceId="endpoint/e/variant/v", **_PLACE)
    with pytest.raises(scaling.exceptions.InvalidNextTokenException):
        scaling.describe_scalable_targets(ServiceNamespace="sagemaker", NextToken="none")

    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert (
        "ServiceNamespace 'ecs', ScalableDimension 'ecs:service:DesiredCount'" in (error["Message"])
    )
