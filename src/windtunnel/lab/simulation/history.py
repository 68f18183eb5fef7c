"""What an endpoint went through: its traffic, its policies and what they did, asked of AWS.

Everything comes through boto3: CloudWatch's minutes of Invocations, DescribeScalingActivities, and
the policies as they are now. The activities are the truth that a prediction is held against.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from botocore.exceptions import ClientError

from windtunnel.autoscaling.timeline import Demand
from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.lab import refusals
from windtunnel.lab.scaling import DESIRED, DIMENSION, NAMESPACE
from windtunnel.lab.simulation.traces import ReadTrace
from windtunnel.lab.target import Target

_MINUTE_S = 60
_DAY_S = 86_400
# CloudWatch keeps data points of a minute for 15 days (GetMetricData's documentation).
_DAYS_MAX = 15
# A predicted activity is right when a real one to the same count began within a minute of it.
_WITHIN_S = 60.0
# Of an activity that changed nothing there is nothing to predict.
_FAILED = frozenset({"Failed", "Unfulfilled"})


@dataclass(frozen=True)
class Activity:
    """A change that Application Auto Scaling made, or that a simulation predicts."""

    at_s: float
    desired: int
    # Whether it added instances; None where nobody knows how many there were.
    is_out: bool | None = None

    def is_like(self, other: "Activity") -> bool:
        """Whether both are the same change, to the same count and in the same direction."""
        is_opposite = None not in (self.is_out, other.is_out) and self.is_out != other.is_out
        return self.desired == other.desired and not is_opposite


@dataclass(frozen=True)
class History:
    """An endpoint's past."""

    trace: ReadTrace
    activities: tuple[Activity, ...]
    # With how many instances it began; None where the metrics do not tell.
    initial: int | None
    # The target with its policies, alarms and scheduled actions, as `policies` reads them.
    words: Mapping[str, Any]


@dataclass(frozen=True)
class Verification:
    """How a prediction compares with what was done."""

    predicted: int
    real: int
    matched: int

    @property
    def sentence(self) -> str:
        """Say it in words."""
        return (
            f"{self.matched:,} of {self.predicted:,} predicted activities fall within a minute of "
            f"a real one, in the same direction to the same count; there were {self.real:,} real "
            "ones"
        )


def read(target: Target, endpoint: str, variant: str, days: float, now_s: float) -> History:
    """Return an endpoint's past up to the last whole minute."""
    if not 0 < days <= _DAYS_MAX:
        raise UsageError(f"--days is more than 0 and at most {_DAYS_MAX}: CloudWatch keeps minutes "
                         "no longer.")  # fmt: skip
    end_s = now_s // _MINUTE_S * _MINUTE_S
    with refusals.explained(f"the past of endpoint {endpoint}"):
        try:
            return of_clients(
                target.cloudwatch(),
                target.application_autoscaling(),
                endpoint,
                variant,
                end_s - int(days * _DAY_S) // _MINUTE_S * _MINUTE_S,
                end_s,
            )
        except ClientError as error:
            if refusals.is_unsupported(error):
                raise NotReadyError(
                    f"The past of {endpoint} cannot be asked of {target.name}: "
                    f"{refusals.message_of(error)}"
                ) from error
            raise


