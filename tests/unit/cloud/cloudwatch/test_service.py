"""CloudWatch's operations, asked directly."""

import asyncio
from typing import Any

import pytest

from windtunnel.cloud.cloudwatch.errors import CombinationError, MissingParameterError
from windtunnel.cloud.cloudwatch.samples import UNITS, InvocationRecord
from windtunnel.cloud.cloudwatch.service import CloudWatch
from windtunnel.cloud.errors import InvalidError
from windtunnel.core import limits
from windtunnel.core.clock import ManualClock

_NOW_S = 1_700_000_040.0


def _cloudwatch(*endpoint_names: str) -> CloudWatch:
    cloudwatch = CloudWatch(ManualClock(_NOW_S))
    for name in endpoint_names or ("e",):
        for latency_s in (0.010, 0.030):
            cloudwatch.record(
                InvocationRecord(name, "v", _NOW_S - 30, 200, latency_s, 0.001, 1, False)
            )
    return cloudwatch


def _ask(cloudwatch: CloudWatch, **changes: Any) -> dict[str, Any]:
    request = {
        "namespace": "AWS/SageMaker",
        "metric_name": "ModelLatency",
        "dimensions": [
            {"name": "VariantName", "value": "v"},
            {"name": "EndpointName", "value": "e"},
        ],
        "start_time": _NOW_S - 600,
        "end_time": _NOW_S + 60,
        "period": 60,
        "statistics": ["Sum", "Average", "Minimum", "Maximum", "SampleCount"],
        **changes,
    }
    return asyncio.run(cloudwatch.get_metric_statistics(request))


def test_latencies_are_in_microseconds() -> None:
    """An alarm copied from AWS has its threshold in microseconds."""
    answer = _ask(_cloudwatch())

    assert answer["label"] == "ModelLatency"
    assert answer["datapoints"] == [
        {
            "timestamp": _NOW_S - 60,
            "unit": "Microseconds",
            "sum": pytest.approx(40_000),
            "average": pytest.approx(20_000),
            "minimum": pytest.approx(10_000),
            "maximum": pytest.approx(30_000),
            "sample_count": 2,
        }
    ]


def test_only_the_statistics_asked_for_are_answered() -> None:
    """Clients that compare whole data points see what they asked for."""
    (point,) = _ask(_cloudwatch(), statistics=["Sum"])["datapoints"]

    assert point.keys() == {"timestamp", "unit", "sum"}


@pytest.mark.parametrize(
    "changes",
    [
        {"metric_name": "CPUUtilization"},
        {"namespace": "Custom"},
        {"dimensions": [{"name": "EndpointName", "value": "e"}]},
        {
            "dimensions": [
                {"name": "EndpointName", "value": "other"},
                {"name": "VariantName", "value": "v"},
            ]
        },
        {"unit": "Seconds"},
        {"start_time": _NOW_S - 7200, "end_time": _NOW_S - 3600},
    ],
)
def test_a_metric_without_samples_has_no_data_points_and_no_error(changes: dict[str, Any]) -> None:
    """CloudWatch cannot know that a metric was misspelt; neither is it an error here."""
    assert _ask(_cloudwatch(), **changes)["datapoints"] == []


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"statistics": []}, MissingParameterError, "Statistics is required"),
        ({"start_time": _NOW_S + 60}, InvalidError, "must not equal parameter EndTime"),
        ({"start_time": _NOW_S + 90}, InvalidError, "must be less than the parameter EndTime"),
        ({"period": 15}, InvalidError, "The parameter Period must be"),
        ({"period": 90}, InvalidError, "The parameter Period must be"),
        (
            {"start_time": _NOW_S - 86_400 + 60, "period": 1},
            CombinationError,
            "You have requested up to 86400 datapoints, which exceeds the limit of 1440.",
        ),
    ],
)
def test_questions_that_make_no_sense_are_refused_in_cloudwatchs_words(
    changes: dict[str, Any], error: type[InvalidError], words: str
) -> None:
    """The wording is CloudWatch's where it is known (cloud-custodian#7683, telegraf#2022)."""
    with pytest.raises(error, match=words.replace(".", r"\.")):
        _ask(_cloudwatch(), **changes)


def _list(cloudwatch: CloudWatch, **request: Any) -> dict[str, Any]:
    return asyncio.run(cloudwatch.list_metrics(request))


def test_metrics_are_listed_by_endpoint_and_variant() -> None:
    """A dashboard finds what there is to draw."""
    metrics = _list(_cloudwatch())["metrics"]

    assert {metric["metric_name"] for metric in metrics} == set(UNITS)
    assert metrics[0]["dimensions"] == [
        {"name": "EndpointName", "value": "e"},
        {"name": "VariantName", "value": "v"},
    ]


@pytest.mark.parametrize(
    ("request_", "count"),
    [
        ({"metric_name": "Invocations"}, 2),
        ({"namespace": "AWS/SageMaker", "metric_name": "Invocations"}, 2),
        ({"namespace": "AWS/EC2"}, 0),
        ({"metric_name": "Invocations", "dimensions": [{"name": "EndpointName"}]}, 2),
        ({"metric_name": "Invocations", "dimensions": [{"name": "EndpointName", "value": "a"}]}, 1),
        ({"metric_name": "Invocations", "dimensions": [{"name": "Colour"}]}, 0),
        ({"metric_name": "Invocations", "recently_active": "PT3H"}, 2),
    ],
)
def test_every_filter_of_list_metrics_counts(request_: dict[str, Any], count: int) -> None:
    """A filter that is ignored shows other people's endpoints."""
    assert len(_list(_cloudwatch("a", "b"), **request_)["metrics"]) == count


def test_metrics_that_went_quiet_are_no_longer_listed() -> None:
    """Two weeks, as on AWS; three hours when the recently active are asked for."""
    clock = ManualClock(_NOW_S)
    cloudwatch = CloudWatch(clock)
    cloudwatch.record(InvocationRecord("e", "v", _NOW_S, 200, 0.01, 0.001, 1, False))
    clock.advance(4 * 3600)

    assert _list(cloudwatch, recently_active="PT3H")["metrics"] == []
    assert len(_list(cloudwatch)["metrics"]) == len(UNITS)
    clock.advance(15 * 24 * 3600)
    assert _list(cloudwatch)["metrics"] == []


def test_pages_of_metrics_hold_each_metric_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 500 metrics need a second page."""
    monkeypatch.setattr(limits, "METRIC_PAGE_COUNT_MAX", 5)
    cloudwatch = _cloudwatch("a", "b")
    first = _list(cloudwatch)
    seen = list(first["metrics"])
    token = first["next_token"]
    while token:
        answer = _list(cloudwatch, next_token=token)
        seen += answer["metrics"]
        token = answer["next_token"]

    assert len(first["metrics"]) == 5
    assert seen == sorted(
        seen, key=lambda each: (each["dimensions"][0]["value"], each["metric_name"])
    )
    assert len(seen) == 2 * len(UNITS)


def test_a_token_of_another_question_is_refused() -> None:
    """With other filters a place in the old list means nothing."""
    with pytest.raises(InvalidError, match="NextToken"):
        _list(_cloudwatch(), next_token="bm90IG9uZQ==")
