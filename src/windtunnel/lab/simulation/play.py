"""A dry run from its parts: all policies over the trace, one chosen, that one held to account."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from windtunnel.autoscaling import proposal
from windtunnel.autoscaling.alarm import AlarmRule
from windtunnel.autoscaling.circumstances import Circumstances
from windtunnel.autoscaling.signals import WatchedStep, signal_of
from windtunnel.autoscaling.simulator import simulate
from windtunnel.autoscaling.steps import StepPolicy
from windtunnel.autoscaling.timeline import Demand
from windtunnel.autoscaling.tracking import TrackingPolicy, wanted_capacity
from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.simulation import cost, policies, recommendation, sweep
from windtunnel.lab.simulation.capacity import Capacity
from windtunnel.lab.simulation.policies import Asked
from windtunnel.lab.simulation.result import Simulated
from windtunnel.lab.simulation.traces import ReadTrace

Grid = tuple[list[float] | None, list[float] | None, list[float] | None]
_MINUTE_S = 60
# What a fleet was like before the trace began is taken from as long a time of it.
_BEGIN_S = 900


def play(
    name: str,
    trace: ReadTrace,
    capacity: Capacity,
    circumstances: Circumstances,
    asked: Sequence[Asked],
    *,
    grid: Grid | None = None,
    objective: str | None = None,
    instance_type: str | None = None,
    price: float | None = None,
    region: str = "us-east-1",
    processes: int | None = None,
    on_done: Callable[[int, int], None] = lambda _done, _of: None,
) -> Simulated:
    """Return what all policies came to, the recommended one step by step."""
    wanted = None if objective is None else recommendation.parse_objective(objective)
    asked = policies.told_apart(asked)
    rate_rps = _begin_rps(trace.demand)
    every = [
        _begun(each, rate_rps, circumstances.service_s)
        for each in (*asked, *_varied(asked, grid, circumstances))
    ]
    if len(every) > limits.SIMULATED_POLICIES_MAX:
        raise UsageError(
            f"{len(every):,} policies are more than {limits.SIMULATED_POLICIES_MAX:,}: vary less."
        )
    demand = trace.demand
    fitted = recommendation.fitted_periods(demand)
    played = sweep.play(
        [each.setup for each in every],
        demand,
        circumstances,
        fitted_periods=fitted,
        processes=processes or sweep.default_processes(),
        on_done=lambda done: on_done(done, len(every)),
    )
    choice = None if wanted is None else recommendation.recommend(played, wanted)
    shown = 0 if choice is None or choice.index is None else choice.index
    begin = fitted if fitted < len(demand.counts) else 0
    chosen = played[shown]
    return Simulated(
        trace=name,
        notes=trace.notes,
        demand=demand,
        capacity=capacity,
        circumstances=circumstances,
        fitted_periods=fitted,
        asked=every,
        asked_count=len(asked),
        played=played,
        warnings=tuple(_warnings(every[: len(asked)], circumstances, is_sweep=grid is not None)),
        rate=cost.rate(capacity.fidelity, instance_type, region, price),
        objective=wanted,
        recommendation=choice,
        shown=shown,
        timeline=simulate(every[shown].setup, demand, circumstances),
        yardstick=recommendation.measure(
            chosen.rest or chosen.whole, demand, circumstances, every[shown].setup.bounds, begin
        ),
    )


def _begin_rps(demand: Demand) -> float:
    return float(demand.counts[: _BEGIN_S // demand.period_s].mean()) / demand.period_s


def _begun(asked: Asked, rate_rps: float, service_s: float | None) -> Asked:
    """Return the same with what it would have run before, where nobody said.

    A trace that begins in the middle of a day is no sudden rise. The largest of what its policies
    would keep: none takes away what another one needs. Unchanged where none of them tells.
    """
    setup = asked.setup
    if setup.initial is not None:
        return asked
    kept = [_tracked(policy, rate_rps, service_s) for policy in setup.tracking]
    kept += [_unalarmed(policy, watch, rate_rps, service_s) for policy, watch in setup.stepping]
    known = [each for each in kept if each is not None]
    if not known:
        return asked
    return replace(asked, setup=replace(setup, initial=setup.bounds.clipped(max(known))))


def _tracked(policy: TrackingPolicy, rate_rps: float, service_s: float | None) -> int | None:
    """Return how many instances a policy keeps at a rate, None where its metric does not tell."""
    value = _of_one(policy.metric, _MINUTE_S, rate_rps, service_s)
    return None if value is None else wanted_capacity(1, value, policy.target)


def _unalarmed(
    policy: StepPolicy, watch: WatchedStep, rate_rps: float, service_s: float | None
) -> int | None:
    """Return from how many instances on a policy adds none; None where its metric does not tell."""
    rule = watch.rule
    is_out = rule.is_upward and policy.adjustment_type != "ExactCapacity"
    if not is_out or rule.threshold <= 0 or all(step.adjustment <= 0 for step in policy.steps):
        return None
    value = _of_one(watch.metric, rule.period_s, rate_rps, service_s)
    return None if value is None else _least_quiet(rule, value)


def _least_quiet(rule: AlarmRule, value: float) -> int:
    """Return among how many a load is to be shared for no share of it to breach."""
    least = max(wanted_capacity(1, value, rule.threshold), 1)
    is_at_threshold = rule.comparison == "GreaterThanOrEqualToThreshold" and math.isclose(
        value, least * rule.threshold
    )
    return least + 1 if is_at_threshold else least


def _of_one(metric: str, period_s: int, rate_rps: float, service_s: float | None) -> float | None:
    """Return a metric's value if one instance served a rate, None where nobody can say."""
    signal = signal_of(metric)
    if not signal.is_per_instance:
        return None
    if signal.is_sum:
        return rate_rps * period_s
    return None if service_s is None else rate_rps * service_s


def _warnings(
    asked: Sequence[Asked], circumstances: Circumstances, *, is_sweep: bool
) -> Iterator[str]:
    """Yield what is to be said of the files' policies before their results are believed."""
    for each in asked:
        setup = each.setup
        for policy in setup.tracking:
            for doubt in proposal.doubts(
                policy, circumstances.capacity_rps, circumstances.service_s
            ):
                yield f"{setup.name}: {doubt}"
        if setup.initial is None and setup.bounds.low < setup.bounds.capacity_max:
            yield (
                f"{setup.name}: it begins with its minimum of {setup.bounds.low}, because how many "
                "instances it would keep does not follow from its metrics"
            )
    if is_sweep and len(asked) > 1:
        yield f"{asked[0].setup.name}: only this policy, the first, is varied"


def _varied(asked: Sequence[Asked], grid: Grid | None, circumstances: Circumstances) -> list[Asked]:
    """Return the first policy at every combination of other values."""
    if grid is None:
        return []
    first = asked[0]
    if len(first.setup.tracking) != 1:
        # It says so itself.
        first.tracked(1.0, 0.0, 0.0)
    targets, outs, ins = sweep.default_grid(_target_max(first, circumstances))
    return [
        first.tracked(target, out_s, in_s)
        for target in grid[0] or targets
        for out_s in grid[1] or outs
        for in_s in grid[2] or ins
    ]


def _target_max(asked: Asked, circumstances: Circumstances) -> float:
    """Return the metric's value of an instance that does all it can."""
    (policy,) = asked.setup.tracking
    if signal_of(policy.metric).is_sum:
        return circumstances.capacity_rps * _MINUTE_S
    if circumstances.service_s is None:
        raise UsageError(f"What {policy.metric} comes to needs --service-time.")
    return circumstances.capacity_rps * circumstances.service_s
