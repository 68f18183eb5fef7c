"""When scheduled actions are due."""

from datetime import UTC, datetime

import pytest

from windtunnel.autoscaling.schedule import (
    Agenda,
    InvalidScheduleError,
    ScheduledAction,
    parse,
)


def _s(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _times(text: str, after: str, count: int, zone: str = "UTC") -> list[str]:
    schedule, at_s = parse(text, zone), _s(after)
    found = []
    for _ in range(count):
        following = schedule.next_s(at_s)
        if following is None:
            break
        at_s = following
        found.append(datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M"))
    return found


# The examples of "Schedule recurring scaling actions using cron expressions". 2024-03-01: a Friday.
@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("cron(0 10 * * ? *)", "2024-03-01T10:00", ["2024-03-02T10:00", "2024-03-03T10:00"]),
        ("cron(15 12 * * ? *)", "2024-03-01T00:00", ["2024-03-01T12:15"]),
        ("cron(0 18 ? * MON-FRI *)", "2024-03-01T18:00", ["2024-03-04T18:00", "2024-03-05T18:00"]),
        ("cron(0 8 1 * ? *)", "2024-03-01T08:00", ["2024-04-01T08:00", "2024-05-01T08:00"]),
        (
            "cron(0/15 * * * ? *)",
            "2024-03-01T23:40",
            ["2024-03-01T23:45", "2024-03-02T00:00", "2024-03-02T00:15"],
        ),
        ("cron(0/10 * ? * MON-FRI *)", "2024-03-01T23:50", ["2024-03-04T00:00"]),
        (
            "cron(0/5 8-17 ? * MON-FRI *)",
            "2024-03-01T17:54",
            ["2024-03-01T17:55", "2024-03-04T08:00"],
        ),
        ("cron(0 6 L * ? *)", "2024-02-01T00:00", ["2024-02-29T06:00", "2024-03-31T06:00"]),
        ("cron(0 6 3W * ? *)", "2024-03-01T07:00", ["2024-03-04T06:00", "2024-04-03T06:00"]),
        ("cron(0 6 1W * ? *)", "2024-06-01T00:00", ["2024-06-03T06:00"]),
        ("cron(0 6 ? * 6#3 *)", "2024-03-01T00:00", ["2024-03-15T06:00", "2024-04-19T06:00"]),
        ("cron(0 6 ? * 6L *)", "2024-03-01T00:00", ["2024-03-29T06:00"]),
        ("cron(0 6 ? * L *)", "2024-03-01T00:00", ["2024-03-02T06:00"]),
        ("cron(0 6 29 FEB ? *)", "2024-03-01T00:00", ["2028-02-29T06:00"]),
        ("cron(0 6 ? * FRI-MON *)", "2024-03-01T06:00", [
                "2024-03-02T06:00",
                "2024-03-03T06:00",
                "2024-03-04T06:00",
                "2024-03-08T06:00",
            ]),
        ("cron(0 6 1 1 ? 2024-2026)", "2024-06-01T00:00", ["2025-01-01T06:00", "2026-01-01T06:00"]),
        ("cron(0,30 6 1 1/6 ? 2024)", "2024-01-02T00:00", ["2024-07-01T06:00", "2024-07-01T06:30"]),
    ],
)  # fmt: skip
def test_cron_comes_when_awss_six_fields_say(text: str, after: str, expected: list[str]) -> None:
    """An action a day late is a morning without capacity."""
    assert _times(text, after, len(expected)) == expected


def test_what_is_past_for_good_never_comes() -> None:
    """A schedule may end, and a 31st of February has none."""
    assert _times("cron(0 6 1 1 ? 2020)", "2024-01-01T00:00", 1) == []
    assert _times("cron(0 6 31 2 ? *)", "2024-01-01T00:00", 1) == []
    assert _times("at(2020-01-01T00:00:00)", "2024-01-01T00:00", 1) == []


def test_a_zone_follows_its_own_clock_through_summer() -> None:
    """09:00 in New York is 14:00 UTC in winter and 13:00 in summer."""
    assert _times("cron(0 9 * * ? *)", "2024-03-09T00:00", 3, "America/New_York") == [
        "2024-03-09T14:00",
        "2024-03-10T13:00",
        "2024-03-11T13:00",
    ]


