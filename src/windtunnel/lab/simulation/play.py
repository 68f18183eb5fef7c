"""A dry run from its parts: all policies over the trace, one chosen, that one held to account."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from windtunnel.autoscaling import proposal
from windtunnel.autoscaling.circumstances import Circumstances
from windtunnel.autoscaling.signals import signal_of
from windtunnel.autoscaling.simulator import simulate
from windtunnel.autoscaling.timeline import Demand
from windtunnel.autoscaling.tracking import wanted_capacity
from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.simulation import cost, recommendation, sweep
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
    region: str = "us-east-1",
    processes: int | None = None,
    on_done: Callable[[int, int], None] = lambda _done, _of: None,
) -> Simulated:
    """Return what all policies came to, the recommended one step by step."""
    wanted = None if objective is None else recommendation.parse_objective(objective)
    every = [_begun(each, trace.demand) for each in (*asked, *_varied(asked, grid, circumstances))]
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
        warnings=tuple(_warnings(asked, circumstances)),
        rate=cost.rate(capacity.fidelity, instance_type, region),
        objective=wanted,
        recommendation=choice,
        shown=shown,
        timeline=simulate(every[shown].setup, demand, circumstances),
        yardstick=recommendation.measure(
            chosen.rest or chosen.whole, demand, circumstances, every[shown].setup.bounds, begin
        ),
    )


def _begun(asked: Asked, demand: Demand) -> Asked:
    """Return the same with what it would have run before, where nobody said.

    A trace that begins in the middle of a day is no sudden rise.
    """
    setup = asked.setup
    if setup.initial is not None or len(setup.tracking) != 1:
        return asked
    (policy,) = setup.tracking
    signal = signal_of(policy.metric)
    if not (signal.is_per_instance and signal.is_sum):
        return asked
    per_minute = (
        _MINUTE_S // demand.period_s * float(demand.counts[: _BEGIN_S // demand.period_s].mean())
    )
    initial = setup.bounds.clipped(wanted_capacity(1, per_minute, policy.target))
    return replace(asked, setup=replace(setup, initial=initial))


def _warnings(asked: Sequence[Asked], circumstances: Circumstances) -> Iterator[str]:
    """Yield what is to be said of the files' policies before their results are believed."""
    for each in asked:
        for policy in each.setup.tracking:
            for doubt in proposal.doubts(
                policy, circumstances.capacity_rps, circumstances.service_s
            ):
                yield f"{each.setup.name}: {doubt}"


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
