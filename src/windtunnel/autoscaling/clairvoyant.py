"""What somebody would have run who knew the trace: the yardstick a policy is held against.

Pure. It has the same instances with the same start-up and removal times, which cost the same, and
the same bounds; only it knows what comes. The n-th instance serves what the first n-1 leave over,
up to its own capacity, so each can be decided on its own. Of one instance, with m the price of a
missed request in instance-hours, the cheapest plan minimises

    sum over steps of (h if it serves, else m x what it would have served)
    + for every start the hours of a start-up, + for every stop those of a removal

which two running sums per instance find exactly, forward through the trace and back. m is raised
until no more is missed than may be. No plan with as few misses is cheaper, up to one step of m and,
in fleets of hundreds, a group of instances.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from windtunnel.autoscaling.circumstances import Circumstances
from windtunnel.autoscaling.decider import Bounds
from windtunnel.autoscaling.timeline import Demand, Floats

_HOUR_S = 3600.0
# Bisections of the price's logarithm, over ten decades either way: to a few percent.
_ROUNDS = 14
_DECADES = (-10.0, 4.0)
_NEVER = 1e18
# More instances than this are decided in groups of equal size: a percent of a fleet is one of them.
_LEVELS_MAX = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """How many serve in each step, what that costs and misses."""

    serving: Floats
    instance_hours: float
    over: float


def plan(demand: Demand, circumstances: Circumstances, bounds: Bounds, over_max: float) -> Plan:
    """Return the cheapest plan that misses no more requests than it may.

    Where the bounds themselves make it miss more, it misses as few as it can.
    """
    each = circumstances.capacity_rps * demand.period_s
    most = float(demand.counts.max(initial=0.0))
    instances = min(bounds.capacity_max, max(int(np.ceil(most / each)), bounds.low))
    fleet = _Fleet.of(instances, bounds.low, demand, circumstances)
    best = _plan(demand, fleet, 10.0 ** _DECADES[1])
    low, high = _DECADES
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        found = _plan(demand, fleet, 10.0**middle)
        if found.over > over_max:
            low = middle
            continue
        high = middle
        if found.instance_hours <= best.instance_hours or best.over > over_max:
            best = found
    return best


@dataclass(frozen=True, slots=True)
class _Fleet:
    """The instances to decide about, in groups, and what each group costs and does."""

    levels: int
    always: int
    size: int
    # Requests that a group serves in a step.
    each: float
    hours: float
    start: float
    stop: float

    @classmethod
    def of(cls, instances: int, low: int, demand: Demand, circumstances: Circumstances) -> "_Fleet":
        size = -(-instances // _LEVELS_MAX)
        return cls(
            levels=-(-instances // size),
            always=low // size,
            size=size,
            each=size * circumstances.capacity_rps * demand.period_s,
            hours=size * demand.period_s / _HOUR_S,
            start=size * circumstances.start_up.middle_s / _HOUR_S,
            stop=size * circumstances.removal.middle_s / _HOUR_S,
        )


def _plan(demand: Demand, fleet: _Fleet, price: float) -> Plan:
    """Return the cheapest plan at a price of a missed request."""
    levels, each, start, stop = fleet.levels, fleet.each, fleet.start, fleet.stop
    below = each * np.arange(levels)
    forced = np.arange(levels) < fleet.always
    count = len(demand.counts)
    came_on: npt.NDArray[np.bool_] = np.empty((count, levels), dtype=bool)
    kept_off: npt.NDArray[np.bool_] = np.empty((count, levels), dtype=bool)
    # Whatever is there as the trace begins was there before: nobody pays for that start.
    on, off = np.zeros(levels), np.where(forced, _NEVER, 0.0)
    for step, requests in enumerate(demand.counts.tolist()):
        from_off, from_on = off + start, on + stop
        came_on[step] = from_off < on
        kept_off[step] = off <= from_on
        left = np.clip(requests - below, 0.0, each)
        on, off = (
            np.minimum(on, from_off) + fleet.hours,
            np.minimum(off, from_on) + price * left,
        )
        off[forced] = _NEVER
    is_on = on < off
    serving = np.empty(count)
    starts = stops = 0
    for step in range(count - 1, -1, -1):
        serving[step] = is_on.sum()
        before = np.where(is_on, ~came_on[step], ~kept_off[step])
        if step:
            starts += int((is_on & ~before).sum())
            stops += int((before & ~is_on).sum())
        is_on = before
    over = float(np.maximum(demand.counts - serving * each, 0.0).sum())
    hours = float(serving.sum() * fleet.hours + starts * start + stops * stop)
    return Plan(serving * fleet.size, hours, over)
