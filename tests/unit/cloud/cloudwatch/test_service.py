"""GetMetricStatistics and ListMetrics, and what others in the process may ask."""

import sqlite3
from typing import Any

import pytest
from tests.unit.cloud.cloudwatch.conftest import NOW_S, Play, Played

from windtunnel.cloud.cloudwatch.errors import CombinationError
from windtunnel.cloud.cloudwatch.metric import INVOCATIONS, MODEL_LOADING, UNITS, variant_metric
from windtunnel.cloud.cloudwatch.queries import ExpressionQuery, MetricQuery
from windtunnel.cloud.cloudwatch.statistics import statistic
from windtunnel.cloud.errors import InvalidError, UnavailableError
from windtunnel.core import limits

_RECORDED = sorted(set(UNITS[INVOCATIONS]) - {"ConcurrentRequestsPerModel"} - MODEL_LOADING.keys())


def _recorded(played: Played, *endpoint_names: str) -> Played:
    for name in endpoint_names or ("e",):
        for latency_s in (0.010, 0.030):
            played.record(name, NOW_S - 30, latency_s)
    return played


def _ask(played: Played, **changes: Any) -> dict[str, Any]:
    request = {
        "namespace": "AWS/SageMaker",
        "metric_name": "ModelLatency",
        "dimensions": [
            {"name": "VariantName", "value": "v"},
            {"name": "EndpointName", "value": "e"},
        ],
        "start_time": NOW_S - 600,
        "end_time": NOW_S + 60,
        "period": 60,
        "statistics": ["Sum", "Average", "Minimum", "Maximum", "SampleCount"],
        **changes,
    }
    return played.ask("GetMetricStatistics", **request)


def test_latencies_are_in_microseconds_and_can_be_read_at_once(played: Played) -> None:
    """An alarm copied from AWS has its threshold in microseconds."""
    answer = _ask(_recorded(played))

    assert answer["label"] == "ModelLatency"
    assert answer["datapoints"] == [
        {
            "timestamp": NOW_S - 60,
            "unit": "Microseconds",
            "sum": pytest.approx(40_000),
            "average": pytest.approx(20_000),
            "minimum": pytest.approx(10_000),
            "maximum": pytest.approx(30_000),
            "sample_count": 2,
        }
    ]


def test_percentiles_are_answered_under_their_names(played: Played) -> None:
    """`p99` of ModelLatency is the first thing that a latency objective needs."""
    for number in range(1, 1001):
        played.record("e", NOW_S - 30 + number / 100, number / 1000)
    (point,) = _ask(played, statistics=[], extended_statistics=["p50", "p99", "p99.9", "p100"])[
        "datapoints"
    ]

    assert point.keys() == {"timestamp", "unit", "extended_statistics"}
    assert point["extended_statistics"] == {
        "p50": pytest.approx(500_000, rel=1e-3),
        "p99": pytest.approx(990_000, rel=1e-3),
        "p99.9": pytest.approx(999_000, rel=1e-3),
        "p100": pytest.approx(1_000_000),
    }


def test_only_the_statistics_asked_for_are_answered(played: Played) -> None:
    """Clients that compare whole data points see what they asked for."""
    (point,) = _ask(_recorded(played), statistics=["Sum"])["datapoints"]

    assert point.keys() == {"timestamp", "unit", "sum"}


def test_each_unit_has_data_points_of_its_own(played: Played) -> None:
    """CloudWatch does not convert units, and neither are they mixed."""
    played.put("m", 1.0, unit="Seconds")
    played.put("m", 1000.0, unit="Milliseconds")
    own = {"namespace": "Own", "metric_name": "m", "dimensions": [], "statistics": ["Sum"]}
    points = _ask(played, **own)["datapoints"]

    assert {(point["unit"], point["sum"]) for point in points} == {
        ("Seconds", 1.0),
        ("Milliseconds", 1000.0),
    }
    assert len(_ask(played, **own, unit="Seconds")["datapoints"]) == 1


