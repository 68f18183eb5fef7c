"""PutScalingPolicy and what belongs to it."""

import uuid
from typing import Any

from windtunnel.cloud.autoscaling import owned, requests, wording
from windtunnel.cloud.autoscaling.book import POLICY_PAGE_COUNT_MAX, Book, listed, named
from windtunnel.cloud.autoscaling.records import Policy, Target, joined
from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.sagemaker.errors import LimitExceededError

Document = dict[str, Any]
# Of one target (Application Auto Scaling's quotas).
_COUNT_MAX = 50
_TRACKING = "target_tracking_scaling_policy_configuration"
_STEPS = "step_scaling_policy_configuration"


class Policies:
    """The operations on scaling policies."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def put(self, request: Document) -> Document:
        """Make a policy, or give one new words: its ARN stays, its alarms are made anew."""
        resource_id, name = request["resource_id"], request["policy_name"]
        requests.variant_of(resource_id)
        async with self._book.lock:
            target = self._book.target(resource_id)
            old = self._book.policies.find(joined(resource_id, name))
            kind = request.get("policy_type") or (old.kind if old else "StepScaling")
            configuration = _configuration(request, kind, old)
            if old is None:
                self._check_room(resource_id)
            if kind == "TargetTrackingScaling":
                self._check_metric(resource_id, name, configuration)
            arn = old.arn if old else self._book.policy_arn(resource_id, name)
            created_s = old.created_s if old else self._book.now_s()
            alarms = _alarms(target, name, arn, kind, configuration)
            policy = Policy(
                name,
                resource_id,
                arn,
                kind,
                configuration,
                created_s,
                tuple(each["alarm_name"] for each in alarms),
            )
            await self._book.commit_with_alarms(
                alarms, old.alarms if old else (), self._book.policies.edit([policy])
            )
        return {"policy_arn": arn, "alarms": self._alarms_of(policy)}

    async def describe(self, request: Document) -> Document:
        """Return a page of the policies."""
        chosen = named(self._book.policies, request, "policy_names")
        shown, token = listed(request, chosen, lambda each: [each.key], POLICY_PAGE_COUNT_MAX)
        return {
            "scaling_policies": [each.shown(self._alarms_of(each)) for each in shown],
            "next_token": token,
        }

    async def delete(self, request: Document) -> Document:
        """Forget a policy, and the alarms that it owns."""
        resource_id, name = request["resource_id"], request["policy_name"]
        async with self._book.lock:
            policy = self._book.policies.find(joined(resource_id, name))
            if policy is None:
                raise wording.no_policy(resource_id, name)
            await self._book.commit_with_alarms(
                [], policy.alarms, self._book.policies.edit(deletes=[policy.key])
            )
        return {}

    def action_error(self, action: str) -> str | None:
        """Return what is wrong with an alarm's action, None where it names a policy."""
        # A policy's own alarms say who made them, too.
        arns = (action, action.rpartition(":createdBy/")[0])
        if any(each.arn in arns for each in self._book.policies.all()):
            return None
        return wording.NO_POLICY_FOR_ACTION

    def _alarms_of(self, policy: Policy) -> list[Document]:
        """Return the alarms that a policy owns or, of a step policy, that trigger it."""
        alarms = self._book.alarms
        names = list(policy.alarms)
        if policy.kind == "StepScaling":
            names = [each.name for each in alarms.all() if policy.arn in each.actions]
        return [{"alarm_name": name, "alarm_arn": alarms.arn(name)} for name in names]

    def _check_room(self, resource_id: str) -> None:
        if len(self._book.policies_of(resource_id)) >= _COUNT_MAX:
            raise LimitExceededError(f"A scalable target has up to {_COUNT_MAX} scaling policies.")

    def _check_metric(self, resource_id: str, name: str, configuration: Document) -> None:
        """Refuse a metric that another policy of the target follows."""
        metric = requests.metric_of(configuration)
        for each in self._book.policies_of(resource_id):
            if each.name == name or each.kind != "TargetTrackingScaling":
                continue
            if requests.metric_of(each.configuration) == metric:
                raise wording.same_metric()


def _configuration(request: Document, kind: str, old: Policy | None) -> Document:
    """Return a policy's configuration, checked; one that is not named again stays."""
    if old is not None and old.kind != kind:
        raise InvalidError(
            f"The policy {old.name} is of type {old.kind}: delete it first to put one of type "
            f"{kind}."
        )
    member, other = (_TRACKING, _STEPS) if kind == "TargetTrackingScaling" else (_STEPS, _TRACKING)
    if request.get(other) is not None:
        raise InvalidError(f"A policy of type {kind} takes no {_label(other)}.")
    configuration: Document | None = request.get(member)
    if configuration is None:
        if old is None:
            raise InvalidError(f"{_label(member)} must be specified for policy type {kind}.")
        return old.configuration
    if kind == "TargetTrackingScaling":
        requests.check_tracking(configuration)
    else:
        requests.step_policy(request["policy_name"], configuration)
    return configuration


def _label(member: str) -> str:
    return "".join(word.capitalize() for word in member.split("_"))


def _alarms(
    target: Target, name: str, arn: str, kind: str, configuration: Document
) -> list[Document]:
    """Return the alarms that a policy is to own; a step policy owns none."""
    if kind == "StepScaling":
        return []
    policy = owned.tracking_policy(name, configuration)
    high = policy.high_rule(target.resource_id, str(uuid.uuid4()))
    low = policy.low_rule(target.resource_id, str(uuid.uuid4()))
    return owned.alarm_requests(
        [high] if low is None else [high, low],
        configuration,
        target.endpoint_name,
        target.variant_name,
        arn,
        str(uuid.uuid4()),
    )
