"""What is worked out of an endpoint's past during a run."""

import json

import pytest

from windtunnel.lab.scaling_record import (
    Activity,
    AlarmPast,
    Counting,
    Sample,
    ScalingRecord,
    VariantPast,
    changing,
    cooldowns,
    sentence,
    spans_in,
)


def _activity(at_s: float, previous: int, desired: int, status: str = "Successful") -> Activity:
    return Activity(at_s, at_s + 1, previous, desired, status, "an alarm", 10.0, 20.0)


def _variant(*counts: int) -> VariantPast:
    samples = tuple(Sample(float(at_s), count, count) for at_s, count in enumerate(counts))
    return VariantPast("AllTraffic", 1, 4, samples, (), ())


_ALARM = AlarmPast(
    "high", "Invocations", 12.0, "GreaterThanThreshold", "OK", ((3.0, "ALARM"), (9.0, "OK"))
)


def test_of_many_looks_only_those_stay_that_found_another_number() -> None:
    """A run of a day looks 80,000 times, and its directory must stay small."""
    counting = Counting(count_max=3)
    for at_s, count in enumerate([1, 1, 1, 2, 2, 1, 3, 4, 4]):
        counting.take(Sample(100.0 + at_s, count, count))

    found = [(each.at_s, each.current) for each in counting.from_moment(100.0)]

    # Three changes are all that it may keep; how it ended is known all the same.
    assert found == [(0.0, 1), (3.0, 2), (5.0, 1), (8.0, 4)]


def test_an_alarm_is_in_one_state_at_any_moment_of_the_run() -> None:
    """A band that is not where the alarm was would blame the wrong moment."""
    assert spans_in(_ALARM, "OK", 20.0) == [(0.0, 3.0), (9.0, 20.0)]
    assert spans_in(_ALARM, "ALARM", 20.0) == [(3.0, 9.0)]
    assert spans_in(_ALARM, "INSUFFICIENT_DATA", 20.0) == []


def test_a_cooldown_begins_when_the_change_is_complete() -> None:
    """Whoever tunes a cooldown must see what it covers, and what the change itself took."""
    made = [_activity(5, 1, 3)]

    assert changing(made, 60.0) == [(5.0, 6.0)]
    assert cooldowns(made, is_out=True) == [(6.0, 16.0)]
    assert cooldowns(made, is_out=False) == []


def test_a_scale_out_ends_a_scale_ins_cooldown() -> None:
    """AWS does not wait with adding; the picture must not show it waiting."""
    made = [_activity(5, 3, 1), _activity(10, 1, 2)]

    assert cooldowns(made, is_out=False) == [(6.0, 10.0)]
    assert cooldowns(made, is_out=True) == [(11.0, 21.0)]


@pytest.mark.parametrize("status", ["Failed", "Unfulfilled"])
def test_what_came_to_nothing_begins_no_cooldown(status: str) -> None:
    """A failed change is tried again at once."""
    assert cooldowns([_activity(5, 1, 3, status)], is_out=True) == []


def test_a_change_that_goes_on_at_the_end_is_drawn_to_the_end() -> None:
    """On AWS an instance takes minutes, and the run is over before it is there."""
    going = Activity(5.0, None, 1, 3, "InProgress", "an alarm", 10.0, 20.0)

    assert changing([going], 60.0) == [(5.0, 60.0)]
    assert cooldowns([going], is_out=True) == []


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((1, 1), "1 instance throughout: no policy changed that"),
        ((1, 2, 3, 4, 4, 1), "From 1 to 4 to 1 instances, in 4 changes"),
        ((2, 1), "From 2 to 1 instances, in 1 change"),
        ((), "How many instances there were is not known"),
    ],
)
def test_the_title_says_what_the_endpoint_went_through(
    counts: tuple[int, ...], expected: str
) -> None:
    """Most people read the title and nothing else."""
    assert sentence(ScalingRecord(1.0, (_variant(*counts),))) == expected


def test_what_is_kept_is_read_back() -> None:
    """The page can be made again from the directory, on another day."""
    variant = VariantPast("A", 1, 4, (Sample(0.0, 1, 2),), (_activity(5, 1, 3),), (_ALARM,))
    record = ScalingRecord(30.0, (variant,), ("something could not be asked",))

    assert ScalingRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"format": 2},
        {"format": 1, "clock": 1.0},
        [],
        {"format": 1, "clock": 1, "variants": [1]},
    ],
)
def test_what_is_not_whole_is_refused(words: object) -> None:
    """Half a past would be drawn as if it were all."""
    with pytest.raises(ValueError, match="incomplete|format"):
        ScalingRecord.from_json(words)  # type: ignore[arg-type]
