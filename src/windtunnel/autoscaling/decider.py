"""Whether a scalable target changes its capacity now, to what, and why.

Pure. A decider holds the alarms of one target's policies and remembers its last change; the loop
that drives it (live, warped or simulated: the same code) tells the alarms each period's data point,
asks `decide`, carries a decision out and says so with `fulfilled`.

Rules, from Application Auto Scaling's pages on target tracking and step scaling unless said:
- Out if any policy says so; in only if every tracking policy that may scale in agrees; the largest
  capacity wins in both directions. A step policy's scale-in does not wait for the others.
- In a scale-out's cooldown only a larger one goes through, and what the first added is part of it.
  For a step policy: from the capacity before the first, the step leads to more than there is now.
  For a tracking policy: it adds more to the capacity that its data point was measured on than the
  first did. (The page has the sentence for both, and an example for steps only.)
- A scale-in waits for the last one's cooldown; a scale-out does not, and ends it.
- Cooldowns begin when a change is complete. A clock set forward ends them, one set back, too: an
  endpoint must not wait a day because of one.
- What an alarm's data point says is about the fleet it was measured on: as long as its period began
  before the last change was complete, it is held against the capacity before that change. (AWS does
  not say what it does; anything else would add the same instances twice.)
- A tracking policy computes with its alarm's newest data point, a step policy with the aggregate of
  those that breached; every period in which an alarm is in ALARM is a new decision.
- Missing data never scales in: the newest period needs a data point, and as many real ones must
  breach as the alarm asks for, whatever TreatMissingData makes of the alarm's state.
- No result lies outside the bounds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from windtunnel.autoscaling import activity
from windtunnel.autoscaling.activity import NotScaledCode, NotScaledReason
from windtunnel.autoscaling.alarm import Alarm
from windtunnel.autoscaling.steps import StepPolicy
from windtunnel.autoscaling.tracking import TrackingPolicy, is_flapping, wanted_capacity

_NEVER_S = -math.inf


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between how many instances a target is kept.

    MinCapacity 0 is accepted for a variant, and one instance stays: SageMaker takes only endpoints
    without real-time traffic to zero ("endpoint-auto-scaling-prerequisites").
    """

    capacity_min: int
    capacity_max: int
    floor: int = 1

    def __post_init__(self) -> None:
        assert 0 <= self.capacity_min <= self.capacity_max

    @property
    def low(self) -> int:
        """The least capacity there may be."""
        return max(self.capacity_min, self.floor)

    def clipped(self, capacity: int) -> int:
        """Return a capacity as the bounds allow it."""
        return min(max(capacity, self.low), max(self.capacity_max, self.floor))


@dataclass(frozen=True, slots=True)
class Suspension:
    """What of a target's scaling is suspended: RegisterScalableTarget's SuspendedState.

    On resuming, nothing is made up for: the next look acts on alarms that are in breach then, and
    scheduled actions whose time has passed stay undone.
    """

    scale_in: bool = False
    scale_out: bool = False
    scheduled: bool = False


@dataclass(slots=True)
class Tracked:
    """A tracking policy with its alarms; without a low one it never scales in."""

    policy: TrackingPolicy
    high: Alarm
    low: Alarm | None


@dataclass(slots=True)
class Stepped:
    """A step policy and one alarm that triggers it."""

    policy: StepPolicy
    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Decision:
    """A change of capacity: AWS's Cause, and the arithmetic behind it in our words."""

    at_s: float
    previous: int
    desired: int
    cause: str
    why: str
    cooldown_s: float
    policy: str | None = None
    alarm: str | None = None

    @property
    def is_out(self) -> bool:
        """Whether it adds capacity."""
        return self.desired > self.previous


@dataclass(frozen=True, slots=True)
class Held:
    """An alarm in breach that changed nothing, and why.

    Only what AWS has a code for is a not-scaled activity there; of the rest (cooldowns, suspension,
    missing data) it says nothing, and we do.
    """

    why: str
    cause: str = ""
    reason: NotScaledReason | None = None


@dataclass(slots=True)
class Memory:
    """What a decider must know of the past; small enough to be kept with the target."""

    # Before the last change, and when that was complete.
    previous: int | None = None
    fulfilled_s: float = _NEVER_S
    out_until_s: float = _NEVER_S
    in_until_s: float = _NEVER_S

    def is_out_cooling(self, now_s: float) -> bool:
        """Whether a scale-out's cooldown runs; a clock that was set back behind it has none."""
        return self.fulfilled_s <= now_s < self.out_until_s

    def is_in_cooling(self, now_s: float) -> bool:
        """Whether a scale-in's cooldown runs, likewise."""
        return self.fulfilled_s <= now_s < self.in_until_s


@dataclass(frozen=True, slots=True)
class _Proposal:
    wanted: int
    policy: str
    alarm: Alarm
    cooldown_s: float
    why: str

    @property
    def cause(self) -> str:
        """What an activity is told to come of."""
        return activity.alarm_cause(self.alarm.rule.name, self.policy)

    def decided(self, now_s: float, capacity: int, desired: int) -> "Decision":
        """Return the change that this brings."""
        name = self.alarm.rule.name
        return Decision(
            now_s, capacity, desired, self.cause, self.why, self.cooldown_s, self.policy, name
        )