def of_clients(
    cloudwatch: Any,  # noqa: ANN401 - boto3's own types for it are no dependency of ours
    scaling: Any,  # noqa: ANN401 - likewise
    endpoint: str,
    variant: str,
    start_s: float,
    end_s: float,
) -> History:
    """Return an endpoint's past from a moment to another, both whole minutes."""
    which = {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": DIMENSION,
    }
    requests, shares = _minutes(cloudwatch, endpoint, variant, start_s, end_s)
    if not requests:
        raise UsageError(
            f"CloudWatch has no request count of variant {variant} of endpoint {endpoint} in that "
            "time: look at the name, or ask for more --days."
        )
    # Before the first there was no endpoint: an idle one publishes zeros.
    start_s = min(requests)
    initial = _initial(requests, shares)
    count = round((end_s - start_s) / _MINUTE_S)
    counts = np.zeros(count)
    for at_s, value in requests.items():
        counts[int((at_s - start_s) // _MINUTE_S)] += value
    missing = count - len(requests)
    what = "1 minute has" if missing == 1 else f"{missing:,} minutes have"
    notes = (f"{what} no data point: they count as without requests",)
    return History(
        ReadTrace(Demand(start_s, _MINUTE_S, counts), notes if missing else ()),
        _activities(scaling, which, start_s, initial),
        initial,
        _words(cloudwatch, scaling, which),
    )


def verify(
    predicted: Sequence[Activity], activities: Sequence[Activity], end_s: float
) -> Verification:
    """Return how many predicted changes have a real one beside them, each real one once.

    Changes from the trace's end on are not counted on either side, since what led to them may not
    be in it; but a real one there may be what was predicted just before.
    """
    told = [each for each in predicted if each.at_s < end_s]
    left = list(activities)
    matched: list[Activity] = []
    for each in told:
        near = [
            real for real in left if real.is_like(each) and abs(real.at_s - each.at_s) <= _WITHIN_S
        ]
        if near:
            matched.append(min(near, key=lambda real: abs(real.at_s - each.at_s)))
            left.remove(matched[-1])
    late = sum(real.at_s >= end_s for real in activities)
    late_matched = sum(real.at_s >= end_s for real in matched)
    return Verification(len(told), len(activities) - late + late_matched, len(matched))


def _minutes(
    cloudwatch: Any,  # noqa: ANN401 - see above
    endpoint: str,
    variant: str,
    start_s: float,
    end_s: float,
) -> tuple[dict[float, float], dict[float, float]]:
    """Return the invocations of each minute, and those per instance."""
    dimensions = [
        {"Name": "EndpointName", "Value": endpoint},
        {"Name": "VariantName", "Value": variant},
    ]
    names = ("Invocations", "InvocationsPerInstance")
    queries = [
        {
            "Id": name.lower(),
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SageMaker",
                    "MetricName": name,
                    "Dimensions": dimensions,
                },
                "Period": _MINUTE_S,
                "Stat": "Sum",
            },
        }
        for name in names
    ]
    found: dict[str, dict[float, float]] = {name.lower(): {} for name in names}
    for page in cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries,
        StartTime=datetime.fromtimestamp(start_s, UTC),
        EndTime=datetime.fromtimestamp(end_s, UTC),
        ScanBy="TimestampAscending",
    ):
        for result in page["MetricDataResults"]:
            for moment, value in zip(result["Timestamps"], result["Values"], strict=True):
                at_s = moment.timestamp()
                if start_s <= at_s < end_s:
                    found[result["Id"]][at_s] = value
    return found["invocations"], found["invocationsperinstance"]


def _initial(requests: Mapping[float, float], shares: Mapping[float, float]) -> int | None:
    """Return how many instances there were at first: each request published 1 over that."""
    for at_s in sorted(requests):
        if requests[at_s] > 0 and shares.get(at_s, 0) > 0:
            return max(round(requests[at_s] / shares[at_s]), 1)
    return None


def _activities(
    scaling: Any,  # noqa: ANN401 - see above
    which: Mapping[str, str],
    start_s: float,
    initial: int | None,
) -> tuple[Activity, ...]:
    """Return the changes since a moment, up to now."""
    made: list[tuple[float, int]] = []
    for page in scaling.get_paginator("describe_scaling_activities").paginate(**which):
        for each in page["ScalingActivities"]:
            match = DESIRED.fullmatch(each["Description"])
            at_s = each["StartTime"].timestamp()
            if match and each["StatusCode"] not in _FAILED and start_s <= at_s:
                made.append((at_s, int(match[1])))
    made.sort()
    before = [initial, *(desired for _, desired in made)]
    return tuple(
        Activity(at_s, desired, None if previous is None else desired > previous)
        for (at_s, desired), previous in zip(made, before, strict=False)
    )


def _words(
    cloudwatch: Any,  # noqa: ANN401 - see above
    scaling: Any,  # noqa: ANN401 - see above
    which: Mapping[str, str],
) -> dict[str, Any]:
    """Return the target as it is registered now, with all it has."""
    known = {key: which[key] for key in ("ServiceNamespace", "ScalableDimension")}
    words: dict[str, Any] = {
        "ScalableTargets": _all(
            scaling, "describe_scalable_targets", "ScalableTargets",
            {**known, "ResourceIds": [which["ResourceId"]]},
        ),
        "ScalingPolicies": _all(scaling, "describe_scaling_policies", "ScalingPolicies", which),
        "ScheduledActions": _all(scaling, "describe_scheduled_actions", "ScheduledActions", which),
    }  # fmt: skip
    steps = [each for each in words["ScalingPolicies"] if each["PolicyType"] == "StepScaling"]
    names = [alarm["AlarmName"] for each in steps for alarm in each.get("Alarms", [])]
    if names:
        words["MetricAlarms"] = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    # Moments as JSON has them.
    plain: dict[str, Any] = json.loads(json.dumps(words, default=lambda each: each.isoformat()))
    return plain


def _all(
    scaling: Any,  # noqa: ANN401 - see above
    operation: str,
    name: str,
    words: Mapping[str, Any],
) -> list[Any]:
    pages: Iterable[Mapping[str, Any]] = scaling.get_paginator(operation).paginate(**words)
    return [each for page in pages for each in page[name]]
