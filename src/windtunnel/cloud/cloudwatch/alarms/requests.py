"""PutMetricAlarm's words: what is wrong with them, and what they are when nothing is.

Pure. Rules from botocore's page on PutMetricAlarm: which periods there are, that a week is the most
that an alarm looks back, that a statistic is the simple or the extended one.
"""

import math
from typing import Any

from windtunnel.aws.arn import Arn
from windtunnel.cloud.cloudwatch.alarms import mathematics
from windtunnel.cloud.cloudwatch.errors import ActionError, CombinationError, MissingParameterError
from windtunnel.cloud.cloudwatch.statistics import UnknownStatisticError, is_period, percentile
from windtunnel.cloud.errors import InvalidError, UnsupportedError

Document = dict[str, Any]
_TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")
_LOW_SAMPLE_COUNTS = ("evaluate", "ignore")
# "The time period that the alarm evaluates, in seconds, must not exceed" a day, or a week where the
# period is an hour at least.
_DAY_S, _WEEK_S, _HOUR_S = 86_400, 604_800, 3600
_OF_ALL = {
    "threshold": "Threshold",
    "evaluation_periods": "EvaluationPeriods",
    "comparison_operator": "ComparisonOperator",
}
_OF_ONE_METRIC = {"metric_name": "MetricName", "namespace": "Namespace", "period": "Period"}
_NOT_WITH_METRICS = {
    **_OF_ONE_METRIC,
    "dimensions": "Dimensions",
    "unit": "Unit",
    "statistic": "Statistic",
    "extended_statistic": "ExtendedStatistic",
}
# Which of a request's members an alarm keeps, as they are when they are not given.
_DEFAULTS: Document = {
    "actions_enabled": True,
    "alarm_actions": [],
    "ok_actions": [],
    "insufficient_data_actions": [],
    "dimensions": [],
}


def read_alarm(request: Document, region: str) -> Document:
    """Return the words of an alarm in this region, whole, or raise what is wrong with them."""
    metrics = request.get("metrics")
    for key, name in ({} if metrics else _OF_ONE_METRIC).items() | _OF_ALL.items():
        if request.get(key) is None:
            raise MissingParameterError(f"The parameter {name} is required.")
    if metrics:
        given = [name for key, name in _NOT_WITH_METRICS.items() if request.get(key)]
        if given:
            raise CombinationError(
                f"The parameters Metrics and {given[0]} are mutually exclusive and you have "
                "specified both."
            )
        period_s = mathematics.checked_period_s(metrics)
    else:
        _check_statistic(request)
        period_s = request["period"]
    _check_periods(request, period_s)
    if not math.isfinite(request["threshold"]):
        raise InvalidError("The parameter Threshold must be a finite number.")
    _check_word(request, "treat_missing_data", "TreatMissingData", _TREATMENTS)
    _check_word(
        request,
        "evaluate_low_sample_count_percentile",
        "EvaluateLowSampleCountPercentile",
        _LOW_SAMPLE_COUNTS,
    )
    for arn in request.get("alarm_actions") or ():
        _check_action(arn, region)
    return {**_DEFAULTS, **{key: value for key, value in request.items() if key != "tags"}}


def _check_statistic(request: Document) -> None:
    simple, extended = request.get("statistic"), request.get("extended_statistic")
    if simple is None and extended is None:
        raise CombinationError("Must specify either Statistic or ExtendedStatistic")
    if simple is not None and extended is not None:
        raise CombinationError(
            "The parameters Statistic and ExtendedStatistic are mutually exclusive and you have "
            "specified both."
        )
    if extended is None:
        if request.get("evaluate_low_sample_count_percentile") is not None:
            raise CombinationError(
                "EvaluateLowSampleCountPercentile can only be specified with ExtendedStatistic."
            )
        return
    try:
        percentile(extended)
    except UnknownStatisticError as error:
        if error.is_aws:
            raise UnsupportedError(
                f"Windtunnel's local cloud does not offer the extended statistic {error.name}."
            ) from None
        raise InvalidError(
            f"The value {error.name} for parameter ExtendedStatistic is not supported."
        ) from None


def _check_periods(request: Document, period_s: int) -> None:
    count = request["evaluation_periods"]
    if not is_period(period_s):
        raise InvalidError("The parameter Period must be 10, 20, 30 or a multiple of 60 seconds.")
    span_s, most_s = period_s * count, _WEEK_S if period_s >= _HOUR_S else _DAY_S
    if span_s > most_s:
        raise InvalidError(
            "Metrics cannot be checked across more than "
            f"{'a week' if most_s == _WEEK_S else 'a day'} (EvaluationPeriods * Period must be "
            f"<= {most_s})."
        )
    wanted = request.get("datapoints_to_alarm")
    if wanted is not None and wanted > count:
        raise InvalidError(
            "The parameter DatapointsToAlarm must be less than or equal to EvaluationPeriods."
        )


def _check_word(request: Document, key: str, name: str, words: tuple[str, ...]) -> None:
    value = request.get(key)
    if value is not None and value not in words:
        raise InvalidError(
            f"The value {value} for parameter {name} is not supported: it is one of "
            f"{', '.join(words)}."
        )


def _check_action(arn: str, region: str) -> None:
    """Take scaling policies alone: there is nothing here that others would reach."""
    parsed = Arn.parse(arn)
    if parsed is None:
        raise ActionError(f"Invalid action ARN: {arn}.")
    if parsed.region != region:
        raise ActionError(f"Invalid region {parsed.region} specified. Only {region} is supported.")
    if parsed.service != "autoscaling" or not parsed.resource.startswith("scalingPolicy:"):
        raise UnsupportedError(
            f"Windtunnel's local cloud does not offer the alarm action {arn}: it has scaling "
            "policies of Application Auto Scaling."
        )
