"""What a scalable target's policies make of its metrics, minute after minute."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windtunnel.autoscaling.activity import NotScaledReason
from windtunnel.autoscaling.alarm import Alarm, AlarmRule
from windtunnel.autoscaling.decider import (
    Bounds,
    Decider,
    Decision,
    Held,
    Stepped,
    Suspension,
    Tracked,
)
from windtunnel.autoscaling.steps import Step, StepPolicy
from windtunnel.autoscaling.tracking import TrackingPolicy

_METRIC = "SageMakerVariantInvocationsPerInstance"
_RESOURCE = "endpoint/e/variant/v"


def tracked(
    target: float = 10,
    name: str = "follow",
    *,
    out_s: float = 300,
    in_s: float = 300,
    is_in_disabled: bool = False,
) -> Tracked:
    policy = TrackingPolicy(name, _METRIC, target, out_s, in_s, is_in_disabled)
    low = policy.low_rule(_RESOURCE, f"{name}-low")
    high = Alarm(policy.high_rule(_RESOURCE, f"{name}-high"))
    return Tracked(policy, high, None if low is None else Alarm(low))


class Scene:
    """A decider, minute by minute; changes are complete `start_up` minutes after the decision."""

    def __init__(self, decider: Decider, capacity: int = 1, *, start_up: int = 0) -> None:
        self.decider = decider
        self.capacity = capacity
        self.minute = 0
        self.found: list[Decision | Held | None] = []
        self._start_up = start_up
        self._pending: tuple[int, Decision] | None = None

    @property
    def now_s(self) -> float:
        return self.minute * 60.0

    def play(self, *values: float | None, times: int = 1) -> "Scene":
        """Tell every alarm the same value for each next minute, and act on what is decided."""
        for value in values * times:
            self.play_each([value] * len(self.decider.tracked))
        return self

    def play_each(self, values: list[float | None], step: float | None = None) -> None:
        """Tell each tracking policy's alarms a value of their own, and step alarms another."""
        for each, value in zip(self.decider.tracked, values, strict=True):
            each.high.observe(self.minute, value)
            if each.low is not None:
                each.low.observe(self.minute, value)
        for stepped in self.decider.stepped:
            stepped.alarm.observe(self.minute, step)
        self.minute += 1
        if self._pending is not None and self._pending[0] <= self.minute:
            self.decider.fulfilled(self._pending[1], self._pending[0] * 60.0)
            self._pending = None
        decision = self.decider.decide(self.now_s, self.capacity, is_scalable=self._pending is None)
        self.found.append(decision)
        if isinstance(decision, Decision):
            assert decision.previous == self.capacity
            self.capacity = decision.desired
            if self._start_up:
                self._pending = (self.minute + self._start_up, decision)
            else:
                self.decider.fulfilled(decision, self.now_s)

    @property
    def last(self) -> Decision | Held | None:
        return self.found[-1]


def _held(found: Decision | Held | None) -> Held:
    assert isinstance(found, Held)
    return found


def _decision(found: Decision | Held | None) -> Decision:
    assert isinstance(found, Decision)
    return found


def test_three_high_minutes_scale_out_at_once_to_the_maximum() -> None:
    """The workshop's scene: a target of 10, 130 a minute, from 1 straight to 4."""
    scene = Scene(Decider(Bounds(1, 4), [tracked(10)])).play(130, 130)
    assert scene.found == [None, None]
    scene.play(130)
    decision = _decision(scene.last)

    assert decision.desired == 4
    assert decision.cause == (
        "monitor alarm TargetTracking-endpoint/e/variant/v-AlarmHigh-follow-high in state ALARM "
        "triggered policy follow"
    )
    assert decision.why == "1 x 130 / 10 asks for 13"
    assert decision.is_out


def test_fifteen_calm_minutes_scale_in_and_fourteen_do_not() -> None:
    """Scaling in is slow on purpose."""
    scene = Scene(Decider(Bounds(1, 4), [tracked(10)]), 4).play(1, times=14)
    assert scene.capacity == 4
    scene.play(1)

    assert scene.capacity == 1
    assert not _decision(scene.last).is_out


