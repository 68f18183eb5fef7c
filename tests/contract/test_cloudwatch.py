"""CloudWatch through boto3, in each of the three protocols that its clients speak.

Every operation with valid and invalid requests; answers are parsed by botocore and held against its
output shapes. The protocol is forced by a service model that lists no other.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from windtunnel.cloud.cloudwatch.samples import InvocationRecord

pytestmark = pytest.mark.slow

_PROTOCOLS = ("json", "query", "smithy-rpc-v2-cbor")
_NOW = datetime.now(UTC).replace(microsecond=0)
_MINUTE = _NOW.replace(second=0)


@pytest.fixture(params=_PROTOCOLS)
def client(request: pytest.FixtureRequest, contract: Any) -> Any:
    """A client that speaks one protocol, and is known to do so."""
    client = contract.client("cloudwatch", request.param)
    assert client.meta.service_model.resolved_protocol == request.param
    return client


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name: str = request.node.name
    return "Contract/" + name.replace("[", "/").replace("]", "")


def _stat(namespace: str, name: str, stat: str = "Sum", **more: Any) -> dict[str, Any]:
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": more.pop("dimensions", [])}
    return {"MetricStat": {"Metric": metric, "Period": 60, "Stat": stat}, **more}


def _checked(client: Any, operation: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer's members, after holding them against botocore's output shape."""
    assert answer.pop("ResponseMetadata")["HTTPStatusCode"] == 200
    shape = client.meta.service_model.operation_model(operation).output_shape
    if shape is not None:
        report = ParamValidator().validate(answer, shape)
        assert not report.has_errors(), report.generate_report()
    return answer


def _put(client: Any, namespace: str, *data: dict[str, Any]) -> None:
    answer = client.put_metric_data(Namespace=namespace, MetricData=list(data))
    assert _checked(client, "PutMetricData", answer) == {}


def test_all_forms_of_data_go_in_and_all_statistics_come_out(client: Any, namespace: str) -> None:
    """What one library publishes another one reads, whatever they speak."""
    dimensions = [{"Name": "Host", "Value": "a <b> & c"}]
    common = {"MetricName": "m", "Dimensions": dimensions, "Unit": "Seconds", "Timestamp": _NOW}
    _put(
        client,
        namespace,
        {**common, "Value": 0.5},
        {**common, "Values": [1.0, 2.5], "Counts": [3, 1]},
        {
            **common,
            "MetricName": "set",
            "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4},
            "StorageResolution": 60,
        },
        {**common, "MetricName": "fine", "Value": -7, "StorageResolution": 1},
    )

    def ask(name: str, **wanted: Any) -> Any:
        answer = client.get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=dimensions,
            StartTime=_MINUTE,
            EndTime=_MINUTE + timedelta(minutes=1),
            Period=wanted.pop("period", 60),
            **wanted,
        )
        return _checked(client, "GetMetricStatistics", answer)["Datapoints"]

    every = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]
    assert ask("m", Statistics=every) == [
        {
            "Timestamp": _MINUTE,
            "SampleCount": 5,
            "Average": 1.2,
            "Sum": 6,
            "Minimum": 0.5,
            "Maximum": 2.5,
            "Unit": "Seconds",
        }
    ]
    (point,) = ask("m", ExtendedStatistics=["p50", "p99.9"], Unit="Seconds")
    assert point["ExtendedStatistics"] == {"p50": 1.0, "p99.9": 2.5}
    assert ask("m", Statistics=["Sum"], Unit="Bytes") == []
    assert ask("set", Statistics=["Sum", "Maximum"])[0]["Sum"] == 10
    # A set hides its values, so that it has no percentiles; neither have negative values.
    assert ask("set", ExtendedStatistics=["p50"]) == ask("fine", ExtendedStatistics=["p50"]) == []
    assert ask("fine", Statistics=["Sum"], period=1)[0]["Timestamp"] == _NOW


def test_series_and_expressions_come_out_in_pages(client: Any, namespace: str) -> None:
    """boto3's own paginator puts the whole together again."""
    _put(
        client,
        namespace,
        *(
            {"MetricName": name, "Value": value, "Timestamp": _MINUTE - timedelta(minutes=minute)}
            for minute in range(5)
            for name, value in (("errors", float(minute)), ("requests", 10.0))
        ),
    )
    pages = list(
        client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[
                _stat(namespace, "errors", Id="errors", ReturnData=False),
                _stat(namespace, "requests", Id="requests", Label="Requests"),
                {"Id": "rate", "Expression": "100 * errors / requests", "Label": "Errors, %"},
            ],
            StartTime=_MINUTE - timedelta(minutes=10),
            EndTime=_MINUTE + timedelta(minutes=1),
            ScanBy="TimestampAscending",
            MaxDatapoints=4,
            LabelOptions={"Timezone": "+0100"},
        )
    )
    found: dict[str, list[tuple[datetime, float]]] = {}
    for page in pages:
        answer = _checked(client, "GetMetricData", page)
        assert answer["Messages"] == []
        for result in answer["MetricDataResults"]:
            assert result["StatusCode"] in ("Complete", "PartialData")
            points = zip(result["Timestamps"], result["Values"], strict=True)
            found.setdefault(result["Label"], []).extend(points)

    moments = [_MINUTE - timedelta(minutes=minute) for minute in range(4, -1, -1)]
    assert len(pages) == 3
    assert found == {
        "Requests": [(moment, 10.0) for moment in moments],
        "Errors, %": [(moment, 10.0 * minute) for moment, minute in zip(moments, (4, 3, 2, 1, 0))],  # noqa: B905 - both are five
    }


