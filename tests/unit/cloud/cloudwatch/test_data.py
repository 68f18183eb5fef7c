"""GetMetricData: queries, their order, their pages."""

from typing import Any

import pytest
from tests.unit.cloud.cloudwatch.conftest import NOW_S, Played

from windtunnel.cloud.cloudwatch.errors import QueryError, TokenError
from windtunnel.core import limits


def _stat(query_id: str, name: str = "m", stat: str = "Sum", **more: Any) -> dict[str, Any]:
    return {
        "id": query_id,
        "metric_stat": {
            "metric": {"namespace": "Own", "metric_name": name, "dimensions": []},
            "period": 60,
            "stat": stat,
        },
        **more,
    }


def _ask(played: Played, *queries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    request = {"start_time": NOW_S - 600, "end_time": NOW_S + 60, **changes}
    return played.ask("GetMetricData", metric_data_queries=list(queries), **request)


def _filled(played: Played) -> Played:
    for minute in range(5):
        played.put("m", float(minute), at_s=NOW_S - 60 * minute, unit="Count")
        played.put("n", 10.0, at_s=NOW_S - 60 * minute, unit="Count")
    return played


def test_the_newest_comes_first_unless_asked_otherwise(played: Played) -> None:
    """TimestampDescending is CloudWatch's default."""
    (newest,) = _ask(_filled(played), _stat("m1"))["metric_data_results"]
    (oldest,) = _ask(played, _stat("m1"), scan_by="TimestampAscending")["metric_data_results"]

    assert newest["values"] == [0, 1, 2, 3, 4]
    assert newest["timestamps"] == [NOW_S - 60 * minute for minute in range(5)]
    assert oldest["timestamps"] == newest["timestamps"][::-1]
    assert (newest["id"], newest["label"], newest["status_code"]) == ("m1", "m", "Complete")


def test_metrics_expressions_and_labels_come_back_in_the_order_of_the_queries(
    played: Played,
) -> None:
    """A client matches results to queries by their Id."""
    answer = _ask(
        _filled(played),
        _stat("m1", stat="p50", label="Mine"),
        {"id": "e1", "expression": "m1 / m2"},
        _stat("m2", "n", return_data=False),
        {"id": "e2", "expression": "METRICS() + 1", "label": "More"},
        {"id": "e3", "expression": "m2 * 0", "label": "Zero"},
    )
    results = answer["metric_data_results"]

    assert [(each["id"], each["label"]) for each in results] == [
        ("m1", "Mine"),
        ("e1", "e1"),
        ("e2", "More Mine"),
        ("e2", "More n"),
        ("e3", "Zero"),
    ]
    assert results[1]["values"] == [pytest.approx(each / 10) for each in range(5)]
    assert results[4]["values"] == [0] * 5
    assert answer["messages"] == []


def test_a_metric_without_samples_is_an_empty_result(played: Played) -> None:
    """A chart of an idle endpoint is empty, not an error."""
    (result,) = _ask(played, _stat("m1"))["metric_data_results"]

    assert (result["timestamps"], result["values"], result["status_code"]) == ([], [], "Complete")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 10, 11])
@pytest.mark.parametrize("scan_by", ["TimestampDescending", "TimestampAscending"])
@pytest.mark.parametrize("with_expression", [False, True])
def test_pages_hold_every_data_point_once(
    played: Played,
    size: int,
    scan_by: str,
    with_expression: bool,  # noqa: FBT001 - a parameter
) -> None:
    """A client that follows NextToken ends up with the whole."""
    _filled(played)
    queries = [_stat("m1"), _stat("none", "none"), _stat("m2", "n")]
    if with_expression:
        queries.append({"id": "e1", "expression": "m1 + m2"})
    whole = _ask(played, *queries, scan_by=scan_by)
    assert whole["next_token"] is None
    found: dict[str, list[tuple[float, float]]] = {}
    token = None
    while True:
        page = _ask(played, *queries, scan_by=scan_by, max_datapoints=size, next_token=token)
        assert sum(len(each["values"]) for each in page["metric_data_results"]) <= size
        for each in page["metric_data_results"]:
            points = zip(each["timestamps"], each["values"], strict=True)
            found.setdefault(each["id"], []).extend(points)
        token = page["next_token"]
        last = page["metric_data_results"][-1]["status_code"]
        assert last in ("Complete", "PartialData")
        if token is None:
            break

    assert found == {
        each["id"]: list(zip(each["timestamps"], each["values"], strict=True))
        for each in whole["metric_data_results"]
    }


