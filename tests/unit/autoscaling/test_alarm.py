"""Alarm states: CloudWatch's own tables, gaps, late data, jumps, and a plain oracle."""

import math
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.autoscaling.alarm import (
    RANGE_BEYOND,
    Alarm,
    AlarmRule,
    State,
    TreatMissing,
    is_sample_enough,
)

_VALUES = {"0": 1.0, "X": 9.0, "-": None}
_TREATMENTS: tuple[TreatMissing, ...] = ("missing", "ignore", "breaching", "notBreaching")


def _recent(alarm: Alarm) -> list[float]:
    return [value for _, value in alarm.recent_starts_s()]


def _rule(
    evaluation_periods: int = 3,
    datapoints_to_alarm: int = 3,
    treat_missing: TreatMissing = "missing",
    comparison: str = "GreaterThanThreshold",
) -> AlarmRule:
    return AlarmRule(
        "a", 5.0, comparison, evaluation_periods, datapoints_to_alarm, treat_missing=treat_missing
    )


def _state(rule: AlarmRule, points: str, before: State = "INSUFFICIENT_DATA") -> State:
    """Return the state after an evaluation range drawn as CloudWatch's page draws it."""
    alarm = Alarm(rule)
    for period, point in enumerate(points.split()):
        alarm.observe(period, _VALUES[point])
        alarm.state = before
    # The last look again, with the state that was held before it.
    *earlier, last = points.split()
    return alarm.observe(len(earlier), _VALUES[last])


# AlarmThatSendsEmail, "How alarm state is evaluated when data is missing": both tables, and the
# examples of "avoiding premature transitions to alarm state". `=` is the current state, kept.
_TABLE = [
    ("0 - X - X", 3, "OK", "OK", "OK", "OK"),
    ("0 - - - -", 3, "OK", "OK", "OK", "OK"),
    ("0 X X - X", 3, "ALARM", "ALARM", "ALARM", "ALARM"),
    ("- - - - X", 3, "INSUFFICIENT_DATA", "=", "ALARM", "OK"),
    ("X - - - -", 3, "ALARM", "=", "ALARM", "OK"),
    ("- - X - -", 3, "ALARM", "=", "ALARM", "OK"),
    ("- - - X -", 3, "INSUFFICIENT_DATA", "=", "ALARM", "OK"),
    ("0 - X - X", 2, "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 0 X 0 X", 2, "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 - X - -", 2, "OK", "OK", "ALARM", "OK"),
    ("- - - - 0", 2, "OK", "OK", "ALARM", "OK"),
    ("- - - - X", 2, "INSUFFICIENT_DATA", "=", "ALARM", "OK"),
]


@pytest.mark.parametrize("before", get_args(State))
@pytest.mark.parametrize("row", _TABLE, ids=lambda row: f"{row[0]}, {row[1]} of 3")
def test_missing_data_are_treated_as_cloudwatchs_tables_say(
    row: tuple[str, int, str, str, str, str], before: State
) -> None:
    """Whether an alarm fires on thin data is AWS's rule, not a matter of taste."""
    points, datapoints, *expected = row
    for treatment, wanted in zip(_TREATMENTS, expected, strict=True):
        alarm = Alarm(_rule(3, datapoints, treatment))
        for period, point in enumerate(points.split()):
            alarm.state = before
            found = alarm.observe(period, _VALUES[point])

        if points.endswith("-"):
            assert found == (before if wanted == "=" else wanted), treatment
        else:
            assert _state(_rule(3, datapoints, treatment), points, before) == (
                before if wanted == "=" else wanted
            ), treatment


@pytest.mark.parametrize(
    ("treatment", "wanted"),
    [
        ("missing", "INSUFFICIENT_DATA"),
        ("ignore", "ALARM"),
        ("breaching", "ALARM"),
        ("notBreaching", "OK"),
    ],
)
def test_without_any_data_the_state_is_what_missing_data_stand_for(
    treatment: TreatMissing, wanted: State
) -> None:
    """A metric that stopped must not leave an alarm where nobody expects it."""
    alarm = Alarm(_rule(treat_missing=treatment))
    for period in range(3):
        alarm.observe(period, 9.0)
    assert alarm.state == "ALARM"
    for period in range(3, 3 + 3 + RANGE_BEYOND):
        alarm.observe(period, None)

    assert alarm.state == wanted


def test_three_of_three_fires_in_the_third_period_and_not_before() -> None:
    """The figure on CloudWatch's page: five high periods of which the last three count."""
    alarm = Alarm(_rule())
    values = [1, 1, 9, 9, 9, 1, 1, 1, 9, 1]
    states = [alarm.observe(period, value) for period, value in enumerate(values)]

    assert [period for period, state in enumerate(states) if state == "ALARM"] == [4]


