"""StateReason, held against reasons that CloudWatch gave to others."""

from datetime import UTC, datetime

import pytest

from windtunnel.autoscaling.alarm import Alarm, AlarmRule, TreatMissing
from windtunnel.autoscaling.reasons import java_double, reason_data, state_reason


def _alarm(
    newest: str,
    values: list[float | None],
    threshold: float,
    comparison: str,
    datapoints: int,
    periods: int,
    *,
    period_s: int = 60,
    treat_missing: TreatMissing = "missing",
) -> Alarm:
    """Return an alarm that saw values, the newest first and in a period that began then."""
    begin = datetime.strptime(newest, "%d/%m/%y %H:%M:%S").replace(tzinfo=UTC).timestamp()
    alarm = Alarm(
        AlarmRule("a", threshold, comparison, periods, datapoints, period_s, treat_missing)
    )
    last = int(begin // period_s)
    for back, value in reversed(list(enumerate(values))):
        alarm.observe(last - back, value)
    return alarm


def test_reasons_read_as_those_that_cloudwatch_sent() -> None:
    """Three published notifications: into ALARM, back to OK, from no data with large numbers."""
    at_least = "GreaterThanOrEqualToThreshold"
    into = _alarm(
        "14/07/21 23:18:00", [8.891518474692088, 9.72, 9.18241509182415], 7.0, at_least, 3, 3
    )
    percents: list[float | None] = [38.395433048854194, 38.391752618786896, 38.364239895660816]
    back = _alarm("26/01/22 13:24:00", percents, 80.0, at_least, 3, 3, period_s=300)
    room: list[float | None] = [8.3714617344e10, 8.3835891712e10, 8.3510099968e10]
    space = _alarm("09/09/26 00:22:00", room, 2.147483648e10, "LessThanThreshold", 3, 3)

    assert state_reason(into, "OK") == (
        "Threshold Crossed: 3 out of the last 3 datapoints [8.891518474692088 (14/07/21 23:18:00), "
        "9.72 (14/07/21 23:17:00), 9.18241509182415 (14/07/21 23:16:00)] were greater than or "
        "equal to the threshold (7.0) (minimum 3 datapoints for OK -> ALARM transition)."
    )
    # CloudWatch's periods of five minutes end when it looks, ours with the clock's five minutes.
    assert state_reason(back, "ALARM").replace("13:20", "13:24").replace("13:15", "13:19").replace(
        "13:10", "13:14"
    ) == (
        "Threshold Crossed: 3 out of the last 3 datapoints [38.395433048854194 (26/01/22 "
        "13:24:00), 38.391752618786896 (26/01/22 13:19:00), 38.364239895660816 (26/01/22 "
        "13:14:00)] were not greater than or equal to the threshold (80.0) (minimum 1 datapoint "
        "for ALARM -> OK transition)."
    )
    assert state_reason(space, "INSUFFICIENT_DATA").endswith(
        "] were not less than the threshold (2.147483648E10)."
    )
    assert "[8.3714617344E10 (09/09/26 00:22:00), " in state_reason(space, "INSUFFICIENT_DATA")


def test_only_the_data_points_that_speak_for_the_state_are_listed() -> None:
    """A published 3 of 5 alarm: three zeros of five minutes, a minimum of 3 for the way back."""
    values: list[float | None] = [0.0, 0.0, 1.0, 0.0, 1.0]
    alarm = _alarm("21/12/21 06:45:00", values, 0.0, "GreaterThanThreshold", 3, 5)

    assert state_reason(alarm, "ALARM") == (
        "Threshold Crossed: 3 out of the last 5 datapoints [0.0 (21/12/21 06:45:00), 0.0 "
        "(21/12/21 06:44:00), 0.0 (21/12/21 06:42:00)] were not greater than the threshold (0.0) "
        "(minimum 3 datapoints for ALARM -> OK transition)."
    )


@pytest.mark.parametrize(
    ("treatment", "periods", "reason"),
    [
        (
            "breaching",
            1,
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint "
            "was treated as [Breaching].",
        ),
        (
            "notBreaching",
            2,
            "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints "
            "were treated as [NonBreaching].",
        ),
        ("missing", 1, "Insufficient Data: 1 datapoint was unknown."),
        ("missing", 3, "Insufficient Data: 3 datapoints were unknown."),
    ],
)
def test_a_metric_that_is_missing_is_said_to_be(
    treatment: TreatMissing, periods: int, reason: str
) -> None:
    """Who reads `Threshold Crossed` of a metric that stopped looks in the wrong place."""
    when, comparison = "21/12/21 06:45:00", "GreaterThanThreshold"
    alarm = _alarm(when, [None], 1.0, comparison, periods, periods, treat_missing=treatment)

    assert state_reason(alarm, "OK") == reason


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((1.0, "1.0"), (0.0, "0.0"), (-2.5, "-2.5"), (0.001, "0.001"), (9999999.0, "9999999.0")),
        *((1e7, "1.0E7"), (8.3714617344e10, "8.3714617344E10"), (1e-4, "1.0E-4")),
        *((-1.25e-5, "-1.25E-5"), (1.7976931348623157e308, "1.7976931348623157E308")),
    ],
)
def test_numbers_are_written_as_java_does(value: float, text: str) -> None:
    """Scripts parse these sentences."""
    assert java_double(value) == text
    assert float(text) == value


def test_the_document_beside_the_sentence_has_what_was_looked_at() -> None:
    """As in a published DescribeAlarms answer: oldest first, and when the first period began."""
    alarm = _alarm("09/01/23 14:02:00", [0.0, 1.0], 42.0, "GreaterThanThreshold", 2, 2)
    now_s = datetime(2023, 1, 9, 14, 7, 25, 504_000, tzinfo=UTC).timestamp()

    assert reason_data(alarm, now_s, "Sum") == {
        "version": "1.0",
        "queryDate": "2023-01-09T14:07:25.504+0000",
        "startDate": "2023-01-09T14:01:00.000+0000",
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [1.0, 0.0],
        "threshold": 42.0,
    }
