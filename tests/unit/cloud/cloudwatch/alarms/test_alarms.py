"""Alarms: which states they come to, and what their operations answer."""

import asyncio
import json
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from windtunnel.cloud.cloudwatch.alarms.service import Alarms
from windtunnel.cloud.cloudwatch.archive import Archive
from windtunnel.cloud.cloudwatch.errors import (
    ActionError,
    CombinationError,
    FormatError,
    MissingParameterError,
    TokenError,
)
from windtunnel.cloud.cloudwatch.service import CloudWatch
from windtunnel.cloud.errors import InvalidError, NotFoundError, UnavailableError, UnsupportedError
from windtunnel.cloud.store.store import Store
from windtunnel.core.clock import ManualClock

# A whole hour, and the moment after it that samples are given to settle.
NOW_S = 1_700_002_800.75
T = TypeVar("T")


class Played:
    """Alarms over a real store and real metrics."""

    def __init__(self, path: Path, visible_after_s: float = 0.0) -> None:
        self._visible_after_s = visible_after_s
        self.clock = ManualClock(NOW_S)
        self._path = path
        self._loop = asyncio.new_event_loop()
        self.run(self._open())

    async def _open(self) -> None:
        self.store = await Store.open(self._path / "store")
        self.cloudwatch = CloudWatch(
            self.clock,
            await Archive.open(self._path / "metrics"),
            visible_after_s=self._visible_after_s,
        )
        self.alarms = Alarms(self.store, self.cloudwatch, self.clock, region="us-east-1")
        await self.alarms.load()

    def run(self, awaitable: Awaitable[T]) -> T:
        """Return what something comes to."""

        async def wait() -> T:
            return await awaitable

        return self._loop.run_until_complete(wait())

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Return an operation's answer."""
        operations = {**self.cloudwatch.operations(), **self.alarms.operations()}
        return self.run(operations[operation](request))

    def put(self, name: str = "a", **more: Any) -> None:
        """Put an alarm on the metric Own/M, above 10."""
        words = {
            "alarm_name": name,
            "namespace": "Own",
            "metric_name": "M",
            "statistic": "Sum",
            "period": 60,
            "evaluation_periods": 1,
            "threshold": 10.0,
            "comparison_operator": "GreaterThanThreshold",
        }
        self.ask("PutMetricAlarm", **{**words, **more})

    def minute(self, *values: float, name: str = "M", length_s: float = 60.0) -> None:
        """Let a minute pass in which so much was measured, and look."""
        if values:
            datum = {
                "metric_name": name,
                "values": list(values),
                "timestamp": self.clock.now_s(),
                "storage_resolution": 1,
            }
            self.ask("PutMetricData", namespace="Own", metric_data=[datum])
        self.clock.advance(length_s)
        self.look()

    def look(self) -> None:
        """Look at what is due."""
        self.run(self.alarms.look(self.clock.now_s()))

    def alarm(self, name: str = "a") -> dict[str, Any]:
        """Return an alarm as it is described."""
        (found,) = self.ask("DescribeAlarms", alarm_names=[name])["metric_alarms"]
        shown: dict[str, Any] = found
        return shown

    def state(self, name: str = "a") -> str:
        """Return an alarm's state."""
        return str(self.alarm(name)["state_value"])

    def history(self, **request: Any) -> list[str]:
        """Return the summaries of what became of alarms, newest first."""
        items = self.ask("DescribeAlarmHistory", **request)["alarm_history_items"]
        return [each["history_summary"] for each in items]

    def restart(self) -> None:
        """Open the same files again."""
        self.close_files()
        self.run(self._open())

    def close(self) -> None:
        """End it."""
        self.close_files()
        self._loop.close()

    def close_files(self) -> None:
        """Let the files go."""
        self.run(self.cloudwatch.close())
        self.run(self.store.close())


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    """Alarms that end with the test."""
    made = Played(tmp_path)
    yield made
    made.close()


def test_an_alarm_follows_its_metric(played: Played) -> None:
    """What a user sees is the state that the last whole minute makes."""
    played.put()
    states = [played.state()]
    for values in ((20.0,), (1.0,), ()):
        played.minute(*values)
        states.append(played.state())

    assert states == ["INSUFFICIENT_DATA", "ALARM", "OK", "OK"]
    assert played.history() == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        'Alarm "a" created',
    ]