def test_between_nine_tenths_and_the_target_nothing_happens() -> None:
    """That is where a policy wants the metric."""
    scene = Scene(Decider(Bounds(1, 4), [tracked(10)]), 2).play(9.5, times=60)

    assert set(scene.found) == {None}


def test_at_the_bounds_nothing_changes_and_the_reason_is_awss() -> None:
    """DescribeScalingActivities shows these two codes with their capacity."""
    high = Scene(Decider(Bounds(1, 4), [tracked(10)]), 4).play(130, times=3)
    low = Scene(Decider(Bounds(2, 4), [tracked(10)]), 2).play(0, times=15)

    assert _held(high.last).reason == NotScaledReason("AlreadyAtMaxCapacity", capacity_max=4)
    assert _held(low.last).reason == NotScaledReason("AlreadyAtMinCapacity", capacity_min=2)


def test_a_scale_in_that_would_come_back_is_not_made() -> None:
    """Two instances at 8 of 10: one alone would have 16 and scale out again."""
    scene = Scene(Decider(Bounds(1, 4), [tracked(10)]), 2).play(8, times=20)

    assert scene.capacity == 2
    assert _held(scene.last).reason == NotScaledReason("AutoScalingAnticipatedFlapping", capacity=2)


def test_in_a_scale_outs_cooldown_only_a_larger_one_breaks_through() -> None:
    """2 instances grew to 4: two more wait for the cooldown's end, six more do not."""
    scene = Scene(Decider(Bounds(1, 20), [tracked(10)]), 2).play(18, times=3)
    assert scene.capacity == 4
    scene.play(14)
    assert scene.capacity == 4
    assert _held(scene.last).why == "scale-out cooldown of +2, and 4 x 14 / 10 asks for 6"
    scene.play(25)
    assert scene.capacity == 10

    assert _decision(scene.last).why == "4 x 25 / 10 asks for 10"


def test_in_a_cooldown_what_was_measured_on_the_old_fleet_is_held_against_it() -> None:
    """One instance asked for 13 twice has 13; its next 200 of 10 ask for 20, not for 260."""
    scene = Scene(Decider(Bounds(1, 99), [tracked(10)]), 1, start_up=4).play(130, times=6)
    assert scene.capacity == 13
    scene.play(200)

    assert scene.capacity == 20
    assert _decision(scene.last).why == "1 x 200 / 10 asks for 20"


def test_after_the_cooldown_the_whole_fleet_counts() -> None:
    """Four instances at 14 of 10 are too few, once they had their time."""
    scene = Scene(Decider(Bounds(1, 9), [tracked(10)]), 2).play(18, times=3).play(14, times=5)
    decisions = [each for each in scene.found if isinstance(each, Decision)]

    assert [each.desired for each in decisions] == [4, 6]
    assert decisions[1].at_s - decisions[0].at_s == 300


def test_data_points_of_the_old_fleet_do_not_count_for_the_new_one() -> None:
    """With no cooldown at all, the same three minutes must not add instances twice."""
    scene = Scene(Decider(Bounds(1, 99), [tracked(10, out_s=0)]), 1, start_up=4)
    scene.play(130, times=6)
    assert scene.capacity == 13
    # In service since a moment ago; this minute's metric is still about the one instance.
    scene.play(130)

    assert scene.capacity == 13
    assert _held(scene.last).why == "1 x 130 / 10 asks for 13"


def test_cooldowns_begin_when_the_change_is_complete() -> None:
    """AWS: "after Application Auto Scaling successfully scales out"."""
    scene = Scene(Decider(Bounds(1, 99), [tracked(10, out_s=300)]), 1, start_up=4)
    scene.play(40, times=7).play(15, times=30)
    decisions = [each for each in scene.found if isinstance(each, Decision)]

    assert [each.desired for each in decisions[:2]] == [4, 6]
    assert decisions[1].at_s - decisions[0].at_s == 4 * 60 + 300


