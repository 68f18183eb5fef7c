"""CloudWatch's operations, those on alarms included, each on what it makes for itself."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.contract.samples import NOW, Cases


def _statistics(client: Any, name: str) -> Any:
    return client.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[
            {"Name": "EndpointName", "Value": "measured"},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        StartTime=NOW - timedelta(minutes=10),
        EndTime=NOW + timedelta(minutes=10),
        Period=60,
        Statistics=["Sum", "Average", "Minimum", "Maximum", "SampleCount"],
    )


def _put_alarm(client: Any, name: str) -> Any:
    return client.put_metric_alarm(
        AlarmName=name,
        AlarmDescription="of a contract",
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[
            {"Name": "EndpointName", "Value": "measured"},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=3,
        DatapointsToAlarm=2,
        Threshold=10.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )


def _alarm_then(operation: str, **request: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        _put_alarm(client, name)
        told = {
            key: [name] if value == ["{name}"] else name if value == "{name}" else value
            for key, value in request.items()
        }
        return getattr(client, operation)(**told)

    return call


CASES: Cases = {
    ("cloudwatch", "GetMetricStatistics"): _statistics,
    ("cloudwatch", "GetMetricData"): lambda client, _: client.get_metric_data(
        MetricDataQueries=[{"Id": "e1", "Expression": "TIME_SERIES(5)"}],
        StartTime=NOW - timedelta(minutes=10),
        EndTime=NOW,
    ),
    ("cloudwatch", "PutMetricData"): lambda client, _: client.put_metric_data(
        Namespace="Contract", MetricData=[{"MetricName": "m", "Value": 1.0}]
    ),
    ("cloudwatch", "ListMetrics"): lambda client, _: client.list_metrics(
        Namespace="AWS/SageMaker", Dimensions=[{"Name": "EndpointName", "Value": "measured"}]
    ),
    ("cloudwatch", "PutMetricAlarm"): _put_alarm,
    ("cloudwatch", "DescribeAlarms"): _alarm_then("describe_alarms", AlarmNames=["{name}"]),
    ("cloudwatch", "DescribeAlarmsForMetric"): _alarm_then(
        "describe_alarms_for_metric",
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[
            {"Name": "EndpointName", "Value": "measured"},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
    ),
    ("cloudwatch", "DescribeAlarmHistory"): _alarm_then(
        "describe_alarm_history", AlarmName="{name}"
    ),
    ("cloudwatch", "SetAlarmState"): _alarm_then(
        "set_alarm_state", AlarmName="{name}", StateValue="ALARM", StateReason="to see"
    ),
    ("cloudwatch", "DeleteAlarms"): _alarm_then("delete_alarms", AlarmNames=["{name}"]),
    ("cloudwatch", "EnableAlarmActions"): _alarm_then(
        "enable_alarm_actions", AlarmNames=["{name}"]
    ),
    ("cloudwatch", "DisableAlarmActions"): _alarm_then(
        "disable_alarm_actions", AlarmNames=["{name}"]
    ),
}