@pytest.mark.parametrize(
    ("comparison", "breaching"),
    [
        ("GreaterThanThreshold", {6.0}),
        ("GreaterThanOrEqualToThreshold", {5.0, 6.0}),
        ("LessThanThreshold", {-4.0}),
        ("LessThanOrEqualToThreshold", {-4.0, 5.0}),
    ],
)
def test_the_threshold_itself_belongs_to_the_side_that_the_comparison_says(
    comparison: str, breaching: set[float]
) -> None:
    """A target of 10 with exactly 10 invocations must not scale out; negatives are values."""
    for value in (-4.0, 5.0, 6.0):
        alarm = Alarm(_rule(1, 1, comparison=comparison))

        assert (alarm.observe(7, value) == "ALARM") == (value in breaching)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_finite_number_is_no_data_point(value: float | None) -> None:
    """CloudWatch refuses such values; one that got in another way must decide nothing."""
    for comparison in ("GreaterThanThreshold", "LessThanThreshold"):
        alarm = Alarm(_rule(1, 1, comparison=comparison))
        alarm.observe(1, value)

        assert alarm.state == "INSUFFICIENT_DATA"
        assert alarm.newest is None
        assert _recent(alarm) == []


def test_a_late_data_point_counts_at_the_next_look() -> None:
    """Metrics arrive late on AWS; what arrives within the range still counts."""
    alarm = Alarm(_rule())
    for period, value in enumerate([9.0, None, 9.0]):
        alarm.observe(period, value)
    states = [alarm.state, alarm.observe(1, 1.0), alarm.observe(1, 9.0)]

    # At first because the oldest breach is three periods old.
    assert states == ["ALARM", "OK", "ALARM"]
    assert _recent(alarm) == [9.0, 9.0, 9.0]


def test_what_is_older_than_the_range_changes_nothing() -> None:
    """History is not decided anew."""
    alarm = Alarm(_rule())
    for period in range(100, 110):
        alarm.observe(period, 9.0)
    for late in (109 - 3 - RANGE_BEYOND, 3, -7):
        alarm.observe(late, 1.0)

    assert alarm.state == "ALARM"
    assert alarm.period == 109


def test_a_clock_that_jumps_forward_leaves_missing_periods() -> None:
    """After a suspended laptop wakes, minutes of long ago are not the last three minutes."""
    alarm = Alarm(_rule())
    for period in range(3):
        alarm.observe(period, 9.0)

    assert alarm.observe(10_000_000_000, 1.0) == "OK"
    assert _recent(alarm) == [1.0]
    assert alarm.observe(20_000_000_000, 9.0) == "INSUFFICIENT_DATA"


def test_a_clock_that_jumps_back_changes_nothing() -> None:
    """A second evaluation of an old minute must not shift the window."""
    alarm = Alarm(_rule())
    for period in range(50, 53):
        alarm.observe(period, 9.0)
    for period in range(5):
        assert alarm.observe(period, 1.0) == "ALARM"

    assert alarm.newest == 9.0


def test_a_clock_that_was_set_back_is_followed_by_looking_anew() -> None:
    """An alarm must not sleep for the day by which a clock was wrong."""
    alarm = Alarm(_rule())
    for period in range(5000, 5010):
        alarm.observe(period, 9.0)

    assert alarm.look(100 * 60.0, [1.0, 1.0, 1.0]) == "OK"
    assert alarm.observe(101, 9.0) == "OK"
    assert [alarm.observe(period, 9.0) for period in (102, 103)] == ["OK", "ALARM"]


def test_after_a_restart_the_state_is_as_it_was_left() -> None:
    """A cloud that comes up again does not scale because its memory is new."""
    rule = _rule()
    alarm = Alarm(rule)
    alarm.restore([(7, 9.0), (8, 9.0), (9, 9.0)], "OK")
    assert alarm.state == "OK"

    assert alarm.observe(10, 9.0) == "ALARM"


def test_periods_are_aligned_to_the_epoch_and_only_ended_ones_count() -> None:
    """Half a minute's sum is not a small sum."""
    rule = _rule()

    assert rule.ended_by(120.0) == 1
    assert rule.ended_by(179.999) == 1
    assert rule.ended_by(180.0) == 2
    assert rule.period_of(179.9) == 2


def test_real_breaches_are_told_from_filled_in_ones() -> None:
    """Scaling in asks for them: missing data must not remove instances."""
    alarm = Alarm(_rule(comparison="LessThanThreshold"))
    alarm.observe(0, 1.0)
    alarm.observe(1, None)
    alarm.observe(2, 1.0)

    assert alarm.state == "ALARM"
    assert not alarm.has_real_breach
    alarm.observe(1, 1.0)
    assert alarm.has_real_breach


@pytest.mark.parametrize(
    ("percentile", "count", "is_enough"),
    [(0.99, 999, False), (0.99, 1000, True), (0.5, 20, True), (0.1, 99, False), (1.0, 1, True)],
)
def test_a_percentile_wants_ten_samples_beyond_it(
    percentile: float, count: int, *, is_enough: bool
) -> None:
    """CloudWatch's example: a p99 of under 1000 samples is a low sample count."""
    assert is_sample_enough(percentile, count) is is_enough


# --- the oracle ---------------------------------------------------------------------------------