def test_a_minute_that_has_not_ended_is_not_looked_at(played: Played) -> None:
    """Half a minute's sum is not a small sum."""
    played.put(comparison_operator="LessThanThreshold")
    played.minute(1.0, length_s=59.0)

    assert played.state() == "INSUFFICIENT_DATA"


def test_m_of_n_need_not_be_the_last_ones(played: Played) -> None:
    """Two bad minutes of three are what somebody wants to know of."""
    played.put(evaluation_periods=3, datapoints_to_alarm=2)
    for value in (20.0, 1.0, 20.0):
        played.minute(value)

    assert played.state() == "ALARM"


@pytest.mark.parametrize(
    ("treatment", "state"),
    [
        ("missing", "INSUFFICIENT_DATA"),
        ("ignore", "ALARM"),
        ("breaching", "ALARM"),
        ("notBreaching", "OK"),
    ],
)
def test_missing_data_is_treated_as_asked(played: Played, treatment: str, state: str) -> None:
    """A metric that is silent means another thing to each of its owners."""
    played.put(treat_missing_data=treatment)
    played.minute(20.0)
    for _ in range(4):
        played.minute()

    assert played.state() == state


@pytest.mark.parametrize(("percentile", "state"), [("p50", "OK"), ("p99", "ALARM")])
def test_percentiles_are_those_of_the_minutes_values(
    played: Played, percentile: str, state: str
) -> None:
    """An alarm on latency is on its tail."""
    played.put(statistic=None, extended_statistic=percentile)
    played.minute(*[1.0] * 90, *[100.0] * 10)

    assert played.state() == state


def test_a_percentile_of_too_few_values_can_be_passed_over(played: Played) -> None:
    """The p99 of three requests is the slowest of them."""
    played.put(
        statistic=None,
        extended_statistic="p99",
        evaluate_low_sample_count_percentile="ignore",
    )
    played.minute(100.0)

    assert played.state() == "INSUFFICIENT_DATA"


def test_high_resolution_is_looked_at_every_ten_seconds(played: Played) -> None:
    """That is what one pays AWS for."""
    played.put(period=10)
    played.minute(20.0, length_s=10.0)
    assert played.state() == "ALARM"
    played.minute(1.0, length_s=10.0)

    assert played.state() == "OK"


def test_a_new_alarm_knows_what_its_metric_was(played: Played) -> None:
    """It need not wait for three minutes that it could have seen."""
    for _ in range(3):
        played.minute(20.0)
    played.put(evaluation_periods=3)
    played.look()

    assert played.state() == "ALARM"


def test_a_state_outlives_the_cloud(played: Played) -> None:
    """Nobody is to be told twice of the same alarm."""
    played.put()
    played.minute(20.0)
    played.restart()
    assert played.state() == "ALARM"
    played.minute(20.0)

    assert played.history(history_item_type="StateUpdate") == [
        "Alarm updated from INSUFFICIENT_DATA to ALARM"
    ]