def test_while_the_endpoint_is_being_changed_nothing_is_decided() -> None:
    """SageMaker takes no second change then; Auto Scaling says so and tries again."""
    scene = Scene(Decider(Bounds(1, 9), [tracked(10)]), 1, start_up=3)
    scene.play(20, 20, 20)
    scene.play(55)

    reason = NotScaledReason("TargetServicePutResourceAsUnscalable")
    assert _held(scene.last).reason == reason


def test_a_scale_in_waits_for_the_last_ones_cooldown() -> None:
    """Instances leave one decision at a time."""
    scene = Scene(Decider(Bounds(1, 9), [tracked(10, in_s=300)]), 8).play(5, times=15)
    assert scene.capacity == 4
    scene.play(1)
    assert "cooldown" in _held(scene.last).why
    scene.play(1, times=4)

    assert scene.capacity == 1


def test_a_scale_out_does_not_wait_for_a_scale_ins_cooldown_and_ends_it() -> None:
    """Availability first: the way out is always free."""
    scene = Scene(Decider(Bounds(1, 9), [tracked(10, out_s=0, in_s=6000)]), 8).play(1, times=15)
    assert scene.capacity == 1
    scene.play(40, times=3)
    assert scene.capacity == 4
    scene.play(1, times=15)

    assert scene.capacity == 1


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_ends_a_cooldown(jump_s: float) -> None:
    """An endpoint must not stay too small for a day because a clock was put right."""
    scene = Scene(Decider(Bounds(1, 9), [tracked(10)]), 2).play(18, times=3)
    (each,) = scene.decider.tracked
    assert scene.capacity == 4
    each.high.observe(scene.minute, 14)
    held = scene.decider.decide(scene.now_s, 4)
    freed = scene.decider.decide(scene.now_s + jump_s, 4)

    assert "cooldown" in _held(held).why
    assert _decision(freed).desired == 6


def test_any_policy_scales_out_and_the_largest_capacity_wins() -> None:
    """Two metrics, one fleet: the one in more need decides."""
    decider = Decider(Bounds(1, 9), [tracked(10, "calm"), tracked(10, "busy")])
    scene = Scene(decider, 2)
    for _ in range(3):
        scene.play_each([12, 22])

    assert scene.capacity == 5
    assert _decision(scene.last).policy == "busy"


def test_all_policies_must_agree_to_scale_in_and_the_largest_capacity_wins() -> None:
    """In only if nobody minds, and no further than the most cautious says."""
    decider = Decider(Bounds(1, 9), [tracked(10, "calm"), tracked(10, "busy")])
    scene = Scene(decider, 8)
    for _ in range(20):
        scene.play_each([1, 9.5])
    assert scene.capacity == 8
    for _ in range(15):
        scene.play_each([1, 5])

    assert scene.capacity == 4
    assert _decision(scene.last).policy == "busy"


def test_a_policy_that_may_not_scale_in_is_not_asked_about_it() -> None:
    """DisableScaleIn leaves the way in to the others."""
    decider = Decider(Bounds(1, 9), [tracked(10, "a"), tracked(10, "b", is_in_disabled=True)])
    scene = Scene(decider, 8)
    for _ in range(15):
        scene.play_each([1, 9.5])

    assert scene.capacity == 1


def test_a_policy_alone_that_may_not_scale_in_never_does() -> None:
    """A night of zeros leaves its fleet as it is."""
    scene = Scene(Decider(Bounds(1, 9), [tracked(10, is_in_disabled=True)]), 8).play(0, times=99)

    assert scene.capacity == 8


@pytest.mark.parametrize("pattern", [[None], [math.nan], [1, None], [None, 1], [1] + [None] * 14])
def test_missing_data_never_scales_in(pattern: list[float | None]) -> None:
    """A broken metric must not empty a fleet."""
    scene = Scene(Decider(Bounds(1, 9), [tracked(10)]), 8).play(*pattern, times=60)

    assert scene.capacity == 8


def test_missing_data_do_not_scale_out_either() -> None:
    """An alarm that is still in ALARM has nothing to compute with."""
    scene = Scene(Decider(Bounds(1, 9), [tracked(10)]), 9).play(20, times=3)
    scene.capacity = 2
    scene.play(None)

    assert "no data point" in _held(scene.last).why