def _plain(  # noqa: PLR0911 - sentence by sentence
    rule: AlarmRule, points: list[float | None], before: State
) -> State:
    """Evaluate a range the slow way, sentence by sentence after CloudWatch's page."""
    there = [value for value in points if value is not None]
    chosen = there[-rule.evaluation_periods :]
    beyond = [
        value > rule.threshold if rule.is_upward else value < rule.threshold for value in chosen
    ]
    missing = rule.evaluation_periods - len(chosen)
    if sum(beyond) >= rule.datapoints_to_alarm:
        return "ALARM"
    if missing <= 0:
        return "OK"
    if rule.treat_missing == "breaching":
        return "ALARM" if sum(beyond) + missing >= rule.datapoints_to_alarm else "OK"
    if rule.treat_missing == "notBreaching":
        return "OK"
    if not all(beyond):
        return "OK"
    if rule.treat_missing == "ignore":
        return before
    if not there:
        return "INSUFFICIENT_DATA"
    oldest = next(back for back, value in enumerate(points) if value is not None)
    age = len(points) - oldest
    return "ALARM" if age >= rule.datapoints_to_alarm else "INSUFFICIENT_DATA"


_points = st.sampled_from([None, 1.0, 9.0, -9.0, 5.0, math.nan])


@settings(max_examples=400)
@given(
    st.integers(1, 16),
    st.data(),
    st.sampled_from(_TREATMENTS),
    st.sampled_from(["GreaterThanThreshold", "LessThanThreshold"]),
)
def test_the_bits_decide_as_a_plain_reading_of_cloudwatchs_page(
    evaluation_periods: int, data: st.DataObject, treatment: TreatMissing, comparison: str
) -> None:
    """The quick evaluation is what live and simulated scaling lean on; it may not differ."""
    datapoints = data.draw(st.integers(1, evaluation_periods))
    rule = _rule(evaluation_periods, datapoints, treatment, comparison)
    alarm = Alarm(rule)
    known: dict[int, float | None] = {}
    newest = -1
    for step in data.draw(
        st.lists(st.tuples(st.sampled_from([1, 1, 1, 1, 2, 5, 40, 0, -1, -3]), _points))
    ):
        jump, value = step
        period = max(newest, 0) + jump if newest >= 0 else 0
        before = alarm.state
        real = None if value is None or math.isnan(value) else value
        found = alarm.observe(period, value)
        length = evaluation_periods + RANGE_BEYOND
        if period <= newest and (real is None or newest - period >= length):
            assert found == before
            continue
        newest = max(newest, period)
        known[period] = real
        points = [known.get(each) for each in range(newest - length + 1, newest + 1)]

        assert found == _plain(rule, points, before)
        assert _recent(alarm) == [p for p in points if p is not None][-evaluation_periods:]
        assert alarm.newest == known.get(newest)


@settings(max_examples=200)
@given(
    st.integers(1, 16),
    st.data(),
    st.sampled_from(_TREATMENTS),
    st.lists(_points, min_size=1, max_size=25),
)
def test_a_whole_range_at_once_decides_as_its_periods_one_by_one(
    evaluation_periods: int,
    data: st.DataObject,
    treatment: TreatMissing,
    points: list[float | None],
) -> None:
    """A loop may look every minute at periods of five, or tell each minute once."""
    rule = _rule(evaluation_periods, data.draw(st.integers(1, evaluation_periods)), treatment)
    single, whole = Alarm(rule), Alarm(rule)
    for period, value in enumerate(points):
        single.observe(period + 100, value)
        found = whole.look((100 + period) * rule.period_s, points[: period + 1])

        assert found == single.state
        assert whole.recent_starts_s() == single.recent_starts_s()
        assert (whole.newest, whole.has_real_breach) == (single.newest, single.has_real_breach)


def test_periods_of_five_minutes_may_end_at_any_minute() -> None:
    """As those of a published alarm did, at :24, :19 and :14."""
    rule = AlarmRule("a", 80.0, "GreaterThanThreshold", 3, 3, period_s=300)
    alarm = Alarm(rule)

    assert alarm.look(24 * 60.0, [90.0, 91.0, 92.0]) == "ALARM"
    assert alarm.recent_starts_s() == [(14 * 60, 90.0), (19 * 60, 91.0), (24 * 60, 92.0)]
    assert alarm.look(25 * 60.0, [90.0, 91.0, 12.0]) == "OK"


def test_what_somebody_said_that_it_saw_holds_until_the_next_look() -> None:
    """SetAlarmState with data is how a policy is tried without waiting for traffic."""
    alarm = Alarm(AlarmRule("a", 5.0, "GreaterThanThreshold", 1, 1))
    alarm.observe(1, 2.0)
    alarm.say("ALARM", [3.0, 8.0])

    assert (alarm.state, alarm.newest, alarm.breaching()) == ("ALARM", 8.0, [8.0])
    assert alarm.has_real_breach
    alarm.observe(2, 2.0)
    assert (alarm.state, alarm.newest, alarm.breaching()) == ("OK", 2.0, [])