def test_metrics_are_found_by_every_filter(client: Any, namespace: str) -> None:
    """What was published can be found without knowing all of it."""
    host, zone = {"Name": "Host", "Value": "a"}, {"Name": "Zone", "Value": "z"}
    _put(
        client,
        namespace,
        {"MetricName": "m", "Value": 1, "Dimensions": [zone, host]},
        {"MetricName": "m", "Value": 1, "Dimensions": [host]},
        {"MetricName": "n", "Value": 1},
    )

    def names(**filters: Any) -> list[tuple[str, int]]:
        answer = client.list_metrics(Namespace=namespace, RecentlyActive="PT3H", **filters)
        metrics = _checked(client, "ListMetrics", answer)["Metrics"]
        assert all(metric["Namespace"] == namespace for metric in metrics)
        return [(metric["MetricName"], len(metric["Dimensions"])) for metric in metrics]

    assert names() == [("m", 1), ("m", 2), ("n", 0)]
    assert names(MetricName="n") == [("n", 0)]
    assert names(Dimensions=[{"Name": "Zone"}]) == [("m", 2)]
    assert names(Dimensions=[host]) == [("m", 1), ("m", 2)]
    assert names(Dimensions=[{"Name": "Host", "Value": "b"}]) == []


def test_what_the_router_recorded_can_be_asked_for(contract: Any, client: Any) -> None:
    """The p99 of ModelLatency, in microseconds, by endpoint and variant."""
    name = f"asked-{client.meta.service_model.resolved_protocol}"
    for latency_s in (0.010, 0.020, 0.030):
        contract.record(
            InvocationRecord(name, "AllTraffic", time.time(), 200, latency_s, 0.001, 2, False)
        )
    dimensions = [
        {"Name": "EndpointName", "Value": name},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]
    answer = client.get_metric_data(
        MetricDataQueries=[
            _stat("AWS/SageMaker", "ModelLatency", "p99", Id="p99", dimensions=dimensions),
            _stat("AWS/SageMaker", "InvocationsPerInstance", Id="each", dimensions=dimensions),
        ],
        StartTime=_NOW - timedelta(minutes=5),
        EndTime=_NOW + timedelta(minutes=5),
    )
    latency, each = _checked(client, "GetMetricData", answer)["MetricDataResults"]

    assert latency["Values"] == [pytest.approx(30_000, rel=1e-3)]
    assert each["Values"] == [1.5]


def _statistics(**changes: Any) -> Callable[[Any], Any]:
    request = {
        "Namespace": "Own",
        "MetricName": "m",
        "StartTime": _NOW - timedelta(hours=1),
        "EndTime": _NOW,
        "Period": 60,
        **changes,
    }
    return lambda client: client.get_metric_statistics(**request)


def _data(*queries: dict[str, Any], **changes: Any) -> Callable[[Any], Any]:
    request = {"StartTime": _NOW - timedelta(hours=1), "EndTime": _NOW, **changes}
    return lambda client: client.get_metric_data(MetricDataQueries=list(queries), **request)


def _datum(**datum: Any) -> Callable[[Any], Any]:
    data = [{"MetricName": "m", **datum}]
    return lambda client: client.put_metric_data(Namespace="Own", MetricData=data)


