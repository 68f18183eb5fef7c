"""PutMetricData: every form, every bound, and AWS's words where they are known."""

import math
from typing import Any

import pytest
from tests.unit.cloud.cloudwatch.conftest import NOW_S, Played

from windtunnel.cloud.cloudwatch.errors import CombinationError, MissingParameterError
from windtunnel.cloud.cloudwatch.puts import samples_of_put
from windtunnel.cloud.errors import InvalidError
from windtunnel.core import limits

_SET = {"sample_count": 4.0, "sum": 10.0, "minimum": 1.0, "maximum": 4.0}


def _refused(error: type[InvalidError], *data: dict[str, Any], namespace: str = "Own") -> str:
    with pytest.raises(error) as caught:
        samples_of_put({"namespace": namespace, "metric_data": list(data)}, NOW_S)
    # The plain kind is AWS's InvalidParameterValue, the others have codes of their own.
    assert type(caught.value) is error
    return caught.value.message


@pytest.mark.parametrize(
    ("datum", "count", "total", "low", "high", "median"),
    [
        ({"value": 2.5}, 1, 2.5, 2.5, 2.5, 2.5),
        ({"value": 0.0}, 1, 0, 0, 0, 0),
        ({"value": -3.0}, 1, -3, -3, -3, None),
        ({"values": [1.0, 5.0]}, 2, 6, 1, 5, 1),
        ({"values": [1.0, 5.0], "counts": [1.0, 3.0]}, 4, 16, 1, 5, 5),
        ({"values": [], "value": 1.0}, 1, 1, 1, 1, 1),
        ({"statistic_values": _SET}, 4, 10, 1, 4, None),
        ({"statistic_values": {**_SET, "minimum": 2.5, "maximum": 2.5}}, 4, 10, 2.5, 2.5, 2.5),
    ],
)
def test_every_form_is_summed_up(
    datum: dict[str, Any],
    count: float,
    total: float,
    low: float,
    high: float,
    median: float | None,
) -> None:
    """Libraries publish in all of them, and statistics must agree."""
    (sample,) = samples_of_put(
        {"namespace": "Own", "metric_data": [{"metric_name": "m", **datum}]}, NOW_S
    )
    summary = sample.summary

    assert (summary.count, summary.sum, summary.low, summary.high) == (count, total, low, high)
    assert summary.quantile(0.5) == median
    assert (sample.unit, sample.at_s, sample.is_high_resolution) == ("None", NOW_S, False)


@pytest.mark.parametrize(
    ("error", "datum", "words"),
    [
        (MissingParameterError, {}, "must be specified"),
        (
            CombinationError,
            {"value": 1.0, "values": [1.0]},
            "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually "
            "exclusive and you have specified both.",
        ),
        (
            CombinationError,
            {"value": 1.0, "statistic_values": _SET},
            "StatisticValues are mutually",
        ),
        (CombinationError, {"value": 1.0, "counts": [1.0]}, "Counts must be given together with"),
        (
            InvalidError,
            {"values": [1.0, 2.0], "counts": [1.0]},
            "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of "
            "the same size.",
        ),
        (
            InvalidError,
            {"value": math.nan},
            "The value nan for parameter MetricData.member.1.Value",
        ),
        (InvalidError, {"value": math.inf}, "is invalid"),
        (InvalidError, {"value": -(2.0**361)}, "is invalid"),
        (InvalidError, {"values": [1.0, math.inf]}, "MetricData.member.1.Values.member.2"),
        (InvalidError, {"values": [1.0], "counts": [0.0]}, "Counts.member.1"),
        (InvalidError, {"values": [1.0], "counts": [-1.0]}, "Counts.member.1"),
        (InvalidError, {"values": [0.5] * 151}, "must not have a size greater than 150"),
        (InvalidError, {"statistic_values": {**_SET, "sample_count": 0.0}}, "SampleCount"),
        (InvalidError, {"statistic_values": {**_SET, "minimum": 5.0}}, "Minimum must not exceed"),
        (InvalidError, {"statistic_values": {**_SET, "sum": math.nan}}, "StatisticValues.Sum"),
        (InvalidError, {"value": 1.0, "storage_resolution": 5}, "StorageResolution is invalid"),
        (
            InvalidError,
            {"value": 1.0, "timestamp": NOW_S + 7201},
            "must specify a time no more than two hours in the future",
        ),
        (
            InvalidError,
            {"value": 1.0, "timestamp": NOW_S - 14 * 86_400 - 1},
            "must specify a time within the past two weeks",
        ),
        (InvalidError, {"value": 1.0, "metric_name": "é"}, "MetricName is invalid"),
        (
            InvalidError,
            {"value": 1.0, "dimensions": [{"name": "a", "value": "é"}]},
            "Dimensions.member.1.Value must contain only ASCII",
        ),
        (
            InvalidError,
            {"value": 1.0, "dimensions": [{"name": " ", "value": "v"}]},
            "Dimensions.member.1.Name",
        ),
        (
            InvalidError,
            {"value": 1.0, "dimensions": [{"name": ":a", "value": "v"}]},
            "must not start with a colon",
        ),
        (
            InvalidError,
            {
                "value": 1.0,
                "dimensions": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}],
            },
            "must not name a dimension twice",
        ),
    ],
)
def test_what_cloudwatch_refuses_is_refused(
    error: type[InvalidError], datum: dict[str, Any], words: str
) -> None:
    """A value that is taken here and refused there would be found out in production."""
    assert words in _refused(error, {"metric_name": "m", **datum})


