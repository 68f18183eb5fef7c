"""A target on a virtual clock: what is counted, and that it decides as a live loop does."""

from random import Random

import numpy as np
import pytest

from windtunnel.autoscaling.alarm import Alarm, AlarmRule
from windtunnel.autoscaling.circumstances import METRIC_DELAY, Circumstances, Range
from windtunnel.autoscaling.decider import Bounds, Decider, Decision, Suspension, Tracked
from windtunnel.autoscaling.schedule import ScheduledAction, parse
from windtunnel.autoscaling.signals import (
    CONCURRENT_REQUESTS,
    INVOCATIONS_PER_INSTANCE,
    WatchedStep,
)
from windtunnel.autoscaling.simulator import simulate
from windtunnel.autoscaling.steps import Step, StepPolicy
from windtunnel.autoscaling.timeline import Demand, Setup, Timeline
from windtunnel.autoscaling.tracking import TrackingPolicy
from windtunnel.core.errors import UsageError

_NOW = Range(0, 0, "at once")
_START_S = 1_700_000_040.0  # a whole minute


def _exactly(duration_s: float) -> Range:
    return Range(duration_s, duration_s, "given")


def _around(
    capacity_rps: float = 1.0,
    delay_s: float = 0,
    start_up_s: float = 0,
    removal_s: float = 0,
    service_s: float | None = None,
) -> Circumstances:
    return Circumstances(
        capacity_rps,
        _exactly(delay_s),
        _exactly(start_up_s),
        _exactly(removal_s),
        service_s=service_s,
        seed=1,
    )


def _demand(*runs: tuple[float, int]) -> Demand:
    counts = np.concatenate([np.full(length, value, dtype=float) for value, length in runs])
    return Demand(_START_S, 60, counts)


def _setup(target: float = 30, most: int = 9, **more: object) -> Setup:
    policy = TrackingPolicy("follow", INVOCATIONS_PER_INSTANCE, target)
    return Setup("one", Bounds(1, most), (policy,), **more)  # type: ignore[arg-type]


def _desired(timeline: Timeline) -> list[tuple[float, int]]:
    """Return minutes since the start, and what was decided then."""
    return [
        ((each.decision.at_s - _START_S) / 60, each.decision.desired) for each in timeline.changes
    ]


def test_a_burst_is_followed_minute_by_minute_as_alarms_delay_and_start_up_say() -> None:
    """Five calm minutes, then 90 a minute: three periods, two minutes of delay, five of start."""
    timeline = simulate(_setup(), _demand((10, 5), (90, 30)), _around(2, 120, 300))

    assert _desired(timeline) == [(10, 3)]
    assert timeline.serving.tolist() == [1] * 15 + [3] * 20
    assert timeline.costing.tolist() == [1] * 10 + [3] * 25
    outcome = timeline.outcome()
    # One instance does 120 a minute at 2 requests/s: nothing was missed.
    assert outcome.over == 0
    assert outcome.instance_hours == pytest.approx((10 + 25 * 3) / 60)
    assert (outcome.peak, outcome.changes, outcome.requests) == (3, 1, 2750)


def test_what_the_serving_instances_cannot_do_is_over_capacity() -> None:
    """Ten minutes of 90 while one instance does 60: 30 a minute too many, and ten minutes long."""
    timeline = simulate(_setup(), _demand((10, 5), (90, 30)), _around(1, 120, 300))
    outcome = timeline.outcome()

    assert outcome.over == 10 * 30
    assert outcome.violation_s == 600
    assert outcome.share_over == pytest.approx(300 / 2750)
    assert timeline.outcome(0, 5).over == 0
    assert timeline.outcome(5, 6).over == 30


def test_what_goes_serves_no_longer_and_costs_until_it_is_gone() -> None:
    """Instances are charged until they are removed."""
    setup = _setup(initial=3)
    timeline = simulate(setup, _demand((1, 40)), _around(1, 0, 0, 120))

    assert _desired(timeline) == [(15, 1)]
    assert timeline.serving.tolist() == [3] * 15 + [1] * 25
    assert timeline.costing.tolist() == [3] * 17 + [1] * 23


def test_a_change_within_a_step_counts_for_its_part_of_it() -> None:
    """Half a minute with three instances is half of them for a minute more."""
    timeline = simulate(_setup(), _demand((10, 5), (90, 30)), _around(2, 30, 300))

    # Decided half a minute after the third high minute, in service five minutes later.
    assert timeline.serving.tolist()[12:15] == [1, 2, 3]
    assert timeline.costing.tolist()[7:10] == [1, 2, 3]