def test_a_token_belongs_to_its_request(played: Played) -> None:
    """InvalidNextToken is the one error that the operation declares."""
    page = _ask(_filled(played), _stat("m1"), max_datapoints=1)
    assert page["next_token"]
    for token, queries in (("nonsense", [_stat("m1")]), (page["next_token"], [_stat("m2")])):
        with pytest.raises(TokenError):
            _ask(played, *queries, max_datapoints=1, next_token=token)


def _metric_stat(**changes: Any) -> dict[str, Any]:
    query = _stat("m1")
    query["metric_stat"] = {**query["metric_stat"], **changes}
    return query


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (_stat("Upper"), "MetricDataQueries.member.1.Id is not matching the expected pattern"),
        ({"id": "e"}, "At least one of the parameters MetricDataQueries.member.1.Expression or"),
        (_stat("m1", expression="1"), "are mutually exclusive and you have specified both."),
        (
            _stat("m1", period=60),
            "The parameters MetricDataQueries.member.1.Period and MetricDataQueries.member.1."
            "MetricStat are mutually exclusive and you have specified both.",
        ),
        (_metric_stat(period=90), "MetricStat.Period must be 1, 5, 10, 20, 30 or a multiple of 60"),
        (_metric_stat(stat="Median"), "The value Median for parameter"),
        (_metric_stat(stat="tm90"), "does not offer MetricDataQueries.member.1.MetricStat.Stat"),
        (_metric_stat(metric={"namespace": "Own"}), "MetricStat.Metric.MetricName is required."),
        (_stat("m1", label="${MAX}"), "does not offer dynamic labels"),
        ({"id": "e", "expression": "m1"}, "Error in expression 'e': Undefined variable 'm1'"),
        ({"id": "e", "expression": "TIME_SERIES(1)", "period": 7}, "Period must be 1, 5, 10"),
    ],
)
def test_queries_that_make_no_sense_are_refused(
    played: Played, query: dict[str, Any], words: str
) -> None:
    """AWS's words where public code quotes them."""
    with pytest.raises(QueryError) as caught:
        _ask(played, query)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start_time": NOW_S + 60}, "StartTime must not equal parameter EndTime"),
        ({"start_time": NOW_S + 61}, "StartTime must be less than the parameter EndTime"),
        ({"max_datapoints": 0}, "MaxDatapoints must be from 1 to 100800"),
        ({"max_datapoints": 100_801}, "MaxDatapoints must be from 1 to 100800"),
        ({"label_options": {"timezone": "Europe"}}, "LabelOptions.Timezone"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    played: Played, changes: dict[str, Any], words: str
) -> None:
    """A client learns which of its parameters is wrong."""
    with pytest.raises(QueryError) as caught:
        _ask(played, _stat("m1"), **changes)
    assert words in caught.value.message


def test_ids_are_unique_and_queries_are_counted(played: Played) -> None:
    """Two results of one Id could not be told apart; 500 queries are AWS's limit."""
    for queries, words in (
        ([], "MetricDataQueries is required"),
        ([_stat("m1"), _stat("m1")], "are not unique"),
        ([_stat(f"m{number}") for number in range(501)], "size greater than 500"),
    ):
        with pytest.raises(QueryError, match=words):
            _ask(played, *queries)


def test_expressions_over_too_many_data_points_are_refused(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are worked out in memory, so there is a bound: AWS's own."""
    monkeypatch.setattr(limits, "METRIC_DATA_DATAPOINT_COUNT_MAX", 9)
    with pytest.raises(QueryError, match="more datapoints than the limit of 9"):
        _ask(
            _filled(played),
            _stat("m1"),
            _stat("m2", "n"),
            {"id": "e1", "expression": "m1 + m2"},
            max_datapoints=9,
        )


def test_a_series_that_is_made_of_nothing_has_the_windows_of_the_request(played: Played) -> None:
    """TIME_SERIES(10) draws a threshold beside a metric; it ends now, not in the future."""
    (result,) = _ask(_filled(played), {"id": "e1", "expression": "TIME_SERIES(10)", "period": 300})[
        "metric_data_results"
    ]

    assert result["timestamps"] == [NOW_S - 300, NOW_S - 600]
    assert result["values"] == [10, 10]
