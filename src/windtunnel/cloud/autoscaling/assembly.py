"""A target's records and alarms, put together as the pure decider takes them.

An alarm that is not there any more, or whose actions are switched off, never goes off: its policy
is inert, as on AWS. One that its owner changed is taken as it is.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from windtunnel.autoscaling.alarm import Alarm
from windtunnel.autoscaling.decider import Decider, Stepped, Tracked
from windtunnel.autoscaling.schedule import Agenda, Rate, ScheduledAction
from windtunnel.cloud.autoscaling import owned, requests
from windtunnel.cloud.autoscaling.book import Book
from windtunnel.cloud.autoscaling.records import Action, Policy, Target
from windtunnel.cloud.cloudwatch.alarms.service import Alarms
from windtunnel.cloud.tempo import Tempo


@dataclass(frozen=True)
class Assembly:
    """What decides for one target, and what sets it off."""

    decider: Decider
    alarm_names: frozenset[str]
    agenda: Agenda


def assembled(book: Book, tempo: Tempo, seen_s: float) -> dict[str, Assembly]:
    """Return an assembly for each target; schedules were seen to until `seen_s`."""
    policies: Mapping[str, list[Policy]] = defaultdict(list)
    for policy in book.policies.all():
        policies[policy.resource_id].append(policy)
    actions: Mapping[str, list[Action]] = defaultdict(list)
    for action in book.actions.all():
        actions[action.resource_id].append(action)
    by_action: Mapping[str, list[str]] = defaultdict(list)
    for record in book.alarms.all():
        for arn in record.actions:
            by_action[arn].append(record.name)
    return {
        target.resource_id: _assembly(
            target,
            policies[target.resource_id],
            actions[target.resource_id],
            by_action,
            book.alarms,
            tempo,
            seen_s,
        )
        for target in book.targets.all()
    }


def _assembly(
    target: Target,
    policies: Sequence[Policy],
    actions: Sequence[Action],
    by_action: Mapping[str, list[str]],
    alarms: Alarms,
    tempo: Tempo,
    seen_s: float,
) -> Assembly:
    tracked, stepped = [], []
    sets_off: set[str] = set()
    lasts = tempo.lasts_s(1.0)
    for policy in policies:
        if policy.kind == "TargetTrackingScaling":
            sets_off.update(policy.alarms)
            tracked.append(_tracked(policy, target.resource_id, alarms, lasts))
        else:
            steps = requests.step_policy(policy.name, policy.configuration, lasts)
            for name in by_action.get(policy.arn, ()):
                alarm = _played(name, alarms)
                if alarm is not None:
                    sets_off.add(name)
                    stepped.append(Stepped(steps, alarm))
    decider = Decider(target.bounds, tracked, stepped, target.suspension, target.remembered())
    agenda = Agenda((scheduled(each, tempo) for each in actions), seen_s)
    return Assembly(decider, frozenset(sets_off), agenda)


def _tracked(policy: Policy, resource_id: str, alarms: Alarms, lasts: float) -> Tracked:
    tracking = owned.tracking_policy(policy.name, policy.configuration, lasts)
    played = [_played(name, alarms) for name in policy.alarms]
    high = played[0]
    if high is None:
        # Looked at by nobody, it stays without data.
        high = Alarm(tracking.high_rule(resource_id, "none"))
    return Tracked(tracking, high, played[1] if len(played) > 1 else None)


def _played(name: str, alarms: Alarms) -> Alarm | None:
    record, watched = alarms.find(name), alarms.watched(name)
    if record is None or watched is None or not record.is_enabled:
        return None
    return watched.alarm


def scheduled(action: Action, tempo: Tempo) -> ScheduledAction:
    """Return a scheduled action as an agenda takes it; a rate passes at this cloud's tempo."""
    begin_s = action.created_s if action.start_s is None else action.start_s
    parsed = requests.parsed_schedule(action.schedule, action.timezone, from_s=begin_s)
    if isinstance(parsed, Rate):
        parsed = replace(parsed, every_s=tempo.period_s(parsed.every_s))
    return ScheduledAction(
        action.name,
        parsed,
        action.capacity_min,
        action.capacity_max,
        action.start_s,
        action.end_s,
    )