@dataclass(slots=True)
class Decider:
    """Decides for one scalable target."""

    bounds: Bounds
    tracked: Sequence[Tracked] = ()
    stepped: Sequence[Stepped] = ()
    suspension: Suspension = field(default_factory=Suspension)
    memory: Memory = field(default_factory=Memory)

    def decide(
        self, now_s: float, capacity: int, *, is_scalable: bool = True
    ) -> Decision | Held | None:
        """Return what the alarms' states call for; None while none is in ALARM.

        `capacity` is what was last decided or set. `is_scalable` is false while the target service
        takes no change: SageMaker, while the endpoint is not InService.
        """
        is_high = is_low = False
        for each in self.tracked:
            if each.high.state == "ALARM":
                is_high = True
            elif each.low is not None and each.low.state == "ALARM":
                is_low = True
        if not self.stepped:
            if not is_high and not is_low:
                return None
        elif not (is_high or is_low or any(s.alarm.state == "ALARM" for s in self.stepped)):
            return None
        return self._decide(now_s, capacity, is_scalable=is_scalable)

    def fulfilled(self, decision: Decision, now_s: float) -> None:
        """Remember that a change is complete, and begin its cooldown."""
        memory = self.memory
        memory.previous = decision.previous
        memory.fulfilled_s = now_s
        if decision.policy is None:
            return
        if decision.is_out:
            memory.out_until_s = now_s + decision.cooldown_s
        else:
            memory.in_until_s = now_s + decision.cooldown_s

    def rebound(self, now_s: float, capacity: int, bounds: Bounds) -> Decision | None:
        """Take new bounds, and return the change that they make necessary at once, if any.

        It waits for no cooldown. Bounds are looked at when they are set, not from then on: what
        somebody sets by hand outside of them stays until an alarm goes off.
        """
        self.bounds = bounds
        desired = bounds.clipped(capacity)
        if desired == capacity:
            return None
        bound: Literal["minimum", "maximum"] = "minimum" if desired > capacity else "maximum"
        cause = activity.bound_cause(
            bound, bounds.capacity_min if bound == "minimum" else bounds.capacity_max
        )
        why = f"the {bound} is {desired} now, and there were {capacity}"
        return Decision(now_s, capacity, desired, cause, why, 0.0)

    def _decide(self, now_s: float, capacity: int, *, is_scalable: bool) -> Decision | Held:
        held: list[Held] = []
        outs = [p for each in self.tracked if (p := self._out(each, now_s, capacity, held))]
        step_ins: list[_Proposal] = []
        for each in self.stepped:
            proposal = self._step(each, now_s, capacity, held)
            if proposal is not None:
                (outs if proposal.wanted > capacity else step_ins).append(proposal)
        if outs:
            out = self._settle_out(now_s, capacity, outs, is_scalable=is_scalable)
            # What cannot go out leaves the way in free: a step policy's scale-in is not blocked.
            if isinstance(out, Decision) or not step_ins:
                return out
        ins = step_ins
        if (tracked := self._tracked_in(capacity, held)) is not None:
            ins = [*ins, tracked]
        if ins:
            return self._settle_in(now_s, capacity, ins, is_scalable=is_scalable)
        return held[0]

    def _out(
        self, each: Tracked, now_s: float, capacity: int, held: list[Held]
    ) -> _Proposal | None:
        if each.high.state != "ALARM":
            return None
        policy, value = each.policy, each.high.newest
        cause = activity.alarm_cause(each.high.rule.name, policy.name)
        if value is None:
            held.append(Held("its newest period has no data point", cause))
            return None
        counted = self._counted(each.high, capacity)
        wanted = wanted_capacity(counted, value, policy.target)
        why = f"{counted} x {value:g} / {policy.target:g} asks for {wanted}"
        if self.memory.is_out_cooling(now_s) and self.memory.previous is not None:
            added = capacity - self.memory.previous
            if wanted <= capacity or wanted - counted <= added:
                held.append(Held(f"scale-out cooldown of {added:+d}, and {why}", cause))
                return None
        if wanted <= capacity:
            reason = NotScaledReason("AlreadyAtDesiredCapacity", capacity=capacity)
            held.append(Held(why, cause, reason))
            return None
        return _Proposal(wanted, policy.name, each.high, policy.out_cooldown_s, why)

    def _counted(self, alarm: Alarm, capacity: int) -> int:
        """Return the capacity that an alarm's newest data point is held against."""
        previous, start_s = self.memory.previous, alarm.newest_start_s
        if previous is None or start_s is None or start_s >= self.memory.fulfilled_s:
            return capacity
        return previous

    def _tracked_in(self, capacity: int, held: list[Held]) -> _Proposal | None:
        """Return what all tracking policies that may scale in agree on, None where one does not."""
        largest: _Proposal | None = None
        for each in self.tracked:
            low = each.low
            if low is None:
                continue
            if each.high.state == "ALARM" or low.state != "ALARM":
                held.append(Held(f"{each.policy.name} is not ready to scale in"))
                return None
            proposal = self._in(each.policy, low, capacity, held)
            if proposal is None:
                return None
            if largest is None or proposal.wanted > largest.wanted:
                largest = proposal
        return largest

    def _in(
        self, policy: TrackingPolicy, low: Alarm, capacity: int, held: list[Held]
    ) -> _Proposal | None:
        if capacity <= self.bounds.low and not self.suspension.scale_in:
            held.append(self._at_min(low, policy.name))
            return None
        value = low.newest
        cause = activity.alarm_cause(low.rule.name, policy.name)
        if value is None or not low.has_real_breach:
            held.append(Held("missing data never scales in", cause))
            return None
        counted = self._counted(low, capacity)
        wanted = wanted_capacity(counted, value, policy.target)
        if wanted >= capacity:
            code: NotScaledCode = (
                "AutoScalingAnticipatedFlapping"
                if is_flapping(counted, value, policy.target)
                else "AlreadyAtDesiredCapacity"
            )
            reason = NotScaledReason(code, capacity=capacity)
            held.append(Held(f"{counted} x {value:g} / {policy.target:g} needs all", cause, reason))
            return None
        why = f"{counted} x {value:g} / {policy.target:g} needs {wanted}"
        return _Proposal(wanted, policy.name, low, policy.in_cooldown_s, why)

    def _step(
        self, each: Stepped, now_s: float, capacity: int, held: list[Held]
    ) -> _Proposal | None:
        alarm, policy = each.alarm, each.policy
        if alarm.state != "ALARM":
            return None
        found = self._stepped(each, now_s, capacity)
        if isinstance(found, _Proposal):
            return found
        why, reason = found
        held.append(Held(why, activity.alarm_cause(alarm.rule.name, policy.name), reason))
        return None

    def _stepped(
        self, each: Stepped, now_s: float, capacity: int
    ) -> "_Proposal | tuple[str, NotScaledReason | None]":
        """Return what a step policy whose alarm went off asks for, or why it asks for nothing."""
        alarm, policy = each.alarm, each.policy
        values = alarm.breaching()
        if not values:
            return "there is no data point to find a step by", None
        value = policy.aggregated(values)
        threshold = alarm.rule.threshold
        step = policy.step_at(value - threshold, is_upward=alarm.rule.is_upward)
        if step is None:
            return f"no step adjustment for {value:g} at a threshold of {threshold:g}", None
        wanted = policy.wanted_capacity(capacity, step)
        counted, previous = capacity, self.memory.previous
        if wanted > capacity and previous is not None and self.memory.is_out_cooling(now_s):
            counted = previous
            wanted = policy.wanted_capacity(counted, step)
            if wanted <= capacity:
                return f"scale-out cooldown, and {wanted} would not be more", None
        if wanted < capacity and (alarm.newest is None or not alarm.has_real_breach):
            return "missing data never scales in", None
        if wanted == capacity:
            reason = NotScaledReason("AlreadyAtDesiredCapacity", capacity=capacity)
            return f"{value:g} leaves {capacity} as they are", reason
        why = f"{value:g} makes {wanted} of {counted}"
        return _Proposal(wanted, policy.name, alarm, policy.cooldown_s, why)

    def _settle_out(
        self, now_s: float, capacity: int, proposals: list[_Proposal], *, is_scalable: bool
    ) -> Decision | Held:
        best = max(proposals, key=lambda each: each.wanted)
        cause = best.cause
        desired = self.bounds.clipped(best.wanted)
        if self.suspension.scale_out:
            return Held("scaling out is suspended", cause)
        if desired <= capacity:
            limit = self.bounds.capacity_max
            reason = NotScaledReason("AlreadyAtMaxCapacity", capacity_max=limit)
            return Held(f"{best.why}, and {limit} is the maximum", cause, reason)
        if not is_scalable:
            return Held("the endpoint is being changed", cause, _UNSCALABLE)
        self.memory.in_until_s = _NEVER_S
        return best.decided(now_s, capacity, desired)

    def _settle_in(
        self, now_s: float, capacity: int, proposals: list[_Proposal], *, is_scalable: bool
    ) -> Decision | Held:
        best = max(proposals, key=lambda each: each.wanted)
        cause = best.cause
        if self.suspension.scale_in:
            return Held("scaling in is suspended", cause)
        desired = self.bounds.clipped(best.wanted)
        if desired >= capacity:
            return self._at_min(best.alarm, best.policy)
        if self.memory.is_in_cooling(now_s):
            return Held("scale-in cooldown", cause)
        if not is_scalable:
            return Held("the endpoint is being changed", cause, _UNSCALABLE)
        return best.decided(now_s, capacity, desired)

    def _at_min(self, alarm: Alarm, policy: str) -> Held:
        limit = self.bounds.low
        reason = NotScaledReason("AlreadyAtMinCapacity", capacity_min=limit)
        cause = activity.alarm_cause(alarm.rule.name, policy)
        return Held(f"{limit} is the minimum", cause, reason)


_UNSCALABLE = NotScaledReason("TargetServicePutResourceAsUnscalable")
