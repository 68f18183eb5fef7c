"""One policy, alarm or scheduled action in AWS's words, as what is simulated.

What botocore would not send, and what a simulation cannot play, is refused in a sentence.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import botocore.session
from botocore.utils import parse_timestamp
from botocore.validate import ParamValidator

from windtunnel.autoscaling import schedule
from windtunnel.autoscaling.alarm import COMPARISONS, AlarmRule, TreatMissing
from windtunnel.autoscaling.schedule import ScheduledAction
from windtunnel.autoscaling.signals import WatchedStep, signal_of
from windtunnel.autoscaling.steps import Step, StepPolicy
from windtunnel.autoscaling.tracking import COOLDOWN_S, TrackingPolicy
from windtunnel.core.errors import UsageError

Words = Mapping[str, Any]


def check(service: str, shape: str, words: Words) -> None:
    """Refuse what botocore would not send."""
    model = botocore.session.get_session().get_service_model(service)
    report = ParamValidator().validate(words, model.shape_for(shape))
    if report.has_errors():
        raise UsageError(report.generate_report().replace("\n", "; ") + ".")


def tracking_policy(words: Words) -> TrackingPolicy:
    """Return a target-tracking policy."""
    name = words["PolicyName"]
    told = words.get("TargetTrackingScalingPolicyConfiguration")
    if told is None:
        raise UsageError(f"{name} has no TargetTrackingScalingPolicyConfiguration.")
    target = float(told["TargetValue"])
    if not 0 < target < math.inf:
        raise UsageError(f"the target of {name} must be more than 0.")
    metric = _metric(told, name)
    signal_of(metric)
    cooldowns = [told.get(key, COOLDOWN_S) for key in ("ScaleOutCooldown", "ScaleInCooldown")]
    if min(cooldowns) < 0:
        raise UsageError(f"a cooldown of {name} is negative.")
    return TrackingPolicy(
        name,
        metric,
        target,
        float(cooldowns[0]),
        float(cooldowns[1]),
        told.get("DisableScaleIn", False),
    )


def _metric(told: Words, name: str) -> str:
    predefined = told.get("PredefinedMetricSpecification")
    own = told.get("CustomizedMetricSpecification")
    if (predefined is None) == (own is None):
        raise UsageError(f"{name} needs either a predefined or a customized metric.")
    if predefined is not None:
        return str(predefined["PredefinedMetricType"])
    assert own is not None
    if "Metrics" in own:
        raise UsageError(f"{name} is on a formula of metrics, which is not simulated.")
    return "/".join(str(own.get(key, "")) for key in ("Namespace", "MetricName", "Statistic"))


def step_policies(words: Words, alarms: Sequence[Words]) -> list[tuple[StepPolicy, WatchedStep]]:
    """Return a step policy with each alarm that triggers it."""
    name = words["PolicyName"]
    told = words.get("StepScalingPolicyConfiguration", {})
    if not told.get("AdjustmentType"):
        raise UsageError(f"{name} has no AdjustmentType.")
    policy = StepPolicy(
        name,
        told["AdjustmentType"],
        tuple(
            Step(
                each["ScalingAdjustment"],
                each.get("MetricIntervalLowerBound"),
                each.get("MetricIntervalUpperBound"),
            )
            for each in told.get("StepAdjustments", [])
        ),
        float(told.get("Cooldown", COOLDOWN_S)),
        told.get("MinAdjustmentMagnitude"),
        told.get("MetricAggregationType", "Average"),
    )
    found = [
        (policy, _watched(alarm))
        for alarm in alarms
        if any(
            action == name or str(action).endswith(f":policyName/{name}")
            for action in alarm.get("AlarmActions", [])
        )
    ]
    if not found:
        raise UsageError(
            f"no alarm triggers {name}: name one in MetricAlarms, with {name} in its AlarmActions."
        )
    return found


def _watched(words: Words) -> WatchedStep:
    check("cloudwatch", "PutMetricAlarmInput", words)
    name = words["AlarmName"]
    if "MetricName" not in words or words.get("ComparisonOperator") not in COMPARISONS:
        raise UsageError(f"the alarm {name} is not one metric against a threshold.")
    statistic = words.get("Statistic") or words.get("ExtendedStatistic", "")
    metric = f"{words.get('Namespace', '')}/{words['MetricName']}/{statistic}"
    signal_of(metric)
    periods = words["EvaluationPeriods"]
    treat = words.get("TreatMissingData", "missing")
    if treat not in get_args(TreatMissing):
        raise UsageError(f"the alarm {name} treats missing data as {treat}.")
    period_s = words.get("Period", 60)
    if period_s % 10 or period_s <= 0 or (period_s > 60 and period_s % 60):  # noqa: PLR2004
        raise UsageError(f"the alarm {name} has a period of {period_s} s.")
    datapoints = words.get("DatapointsToAlarm", periods)
    if not 0 < datapoints <= periods:
        raise UsageError(f"the alarm {name} wants {datapoints} of {periods} data points.")
    return WatchedStep(
        AlarmRule(
            name,
            float(words.get("Threshold", 0.0)),
            words["ComparisonOperator"],
            periods,
            datapoints,
            period_s,
            treat,
        ),
        metric,
    )


def scheduled_action(words: Words) -> ScheduledAction:
    """Return a scheduled action."""
    action = words.get("ScalableTargetAction", {})
    if not action:
        raise UsageError(f"the scheduled action {words['ScheduledActionName']} sets nothing.")
    start_s, end_s = (_moment(words.get(key)) for key in ("StartTime", "EndTime"))
    return ScheduledAction(
        words["ScheduledActionName"],
        schedule.parse(words["Schedule"], words.get("Timezone", "UTC"), from_s=start_s or 0.0),
        action.get("MinCapacity"),
        action.get("MaxCapacity"),
        start_s,
        end_s,
    )


def _moment(value: object) -> float | None:
    if value is None or isinstance(value, int | float):
        return value
    try:
        return float(parse_timestamp(str(value)).timestamp())
    except ValueError as error:
        raise UsageError(f"{value!r} is no time.") from error