def test_data_points_follow_the_start_that_was_asked_for(played: Played) -> None:
    """Both operations answer timestamps aligned to StartTime (boto/boto3#3457)."""
    _recorded(played)
    (point,) = _ask(played, start_time=NOW_S - 185, period=120, statistics=["Sum"])["datapoints"]

    # Rounded to the minute, 240 s ago, then every two minutes.
    assert point["timestamp"] == NOW_S - 120


@pytest.mark.parametrize(
    "changes",
    [
        {"metric_name": "Latency"},
        {"namespace": "Custom"},
        {"dimensions": [{"name": "EndpointName", "value": "e"}]},
        {
            "dimensions": [
                {"name": "EndpointName", "value": "other"},
                {"name": "VariantName", "value": "v"},
            ]
        },
        {"unit": "Seconds"},
        {"start_time": NOW_S - 7200, "end_time": NOW_S - 3600},
    ],
)
def test_a_metric_without_samples_has_no_data_points_and_no_error(
    played: Played, changes: dict[str, Any]
) -> None:
    """CloudWatch cannot know that a metric was misspelt; neither is it an error here."""
    assert _ask(_recorded(played), **changes)["datapoints"] == []


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"statistics": []}, CombinationError, "Must specify either Statistics or Extended"),
        ({"extended_statistics": ["p9"]}, CombinationError, "are mutually exclusive"),
        (
            {"statistics": [], "extended_statistics": ["p101"]},
            InvalidError,
            "The value p101 for parameter ExtendedStatistics is not supported.",
        ),
        (
            {"statistics": [], "extended_statistics": ["tm90"]},
            InvalidError,
            "does not offer the extended statistic tm90",
        ),
        ({"start_time": NOW_S + 60}, InvalidError, "must not equal parameter EndTime"),
        ({"start_time": NOW_S + 90}, InvalidError, "must be less than the parameter EndTime"),
        ({"period": 15}, InvalidError, "The parameter Period must be"),
        ({"period": 90}, InvalidError, "The parameter Period must be"),
        (
            {"start_time": NOW_S - 86_400 + 60, "period": 1},
            CombinationError,
            "You have requested up to 86400 datapoints, which exceeds the limit of 1440.",
        ),
    ],
)
def test_questions_that_make_no_sense_are_refused_in_cloudwatchs_words(
    played: Played, changes: dict[str, Any], error: type[InvalidError], words: str
) -> None:
    """The wording is CloudWatch's where it is known (cloud-custodian#7683, telegraf#2022)."""
    with pytest.raises(error) as caught:
        _ask(played, **changes)
    assert words in caught.value.message


def test_with_aws_delay_only_whole_and_old_minutes_are_shown(play: Play) -> None:
    """Scaling that is tried against AWS's delay must not see what AWS would not show yet."""
    played = play(visible_after_s=60)
    _recorded(played)
    played.put("m", 1.0, at_s=NOW_S - 30)
    own = {"namespace": "Own", "metric_name": "m", "dimensions": []}

    assert _ask(played)["datapoints"] == _ask(played, **own)["datapoints"] == []
    # The minute ended at NOW_S, and 59.5 s later it is still too young.
    played.clock.advance(59.5)
    assert _ask(played)["datapoints"] == []
    played.clock.advance(0.5)
    assert len(_ask(played)["datapoints"]) == len(_ask(played, **own)["datapoints"]) == 1


def test_what_was_recorded_survives_an_orderly_end(played: Played) -> None:
    """The last second before `up` ends counts too."""
    _recorded(played)
    played.restart()

    assert len(_ask(played)["datapoints"]) == 1