def test_a_request_needs_a_namespace_of_its_own_and_some_data() -> None:
    """AWS's own namespaces are AWS's: what SageMaker reports cannot be made up."""
    datum = {"metric_name": "m", "value": 1.0}

    assert "AWS/SageMaker" in _refused(InvalidError, datum, namespace="AWS/SageMaker")
    assert _refused(MissingParameterError) == "The parameter MetricData is required."
    assert "MetricData must not have a size greater than 1000" in _refused(
        InvalidError, *[datum] * 1001
    )
    at_the_edges = {**datum, "timestamp": NOW_S + limits.METRIC_PUT_AHEAD_S_MAX}
    assert len(samples_of_put({"namespace": "Own", "metric_data": [at_the_edges]}, NOW_S)) == 1


def test_a_put_is_all_or_nothing(played: Played) -> None:
    """A client that corrects one value sends all of them again."""
    with pytest.raises(InvalidError):
        played.ask(
            "PutMetricData",
            namespace="Own",
            metric_data=[
                {"metric_name": "good", "value": 1.0},
                {"metric_name": "bad", "value": math.nan},
            ],
        )
    assert played.ask("ListMetrics")["metrics"] == []


def test_what_was_acknowledged_survives_the_cloud(played: Played) -> None:
    """Acknowledged means durable."""
    played.put("m", 1.0, 2.0, unit="Count")
    played.restart()
    answer = played.ask(
        "GetMetricStatistics",
        namespace="Own",
        metric_name="m",
        start_time=NOW_S,
        end_time=NOW_S + 60,
        period=60,
        statistics=["Sum"],
    )

    assert answer["datapoints"] == [{"timestamp": NOW_S, "unit": "Count", "sum": 3.0}]


def test_high_resolution_is_for_those_who_ask_for_it(played: Played) -> None:
    """A StorageResolution of 1 is read by the second; without it the minute is the finest."""
    played.put("fine", 1.0, at_s=NOW_S + 7, storage_resolution=1)
    played.put("plain", 1.0, at_s=NOW_S + 7)
    found = {
        name: played.ask(
            "GetMetricStatistics",
            namespace="Own",
            metric_name=name,
            start_time=NOW_S,
            end_time=NOW_S + 60,
            period=1,
            statistics=["Sum"],
        )["datapoints"]
        for name in ("fine", "plain")
    }

    assert [point["timestamp"] for point in found["fine"]] == [NOW_S + 7]
    assert found["plain"] == []
