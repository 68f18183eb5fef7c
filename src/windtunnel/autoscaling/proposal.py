"""Which target a tracking policy should have, and whether the one it has can do anything.

Pure. The formula is AWS's (SageMaker's page "Load testing your auto scaling configuration"):

    SageMakerVariantInvocationsPerInstance = MAX_RPS x SAFETY_FACTOR x 60

with MAX_RPS the requests a second at which one instance's latency rises or requests fail, and a
factor to start from of 0.5.
"""

from windtunnel.autoscaling.signals import Signal, signal_of
from windtunnel.autoscaling.tracking import TrackingPolicy

SAFETY_FACTOR = 0.5
_MINUTE_S = 60.0
# Below this share of what an instance can do a target says little of its load: guess. A published
# workshop has 10 a minute, where one instance does hundreds or thousands.
_IDLE_SHARE = 0.02


def proposed_target(max_rps: float, safety_factor: float = SAFETY_FACTOR) -> float:
    """Return invocations an instance a minute, from what one instance serves a second."""
    assert max_rps > 0
    assert 0 < safety_factor <= 1
    return max_rps * safety_factor * _MINUTE_S


def arithmetic(max_rps: float, safety_factor: float = SAFETY_FACTOR) -> str:
    """Return the formula with its numbers, for a person to follow."""
    target = proposed_target(max_rps, safety_factor)
    return f"{max_rps:g} requests/s x {safety_factor:g} x 60 = {target:g} a minute and instance"


def doubts(
    policy: TrackingPolicy, capacity_rps: float, service_s: float | None = None
) -> list[str]:
    """Return why a policy's target cannot do what it is there for; nothing where it can.

    `service_s` is how long one request is in the container, for metrics of concurrency.
    """
    full = _full(signal_of(policy.metric), capacity_rps, service_s)
    if full is None:
        return []
    share = policy.target / full
    told = ""
    if share >= 1:
        told = (
            f"its target of {policy.target:g} is not below the {full:g} that an instance can do: "
            "it scales out only when requests are over capacity already, or never"
        )
    elif share < _IDLE_SHARE:
        told = (
            f"its target of {policy.target:g} is {100 * share:.2g}% of the {full:g} that an "
            "instance can do: with any traffic to speak of it will stay at its maximum"
        )
    return [told] if told else []


def _full(signal: Signal, capacity_rps: float, service_s: float | None) -> float | None:
    """Return the metric's value of an instance that does all it can; None where nobody can say."""
    if not signal.is_per_instance:
        return None
    if signal.is_sum:
        return capacity_rps * _MINUTE_S
    return None if service_s is None else capacity_rps * service_s
