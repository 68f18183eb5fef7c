"""Requests of Application Auto Scaling, checked beyond botocore's model; pure.

Rules are those of botocore's pages on the operations. What holds for the members together is said
there; AWS's words for it are known of few (`wording.py`).
"""

import math
from typing import Any

from windtunnel.autoscaling import names, schedule
from windtunnel.autoscaling.schedule import InvalidScheduleError, Schedule
from windtunnel.autoscaling.steps import COOLDOWN_S, InvalidStepsError, Step, StepPolicy
from windtunnel.cloud.autoscaling import owned, wording
from windtunnel.cloud.autoscaling.owned import PREDEFINED
from windtunnel.cloud.cloudwatch.alarms import mathematics
from windtunnel.cloud.errors import InvalidError

Document = dict[str, Any]
_BURSTABLE = "ml.t"


def variant_of(resource_id: str) -> tuple[str, str]:
    """Return the endpoint and the variant that a resource ID names."""
    found = names.parse_resource_id(resource_id)
    if found is None:
        raise wording.unsupported_resource()
    return found


def check_instance_type(instance_type: str) -> None:
    """Refuse a variant on burstable instances."""
    if instance_type.startswith(_BURSTABLE):
        raise wording.burstable(instance_type)


def check_bounds(capacity_min: int | None, capacity_max: int | None) -> None:
    """Refuse bounds that are none; either may be left out."""
    for name, value in (("Minimum", capacity_min), ("Maximum", capacity_max)):
        if value is not None and value < 0:
            raise InvalidError(f"{name} capacity must be greater than or equal to 0")
    if capacity_min is not None and capacity_max is not None and capacity_min > capacity_max:
        raise InvalidError("Maximum capacity cannot be less than minimum capacity")


def check_tracking(configuration: Document) -> None:
    """Refuse a target-tracking configuration that means nothing."""
    target = configuration["target_value"]
    if not math.isfinite(target) or target <= 0:
        raise InvalidError(f"TargetValue must be a finite number above 0, not {target:g}.")
    predefined = configuration.get("predefined_metric_specification")
    own = configuration.get("customized_metric_specification")
    if (predefined is None) == (own is None):
        raise InvalidError(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must "
            "be specified."
        )
    if predefined is not None:
        if predefined["predefined_metric_type"] not in PREDEFINED:
            raise wording.unsupported_metric(tuple(PREDEFINED))
        if predefined.get("resource_label") is not None:
            raise InvalidError("ResourceLabel can be specified with ALBRequestCountPerTarget only.")
    else:
        assert own is not None
        _check_own(own)
    for key, name in (
        ("scale_out_cooldown", "ScaleOutCooldown"),
        ("scale_in_cooldown", "ScaleInCooldown"),
    ):
        _check_cooldown(configuration.get(key), name)


def metric_of(configuration: Document) -> Document:
    """Return what two target-tracking policies of a target may not both follow.

    The order of dimensions tells no metrics apart; an expression is the same in the same words.
    """
    predefined = configuration.get("predefined_metric_specification")
    if predefined is not None:
        label = predefined.get("resource_label")
        return {"predefined": predefined["predefined_metric_type"], "label": label}
    own = configuration["customized_metric_specification"]
    if own.get("metrics"):
        return {"metrics": own["metrics"]}
    dimensions = {each["name"]: each["value"] for each in own.get("dimensions") or ()}
    members = ("namespace", "metric_name", "statistic")
    return {**{member: own[member] for member in members}, "dimensions": dimensions}


def _check_own(own: Document) -> None:
    """Refuse a customized metric that is none: one metric, or several with an expression."""
    of_one = {"metric_name": "MetricName", "namespace": "Namespace", "statistic": "Statistic"}
    if not own.get("metrics"):
        for key, name in of_one.items():
            if own.get(key) is None:
                raise InvalidError(f"CustomizedMetricSpecification must have a {name}.")
        return
    for key, name in {**of_one, "dimensions": "Dimensions", "unit": "Unit"}.items():
        if own.get(key):
            raise InvalidError(
                f"CustomizedMetricSpecification has either Metrics or a {name}, not both."
            )
    mathematics.checked_period_s(owned.metrics_of(own))


def step_policy(name: str, configuration: Document, lasts: float = 1.0) -> StepPolicy:
    """Return a step policy as the decider takes it, or say what is wrong with it."""
    if configuration.get("adjustment_type") is None:
        raise InvalidError("AdjustmentType must be specified.")
    cooldown_s = configuration.get("cooldown")
    _check_cooldown(cooldown_s, "Cooldown")
    steps = tuple(
        Step(
            each["scaling_adjustment"],
            each.get("metric_interval_lower_bound"),
            each.get("metric_interval_upper_bound"),
        )
        for each in configuration.get("step_adjustments") or ()
    )
    try:
        return StepPolicy(
            name,
            configuration["adjustment_type"],
            steps,
            (COOLDOWN_S if cooldown_s is None else cooldown_s) * lasts,
            configuration.get("min_adjustment_magnitude"),
            configuration.get("metric_aggregation_type") or "Average",
        )
    except InvalidStepsError as error:
        raise InvalidError(str(error)) from None


def parsed_schedule(text: str, zone: str | None, *, from_s: float) -> Schedule:
    """Return what a schedule says, or AWS's kind of error for one that says nothing."""
    try:
        return schedule.parse(text, zone or "UTC", from_s=from_s)
    except InvalidScheduleError as error:
        raise InvalidError(str(error)) from None


def _check_cooldown(cooldown_s: int | None, name: str) -> None:
    if cooldown_s is not None and cooldown_s < 0:
        raise InvalidError(f"{name} must be greater than or equal to 0")
