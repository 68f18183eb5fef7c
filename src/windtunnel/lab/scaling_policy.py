"""A scaling policy for an endpoint: what its target should be, and putting it.

The target that is proposed, and what is doubted of one, is `windtunnel.autoscaling.proposal`'s.
Where a local cloud's clock of scaling is warped, a minute is shorter there and counts are not
multiplied: an instance does as many requests fewer in it. What is proposed and what is warned of is
pure; `other_policies` and `register` alone call AWS.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from windtunnel.autoscaling import names, proposal
from windtunnel.autoscaling.signals import INVOCATIONS_PER_INSTANCE
from windtunnel.autoscaling.tracking import LOW_SHARE, TrackingPolicy, windows_of
from windtunnel.core.errors import UsageError
from windtunnel.lab import refusals
from windtunnel.lab.endpoint import Endpoint, Variant
from windtunnel.lab.scaling import policies_of
from windtunnel.lab.simulation.capacity import Capacity
from windtunnel.lab.target import Target

METRIC = INVOCATIONS_PER_INSTANCE
# The name that SageMaker's console gives its own policy; it knows others only by their alarms
# (boto/boto3#2839).
POLICY_NAME = "SageMakerEndpointInvocationScalingPolicy"
_PLACE = {
    "ServiceNamespace": names.SERVICE_NAMESPACE,
    "ScalableDimension": names.DIMENSION,
}
_MINUTE_S = 60.0


@dataclass(frozen=True)
class Wanted:
    """A policy as the command line asks for it."""

    capacity_min: int
    capacity_max: int
    out_cooldown_s: int
    in_cooldown_s: int
    policy_name: str = POLICY_NAME
    is_in_disabled: bool = False

    def check(self) -> None:
        """Refuse what AWS would refuse, before any call."""
        if self.capacity_min < 0 or self.capacity_max < 1:
            raise UsageError("--min is 0 or more, --max 1 or more.")
        if self.capacity_min > self.capacity_max:
            raise UsageError(f"--min {self.capacity_min} is above --max {self.capacity_max}.")


@dataclass(frozen=True)
class Proposal:
    """A target value, and the arithmetic that it comes from."""

    value: float
    arithmetic: str


def proposed(capacity: Capacity, safety_factor: float, warp: float = 1.0) -> Proposal:
    """Return the target that AWS's formula gives for a capacity."""
    if not 0 < safety_factor <= 1:
        raise UsageError(f"--safety-factor {safety_factor:g} is not above 0 and up to 1.")
    value = float(f"{proposal.proposed_target(capacity.rps / warp, safety_factor):.6g}")
    told = proposal.arithmetic(capacity.rps, safety_factor)
    if warp != 1:
        told += f"; at clock x{warp:g} a minute is {_MINUTE_S / warp:g} s: {value:g}"
    return Proposal(value, f"{told} (requests/s from {capacity.source}; {capacity.fidelity})")


def warnings(
    wanted: Wanted, value: float, capacity: Capacity | None, warp: float = 1.0
) -> Iterator[str]:
    """Yield what is likely not meant with a policy."""
    if capacity is not None:
        policy = TrackingPolicy(wanted.policy_name, METRIC, value)
        yield from proposal.doubts(policy, capacity.rps / warp)
    elif value / (_MINUTE_S / warp) < 1:
        yield (
            f"its target of {value:g} is one request every {_MINUTE_S / warp / value:.3g} s for "
            "each instance: with any traffic to speak of it will stay at its maximum. What one "
            "instance can do is found by `windtunnel load ENDPOINT --capacity`"
        )
    if wanted.capacity_min == wanted.capacity_max:
        yield f"between {wanted.capacity_min} and {wanted.capacity_max} there is nothing to scale"
    if wanted.capacity_min == 0:
        yield "--min 0 is taken, but a real-time variant keeps one instance"
    if capacity is not None and capacity.fidelity == "stand-in":
        yield (
            "the capacity is a stand-in's on this machine: on AWS the target is only as right as "
            "a load run there says"
        )


def rivals(found: Iterable[Mapping[str, Any]], name: str) -> Iterator[str]:
    """Yield what the other policies of a variant do to the one of this name."""
    others = [each for each in found if each["PolicyName"] != name]
    for each in filter(_is_on_metric, others):
        yield (
            f"the policy {each['PolicyName']} follows {METRIC}, too: AWS takes only one policy for "
            f"a metric. Change it with --policy-name {each['PolicyName']}, or delete it"
        )
    more = [each["PolicyName"] for each in others if not _is_on_metric(each)]
    if more:
        yield (
            f"the variant has other policies, too: {', '.join(more)}. The one that asks for the "
            "most instances decides"
        )


def _is_on_metric(policy: Mapping[str, Any]) -> bool:
    configuration = policy.get("TargetTrackingScalingPolicyConfiguration") or {}
    predefined = configuration.get("PredefinedMetricSpecification") or {}
    return bool(predefined.get("PredefinedMetricType") == METRIC)


def variant_of(endpoint: Endpoint, name: str | None) -> Variant:
    """Return the variant that is meant: the one named, or the only one."""
    known = ", ".join(each.name for each in endpoint.variants)
    if name is None:
        if len(endpoint.variants) == 1:
            return endpoint.variants[0]
        raise UsageError(f"Endpoint {endpoint.name} has the variants {known}: say --variant.")
    for each in endpoint.variants:
        if each.name == name:
            return each
    raise UsageError(f"Endpoint {endpoint.name} has no variant {name}: its variants are {known}.")


def words_for(resource_id: str, wanted: Wanted, value: float) -> dict[str, Any]:
    """Return what boto3 takes: register_scalable_target's words and put_scaling_policy's."""
    place = {**_PLACE, "ResourceId": resource_id}
    return {
        "ScalableTarget": {
            **place,
            "MinCapacity": wanted.capacity_min,
            "MaxCapacity": wanted.capacity_max,
        },
        "ScalingPolicy": {
            **place,
            "PolicyName": wanted.policy_name,
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": value,
                "PredefinedMetricSpecification": {"PredefinedMetricType": METRIC},
                "ScaleOutCooldown": wanted.out_cooldown_s,
                "ScaleInCooldown": wanted.in_cooldown_s,
                "DisableScaleIn": wanted.is_in_disabled,
            },
        },
    }


def other_policies(target: Target, resource_id: str, name: str) -> list[str]:
    """Return what is told of a variant's other policies; who may not ask may still put one."""
    client = target.application_autoscaling(is_brief=False)
    try:
        with refusals.explained("the variant's other policies"):
            return list(rivals(policies_of(client, {**_PLACE, "ResourceId": resource_id}), name))
    except refusals.DeniedError as error:
        return [str(error).rstrip(".")]


def register(target: Target, words: dict[str, Any]) -> list[str]:
    """Register a target and put its policy; return the names of its alarms."""
    client = target.application_autoscaling(is_brief=False)
    with refusals.explained("the scalable target"):
        client.register_scalable_target(**words["ScalableTarget"])
    with refusals.explained("the scaling policy"):
        answer = client.put_scaling_policy(**words["ScalingPolicy"])
    return [each["AlarmName"] for each in answer.get("Alarms", [])]


def alarm_sentences(value: float, *, is_in_disabled: bool) -> Iterator[str]:
    """Yield when the policy's alarms go off."""
    windows = windows_of(METRIC)
    yield f"out: above {value:g} in {windows.high.periods} minutes in a row"
    if not is_in_disabled:
        low = float(f"{value * LOW_SHARE:.6g}")
        yield f"in: below {low:g} in {windows.low.periods} minutes in a row"