def test_a_time_that_does_not_exist_is_skipped_and_one_that_comes_twice_counts_once() -> None:
    """02:30 is skipped on 10 March 2024 in New York; 01:30 on 3 November is the first of two."""
    assert _times("cron(30 2 * * ? *)", "2024-03-09T12:00", 1, "America/New_York") == [
        "2024-03-11T06:30"
    ]
    assert _times("cron(30 1 * * ? *)", "2024-11-02T12:00", 2, "America/New_York") == [
        "2024-11-03T05:30",
        "2024-11-04T06:30",
    ]


def test_at_is_one_moment_of_its_zones_clock() -> None:
    """The page's example: 5 pm in New York; its other example has a one-digit hour."""
    assert _times("at(2021-01-31T17:00:00)", "2021-01-01T00:00", 2, "America/New_York") == [
        "2021-01-31T22:00"
    ]
    assert _times("at(2020-12-08T9:36:00)", "2020-01-01T00:00", 1) == ["2020-12-08T09:36"]


def test_a_rate_counts_from_its_start() -> None:
    """Every five hours from noon, whenever one asks."""
    schedule = parse("rate(5 hours)", from_s=_s("2021-01-30T12:00"))

    assert schedule.next_s(_s("2021-01-30T12:00")) == _s("2021-01-30T17:00")
    assert schedule.next_s(_s("2021-01-30T21:59")) == _s("2021-01-30T22:00")
    assert schedule.next_s(_s("2021-01-30T22:00")) == _s("2021-01-31T03:00")


def test_a_recurring_action_comes_at_its_start_and_not_after_its_end() -> None:
    """AWS: it performs the action at this time, and then based on the recurrence."""
    start, end = _s("2021-01-30T12:00"), _s("2021-01-31T00:00")
    action = ScheduledAction("a", parse("rate(5 hours)", from_s=start), 3, 10, start, end)
    found, at_s = [], _s("2021-01-01T00:00")
    while (following := action.next_s(at_s)) is not None:
        found.append(following)
        at_s = following

    assert found == [start, start + 5 * 3600, start + 10 * 3600]


def test_an_action_that_came_due_often_is_done_once_and_all_in_order() -> None:
    """After a sleep, the last bounds of the day hold, set once each."""
    early = ScheduledAction("early", parse("cron(0/10 6 * * ? *)"), 2)
    late = ScheduledAction("late", parse("at(2024-03-01T06:05:00)"), 3)
    agenda = Agenda([late, early], _s("2024-03-01T05:00"))
    assert agenda.take(_s("2024-03-01T05:59")) == []
    found = agenda.take(_s("2024-03-01T07:00"))

    assert [(each.name, at_s) for at_s, each in found] == [
        ("early", _s("2024-03-01T06:00")),
        ("late", _s("2024-03-01T06:05")),
    ]
    assert agenda.take(_s("2024-03-01T08:00")) == []
    # A clock that was set back makes none of them due once more.
    assert agenda.take(_s("2024-03-01T06:30")) == []
    assert [(each.name, at_s) for at_s, each in agenda.take(_s("2024-03-02T06:30"))] == [
        ("early", _s("2024-03-02T06:00"))
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("every(5 minutes)", "is none"),
        ("rate(0 minutes)", "is none"),
        ("rate(1 minutes)", "wrong number"),
        ("rate(2 minute)", "wrong number"),
        ("at(2024-13-01T00:00:00)", "no moment"),
        ("cron(0 10 * * *)", "5 fields"),
        ("cron(0 0 10 * * ? *)", "seventh"),
        ("cron(60 10 * * ? *)", "within 0 to 59"),
        ("cron(0 10 1 * MON *)", r"write \?"),
        # EventBridge: beside a value or a * there must be a ?.
        ("cron(0 9 * * MON-FRI *)", r"write \?"),
        ("cron(0 9 1 * * *)", r"write \?"),
        ("cron(0 9 * * * *)", r"write \?"),
        ("cron(0 10 ? * ? *)", "for both"),
        ("cron(0 10 ? * FUN *)", "cannot be read"),
        ("cron(0 10 32 * ? *)", "within 1 to 31"),
        ("cron(0 10 ? * 6#9 *)", "no week"),
        ("cron(0 10 45W * ? *)", "no day"),
        ("cron(0/0 10 * * ? *)", "within"),
    ],
)
def test_a_schedule_that_means_nothing_is_refused(text: str, sentence: str) -> None:
    """Better now than at the hour at which nothing happens."""
    with pytest.raises(InvalidScheduleError, match=sentence):
        parse(text)


def test_a_zone_that_does_not_exist_is_refused() -> None:
    """`../etc/passwd` is none either."""
    for zone in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(InvalidScheduleError, match="no time zone"):
            parse("cron(0 10 * * ? *)", zone)
