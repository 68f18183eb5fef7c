"""The queries of a GetMetricData request: what is asked for, read and checked.

Pure. The wording is CloudWatch's where public code quotes it: what is mutually exclusive, and the
pattern of ids.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from windtunnel.cloud.cloudwatch.errors import QueryError
from windtunnel.cloud.cloudwatch.metric import Metric
from windtunnel.cloud.cloudwatch.statistics import (
    Statistic,
    UnknownStatisticError,
    is_period,
    statistic,
)
from windtunnel.core import limits

_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
# Labels in which CloudWatch would put figures and times ("Using dynamic labels").
_DYNAMIC = "${"


@dataclass(frozen=True)
class MetricQuery:
    """A statistic of a metric."""

    id: str
    metric: Metric
    period_s: int
    statistic: Statistic
    unit: str | None = None
    label: str | None = None
    is_returned: bool = True


@dataclass(frozen=True)
class ExpressionQuery:
    """Metric math over other queries."""

    id: str
    expression: str
    # The windows of series that are made of no other: TIME_SERIES(5).
    period_s: int | None = None
    label: str | None = None
    is_returned: bool = True


Query = MetricQuery | ExpressionQuery


def read_queries(given: Sequence[dict[str, Any]]) -> list[Query]:
    """Return the queries of a request, or raise what is wrong with them."""
    if not given:
        raise QueryError("The parameter MetricDataQueries is required.")
    if len(given) > limits.METRIC_QUERY_COUNT_MAX:
        raise QueryError(
            "The collection MetricDataQueries must not have a size greater than "
            f"{limits.METRIC_QUERY_COUNT_MAX}."
        )
    queries = [
        _query(each, f"MetricDataQueries.member.{index}") for index, each in enumerate(given, 1)
    ]
    if max(Counter(query.id for query in queries).values()) > 1:
        raise QueryError("The values for parameter id in MetricDataQueries are not unique.")
    return queries


def _query(given: dict[str, Any], where: str) -> Query:
    query_id: str = given["id"]
    if not _ID.fullmatch(query_id):
        raise QueryError(
            f"The value for parameter {where}.Id is not matching the expected pattern "
            "^[a-z][a-zA-Z0-9_]*$."
        )
    label = given.get("label")
    if label is not None and _DYNAMIC in label:
        raise QueryError(
            f"Windtunnel's local cloud does not offer dynamic labels ({where}.Label '{label}')."
        )
    metric_stat: dict[str, Any] | None = given.get("metric_stat")
    expression: str | None = given.get("expression")
    if metric_stat is None and expression is None:
        raise QueryError(
            f"At least one of the parameters {where}.Expression or {where}.MetricStat must be "
            "specified."
        )
    if metric_stat is not None and expression is not None:
        raise _exclusive(f"{where}.Expression", f"{where}.MetricStat")
    is_returned = given.get("return_data", True)
    if expression is not None:
        period_s = given.get("period")
        if period_s is not None:
            _check_period(period_s, f"{where}.Period")
        return ExpressionQuery(query_id, expression, period_s, label, is_returned)
    if given.get("period") is not None:
        raise _exclusive(f"{where}.Period", f"{where}.MetricStat")
    assert metric_stat is not None
    return _metric_query(query_id, metric_stat, f"{where}.MetricStat", label, is_returned)


def _metric_query(
    query_id: str,
    given: dict[str, Any],
    where: str,
    label: str | None,
    is_returned: bool,  # noqa: FBT001 - as it came
) -> MetricQuery:
    metric = given["metric"]
    for key, name in (("namespace", "Namespace"), ("metric_name", "MetricName")):
        if metric.get(key) is None:
            raise QueryError(f"The parameter {where}.Metric.{name} is required.")
    _check_period(given["period"], f"{where}.Period")
    try:
        wanted = statistic(given["stat"])
    except UnknownStatisticError as error:
        if error.is_aws:
            raise QueryError(
                f"Windtunnel's local cloud does not offer {where}.Stat '{error.name}'."
            ) from None
        raise QueryError(
            f"The value {error.name} for parameter {where}.Stat is not supported."
        ) from None
    dimensions = [(each["name"], each["value"]) for each in metric.get("dimensions") or []]
    return MetricQuery(
        query_id,
        Metric.of(metric["namespace"], metric["metric_name"], dimensions),
        given["period"],
        wanted,
        given.get("unit"),
        label,
        is_returned,
    )


def _exclusive(first: str, second: str) -> QueryError:
    return QueryError(
        f"The parameters {first} and {second} are mutually exclusive and you have specified both."
    )


def _check_period(period_s: int, where: str) -> None:
    if not is_period(period_s):
        raise QueryError(
            f"The parameter {where} must be 1, 5, 10, 20, 30 or a multiple of 60 seconds."
        )
