"""What goes into a simulation and what comes out of it, as plain records.

Pure. What is counted: an instance costs from when it is asked for until it is gone, it serves from
when it is in service until it is to go. Requests beyond what the serving instances can do in a step
are over capacity; none is carried over to the next step.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from windtunnel.autoscaling.alarm import State
from windtunnel.autoscaling.circumstances import Circumstances
from windtunnel.autoscaling.decider import Bounds, Decision, Held, Suspension
from windtunnel.autoscaling.schedule import ScheduledAction
from windtunnel.autoscaling.signals import WatchedStep
from windtunnel.autoscaling.steps import StepPolicy
from windtunnel.autoscaling.tracking import TrackingPolicy

Floats = npt.NDArray[np.float64]
_HOUR_S = 3600.0
_RESOURCE = "endpoint/simulated/variant/AllTraffic"
# Fractions of a request that a mean over an instance's change leaves are none.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Demand:
    """Requests in each period of a trace, the first of which begins at `start_s`."""

    start_s: float
    period_s: int
    counts: Floats

    def finer(self, period_s: int) -> "Demand":
        """Return the same requests in shorter periods, spread evenly within each."""
        parts = self.period_s // period_s
        if parts == 1:
            return self
        assert parts * period_s == self.period_s
        return Demand(self.start_s, period_s, np.repeat(self.counts / parts, parts))

    def part(self, begin: int, end: int) -> "Demand":
        """Return some of the periods."""
        return Demand(self.start_s + begin * self.period_s, self.period_s, self.counts[begin:end])


@dataclass(frozen=True, slots=True)
class Setup:
    """What is simulated: a target, its policies, its scheduled actions."""

    name: str
    bounds: Bounds
    tracking: tuple[TrackingPolicy, ...] = ()
    stepping: tuple[tuple[StepPolicy, WatchedStep], ...] = ()
    actions: tuple[ScheduledAction, ...] = ()
    suspension: Suspension = field(default_factory=Suspension)
    # None: the minimum.
    initial: int | None = None
    resource_id: str = _RESOURCE


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that was carried out; `fulfilled_s` is when it was complete."""

    decision: Decision
    fulfilled_s: float


@dataclass(frozen=True, slots=True)
class Transition:
    """An alarm that went from one state to another."""

    at_s: float
    alarm: str
    before: State
    after: State


@dataclass(slots=True)
class NotScaled:
    """From when on, and how many periods in a row, an alarm in breach changed nothing, and why."""

    at_s: float
    held: Held
    periods: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulation came to."""

    requests: float
    over: float
    violation_s: float
    length_s: float
    instance_hours: float
    peak: int
    changes: int

    @property
    def share_over(self) -> float:
        """The share of requests that came when there was no capacity for them."""
        return self.over / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """A simulation, step by step."""

    setup: Setup
    circumstances: Circumstances
    demand: Demand
    changes: tuple[Change, ...]
    transitions: tuple[Transition, ...]
    not_scaled: tuple[NotScaled, ...]
    # Of each step, the mean over its time.
    serving: Floats
    costing: Floats

    @property
    def capacity(self) -> Floats:
        """Requests that the instances of each step can serve in it."""
        return self.serving * (self.circumstances.capacity_rps * self.demand.period_s)

    def outcome(self, begin: int = 0, end: int | None = None) -> Outcome:
        """Return what all of it came to, or some of its steps."""
        steps = slice(begin, end)
        counts = self.demand.counts[steps]
        beyond = counts - self.capacity[steps]
        over = np.where(beyond > _ROUNDING * counts, beyond, 0.0)
        step_s = self.demand.period_s
        low_s = self.demand.start_s + begin * step_s
        high_s = low_s + len(counts) * step_s
        return Outcome(
            requests=float(counts.sum()),
            over=float(over.sum()),
            violation_s=float((over > 0).sum() * step_s),
            length_s=float(len(counts) * step_s),
            instance_hours=float(self.costing[steps].sum() * step_s / _HOUR_S),
            peak=int(np.ceil(self.costing[steps].max(initial=0.0))),
            changes=sum(1 for each in self.changes if low_s <= each.decision.at_s < high_s),
        )