def test_negative_values_are_below_any_target() -> None:
    """They scale in like a zero, and never below the minimum."""
    scene = Scene(Decider(Bounds(2, 9), [tracked(10)]), 8).play(-5, times=15)

    assert scene.capacity == 2


def _step_decider(cooldown_s: float = 300, *extra: Stepped) -> Decider:
    up = StepPolicy(
        "up", "ChangeInCapacity", (Step(2, 0, 10), Step(3, 10, None)), cooldown_s=cooldown_s
    )
    rule = AlarmRule("busy", 50, "GreaterThanOrEqualToThreshold", 1, 1)
    return Decider(Bounds(1, 20), (), [Stepped(up, Alarm(rule)), *extra])


def test_in_a_step_policys_cooldown_the_difference_is_added() -> None:
    """AWS's example: an increase of 2, then a step of 3 in its cooldown, adds only 1."""
    scene = Scene(_step_decider(), 5)
    scene.play_each([], 55)
    assert scene.capacity == 7
    scene.play_each([], 55)
    assert scene.capacity == 7
    scene.play_each([], 65)

    assert scene.capacity == 8
    assert _decision(scene.last).cause == "monitor alarm busy in state ALARM triggered policy up"


def test_a_step_is_found_by_the_data_points_that_breached() -> None:
    """Two of the last five breach; the mean of all five lies in no step."""
    up = StepPolicy("up", "ChangeInCapacity", (Step(1, 0, None),), cooldown_s=0)
    rule = AlarmRule("busy", 5, "GreaterThanThreshold", 5, 2)
    scene = Scene(Decider(Bounds(1, 9), (), [Stepped(up, Alarm(rule))]), 1)
    for value in (0, 0, 9, 0, 9):
        scene.play_each([], value)

    assert scene.capacity == 2
    assert _decision(scene.last).why == "9 makes 2 of 1"


def test_awss_step_example_plays_through_a_decider() -> None:
    """10, 11, 14, 13, 10 with both policies and their alarms, no cooldown between."""
    out = StepPolicy(
        "out",
        "PercentChangeInCapacity",
        (Step(0, 0, 10), Step(10, 10, 20), Step(30, 20, None)),
        cooldown_s=0,
    )
    back = StepPolicy(
        "back",
        "PercentChangeInCapacity",
        (Step(0, -10, 0), Step(-10, -20, -10), Step(-30, None, -20)),
        cooldown_s=0,
    )
    above = AlarmRule("above", 50, "GreaterThanOrEqualToThreshold", 1, 1)
    below = AlarmRule("below", 50, "LessThanOrEqualToThreshold", 1, 1)
    decider = Decider(Bounds(1, 99), (), [Stepped(out, Alarm(above)), Stepped(back, Alarm(below))])
    scene, capacities = Scene(decider, 10), [10]
    for value in (60, 70, 40, 30):
        scene.play_each([], value)
        capacities.append(scene.capacity)

    assert capacities == [10, 11, 14, 13, 10]


def test_a_step_policys_scale_in_does_not_wait_for_the_tracking_policies() -> None:
    """AWS warns of mixing them for this reason: it is not blocked."""
    down = StepPolicy("down", "ChangeInCapacity", (Step(-1, None, 0),))
    rule = AlarmRule("idle", 20, "LessThanThreshold", 1, 1)
    decider = Decider(Bounds(1, 9), [tracked(10)], [Stepped(down, Alarm(rule))])
    scene = Scene(decider, 4)
    scene.play_each([9.5], 5)

    assert scene.capacity == 3


def test_missing_data_never_scale_in_a_step_policy_whatever_they_are_treated_as() -> None:
    """`breaching` may wake people; it must not remove instances."""
    down = StepPolicy("down", "ChangeInCapacity", (Step(-1, None, 0),))
    rule = AlarmRule("idle", 20, "LessThanThreshold", 3, 2, treat_missing="breaching")
    scene = Scene(Decider(Bounds(1, 9), (), [Stepped(down, Alarm(rule))]), 4)
    for value in (5, None, None, None, None, None, None):
        scene.play_each([], value)

    assert scene.decider.stepped[0].alarm.state == "ALARM"
    assert scene.capacity == 4


