"""Looks, while a run goes on, at what scales its endpoint; asked through boto3 alone.

How many instances there are is asked of DescribeEndpoint now and then, by a thread of the command's
process, in which nothing is sent and nothing is measured; the rest is asked for when the run has
ended. Where no scalable target is registered there is nothing to look at. That something cannot be
asked never stops a run: it is noted.
"""

import contextlib
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from windtunnel.autoscaling.tracking import COOLDOWN_S
from windtunnel.core import limits
from windtunnel.core.errors import WindtunnelError
from windtunnel.lab import refusals, scaling
from windtunnel.lab.endpoint import Endpoint
from windtunnel.lab.scaling_record import (
    Activity,
    AlarmPast,
    Counting,
    Sample,
    ScalingRecord,
    VariantPast,
)
from windtunnel.lab.target import Target

# How often instances are counted. On AWS DescribeEndpoint is throttled where many ask it every 5 s
# (`aws/rates.py`), and an instance takes minutes; here one takes less than a second.
_PERIOD_S = {"local": 1.0, "aws": 10.0}
_TOLD = {"MaxItems": limits.RUN_SCALING_COUNT_MAX}
_POLICY = re.compile(r"triggered policy (\S+)")
# What CloudWatch sums up a turn as; what it has besides may be left out where it is long.
_TURN = re.compile(r"Alarm updated from (\w+) to (\w+)")


