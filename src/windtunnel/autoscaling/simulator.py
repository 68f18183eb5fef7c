"""A scalable target on a virtual clock: a trace goes in, what its policies do with it comes out.

Pure and seeded. The decider is the one that decides live; only what surrounds it is played:
metrics arrive late, instances take their time, and both are drawn from `circumstances`. One step
is one period of the trace; its data point is seen when the metric has arrived, and decides then.
"""

from collections import deque
from random import Random

import numpy as np

from windtunnel.autoscaling.alarm import Alarm, State
from windtunnel.autoscaling.circumstances import Circumstances
from windtunnel.autoscaling.decider import Bounds, Decider, Decision, Held, Stepped, Tracked
from windtunnel.autoscaling.schedule import Agenda, ScheduledAction
from windtunnel.autoscaling.signals import signal_of
from windtunnel.autoscaling.timeline import (
    Change,
    Demand,
    Floats,
    NotScaled,
    Setup,
    Timeline,
    Transition,
)
from windtunnel.core.errors import UsageError


def simulate(setup: Setup, demand: Demand, circumstances: Circumstances) -> Timeline:
    """Return what a target's policies do with a trace."""
    if setup.bounds.capacity_max < 1:
        raise UsageError("A simulation needs a maximum of one instance at least.")
    return _Run(setup, demand, circumstances).play()


class _Run:
    """One simulation while it goes on."""

    def __init__(self, setup: Setup, demand: Demand, circumstances: Circumstances) -> None:
        self.setup = setup
        self.decider, watched = _decider(setup)
        shortest_s = min((alarm.rule.period_s for alarm, _ in watched), default=demand.period_s)
        step_s = min(demand.period_s, shortest_s)
        circumstances = circumstances.suited_to(shortest_s)
        self.circumstances = circumstances
        self.demand = demand.finer(step_s)
        self.feeds = [_Feed(alarm, metric, step_s, circumstances) for alarm, metric in watched]
        self.random = Random(circumstances.seed)  # noqa: S311 - a play, not a secret
        bounds = setup.bounds
        self.initial = bounds.clipped(bounds.low if setup.initial is None else setup.initial)
        self.desired = self.serving = self.initial
        self.changes: list[Change] = []
        self.pending: Change | None = None
        # When how many serve, ahead of the step whose metric is being worked out.
        self.ahead: deque[tuple[float, int]] = deque()
        self.transitions: list[Transition] = []
        self.not_scaled: list[NotScaled] = []
        self.agenda = Agenda(setup.actions, demand.start_s)
        # Bounds were set while nothing could be changed.
        self.is_owed = False

    def play(self) -> Timeline:
        """Go through the trace, a step at a time."""
        step_s, end_s = self.demand.period_s, self.demand.start_s
        decider, feeds, ahead = self.decider, self.feeds, self.ahead
        number = round(end_s) // step_s
        has_actions = bool(self.setup.actions)
        for count, now_s in zip(self.demand.counts.tolist(), self._moments(), strict=True):
            end_s += step_s
            if ahead and ahead[0][0] < end_s:
                share = count * self._share(end_s - step_s, end_s)
            else:
                share = count / self.serving
            for feed in feeds:
                state = feed.take(number, count, share)
                if state != feed.state:
                    self._note(now_s, feed, state)
            number += 1
            pending = self.pending
            if pending is not None and pending.fulfilled_s <= now_s:
                decider.fulfilled(pending.decision, pending.fulfilled_s)
                self.pending = pending = None
            if has_actions:
                self._schedule(now_s)
                pending = self.pending
            found = decider.decide(now_s, self.desired, is_scalable=pending is None)
            if found is None:
                continue
            if isinstance(found, Decision):
                self._carry_out(found)
            else:
                self._keep(now_s, found)
        return self._timeline()

    def _moments(self) -> list[float]:
        """Return when each step's data point is seen; none before the one before it."""
        demand, delay = self.demand, self.circumstances.metric_delay
        count = len(demand.counts)
        ends_s = demand.start_s + demand.period_s * np.arange(1, count + 1)
        drawn_s = np.random.default_rng(self.circumstances.seed).uniform(
            delay.low_s, delay.high_s, count
        )
        seen_s: list[float] = np.maximum.accumulate(ends_s + drawn_s).tolist()
        return seen_s

    def _share(self, begin_s: float, end_s: float) -> float:
        """Return the mean over a step of one divided by how many serve, past their changes."""
        total, at_s = 0.0, begin_s
        while self.ahead and self.ahead[0][0] < end_s:
            change_s, serving = self.ahead.popleft()
            change_s = max(change_s, begin_s)
            total += (change_s - at_s) / self.serving
            at_s, self.serving = change_s, serving
        total += (end_s - at_s) / self.serving
        return total / (end_s - begin_s)

    def _note(self, now_s: float, feed: "_Feed", state: State) -> None:
        name = feed.alarm.rule.name
        self.transitions.append(Transition(now_s, name, feed.state, state))
        feed.state = state

    def _schedule(self, now_s: float) -> None:
        """Set the bounds of the actions that fell due, and make what change they call for."""
        for due_s, action in self.agenda.take(now_s):
            if self.decider.suspension.scheduled:
                continue
            self._rebound(due_s, action)
        if self.is_owed and self.pending is None:
            self.is_owed = False
            late = self.decider.rebound(now_s, self.desired, self.decider.bounds)
            if late is not None:
                self._carry_out(late)

    def _rebound(self, due_s: float, action: ScheduledAction) -> None:
        old = self.decider.bounds
        low = old.capacity_min if action.capacity_min is None else action.capacity_min
        high = old.capacity_max if action.capacity_max is None else action.capacity_max
        if low > high:
            raise UsageError(
                f"The scheduled action {action.name} would make the minimum {low} and the maximum "
                f"{high}: name both in it."
            )
        decision = self.decider.rebound(due_s, self.desired, Bounds(low, high, old.floor))
        if decision is None:
            return
        if self.pending is None:
            self._carry_out(decision)
        else:
            self.is_owed = True

    def _carry_out(self, decision: Decision) -> None:
        around = self.circumstances
        takes_s = (around.start_up if decision.is_out else around.removal).draw(self.random)
        change = Change(decision, decision.at_s + takes_s)
        self.changes.append(change)
        self.pending = change
        self.desired = decision.desired
        # What comes serves when it is there, what goes no longer from now on.
        serves_s = change.fulfilled_s if decision.is_out else decision.at_s
        self.ahead.append((serves_s, decision.desired))

    def _keep(self, now_s: float, held: Held) -> None:
        """Keep why nothing was done, once for as many periods as it was the same."""
        if self.not_scaled:
            last = self.not_scaled[-1]
            if last.held.reason == held.reason and last.held.cause == held.cause:
                last.periods += 1
                return
        self.not_scaled.append(NotScaled(now_s, held, 1))

    def _timeline(self) -> Timeline:
        serves, costs = [], []
        for change in self.changes:
            decision = change.decision
            begin_s, end_s = decision.at_s, change.fulfilled_s
            serves.append((end_s if decision.is_out else begin_s, decision.desired))
            costs.append((begin_s if decision.is_out else end_s, decision.desired))
        return Timeline(
            self.setup,
            self.circumstances,
            self.demand,
            tuple(self.changes),
            tuple(self.transitions),
            tuple(self.not_scaled),
            _means(self.demand, self.initial, serves),
            _means(self.demand, self.initial, costs),
        )