def test_a_value_without_a_step_is_told_in_words() -> None:
    """A scale-in policy with a lower bound of 0 is a common mistake; AWS's history says as much."""
    down = StepPolicy("down", "ChangeInCapacity", (Step(-1, 0, None),))
    rule = AlarmRule("idle", 85, "LessThanThreshold", 1, 1)
    scene = Scene(Decider(Bounds(1, 9), (), [Stepped(down, Alarm(rule))]), 4)
    scene.play_each([], 0.14)

    assert "no step adjustment" in _held(scene.last).why


def test_suspended_scaling_is_taken_up_by_alarms_that_are_in_breach_then() -> None:
    """Resuming makes nothing up, and does not need the alarm to change its state again."""
    decider = Decider(Bounds(1, 9), [tracked(10)], suspension=Suspension(scale_out=True))
    scene = Scene(decider, 1).play(30, times=6)
    assert scene.capacity == 1
    assert "suspended" in _held(scene.last).why
    decider.suspension = Suspension(scale_in=True)
    scene.play(30)
    assert scene.capacity == 3
    scene.play(1, times=20)
    assert scene.capacity == 3
    decider.suspension = Suspension()
    scene.play(1)

    assert scene.capacity == 1


def test_new_bounds_clip_at_once_and_wait_for_no_cooldown() -> None:
    """Re-registering a target, or a scheduled action, changes capacity then and there."""
    scene = Scene(Decider(Bounds(1, 9), [tracked(10)]), 2).play(18, times=3)
    up = scene.decider.rebound(scene.now_s, 4, Bounds(6, 9))
    down = scene.decider.rebound(scene.now_s, 6, Bounds(1, 3))

    assert up is not None
    assert down is not None
    assert (up.desired, up.cause) == (6, "minimum capacity was set to 6")
    assert (down.desired, down.cause) == (3, "maximum capacity was set to 3")
    assert scene.decider.rebound(scene.now_s, 3, Bounds(1, 3)) is None


def test_bounds_that_somebody_left_by_hand_hold_when_an_alarm_goes_off() -> None:
    """Seen on AWS: capacity set below the minimum stays until then, and is not enforced before."""
    scene = Scene(Decider(Bounds(4, 9), [tracked(10)]), 2).play(5, times=10)
    assert scene.capacity == 2
    scene.play(11, times=3)

    assert scene.capacity == 4


def test_a_minimum_of_zero_is_accepted_and_one_instance_stays() -> None:
    """A variant that serves in real time does not go to zero."""
    bounds = Bounds(0, 9)
    scene = Scene(Decider(bounds, [tracked(10)]), 5).play(0, times=15)

    assert scene.capacity == 1
    assert Bounds(0, 0).clipped(5) == 1


_minute = st.one_of(
    st.none(),
    st.just(math.nan),
    st.floats(-100, 1e4),
    st.sampled_from([0.0, 5.0, 9.0, 10.0, 10.5, 30.0]),
)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(_minute, st.integers(1, 30)), max_size=12),
    st.integers(0, 5),
    st.integers(0, 20),
    st.integers(1, 40),
    st.integers(0, 6),
    st.sampled_from([0, 60, 300]),
)
def test_whatever_the_metric_does_capacity_stays_within_its_bounds(
    runs: list[tuple[float | None, int]],
    capacity_min: int,
    width: int,
    capacity: int,
    start_up: int,
    cooldown_s: float,
) -> None:
    """And no minute without data ever removed an instance."""
    bounds = Bounds(capacity_min, max(capacity_min + width, 1))
    decider = Decider(
        bounds,
        [tracked(10, "a", out_s=cooldown_s, in_s=cooldown_s), tracked(25, "b", in_s=cooldown_s)],
    )
    scene = Scene(decider, bounds.clipped(capacity), start_up=start_up)
    for value, length in runs:
        for _ in range(length):
            before = scene.capacity
            scene.play(value)
            assert bounds.low <= scene.capacity <= bounds.capacity_max
            if value is None or math.isnan(value):
                assert scene.capacity == before