class ScalingWatch:
    """A look at an endpoint for as long as a block runs."""

    def __init__(self, target: Target, endpoint: Endpoint) -> None:
        """Find out whether there is anything to look at."""
        self._target = target
        self._endpoint = endpoint
        # Known while the cloud is there.
        self._clock = target.warp
        # A problem is told once, however often it comes.
        self._problems: dict[str, None] = {}
        self._counted: dict[str, Counting] = {}
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        # By their variants.
        self._scalable: Mapping[str, Mapping[str, Any]] = {}
        with self._noting("its scaling policies"):
            self._autoscaling = target.application_autoscaling()
            self._scalable = scaling.targets_of(self._autoscaling, endpoint)

    def __enter__(self) -> Self:
        """Begin to look."""
        if self._scalable:
            # Its client is made here: a boto3 session is not for two threads.
            client = self._target.sagemaker_briefly()
            self._thread = threading.Thread(target=self._look, args=(client,), daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take a last look."""
        self._is_over.set()
        if self._thread is not None:
            # At most one look that gets no answer, and the last one: each is tried twice.
            self._thread.join(4 * limits.BRIEF_TIMEOUT_S)

    def told(self, start_s: float) -> ScalingRecord | None:
        """Ask for what happened since a run's start; None where nothing could scale."""
        if not self._scalable:
            return None
        variants = [
            self._past(name, scalable, start_s) for name, scalable in self._scalable.items()
        ]
        return ScalingRecord(self._clock, tuple(variants), tuple(self._problems))

    def _look(self, client: Any) -> None:  # noqa: ANN401 - boto3's own
        while True:
            is_last = self._is_over.is_set()
            with self._noting("how many instances there are"):
                answer = client.describe_endpoint(EndpointName=self._endpoint.name)
                now_s = time.time()
                for each in answer.get("ProductionVariants", []):
                    current = each.get("CurrentInstanceCount", 0)
                    sample = Sample(now_s, current, each.get("DesiredInstanceCount", current))
                    self._counting(each["VariantName"]).take(sample)
            if is_last:
                return
            self._is_over.wait(_PERIOD_S[self._target.kind])

    def _past(self, name: str, scalable: Mapping[str, Any], start_s: float) -> VariantPast:
        samples = self._counting(name).from_moment(start_s)
        activities: Sequence[Activity] = ()
        alarms: list[AlarmPast] = []
        policies: list[Mapping[str, Any]] = []
        with self._noting("its scaling policies"):
            policies = scaling.policies_of(self._autoscaling, scalable)
        with self._noting("its scaling activities"):
            pages = self._autoscaling.get_paginator("describe_scaling_activities").paginate(
                **scaling.which(scalable), PaginationConfig=_TOLD
            )
            told = [each for page in pages for each in page["ScalingActivities"]]
            activities = activities_since(
                told, policies, start_s, self._clock, samples[0].desired if samples else None
            )
        with self._noting("the alarms of its policies"):
            alarms = list(self._alarms(policies, start_s))
        return VariantPast(
            name,
            scalable["MinCapacity"],
            scalable["MaxCapacity"],
            samples,
            tuple(activities),
            tuple(alarms),
        )

    def _alarms(self, policies: Iterable[Mapping[str, Any]], start_s: float) -> Iterator[AlarmPast]:
        names = [each["AlarmName"] for policy in policies for each in policy.get("Alarms", [])]
        if not names:
            return
        client = self._target.cloudwatch()
        for alarm in client.describe_alarms(AlarmNames=names)["MetricAlarms"]:
            pages = client.get_paginator("describe_alarm_history").paginate(
                AlarmName=alarm["AlarmName"],
                HistoryItemType="StateUpdate",
                StartDate=datetime.fromtimestamp(start_s, UTC),
                PaginationConfig=_TOLD,
            )
            items = [each for page in pages for each in page["AlarmHistoryItems"]]
            yield alarm_since(alarm, items, start_s)

    def _counting(self, variant: str) -> Counting:
        return self._counted.setdefault(variant, Counting(limits.RUN_SCALING_COUNT_MAX))

    @contextlib.contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """Note that something could not be asked, and go on."""
        try:
            with refusals.explained(what):
                yield
        except WindtunnelError as error:
            self._problems[str(error).rstrip(".")] = None
        except KeyError as error:
            # Of a service that only resembles AWS's.
            self._problems[f"Asking for {what} got an answer without {error}"] = None


def activities_since(
    told: Iterable[Mapping[str, Any]],
    policies: Iterable[Mapping[str, Any]],
    start_s: float,
    clock: float,
    at_first: int | None = None,
) -> list[Activity]:
    """Return the changes that a run was under: its own, and those whose cooldown reached into it.

    `told` are DescribeScalingActivities' words, `policies` those of DescribeScalingPolicies;
    `at_first` is how many instances were wanted when the run began, for what has no past.
    """
    lengths = {each["PolicyName"]: _cooldowns(each) for each in policies}
    found: list[Activity] = []
    previous: int | None = None
    for each in sorted(told, key=lambda each: each["StartTime"]):
        match = scaling.DESIRED.fullmatch(each["Description"])
        if match is None:
            continue
        policy = _POLICY.search(each["Cause"])
        out_s, in_s = lengths.get(policy[1], (0.0, 0.0)) if policy else (0.0, 0.0)
        end = each.get("EndTime")
        began_s = each["StartTime"].timestamp()
        activity = Activity(
            at_s=began_s - start_s,
            end_s=None if end is None else end.timestamp() - start_s,
            previous=at_first if previous is None and began_s > start_s else previous,
            desired=int(match[1]),
            status=each["StatusCode"],
            cause=each["Cause"],
            out_cooldown_s=out_s / clock,
            in_cooldown_s=in_s / clock,
            why=each.get("Details", ""),
        )
        if not activity.is_failed:
            previous = activity.desired
        if activity.end_s is None or activity.end_s + max(out_s, in_s) / clock > 0:
            found.append(activity)
    return found


def _cooldowns(policy: Mapping[str, Any]) -> tuple[float, float]:
    """Return for how long a policy waits after a scale-out, and after a scale-in."""
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
    if tracking is not None:
        return (
            tracking.get("ScaleOutCooldown", COOLDOWN_S),
            tracking.get("ScaleInCooldown", COOLDOWN_S),
        )
    cooldown_s = policy.get("StepScalingPolicyConfiguration", {}).get("Cooldown", COOLDOWN_S)
    return cooldown_s, cooldown_s


def alarm_since(
    alarm: Mapping[str, Any], items: Iterable[Mapping[str, Any]], start_s: float
) -> AlarmPast:
    """Return an alarm's states from a moment on: DescribeAlarms' words, and its history's."""
    before = alarm["StateValue"]
    turns: list[tuple[float, str]] = []
    for each in sorted(items, key=lambda each: each["Timestamp"]):
        states = _TURN.fullmatch(each["HistorySummary"])
        if states is None:
            continue
        if not turns:
            before = states[1]
        turns.append((each["Timestamp"].timestamp() - start_s, states[2]))
    return AlarmPast(
        alarm["AlarmName"],
        alarm.get("MetricName", "a formula"),
        alarm.get("Threshold"),
        alarm["ComparisonOperator"],
        before,
        tuple(turns),
    )
