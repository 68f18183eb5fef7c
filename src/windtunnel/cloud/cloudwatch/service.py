"""CloudWatch's operations over what the router recorded.

Every variant's metrics have the dimensions EndpointName and VariantName, and no others: CloudWatch
sums nothing up over dimensions that were not published.
"""

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from windtunnel.cloud.cloudwatch import statistics
from windtunnel.cloud.cloudwatch.errors import CombinationError, MissingParameterError
from windtunnel.cloud.cloudwatch.samples import NAMESPACE, UNITS, InvocationRecord, Samples
from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.paging import page
from windtunnel.core import limits
from windtunnel.core.clock import Clock

_MINUTE_S = 60
# "ListMetrics doesn't return information about metrics if those metrics haven't reported data in
# the past two weeks" (its page); PT3H asks for the past three hours.
_LISTED_S = 14 * 24 * 3600
_RECENTLY_S = 3 * 3600
_STATISTICS: Mapping[str, Callable[[statistics.Datapoint], float]] = {
    "SampleCount": lambda point: point.sample_count,
    "Average": lambda point: point.average,
    "Sum": lambda point: point.sum,
    "Minimum": lambda point: point.minimum,
    "Maximum": lambda point: point.maximum,
}
_STATISTIC_KEYS = {
    "SampleCount": "sample_count",
    "Average": "average",
    "Sum": "sum",
    "Minimum": "minimum",
    "Maximum": "maximum",
}


class CloudWatch:
    """Takes the router's records, answers questions about them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples = Samples()

    def record(self, record: InvocationRecord) -> None:
        """Take one invocation's record: the hot path."""
        self._samples.record(record)

    def operations(self) -> Mapping[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]]:
        """Return what the API can ask for."""
        return {
            "GetMetricStatistics": self.get_metric_statistics,
            "ListMetrics": self.list_metrics,
        }

    async def get_metric_statistics(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return a metric's data points over a stretch of time."""
        period_s: int = request["period"]
        end_s: float = request["end_time"]
        wanted: list[str] = request.get("statistics") or []
        _check_question(request["start_time"], end_s, period_s, wanted)
        start_s = statistics.rounded_start_s(request["start_time"], period_s, self._clock.now_s())
        _check_count(start_s, end_s, period_s)
        name = request["metric_name"]
        unit = UNITS.get(name)
        points: list[statistics.Datapoint] = []
        variant = _variant_of(request)
        if variant is not None and request.get("unit", unit) == unit:
            series = self._samples.series(*variant, name)
            if series is not None:
                ring = series.minutes if period_s % _MINUTE_S == 0 else series.seconds
                points = statistics.datapoints(ring.between(start_s, end_s), start_s, period_s)
        return {
            "label": name,
            "datapoints": [
                {
                    "timestamp": point.timestamp_s,
                    "unit": unit,
                    **{_STATISTIC_KEYS[each]: _STATISTICS[each](point) for each in wanted},
                }
                for point in points
            ],
        }

    async def list_metrics(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return which metrics there are, a page at a time."""
        since_s = _RECENTLY_S if request.get("recently_active") else _LISTED_S
        oldest_s = self._clock.now_s() - since_s
        wanted_name = request.get("metric_name")
        found = [
            (endpoint_name, variant_name, name)
            for endpoint_name, variant_name in self._samples.variants()
            if request.get("namespace") in (None, NAMESPACE)
            and self._samples.last_s(endpoint_name, variant_name) >= oldest_s
            and _has_dimensions(endpoint_name, variant_name, request.get("dimensions") or [])
            for name in sorted(UNITS)
            if wanted_name in (None, name)
        ]
        question = {key: value for key, value in request.items() if key != "next_token"}
        listed, token = page(
            found,
            list,
            question=json.dumps(question, sort_keys=True),
            token=request.get("next_token"),
            size=limits.METRIC_PAGE_COUNT_MAX,
        )
        metrics = [
            {
                "namespace": NAMESPACE,
                "metric_name": name,
                "dimensions": [
                    {"name": "EndpointName", "value": endpoint_name},
                    {"name": "VariantName", "value": variant_name},
                ],
            }
            for endpoint_name, variant_name, name in listed
        ]
        return {"metrics": metrics, "next_token": token}


def _check_question(start_s: float, end_s: float, period_s: int, wanted: list[str]) -> None:
    if not wanted:
        raise MissingParameterError("The parameter Statistics is required.")
    if start_s == end_s:
        raise InvalidError("The parameter StartTime must not equal parameter EndTime.")
    if start_s > end_s:
        raise InvalidError("The parameter StartTime must be less than the parameter EndTime.")
    if not statistics.is_period(period_s):
        raise InvalidError(
            "The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60 seconds."
        )


def _check_count(start_s: int, end_s: float, period_s: int) -> None:
    count = math.ceil((end_s - start_s) / period_s)
    if count > limits.METRIC_DATAPOINT_COUNT_MAX:
        raise CombinationError(
            f"You have requested up to {count} datapoints, which exceeds the limit of "
            f"{limits.METRIC_DATAPOINT_COUNT_MAX}. You may reduce the datapoints requested by "
            "increasing Period, or decreasing the time range."
        )


def _variant_of(request: dict[str, Any]) -> tuple[str, str] | None:
    """Return the endpoint and variant that a question is about, None when it is about another."""
    dimensions = {each["name"]: each["value"] for each in request.get("dimensions") or []}
    if request["namespace"] != NAMESPACE or dimensions.keys() != {"EndpointName", "VariantName"}:
        return None
    return dimensions["EndpointName"], dimensions["VariantName"]


def _has_dimensions(endpoint_name: str, variant_name: str, filters: list[dict[str, str]]) -> bool:
    dimensions = {"EndpointName": endpoint_name, "VariantName": variant_name}
    return all(
        each["name"] in dimensions and each.get("value") in (None, dimensions[each["name"]])
        for each in filters
    )