_INVALID: list[tuple[Callable[[Any], Any], str, str]] = [
    (_statistics(), "InvalidParameterCombination", "Must specify either Statistics or Extended"),
    (_statistics(Statistics=["Median"]), "ValidationError", "at 'statistics' failed to satisfy"),
    (_statistics(ExtendedStatistics=["p101"]), "InvalidParameterValue", "The value p101"),
    (_statistics(ExtendedStatistics=["tm90"]), "InvalidParameterValue", "does not offer the ext"),
    (_statistics(Statistics=["Sum"], Period=7), "InvalidParameterValue", "The parameter Period"),
    (
        _statistics(Statistics=["Sum"], StartTime=_NOW),
        "InvalidParameterValue",
        "must not equal parameter EndTime",
    ),
    (
        _statistics(Statistics=["Sum"], Period=1),
        "InvalidParameterCombination",
        "You have requested up to 3600 datapoints, which exceeds the limit of 1440.",
    ),
    (_data(), "ValidationError", "The parameter MetricDataQueries is required."),
    (_data({"Id": "A", "Expression": "1"}), "ValidationError", "not matching the expected pattern"),
    (
        _data({"Id": "a", "Expression": "b"}),
        "ValidationError",
        "Error in expression 'a': Undefined",
    ),
    (
        _data({"Id": "a", "Expression": "SEARCH('x', 'Sum')"}),
        "ValidationError",
        "does not offer the function SEARCH",
    ),
    (
        _data({"Id": "a", "Expression": "SELECT AVG(x) FROM y", "Period": 60}),
        "ValidationError",
        "does not offer Metrics Insights",
    ),
    (
        _data({"Id": "a", "Expression": "TIME_SERIES(1)", "AccountId": "123456789012"}),
        "InvalidParameterValue",
        "does not offer MetricDataQueries.member.1.AccountId '123456789012'",
    ),
    (
        _data({"Id": "a", "Expression": "TIME_SERIES(1)"}, NextToken="made-up"),
        "InvalidNextToken",
        "does not belong to this request",
    ),
    (
        lambda client: client.put_metric_alarm(
            AlarmName="elsewhere",
            AlarmActions=["arn:aws:autoscaling:eu-west-1:000000000000:scalingPolicy:x"],
            MetricName="m",
            Namespace="Own",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1.0,
            ComparisonOperator="GreaterThanThreshold",
        ),
        "ValidationError",
        "Invalid region eu-west-1 specified. Only us-east-1 is supported.",
    ),
    (_datum(), "MissingParameter", "At least one of the parameters"),
    (_datum(Value=1.0, Values=[1.0]), "InvalidParameterCombination", "are mutually exclusive"),
    (_datum(Value=float("nan")), "InvalidParameterValue", "MetricData.member.1.Value is invalid."),
    (_datum(Value=1.0, StorageResolution=5), "InvalidParameterValue", "StorageResolution"),
    (_datum(Value=1.0, Unit="Bananas"), "ValidationError", "failed to satisfy constraint"),
    (
        _datum(Value=1.0, Timestamp=_NOW + timedelta(hours=3)),
        "InvalidParameterValue",
        "no more than two hours in the future",
    ),
    (
        _datum(Value=1.0, Dimensions=[{"Name": f"d{n}", "Value": "v"} for n in range(31)]),
        "ValidationError",
        "Member must have length less than or equal to 30",
    ),
    (
        lambda client: client.put_metric_data(Namespace="AWS/Own", MetricData=[]),
        "InvalidParameterValue",
        "The value AWS/Own for parameter Namespace is invalid.",
    ),
    (
        lambda client: client.put_metric_data(
            Namespace="Own", EntityMetricData=[{"MetricData": [{"MetricName": "m", "Value": 1}]}]
        ),
        "InvalidParameterValue",
        "does not offer EntityMetricData",
    ),
    (
        lambda client: client.list_metrics(NextToken="made-up"),
        "InvalidParameterValue",
        "does not belong to this request",
    ),
    (
        lambda client: client.list_metrics(IncludeLinkedAccounts=True),
        "InvalidParameterValue",
        "does not offer IncludeLinkedAccounts 'true'",
    ),
    (
        lambda client: client.delete_insight_rules(RuleNames=["a"]),
        "UnsupportedOperationException",
        "does not offer DeleteInsightRules",
    ),
]


@pytest.mark.parametrize(("call", "code", "words"), _INVALID, ids=[each[2] for each in _INVALID])
def test_what_is_wrong_gets_cloudwatchs_error(
    client: Any, call: Callable[[Any], Any], code: str, words: str
) -> None:
    """The same code and words whatever is spoken: the old codes, by `x-amzn-query-error`."""
    with pytest.raises(ClientError) as caught:
        call(client)
    response: Any = caught.value.response

    assert response["Error"]["Code"] == code
    assert words in response["Error"]["Message"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_declared_errors_are_exceptions_of_the_client(client: Any) -> None:
    """`except client.exceptions.…` works in every protocol."""
    with pytest.raises(client.exceptions.InvalidParameterCombinationException):
        _datum(Value=1.0, Values=[1.0])(client)
    with pytest.raises(client.exceptions.InvalidNextToken):
        _data({"Id": "a", "Expression": "TIME_SERIES(1)"}, NextToken="made-up")(client)


def test_a_large_put_is_compressed_by_boto3_and_read_here(client: Any, namespace: str) -> None:
    """A thousand metrics at once are AWS's limit, and boto3 sends them as gzip."""
    count = 1000
    _put(client, namespace, *({"MetricName": f"metric-{n}", "Value": n} for n in range(count)))
    pages = client.get_paginator("list_metrics").paginate(Namespace=namespace)

    assert sum(len(page["Metrics"]) for page in pages) == count
