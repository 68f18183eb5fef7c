"""The live loop and the simulator decide the same, minute by minute."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from windtunnel.autoscaling.circumstances import Circumstances, Range
from windtunnel.autoscaling.decider import Bounds
from windtunnel.autoscaling.simulator import simulate
from windtunnel.autoscaling.timeline import Demand, Setup
from windtunnel.autoscaling.tracking import TrackingPolicy
from windtunnel.cloud.cloudwatch.metric import INVOCATIONS, Sample, variant_metric
from windtunnel.cloud.cloudwatch.summary import Summary

# The fixture's types live in conftest.py, which no module can import.
Play = Any
np = pytest.importorskip("numpy")

_METRIC = "SageMakerVariantInvocationsPerInstance"
_SCENARIOS = 200
_MINUTES = 120
# When in a minute a data point is seen, and so when a change begins or is complete.
_SEEN_S = 0.75


@dataclass
class Scenario:
    """One target, its policy, its traffic, and how long its instances take."""

    number: int
    target: float
    out_s: int
    in_s: int
    low: int
    high: int
    start_minutes: int
    counts: list[int]
    # How many served in the minute that ended, but for its first moment, and in that.
    serving: int = 1
    serving_before: int = 1
    settles_at: int | None = None
    changes: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return f"e{self.number}"


def _scenario(number: int) -> Scenario:
    chance = random.Random(number)  # noqa: S311 - a play, not a secret
    target = chance.choice([20.0, 50.0, 60.0, 100.0])
    low = chance.choice([1, 1, 2])
    level, counts = 1.0, []
    for _ in range(_MINUTES):
        if chance.random() < 0.08:
            level = chance.choice([0.0, 0.3, 0.95, 1.0, 2.0, 3.5, 7.0, 12.0])
        counts.append(round(target * level * chance.uniform(0.8, 1.2)))
    return Scenario(
        number,
        target,
        chance.choice([0, 60, 120, 300]),
        chance.choice([0, 60, 300, 600]),
        low,
        low + chance.choice([1, 3, 9]),
        chance.choice([0, 1, 2, 5]),
        counts,
        serving=low,
        serving_before=low,
    )


def _simulated(scenario: Scenario, start_s: float) -> list[tuple[int, int, int]]:
    policy = TrackingPolicy("p", _METRIC, scenario.target, scenario.out_s, scenario.in_s)
    setup = Setup("s", Bounds(scenario.low, scenario.high), (policy,), initial=scenario.low)
    takes_s = 60.0 * scenario.start_minutes
    around = Circumstances(
        1.0,
        Range(_SEEN_S, _SEEN_S, "here"),
        Range(takes_s, takes_s, "here"),
        Range(takes_s, takes_s, "here"),
    )
    demand = Demand(start_s, 60, np.array(scenario.counts, dtype=float))
    return [
        (
            round((each.decision.at_s - _SEEN_S - start_s) / 60),
            each.decision.previous,
            each.decision.desired,
        )
        for each in simulate(setup, demand, around).changes
    ]


def _measure(played: Any, scenario: Scenario, count: int, at_s: int) -> None:
    """Have a minute's metric: each request publishes one divided by those who serve then."""
    first = _SEEN_S / scenario.serving_before + (60 - _SEEN_S) / scenario.serving
    metric = variant_metric(INVOCATIONS, "InvocationsPerInstance", scenario.name, "v")
    value = Summary.of_value(count * (first / 60))
    played.cloudwatch.add([Sample(metric, "None", at_s, value)])
    scenario.serving_before = scenario.serving


def _follow(played: Any, scenario: Scenario, minute: int) -> None:
    """Note a change that has begun, and when it is to be complete."""
    endpoint = played.sagemaker.endpoints[scenario.name]
    if endpoint.change is None or scenario.settles_at is not None:
        return
    previous = endpoint.variants[0].instance_count
    desired = endpoint.change.variants[0].instance_count
    scenario.changes.append((minute, previous, desired))
    scenario.settles_at = minute + scenario.start_minutes
    if desired < previous:
        scenario.serving = desired


def _settle(played: Any, scenario: Scenario, minute: int) -> None:
    if scenario.settles_at == minute:
        scenario.settles_at = None
        played.sagemaker.settle(scenario.name)
        scenario.serving = played.sagemaker.count(scenario.name)


def test_200_scenarios_come_out_alike_live_and_simulated(play: Play) -> None:
    """A dry run is worth something only if the real run does the same."""
    played = play()
    played.sagemaker.is_prompt = False
    scenarios = [_scenario(number) for number in range(_SCENARIOS)]
    start_s = int(played.clock.now_s())
    for each in scenarios:
        played.sagemaker.make(each.name, count=each.low)
        place = {
            "service_namespace": "sagemaker",
            "resource_id": f"endpoint/{each.name}/variant/v",
            "scalable_dimension": "sagemaker:variant:DesiredInstanceCount",
        }
        played.ask("RegisterScalableTarget", **place, min_capacity=each.low, max_capacity=each.high)
        played.ask(
            "PutScalingPolicy",
            **place,
            policy_name="p",
            policy_type="TargetTrackingScaling",
            target_tracking_scaling_policy_configuration={
                "target_value": each.target,
                "predefined_metric_specification": {"predefined_metric_type": _METRIC},
                "scale_out_cooldown": each.out_s,
                "scale_in_cooldown": each.in_s,
            },
        )
    for minute in range(_MINUTES):
        for each in scenarios:
            _measure(played, each, each.counts[minute], start_s + 60 * minute)
        if minute == _MINUTES // 2:
            # Nothing of it hangs on one cloud's memory.
            played.restart()
        played.clock.advance(60)
        for each in scenarios:
            _settle(played, each, minute + 1)
        played.round()
        for each in scenarios:
            _follow(played, each, minute + 1)
            _settle(played, each, minute + 1)
        # What was complete at once is seen at once.
        played.round()

    different = [
        each.number for each in scenarios if each.changes != _simulated(each, float(start_s))
    ]
    assert different == []
    assert sum(len(each.changes) for each in scenarios) > 2 * _SCENARIOS
