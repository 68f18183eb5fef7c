"""The two alarms that a target-tracking policy owns, as PutMetricAlarm's words; pure.

Names, descriptions and actions are those of published alarms: the action and the description name
the policy with `createdBy`; TreatMissingData is `missing`. The predefined metrics are those of
SageMaker's page "Auto scaling policy overview".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windtunnel.autoscaling import names
from windtunnel.autoscaling.alarm import AlarmRule
from windtunnel.autoscaling.tracking import COOLDOWN_S, TrackingPolicy
from windtunnel.cloud.cloudwatch.metric import INVOCATIONS

Document = dict[str, Any]
_MINUTE_S = 60


@dataclass(frozen=True)
class Predefined:
    """A predefined metric of a variant's."""

    metric_name: str
    statistic: str


# By PredefinedMetricType.
PREDEFINED: Mapping[str, Predefined] = {
    "SageMakerVariantInvocationsPerInstance": Predefined("InvocationsPerInstance", "Sum"),
    # How it is averaged is not documented; what it counts is there at a time, so the mean.
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": Predefined(
        "ConcurrentRequestsPerModel", "Average"
    ),
}


def metric_name(configuration: Document) -> str:
    """Return what `autoscaling.tracking` calls the metric of a policy."""
    predefined = configuration.get("predefined_metric_specification")
    if predefined is not None:
        return str(predefined["predefined_metric_type"])
    own = configuration["customized_metric_specification"]
    if own.get("metrics"):
        return "metric math"
    return f"{own['namespace']}/{own['metric_name']}/{own['statistic']}"


def tracking_policy(name: str, configuration: Document, lasts: float = 1.0) -> TrackingPolicy:
    """Return a policy as the decider takes it; its cooldowns last this part of what they say."""
    out_s, in_s = (
        configuration.get(key, COOLDOWN_S) for key in ("scale_out_cooldown", "scale_in_cooldown")
    )
    return TrackingPolicy(
        name,
        metric_name(configuration),
        configuration["target_value"],
        out_cooldown_s=out_s * lasts,
        in_cooldown_s=in_s * lasts,
        is_in_disabled=bool(configuration.get("disable_scale_in")),
    )


def alarm_requests(
    rules: list[AlarmRule],
    configuration: Document,
    endpoint_name: str,
    variant_name: str,
    policy_arn: str,
    uuid: str,
) -> list[Document]:
    """Return PutMetricAlarm's words for a policy's alarms."""
    return [
        {
            "alarm_name": rule.name,
            "alarm_description": names.alarm_description(policy_arn, uuid),
            "actions_enabled": True,
            "ok_actions": [],
            "alarm_actions": [names.alarm_action(policy_arn, uuid)],
            "insufficient_data_actions": [],
            **_metric(configuration, endpoint_name, variant_name),
            **({} if is_math(configuration) else {"period": rule.period_s}),
            "evaluation_periods": rule.evaluation_periods,
            "threshold": rule.threshold,
            "comparison_operator": rule.comparison,
            "treat_missing_data": rule.treat_missing,
        }
        for rule in rules
    ]


def is_math(configuration: Document) -> bool:
    """Say whether a policy follows an expression."""
    return bool((configuration.get("customized_metric_specification") or {}).get("metrics"))


def metrics_of(specification: Document) -> list[Document]:
    """Return a policy's metrics as PutMetricAlarm takes them: their period is a minute."""
    return [
        {**each, "metric_stat": {**each["metric_stat"], "period": _MINUTE_S}}
        if each.get("metric_stat")
        else each
        for each in specification["metrics"]
    ]


def _metric(configuration: Document, endpoint_name: str, variant_name: str) -> Document:
    predefined = configuration.get("predefined_metric_specification")
    if predefined is None:
        own = configuration["customized_metric_specification"]
        if own.get("metrics"):
            return {"dimensions": [], "metrics": metrics_of(own)}
        return {
            "metric_name": own["metric_name"],
            "namespace": own["namespace"],
            "dimensions": own.get("dimensions") or [],
            "statistic": own["statistic"],
            **({"unit": own["unit"]} if own.get("unit") else {}),
        }
    metric = PREDEFINED[predefined["predefined_metric_type"]]
    return {
        "metric_name": metric.metric_name,
        "namespace": INVOCATIONS,
        "dimensions": [
            {"name": "EndpointName", "value": endpoint_name},
            {"name": "VariantName", "value": variant_name},
        ],
        "statistic": metric.statistic,
    }