def test_a_state_that_could_not_be_kept_is_kept_at_the_next_look(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that was full for a minute must not cost an alarm."""
    played.put()
    keep = played.store.commit

    async def refuse(_: object) -> None:
        raise UnavailableError("The disk is full.")

    monkeypatch.setattr(played.store, "commit", refuse)
    played.minute(20.0)
    assert played.state() == "INSUFFICIENT_DATA"
    monkeypatch.setattr(played.store, "commit", keep)
    played.minute(20.0)

    assert played.state() == "ALARM"


def test_putting_an_alarm_again_keeps_its_state(played: Played) -> None:
    """The update overwrites the configuration, and the state is left as it was (AWS)."""
    played.put(alarm_description="one")
    played.minute(20.0)
    played.put(alarm_description="two", threshold=50.0)

    assert played.state() == "ALARM"
    assert played.alarm()["alarm_description"] == "two"
    played.minute(20.0)
    assert played.state() == "OK"


def test_a_state_set_by_hand_stays_until_the_next_look(played: Played) -> None:
    """To try what follows from an alarm, without the harm that brings it about."""
    played.put()
    played.minute(1.0)
    played.ask(
        "SetAlarmState",
        alarm_name="a",
        state_value="ALARM",
        state_reason="a try",
        state_reason_data='{"a": 1}',
    )
    assert (played.state(), played.alarm()["state_reason"]) == ("ALARM", "a try")
    with pytest.raises(FormatError):
        played.ask(
            "SetAlarmState",
            alarm_name="a",
            state_value="OK",
            state_reason="",
            state_reason_data="{",
        )
    played.minute(1.0)

    assert played.state() == "OK"


def test_history_says_which_actions_failed_and_why(played: Played) -> None:
    """An alarm that went off for nothing must not look as if something had followed."""
    good, bad = (f"arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:{n}" for n in "ab")
    played.alarms.hand_actions_to(lambda arn: None if arn == good else "No such policy")
    played.put(alarm_actions=[good, bad])
    played.minute(20.0)
    items = played.ask(
        "DescribeAlarmHistory", history_item_type="Action", scan_by="TimestampAscending"
    )["alarm_history_items"]

    assert [each["history_summary"] for each in items] == [
        f"Successfully executed action {good}",
        f'Failed to execute action {bad}. Received error: "No such policy"',
    ]
    assert [json.loads(each["history_data"]) for each in items] == [
        {"actionState": "Succeeded", "notificationResource": good, "error": None},
        {"actionState": "Failed", "notificationResource": bad, "error": "No such policy"},
    ]


def test_alarms_are_found_by_name_prefix_state_and_metric(played: Played) -> None:
    """With a hundred alarms one asks for some."""
    for name in ("api-b", "api-a", "other"):
        played.put(name)
    played.put("deep", metric_name="Depth")
    played.minute(20.0)

    def names(**request: Any) -> list[str]:
        found = played.ask("DescribeAlarms", **request)["metric_alarms"]
        return [each["alarm_name"] for each in found]

    assert names(alarm_name_prefix="api") == ["api-a", "api-b"]
    assert names(state_value="ALARM") == ["api-a", "api-b", "other"]
    assert names(alarm_names=["other", "nobody"]) == ["other"]
    assert names(alarm_types=["CompositeAlarm"]) == []
    on_metric = played.ask("DescribeAlarmsForMetric", namespace="Own", metric_name="Depth")
    assert [each["alarm_name"] for each in on_metric["metric_alarms"]] == ["deep"]


def test_pages_of_alarms_are_whole(played: Played) -> None:
    """What is on two pages is on neither twice."""
    for number in range(5):
        played.put(f"a{number}")
    first = played.ask("DescribeAlarms", max_records=3)
    second = played.ask("DescribeAlarms", max_records=3, next_token=first["next_token"])

    assert [each["alarm_name"] for each in first["metric_alarms"] + second["metric_alarms"]] == [
        f"a{number}" for number in range(5)
    ]
    with pytest.raises(TokenError):
        played.ask("DescribeAlarms", next_token="bm9uZQ==")


def test_history_outlives_its_alarm_and_can_be_asked_of_a_time(played: Played) -> None:
    """AWS keeps it as well: what went off last week matters after a clean-up."""
    played.put()
    played.minute(20.0)
    played.ask("DeleteAlarms", alarm_names=["a"])

    assert played.history(alarm_name="a")[0] == 'Alarm "a" deleted'
    assert played.history(end_date=NOW_S + 1) == ['Alarm "a" created']
    assert played.history(scan_by="TimestampAscending")[0] == 'Alarm "a" created'
    played.restart()
    assert len(played.history(alarm_name="a")) == 3


def test_deleting_is_for_all_or_none(played: Played) -> None:
    """A misspelt name must not leave half of it done."""
    played.put()
    with pytest.raises(NotFoundError):
        played.ask("DeleteAlarms", alarm_names=["a", "nobody"])

    assert played.state() == "INSUFFICIENT_DATA"


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"metric_name": None}, MissingParameterError, "The parameter MetricName is required."),
        ({"threshold": None}, MissingParameterError, "The parameter Threshold is required."),
        ({"statistic": None}, CombinationError, "Must specify either Statistic or Extended"),
        ({"extended_statistic": "p9"}, CombinationError, "The parameters Statistic and Extended"),
        ({"statistic": None, "extended_statistic": "p101"}, InvalidError, "The value p101 for"),
        ({"statistic": None, "extended_statistic": "tm90"}, UnsupportedError, "Windtunnel's local"),
        ({"period": 45}, InvalidError, "The parameter Period must be"),
        ({"datapoints_to_alarm": 2}, InvalidError, "The parameter DatapointsToAlarm must be"),
        ({"evaluation_periods": 1441}, InvalidError, "Metrics cannot be checked across more than"),
        ({"threshold": float("inf")}, InvalidError, "The parameter Threshold must be a finite"),
        ({"treat_missing_data": "zero"}, InvalidError, "The value zero for parameter Treat"),
        ({"alarm_actions": ["no arn"]}, ActionError, "Invalid action ARN: no arn."),
        (
            {"alarm_actions": ["arn:aws:autoscaling:eu-west-1:000000000000:scalingPolicy:x"]},
            ActionError,
            "Invalid region eu-west-1 specified. Only us-east-1 is supported.",
        ),
        (
            {"alarm_actions": ["arn:aws:sns:us-east-1:000000000000:topic"]},
            UnsupportedError,
            "Windtunnel's local cloud does not offer the alarm action arn:aws:sns:",
        ),
    ],
)
def test_an_alarm_that_cannot_be_is_refused(
    played: Played, words: dict[str, Any], error: type[Exception], message: str
) -> None:
    """An alarm that never goes off is worse than none."""
    with pytest.raises(error) as caught:
        played.put(**words)

    assert str(caught.value).startswith(message)
    assert played.ask("DescribeAlarms")["metric_alarms"] == []


def test_periods_of_more_than_a_minute_are_looked_at_every_minute(played: Played) -> None:
    """CloudWatch does so: five minutes' sum need not begin at a round one."""
    played.put(period=300, threshold=90.0)
    for _ in range(7):
        played.minute(20.0)
    assert played.state() == "ALARM"
    played.minute(1.0)

    assert played.state() == "OK"


def test_an_alarm_follows_a_clock_that_was_set_back(played: Played) -> None:
    """A machine whose time was wrong must not be blind until it is that late again."""
    played.put()
    played.minute(20.0)
    played.clock.advance(3600)
    played.minute(20.0)
    played.clock = ManualClock(NOW_S + 60)
    played.cloudwatch._clock = played.alarms._clock = played.clock
    played.minute(1.0)

    assert played.state() == "OK"


def test_metrics_that_are_late_make_alarms_late(tmp_path: Path) -> None:
    """With `--startup aws` an alarm goes off when AWS's would: minutes after the load came."""
    late = Played(tmp_path, visible_after_s=120.0)
    late.put()
    states = []
    for _ in range(4):
        late.minute(20.0)
        states.append(late.state())
    late.close()

    assert states == ["INSUFFICIENT_DATA", "INSUFFICIENT_DATA", "ALARM", "ALARM"]


def _stat(query_id: str, name: str, **more: Any) -> dict[str, Any]:
    metric = {"namespace": "Own", "metric_name": name}
    return {
        "id": query_id,
        "metric_stat": {"metric": metric, "period": 60, "stat": "Sum"},
        "return_data": False,
        **more,
    }


_ONE_METRIC: dict[str, Any] = {
    "namespace": None,
    "metric_name": None,
    "statistic": None,
    "period": None,
}


def test_an_alarm_on_an_expression_follows_it(played: Played) -> None:
    """An error rate is errors over requests, which no one metric is."""
    rate = {"id": "rate", "expression": "100 * m / n", "return_data": True}
    played.put(**_ONE_METRIC, metrics=[_stat("m", "M"), _stat("n", "N"), rate])
    played.minute(5.0)
    assert played.state() == "INSUFFICIENT_DATA"
    played.ask(
        "PutMetricData",
        namespace="Own",
        metric_data=[{"metric_name": "N", "value": 40.0, "timestamp": played.clock.now_s()}],
    )
    played.minute(5.0)

    assert played.state() == "ALARM"
    assert "[12.5 (" in played.alarm()["state_reason"]
    played.restart()
    assert played.alarm()["metrics"][2] == rate


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ([_stat("m", "M")], "Exactly one element of the metrics list should return data."),
        ([{"id": "e", "expression": "1 + 1"}], "At least one element of the metrics list must"),
        (
            [_stat("m", "M"), {"id": "e", "expression": "m +"}],
            "Error in expression 'e'",
        ),
    ],
)
def test_an_expression_that_cannot_be_watched_is_refused(
    played: Played, metrics: list[dict[str, Any]], said: str
) -> None:
    """It would never go off."""
    with pytest.raises(InvalidError) as caught:
        played.put(**_ONE_METRIC, metrics=metrics)

    assert caught.value.message.startswith(said)
