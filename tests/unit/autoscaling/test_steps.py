"""Step policies: AWS's worked example, rounding, bounds, and the steps it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.autoscaling.steps import (
    AdjustmentType,
    InvalidStepsError,
    Step,
    StepPolicy,
    percent_change,
)

# "Step scaling policies for Application Auto Scaling", "Step adjustments": an alarm at 50.
OUT = StepPolicy(
    "out",
    "PercentChangeInCapacity",
    (Step(0, 0, 10), Step(10, 10, 20), Step(30, 20, None)),
)
IN = StepPolicy(
    "in",
    "PercentChangeInCapacity",
    (Step(0, -10, 0), Step(-10, -20, -10), Step(-30, None, -20)),
)


def _after(capacity: int, value: float) -> int:
    """Return the capacity after both policies looked at a value against the threshold of 50."""
    for policy, is_upward in ((OUT, True), (IN, False)):
        step = policy.step_at(value - 50, is_upward=is_upward)
        if step is not None:
            capacity = policy.wanted_capacity(capacity, step)
    return capacity


def test_awss_worked_example_comes_out_as_on_its_page() -> None:
    """10, at 60% 11, at 70% 14, at 40% 13, at 30% 10."""
    capacities = [10]
    for value in (60, 70, 40, 30):
        capacities.append(_after(capacities[-1], value))

    assert capacities == [10, 11, 14, 13, 10]


@pytest.mark.parametrize("value", [41, 50, 59.9])
def test_between_the_steps_capacity_stays(value: float) -> None:
    """Greater than 40 and less than 60: unchanged, as the page says."""
    assert _after(10, value) == 10


@pytest.mark.parametrize(
    ("capacity", "percent", "change"),
    [
        (127, 10, 12),  # 12.7 is rounded to 12
        (67, 1, 1),  # .67 to 1
        (58, -1, -1),  # -.58 to -1
        (667, -1, -6),  # -6.67 to -6
        (10, 0, 0),
        (0, 50, 0),
        (3, 100, 3),
    ],
)
def test_percentages_are_rounded_as_aws_says(capacity: int, percent: int, change: int) -> None:
    """The four examples of the page, and what changes nothing."""
    assert percent_change(capacity, percent) == change


def test_min_adjustment_magnitude_makes_a_small_step_larger() -> None:
    """25 percent of 4 is 1; with a magnitude of 2 it is 2 (the page's example)."""
    assert percent_change(4, 25, 2) == 2
    assert percent_change(4, -25, 2) == -2
    assert percent_change(40, 25, 2) == 10
    assert percent_change(4, 0, 2) == 0


@pytest.mark.parametrize(
    ("kind", "adjustment", "wanted"), [("ChangeInCapacity", 5, 8), ("ExactCapacity", 5, 5)]
)
def test_other_adjustments_add_or_set(kind: AdjustmentType, adjustment: int, wanted: int) -> None:
    """The page: 3 and an adjustment of 5 make 8, or exactly 5."""
    policy = StepPolicy("p", kind, (Step(adjustment, 0, None),))

    assert policy.wanted_capacity(3, policy.steps[0]) == wanted


def test_bounds_belong_to_the_step_away_from_the_threshold() -> None:
    """Above it the lower bound counts, below it the upper one."""
    assert OUT.step_at(10, is_upward=True) == Step(10, 10, 20)
    assert OUT.step_at(0, is_upward=True) == Step(0, 0, 10)
    assert IN.step_at(-10, is_upward=False) == Step(-10, -20, -10)
    assert IN.step_at(0, is_upward=False) == Step(0, -10, 0)


def test_where_there_is_no_step_there_is_none() -> None:
    """Seen on AWS: a scale-in policy with a lower bound of 0 finds no step below the threshold."""
    policy = StepPolicy("down", "ChangeInCapacity", (Step(-1, 0, None),))

    assert policy.step_at(0.14 - 85, is_upward=False) is None


@pytest.mark.parametrize(
    ("aggregation", "value"), [("Average", 3.0), ("Minimum", 1.0), ("Maximum", 6.0)]
)
def test_data_points_are_aggregated_as_the_policy_says(aggregation: str, value: float) -> None:
    """MetricAggregationType decides which step a ragged metric is in."""
    policy = StepPolicy("p", "ChangeInCapacity", (Step(1, 0),), aggregation=aggregation)  # type: ignore[arg-type]

    assert policy.aggregated([1, 2, 6]) == value


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ((), "At least one"),
        ((Step(1, None, None),), "both be unspecified"),
        ((Step(1, 0, 10), Step(2, 20, None)), "gap"),
        ((Step(1, 0, 15), Step(2, 10, None)), "overlap"),
        ((Step(1, 0, None), Step(2, 10, None)), "upper bound"),
        ((Step(-1, None, -10), Step(-2, None, 0)), "lower bound"),
        ((Step(1, 0, 10),), "unspecified upper bound"),
        ((Step(-1, -10, 0),), "unspecified lower bound"),
        ((Step(1, 10, 10),), "greater than"),
        ((Step(1, float("nan"), 10),), "finite"),
        (tuple(Step(1, n, n + 1) for n in range(21)), "at most 20"),
    ],
)
def test_steps_that_aws_refuses_are_refused_with_what_is_wrong(
    steps: tuple[Step, ...], sentence: str
) -> None:
    """A policy that can never be put should not be simulated for an hour first."""
    with pytest.raises(InvalidStepsError, match=sentence):
        StepPolicy("p", "ChangeInCapacity", steps)


def test_what_belongs_to_another_adjustment_is_refused() -> None:
    """A magnitude without percentages, a negative exact capacity."""
    with pytest.raises(InvalidStepsError, match="MinAdjustmentMagnitude"):
        StepPolicy("p", "ChangeInCapacity", (Step(1, 0),), magnitude_min=2)
    with pytest.raises(InvalidStepsError, match="negative"):
        StepPolicy("p", "ExactCapacity", (Step(-1, 0),))


@given(st.floats(-200, 200))
def test_one_step_at_most_holds_any_distance(distance: float) -> None:
    """Two steps for one value would make the order of a list decide."""
    for policy, is_upward in ((OUT, True), (IN, False)):
        is_above = distance > 0 or (distance == 0 and is_upward)
        held = [step for step in policy.steps if step.holds(distance, is_above=is_above)]

        assert len(held) <= 1
