"""Scaling policies as boto3 takes them, and as the simulator does.

    one of                                                         as it is
    a TargetTrackingScalingPolicyConfiguration                     the CLI's config.json
    PutScalingPolicy's words                                       boto3's keyword arguments
    {ScalableTarget, ScalingPolicies, MetricAlarms,                a target with all it has; the
     ScheduledActions}                                             lists as Describe… answers them

Every part is held against botocore's model of the service, so that what is simulated can be put;
what a simulation cannot play is refused by name. A step policy needs the alarm that triggers it:
one of MetricAlarms whose AlarmActions name the policy, by its name or its ARN.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import botocore.session

from windtunnel.autoscaling.decider import Bounds, Suspension
from windtunnel.autoscaling.timeline import Setup
from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.simulation import definitions
from windtunnel.lab.simulation.definitions import Words

_SERVICE = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
# What to put in the place of where a file names no endpoint.
RESOURCE = "endpoint/ENDPOINT/variant/AllTraffic"
_PARTS = frozenset(
    {
        *("ScalableTarget", "ScalableTargets", "ScalingPolicies", "MetricAlarms"),
        *("ScheduledActions", "NextToken", "ResponseMetadata"),
    }
)
# What Describe… answers beyond what Put… takes.
_ANSWERED = frozenset(
    {
        "PolicyARN",
        "Alarms",
        "CreationTime",
        "ScheduledActionARN",
        "ScalableTargetARN",
        "RoleARN",
        "PredictedCapacity",
    }
)


@dataclass(frozen=True)
class Asked:
    """A target as a file says it: the words for boto3, and what to simulate."""

    target: Words
    policies: tuple[Words, ...]
    actions: tuple[Words, ...]
    alarms: tuple[Words, ...]
    setup: Setup

    def words(self) -> dict[str, Any]:
        """Return what boto3 takes: register_scalable_target, put_scaling_policy and so on."""
        found: dict[str, Any] = {
            "ScalableTarget": dict(self.target),
            "ScalingPolicies": [dict(each) for each in self.policies],
        }
        if self.actions:
            found["ScheduledActions"] = [dict(each) for each in self.actions]
        if self.alarms:
            found["MetricAlarms"] = [dict(each) for each in self.alarms]
        return found

    def tracked(self, target: float, out_cooldown_s: float, in_cooldown_s: float) -> "Asked":
        """Return the same with its one tracking policy at other values."""
        if len(self.setup.tracking) != 1:
            raise UsageError(
                f"{self.setup.name}: a sweep changes one target-tracking policy, and there are "
                f"{len(self.setup.tracking)}."
            )
        policies: list[Words] = []
        for words in self.policies:
            told = words.get("TargetTrackingScalingPolicyConfiguration")
            if told is not None:
                told = {
                    **told,
                    "TargetValue": target,
                    "ScaleOutCooldown": int(out_cooldown_s),
                    "ScaleInCooldown": int(in_cooldown_s),
                }
                policies.append({**words, "TargetTrackingScalingPolicyConfiguration": told})
            else:
                policies.append(words)
        (old,) = self.setup.tracking
        new = replace(
            old, target=target, out_cooldown_s=out_cooldown_s, in_cooldown_s=in_cooldown_s
        )
        name = f"target {target:g}, cooldowns {out_cooldown_s:g}/{in_cooldown_s:g} s"
        setup = replace(self.setup, name=name, tracking=(new,))
        return replace(self, policies=tuple(policies), setup=setup)


def read(
    path: Path, capacity_min: int | None, capacity_max: int | None, resource_id: str | None
) -> Asked:
    """Return what a file says, bounds and endpoint from the options where they are given."""
    return of_words(
        _words(path), path.stem, f"policy {path}", (capacity_min, capacity_max), resource_id
    )


def of_words(
    words: dict[str, Any],
    name: str,
    what: str,
    bounds: tuple[int | None, int | None],
    resource_id: str | None,
) -> Asked:
    """Return what words say; a refusal calls them by what they are."""
    try:
        return _asked(words, name, *bounds, resource_id)
    except UsageError as error:
        raise UsageError(f"The {what} cannot be simulated: {error}") from error


def put_words(alarm: Words) -> dict[str, Any]:
    """Return what of an alarm that DescribeAlarms answered PutMetricAlarm would take."""
    model = botocore.session.get_session().get_service_model("cloudwatch")
    shape: Any = model.shape_for("PutMetricAlarmInput")
    return {key: value for key, value in alarm.items() if key in shape.members}


def _words(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(limits.POLICY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"The policy {path} cannot be read: {error.strerror or error}.") from error
    if len(data) > limits.POLICY_FILE_BYTES_MAX:
        raise UsageError(f"The policy {path} is larger than any policy is.")
    try:
        found = json.loads(data)
    except ValueError as error:
        raise UsageError(f"The policy {path} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise UsageError(f"The policy {path} is not a JSON object.")
    return found


def _asked(
    words: dict[str, Any],
    name: str,
    capacity_min: int | None,
    capacity_max: int | None,
    resource_id: str | None,
) -> Asked:
    if "TargetValue" in words:
        words = {"TargetTrackingScalingPolicyConfiguration": words}
    if not _PARTS & set(words):
        words = {"ScalingPolicies": [words]}
    if unknown := set(words) - _PARTS:
        raise UsageError(f"it has {', '.join(sorted(unknown))}, which means nothing there.")
    told_targets = words.get("ScalableTargets") or [words.get("ScalableTarget") or {}]
    if len(told_targets) != 1:
        raise UsageError(f"it has {len(told_targets)} scalable targets: simulate one at a time.")
    told = _without(told_targets[0], _ANSWERED)
    policies = [_without(each, _ANSWERED) for each in words.get("ScalingPolicies") or []]
    if not policies:
        raise UsageError("it has no scaling policy.")
    resource_id = _resource(told, policies, resource_id)
    target = {
        **_SERVICE,
        "ResourceId": resource_id,
        "MinCapacity": 1 if capacity_min is None else capacity_min,
        **told,
    }
    given = {"MinCapacity": capacity_min, "MaxCapacity": capacity_max}
    target |= {key: value for key, value in given.items() if value is not None}
    target["ResourceId"] = resource_id
    definitions.check("application-autoscaling", "RegisterScalableTargetRequest", target)
    if "MaxCapacity" not in target:
        raise UsageError("how many instances there may be is not said: give --max.")
    policies = [_policy(each, name, resource_id) for each in policies]
    actions = [
        _action(_without(each, _ANSWERED), resource_id)
        for each in words.get("ScheduledActions") or []
    ]
    alarms = [dict(each) for each in words.get("MetricAlarms") or []]
    setup = _setup(name, target, policies, actions, alarms)
    return Asked(target, tuple(policies), tuple(actions), tuple(alarms), setup)


def _resource(told: Words, policies: Iterable[Words], resource_id: str | None) -> str:
    found = {
        each["ResourceId"] for each in (told, *policies) if isinstance(each.get("ResourceId"), str)
    }
    if resource_id is not None:
        return resource_id
    if len(found) > 1:
        raise UsageError(f"it is about {len(found)} resources: simulate one at a time.")
    return found.pop() if found else RESOURCE


def _policy(words: Words, name: str, resource_id: str) -> dict[str, Any]:
    is_step = "StepScalingPolicyConfiguration" in words
    policy = {
        "PolicyName": name,
        **_SERVICE,
        "PolicyType": "StepScaling" if is_step else "TargetTrackingScaling",
        **words,
        "ResourceId": resource_id,
    }
    definitions.check("application-autoscaling", "PutScalingPolicyRequest", policy)
    if policy["ScalableDimension"] != _SERVICE["ScalableDimension"]:
        raise UsageError(
            f"{policy['PolicyName']} scales {policy['ScalableDimension']}: only "
            f"{_SERVICE['ScalableDimension']} is simulated."
        )
    return policy


def _action(words: Words, resource_id: str) -> dict[str, Any]:
    action = {**_SERVICE, **words, "ResourceId": resource_id}
    definitions.check("application-autoscaling", "PutScheduledActionRequest", action)
    return action


def _setup(
    name: str,
    target: Words,
    policies: Iterable[Words],
    actions: Iterable[Words],
    alarms: Iterable[Words],
) -> Setup:
    low, high = target["MinCapacity"], target["MaxCapacity"]
    if not 0 <= low <= high:
        raise UsageError(f"the minimum is {low} and the maximum {high}.")
    if high < 1:
        raise UsageError("the maximum must be one instance at least.")
    tracking, stepping = [], []
    alarms = list(alarms)
    policies = list(policies)
    for words in policies:
        if words["PolicyType"] == "TargetTrackingScaling":
            tracking.append(definitions.tracking_policy(words))
        elif words["PolicyType"] == "StepScaling":
            stepping += definitions.step_policies(words, alarms)
        else:
            raise UsageError(f"{words['PolicyName']} is of type {words['PolicyType']}.")
    metrics = [each.metric for each in tracking]
    if len(set(metrics)) < len(metrics):
        raise UsageError("two target-tracking policies of one target must be on different metrics.")
    suspended = target.get("SuspendedState", {})
    return Setup(
        name,
        Bounds(low, high),
        tuple(tracking),
        tuple(stepping),
        tuple(definitions.scheduled_action(each) for each in actions),
        Suspension(
            suspended.get("DynamicScalingInSuspended", False),
            suspended.get("DynamicScalingOutSuspended", False),
            suspended.get("ScheduledScalingSuspended", False),
        ),
        resource_id=target["ResourceId"],
    )


def _without(words: object, names: frozenset[str]) -> dict[str, Any]:
    if not isinstance(words, dict):
        raise UsageError("a target, a policy or an action in it is not a JSON object.")
    return {key: value for key, value in words.items() if key not in names}