class _Feed:
    """Makes of each step's requests the data points of one alarm."""

    __slots__ = ("_factor", "_is_per_instance", "_steps", "_sum", "alarm", "state")

    def __init__(
        self, alarm: Alarm, metric: str, step_s: int, circumstances: Circumstances
    ) -> None:
        signal = signal_of(metric)
        period_s = alarm.rule.period_s
        self.alarm = alarm
        self.state: State = alarm.state
        self._is_per_instance = signal.is_per_instance
        self._steps = period_s // step_s
        self._sum = 0.0
        self._factor = 1.0
        if not signal.is_sum:
            if circumstances.service_s is None:
                raise UsageError(
                    f"How many requests are in a container at once, which {metric} counts, follows "
                    "from how long one is in it: say that with --service-time."
                )
            self._factor = circumstances.service_s / period_s

    def take(self, number: int, count: float, share: float) -> State:
        """Take a step's requests, and each instance's share of them; return the alarm's state."""
        value = (share if self._is_per_instance else count) * self._factor
        if self._steps == 1:
            return self.alarm.observe(number, value)
        self._sum += value
        if (number + 1) % self._steps == 0:
            self.alarm.observe(number // self._steps, self._sum)
            self._sum = 0.0
        return self.alarm.state


def _decider(setup: Setup) -> tuple[Decider, list[tuple[Alarm, str]]]:
    """Return a target's decider, and its alarms with the metric each is on."""
    tracked, stepped = [], []
    watched: list[tuple[Alarm, str]] = []
    for policy in setup.tracking:
        high = Alarm(policy.high_rule(setup.resource_id, policy.name))
        low_rule = policy.low_rule(setup.resource_id, policy.name)
        low = None if low_rule is None else Alarm(low_rule)
        tracked.append(Tracked(policy, high, low))
        watched += [(alarm, policy.metric) for alarm in (high, low) if alarm is not None]
    for step_policy, watch in setup.stepping:
        alarm = Alarm(watch.rule)
        stepped.append(Stepped(step_policy, alarm))
        watched.append((alarm, watch.metric))
    return Decider(setup.bounds, tracked, stepped, setup.suspension), watched


def _means(demand: Demand, initial: int, changes: list[tuple[float, int]]) -> Floats:
    """Return the mean over each step of a number that changes at some moments."""
    count, step_s = len(demand.counts), demand.period_s
    # The integral at each step's edge, from the integral at each change.
    moments = np.array([demand.start_s, *(at_s for at_s, _ in changes)])
    values = np.array([initial, *(value for _, value in changes)], dtype=float)
    integral = np.concatenate([[0.0], np.cumsum(values[:-1] * np.diff(moments))])
    edges = demand.start_s + step_s * np.arange(count + 1)
    before = np.searchsorted(moments, edges, side="right") - 1
    at_edges = integral[before] + values[before] * (edges - moments[before])
    means: Floats = np.round(np.diff(at_edges) / step_s, 9)
    return means
