"""What somebody would have run who knew the trace: the yardstick a policy is held against.

Pure. It has the same instances with the same start-up and removal times, which cost the same, and
the same bounds; only it knows what comes. The n-th instance serves what the first n-1 leave over,
up to its own capacity, so each can be decided on its own. Of one instance, with m the price of a
missed request in instance-hours, the cheapest plan minimises

    sum over steps of (h if it serves, else m x what it would have served)
    + for every start the hours of a start-up, + for every stop those of a removal

which two running sums per instance find exactly, forward through the trace and back. m is raised
until no more is missed than may be. The plans that prices lead to leave gaps between them, in which
others may lie; so what counts is not the hours of one of them, but the least that any plan with as
few misses can cost, which a price proves: no plan costs less than what is minimal at m, less m x
what may be missed. (Lagrange's bound. In fleets of hundreds instances are decided in groups, and
it holds to within one of these.)
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from windtunnel.autoscaling.circumstances import Circumstances
from windtunnel.autoscaling.decider import Bounds
from windtunnel.autoscaling.timeline import Demand, Floats

_HOUR_S = 3600.0
_ROUNDING = 1e-9
# A price at which no request is missed that the bounds let anybody serve.
_DEAREST = 1e4
# Prices are searched for by their logarithm: from where a step that fills an instance is not worth
# it any more, so many decades up, until they are as near to each other as that. The bound that they
# prove hardly moves then: by a ten-thousandth on the recorded trace.
_DECADES = 6.0
_NEARNESS_DECADES = 0.05
# So many are tried at once (with more a step takes longer than it saves), as far as their tables
# take no more bytes than that, twice.
_PRICES_MAX = 5
_TABLE_BYTES_MAX = 64_000_000
_NEVER = 1e18
# More instances than this are decided in groups of equal size: a percent of a fleet is one of them.
_LEVELS_MAX = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """How many serve in each step, what that costs and misses; and the least that can cost."""

    serving: Floats
    instance_hours: float
    over: float
    # No plan with as few misses costs less.
    least_hours: float


def plan(demand: Demand, circumstances: Circumstances, bounds: Bounds, over_max: float) -> Plan:
    """Return the cheapest plan, of those that prices lead to, with no more misses than may be.

    Where the bounds themselves make it miss more, it misses as few as it can.
    """
    each = circumstances.capacity_rps * demand.period_s
    most = float(demand.counts.max(initial=0.0))
    instances = min(bounds.capacity_max, max(int(np.ceil(most / each)), bounds.low))
    fleet = _Fleet.of(instances, bounds.low, demand, circumstances)
    low = math.log10(fleet.hours / fleet.each)
    high = low + _DECADES
    best = _plans(demand, fleet, np.array([_DEAREST]))[0]
    # Fractions of a request that sums leave are none.
    over_max = max(over_max * (1 + _ROUNDING), best.over)
    least = 0.0
    tables = len(demand.counts) * fleet.levels
    count = max(1, min(_PRICES_MAX, _TABLE_BYTES_MAX // max(tables, 1)))
    parts = _DECADES / _NEARNESS_DECADES
    for _ in range(math.ceil(math.log(parts) / math.log(count + 1))):
        decades = np.linspace(low, high, count + 2)[1:-1]
        prices = 10.0**decades
        found = _plans(demand, fleet, prices)
        for one, price in zip(found, prices.tolist(), strict=True):
            least = max(least, one.hours + price * (one.over - over_max))
        for one, decade in zip(found, decades.tolist(), strict=True):
            if one.over > over_max:
                low = decade
                continue
            if one.hours <= best.hours:
                best = one
            high = decade
            break
    return Plan(best.serving * fleet.size, best.hours, best.over, min(least, best.hours))


@dataclass(frozen=True, slots=True)
class _Found:
    """What is cheapest at a price; how many groups serve in each step."""

    serving: Floats
    hours: float
    over: float


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


def _plans(demand: Demand, fleet: _Fleet, prices: Floats) -> list[_Found]:
    """Return the cheapest plan at each price of a missed request."""
    levels, each, start, stop = fleet.levels, fleet.each, fleet.start, fleet.stop
    below = each * np.arange(levels)
    count, shape = len(demand.counts), (len(prices), levels)
    column = prices[:, np.newaxis]
    came_on: npt.NDArray[np.bool_] = np.empty((count, *shape), dtype=bool)
    kept_off: npt.NDArray[np.bool_] = np.empty((count, *shape), dtype=bool)
    # Whatever is there as the trace begins was there before: nobody pays for that start.
    on, off = np.zeros(shape), np.zeros(shape)
    off[:, : fleet.always] = _NEVER
    for step, requests in enumerate(demand.counts.tolist()):
        from_off, from_on = off + start, on + stop
        np.less(from_off, on, out=came_on[step])
        np.less_equal(off, from_on, out=kept_off[step])
        # np.clip and masks would take as long as all the rest.
        left = np.minimum(np.maximum(requests - below, 0.0), each)
        on = np.minimum(on, from_off) + fleet.hours
        off = np.minimum(off, from_on) + column * left
        off[:, : fleet.always] = _NEVER
    is_on = on < off
    serving = np.empty((len(prices), count))
    starts, stops = np.zeros(len(prices)), np.zeros(len(prices))
    for step in range(count - 1, -1, -1):
        serving[:, step] = is_on.sum(axis=1)
        before = np.where(is_on, ~came_on[step], ~kept_off[step])
        if step:
            starts += (is_on & ~before).sum(axis=1)
            stops += (before & ~is_on).sum(axis=1)
        is_on = before
    over = np.maximum(demand.counts - serving * each, 0.0).sum(axis=1)
    hours = serving.sum(axis=1) * fleet.hours + starts * start + stops * stop
    return [_Found(serving[at], float(hours[at]), float(over[at])) for at in range(len(prices))]