def test_the_same_seed_gives_the_same_timeline_and_another_one_another() -> None:
    """Two policies are compared in the same weather."""
    demand = _demand((10, 5), (90, 30), (5, 60), (200, 30))
    around = [Circumstances(1.0, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (simulate(_setup(), demand, each) for each in around)

    assert first.changes == again.changes
    assert first.changes != other.changes
    assert len(first.changes) == len(other.changes)


def test_alarms_and_what_was_not_done_are_told() -> None:
    """A timeline shows why nothing happened, too: once, with how long it was so."""
    timeline = simulate(_setup(most=1), _demand((90, 10)), _around())

    assert [(each.before, each.after) for each in timeline.transitions] == [
        ("INSUFFICIENT_DATA", "OK"),
        ("INSUFFICIENT_DATA", "ALARM"),
    ]
    (held,) = timeline.not_scaled
    assert held.held.reason is not None
    assert held.held.reason.code == "AlreadyAtMaxCapacity"
    assert held.periods == 8


def test_high_resolution_scales_out_within_the_minute() -> None:
    """Three periods of ten seconds; in as slowly as with standard metrics."""
    policy = TrackingPolicy("quick", CONCURRENT_REQUESTS, 1.0, out_cooldown_s=0, in_cooldown_s=0)
    setup = Setup("quick", Bounds(1, 9), (policy,))
    # 3 requests/s, each 1 s in the container: three at once.
    timeline = simulate(
        setup, _demand((6, 5), (180, 5), (6, 30)), _around(2, 0, 0, 0, service_s=1.0)
    )

    assert timeline.demand.period_s == 10
    assert _desired(timeline) == [(5.5, 3), (25, 1)]
    assert timeline.outcome().requests == 30 + 900 + 180


def test_metrics_of_ten_seconds_are_not_minutes_late_unless_the_user_says_so() -> None:
    """What high resolution is bought for would else be lost in a range for other metrics."""
    policy = TrackingPolicy("quick", CONCURRENT_REQUESTS, 1.0)
    demand = _demand((6, 5), (180, 30))
    usual = Circumstances(2.0, service_s=1.0)
    given = Circumstances(2.0, metric_delay=_exactly(90), service_s=1.0)
    first, late = (
        simulate(Setup("quick", Bounds(1, 9), (policy,)), demand, each).changes[0].decision.at_s
        for each in (usual, given)
    )

    # Three periods of ten seconds after five minutes, and 10 to 20 s of delay.
    assert 340 <= first - _START_S <= 350
    assert late - _START_S == 330 + 90
    assert simulate(_setup(), demand, usual).circumstances.metric_delay == METRIC_DELAY


def test_concurrency_needs_to_know_how_long_a_request_takes() -> None:
    """Guessing it would guess the result."""
    policy = TrackingPolicy("quick", CONCURRENT_REQUESTS, 1.0)
    with pytest.raises(UsageError, match="--service-time"):
        simulate(Setup("quick", Bounds(1, 9), (policy,)), _demand((6, 5)), _around())


def test_a_metric_that_a_trace_does_not_tell_is_refused_by_name() -> None:
    """A policy on a queue's length depends on the queue."""
    policy = TrackingPolicy("queue", "AWS/SQS/ApproximateNumberOfMessagesVisible/Average", 1.0)
    with pytest.raises(UsageError, match="ApproximateNumberOfMessagesVisible"):
        simulate(Setup("queue", Bounds(1, 9), (policy,)), _demand((6, 5)), _around())


def test_a_scheduled_action_sets_bounds_in_time_and_a_suspended_one_does_not() -> None:
    """Capacity for the morning is there in the morning."""
    at = ScheduledAction("morning", parse("at(2023-11-14T22:19:00)"), 5, 6)
    for suspension, wanted in ((Suspension(), [(5, 5)]), (Suspension(scheduled=True), [])):
        setup = _setup(actions=(at,), suspension=suspension)
        timeline = simulate(setup, _demand((28, 20)), _around())

        assert _desired(timeline) == wanted
    assert at.next_s(0) == _START_S + 300


def test_bounds_that_come_while_the_endpoint_is_changed_are_made_good_afterwards() -> None:
    """SageMaker takes one change at a time; none is forgotten."""
    at = ScheduledAction("morning", parse("at(2023-11-14T22:19:00)"), 5, 6)
    timeline = simulate(_setup(actions=(at,)), _demand((59, 20)), _around(1, 0, 240))

    assert _desired(timeline) == [(3, 2), (7, 5)]


def test_step_policies_are_simulated_with_their_alarms() -> None:
    """Every 50 requests a minute on an instance add one, three more add two."""
    policy = StepPolicy("up", "ChangeInCapacity", (Step(1, 0, 100), Step(2, 100, None)))
    rule = AlarmRule("busy", 50, "GreaterThanOrEqualToThreshold", 1, 1)
    watch = WatchedStep(rule, "AWS/SageMaker/InvocationsPerInstance/Sum")
    setup = Setup("steps", Bounds(1, 9), stepping=((policy, watch),))
    timeline = simulate(setup, _demand((10, 5), (170, 3)), _around())

    assert _desired(timeline) == [(6, 3)]


# --- live and simulated -------------------------------------------------------------------------

_TICK_S = 5


class LiveLoop:
    """What a live loop does, by ticks: its own metrics, its own instances, the same decider."""

    def __init__(self, setup: Setup, around: Circumstances) -> None:
        (policy,) = setup.tracking
        self.around = around
        self.high = Alarm(policy.high_rule(setup.resource_id, policy.name))
        low = policy.low_rule(setup.resource_id, policy.name)
        self.low = None if low is None else Alarm(low)
        self.decider = Decider(setup.bounds, [Tracked(policy, self.high, self.low)])
        self.desired = self.serving = setup.bounds.low
        self.metric: dict[int, float] = {}
        self.pending: tuple[float, Decision] | None = None
        self.decisions: list[Decision] = []

    def tick(self, now_s: float, requests: float) -> None:
        """Act at a moment, then serve what comes until the next one."""
        if self.pending is not None and self.pending[0] <= now_s:
            done_s, decision = self.pending
            self.serving = decision.desired
            self.decider.fulfilled(decision, done_s)
            self.pending = None
        looked = False
        for alarm in (self.high, self.low):
            if alarm is None:
                continue
            ended = alarm.rule.ended_by(now_s - self.around.metric_delay.low_s)
            first = min(self.metric, default=ended + 1)
            if alarm.period is not None:
                first = int(alarm.period) + 1
            for period in range(first, ended + 1):
                alarm.observe(period, self.metric.get(period))
                looked = True
        if looked:
            found = self.decider.decide(now_s, self.desired, is_scalable=self.pending is None)
            if isinstance(found, Decision):
                self.decisions.append(found)
                self.desired = found.desired
                takes = self.around.start_up if found.is_out else self.around.removal
                self.pending = (now_s + takes.low_s, found)
                if not found.is_out:
                    self.serving = found.desired
        period = int(now_s // 60)
        self.metric[period] = self.metric.get(period, 0.0) + requests / self.serving


@pytest.mark.slow
def test_live_and_simulated_decide_the_same_in_200_scenarios() -> None:
    """A dry run is worth something only if the real thing then does the same."""
    changes = 0
    for seed in range(200):
        random = Random(seed)  # noqa: S311
        target = random.choice([7, 30, 100])
        policy = TrackingPolicy(
            "follow",
            INVOCATIONS_PER_INSTANCE,
            target,
            random.choice([0, 60, 300]),
            random.choice([0, 120, 300]),
            random.random() < 0.1,
        )
        most = random.choice([1, 4, 40])
        setup = Setup("s", Bounds(random.choice([0, 1]), most), (policy,))
        around = _around(
            1,
            random.choice([0, 60, 120, 175]),
            random.choice([5, 60, 300, 425]),
            random.choice([5, 60, 180]),
        )
        level, counts = target * 1.5, []
        for _ in range(150):
            if random.random() < 0.05:
                level = target * random.choice([0, 0.2, 1, 3, 10, 30])
            # Multiples of the ticks of a minute, so that both count whole requests.
            counts.append(12.0 * int(level * random.uniform(0.8, 1.2) / 12))
        timeline = simulate(setup, Demand(_START_S, 60, np.array(counts)), around)
        live = LiveLoop(setup, around)
        end_s = _START_S + 60 * len(counts) + around.metric_delay.low_s
        now_s = _START_S
        while now_s <= end_s:
            minute = int((now_s - _START_S) // 60)
            live.tick(now_s, counts[minute] / 12 if minute < len(counts) else 0.0)
            now_s += _TICK_S

        simulated = [
            (each.decision.at_s, each.decision.desired, each.decision.cause)
            for each in timeline.changes
        ]
        assert simulated == [(d.at_s, d.desired, d.cause) for d in live.decisions], seed
        changes += len(simulated)

    assert changes > 500
