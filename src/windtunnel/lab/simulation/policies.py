"""Scaling policies as boto3 takes them, and as the simulator does.

    one of                                                         as it is
    a TargetTrackingScalingPolicyConfiguration                     the CLI's config.json
    PutScalingPolicy's words                                       boto3's keyword arguments
    {ScalableTarget, ScalingPolicies, MetricAlarms,                a target with all it has; the
     ScheduledActions}                                             lists as Describe… answers them

Every part is held against botocore's model of the service, so that what is simulated can be put;
what a simulation cannot play is refused by name. A step policy needs the alarm that triggers it:
one of MetricAlarms whose AlarmActions name the policy, by its name or its ARN.

What comes back is for one endpoint, the one that is asked for: alarms and customized metrics that
watched the file's endpoint watch that one. PutMetricAlarm takes no policy's name but its ARN, which
only PutScalingPolicy answers: where it is not known, AlarmActions has one with REGION, ACCOUNT and
UUID in it, which AWS refuses, to be replaced by what PutScalingPolicy answered (PolicyARN).
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import botocore.session

from windtunnel.autoscaling import names
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
_POLICY_ARN = re.compile(r".*:resource/sagemaker/(.+):policyName/(.+)")
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
    # The file as it was typed, which tells two of one name apart.
    source: str = ""

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
    words = _words(path)
    asked = of_words(words, path.stem, f"policy {path}", (capacity_min, capacity_max), resource_id)
    setup = replace(asked.setup, name=_name(asked) or path.stem)
    return replace(asked, setup=setup, source=str(path).removesuffix(".json"))


def told_apart(asked: Sequence[Asked]) -> list[Asked]:
    """Return the same, those of equal names under their files' names instead."""
    names_of = Counter(each.setup.name for each in asked)
    sources: Counter[str] = Counter()
    found = []
    for each in asked:
        name = each.setup.name
        if names_of[name] > 1:
            name = each.source or name
            sources[name] += 1
            # The same file twice.
            name += f" ({sources[name]})" if sources[name] > 1 else ""
        found.append(replace(each, setup=replace(each.setup, name=name)))
    return found


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


def _name(asked: Asked) -> str | None:
    """Return what the one policy of a file is called; several have no name in common."""
    if len(asked.policies) != 1:
        return None
    name: str = asked.policies[0]["PolicyName"]
    return name


def put_words(alarm: Words) -> dict[str, Any]:
    """Return an alarm without what DescribeAlarms answers and PutMetricAlarm does not take."""
    model = botocore.session.get_session().get_service_model("cloudwatch")
    answered: Any = model.shape_for("MetricAlarm")
    taken: Any = model.shape_for("PutMetricAlarmInput")
    return _without(alarm, frozenset(answered.members) - frozenset(taken.members))


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
    if "AdjustmentType" in words or "StepAdjustments" in words:
        words = {"StepScalingPolicyConfiguration": words}
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
    alarms = [put_words(each) for each in words.get("MetricAlarms") or []]
    for alarm in alarms:
        definitions.check("cloudwatch", "PutMetricAlarmInput", alarm)
    old_id = _old_resource(told, policies, alarms)
    resource_id = resource_id or old_id or RESOURCE
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
    setup = _setup(name, target, policies, actions, alarms)
    return Asked(
        target,
        tuple(_moved_policy(each, old_id, resource_id) for each in policies),
        tuple(actions),
        tuple(_moved_alarm(each, policies, old_id, resource_id) for each in alarms),
        setup,
    )


def _old_resource(told: Words, policies: Iterable[Words], alarms: Iterable[Words]) -> str | None:
    """Return the variant that a file is about; where it does not say, the one its alarms watch."""
    found = {
        each["ResourceId"] for each in (told, *policies) if isinstance(each.get("ResourceId"), str)
    } - {RESOURCE}
    if len(found) > 1:
        raise UsageError(f"it is about {len(found)} resources: simulate one at a time.")
    if found:
        return str(found.pop())
    watched = {_watched_resource(each.get("Dimensions", [])) for each in alarms} - {None}
    return watched.pop() if len(watched) == 1 else None


def _watched_resource(dimensions: Iterable[Words]) -> str | None:
    values = {each["Name"]: each["Value"] for each in dimensions}
    if "EndpointName" not in values:
        return None
    return names.resource_id(values["EndpointName"], values.get("VariantName", "AllTraffic"))


def _moved_policy(policy: Words, old_id: str | None, new_id: str) -> Words:
    """Return a policy whose own metric is the new variant's, if it was the old one's."""
    key, part = "TargetTrackingScalingPolicyConfiguration", "CustomizedMetricSpecification"
    told = policy.get(key, {})
    if "Dimensions" not in told.get(part, {}):
        return policy
    moved = _moved_dimensions(told[part]["Dimensions"], old_id, new_id)
    return {**policy, key: {**told, part: {**told[part], "Dimensions": moved}}}


def _moved_alarm(alarm: Words, policies: Iterable[Words], old_id: str | None, new_id: str) -> Words:
    """Return an alarm that watches the new variant if it did the old one, and acts on it."""
    moved = dict(alarm)
    if "Dimensions" in alarm:
        moved["Dimensions"] = _moved_dimensions(alarm["Dimensions"], old_id, new_id)
    if "AlarmActions" in alarm:
        known = {each["PolicyName"] for each in policies}
        moved["AlarmActions"] = [_put_action(each, known, new_id) for each in alarm["AlarmActions"]]
    return moved


def _moved_dimensions(
    dimensions: Sequence[Words], old_id: str | None, new_id: str
) -> list[dict[str, Any]]:
    found = [dict(each) for each in dimensions]
    parsed = names.parse_resource_id(new_id)
    if old_id is None or parsed is None or _watched_resource(dimensions) != old_id:
        return found
    values = dict(zip(("EndpointName", "VariantName"), parsed, strict=True))
    return [{**each, "Value": values.get(each["Name"], each["Value"])} for each in found]


def _put_action(action: str, policies: Iterable[str], resource_id: str) -> str:
    """Return an alarm's action as PutMetricAlarm would take it, or what it must be made of."""
    match = _POLICY_ARN.fullmatch(action)
    name = match[2] if match else action
    # The ARN of another variant's policy of that name would scale that one.
    if name not in policies or (match and match[1] == resource_id):
        return action
    return names.policy_arn("REGION", "ACCOUNT", "UUID", resource_id, name)


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
        raise UsageError("a target, a policy, an action or an alarm in it is not a JSON object.")
    return {key: value for key, value in words.items() if key not in names}