def test_a_disk_that_fails_for_a_while_loses_nothing(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples wait until they can be saved; invoking goes on meanwhile."""
    _recorded(played)

    def full(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def room(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 100000")

    database = played.cloudwatch._archive._database
    played.put("filler", *range(1, 100))
    played.run(database.ask(full))
    for endpoint in range(300):
        played.record(f"endpoint-{endpoint}", NOW_S - 30)
    played.run(played.cloudwatch._save())
    with pytest.raises(UnavailableError):
        played.ask(
            "PutMetricData",
            namespace="Own",
            metric_data=[{"metric_name": f"m{n}" * 20, "value": 1.0} for n in range(500)],
        )
    played.run(database.ask(room))

    assert len(_ask(played)["datapoints"]) == 1
    other = [
        {"name": "EndpointName", "value": "endpoint-299"},
        {"name": "VariantName", "value": "v"},
    ]
    assert len(_ask(played, dimensions=other)["datapoints"]) == 1


def test_others_in_the_process_read_what_the_api_answers(played: Played) -> None:
    """Alarms and scaling decide by the same figures that a user sees."""
    _recorded(played)
    metric = variant_metric(INVOCATIONS, "Invocations", "e", "v")
    query = MetricQuery("m1", metric, 60, statistic("Sum"))
    series = played.run(played.cloudwatch.read(query, NOW_S - 120, NOW_S + 60))
    results = played.run(
        played.cloudwatch.evaluate([query, ExpressionQuery("e1", "m1 * 2")], NOW_S - 120, NOW_S)
    )

    assert dict(series.points) == {NOW_S - 60: 2}
    assert [(each.id, dict(each.series.points)) for each in results] == [
        ("m1", {NOW_S - 60: 2}),
        ("e1", {NOW_S - 60: 4}),
    ]


# --- ListMetrics ----------------------------------------------------------------------------------


def test_metrics_are_listed_by_endpoint_and_variant(played: Played) -> None:
    """A dashboard finds what there is to draw."""
    metrics = _recorded(played).ask("ListMetrics")["metrics"]

    assert sorted(metric["metric_name"] for metric in metrics) == _RECORDED
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
        ({"namespace": "Own"}, 1),
        ({"metric_name": "Invocations", "dimensions": [{"name": "EndpointName"}]}, 2),
        ({"metric_name": "Invocations", "dimensions": [{"name": "EndpointName", "value": "a"}]}, 1),
        ({"metric_name": "Invocations", "dimensions": [{"name": "Colour"}]}, 0),
        ({"metric_name": "Invocations", "recently_active": "PT3H"}, 2),
    ],
)
def test_every_filter_of_list_metrics_counts(
    played: Played, request_: dict[str, Any], count: int
) -> None:
    """A filter that is ignored shows other people's endpoints."""
    _recorded(played, "a", "b")
    played.put("own", 1.0)

    assert len(played.ask("ListMetrics", **request_)["metrics"]) == count


def test_metrics_that_went_quiet_are_no_longer_listed(played: Played) -> None:
    """Two weeks, as on AWS; three hours when the recently active are asked for."""
    played.record("e", NOW_S)
    played.clock.advance(4 * 3600)

    assert played.ask("ListMetrics", recently_active="PT3H")["metrics"] == []
    assert len(played.ask("ListMetrics")["metrics"]) == len(_RECORDED)
    played.clock.advance(15 * 24 * 3600)
    assert played.ask("ListMetrics")["metrics"] == []


def test_pages_of_metrics_hold_each_metric_once(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over 500 metrics need a second page."""
    monkeypatch.setattr(limits, "METRIC_PAGE_COUNT_MAX", 5)
    _recorded(played, "a", "b")
    answer = played.ask("ListMetrics")
    seen = list(answer["metrics"])
    assert len(seen) == 5
    while token := answer["next_token"]:
        answer = played.ask("ListMetrics", next_token=token)
        seen += answer["metrics"]

    names = [(each["metric_name"], each["dimensions"][0]["value"]) for each in seen]
    assert sorted(names) == [(name, endpoint) for name in _RECORDED for endpoint in ("a", "b")]


def test_a_token_of_another_question_is_refused(played: Played) -> None:
    """With other filters a place in the old list means nothing."""
    with pytest.raises(InvalidError, match="NextToken"):
        played.ask("ListMetrics", next_token="bm90IG9uZQ==")
