"""Alarms on metric math: PutMetricAlarm's Metrics, read and checked; pure.

Rules from botocore's page on PutMetricAlarm: exactly one of the metrics returns data, and that is
what the alarm watches. Metrics of several periods are refused by name.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from windtunnel.cloud.cloudwatch.errors import QueryError
from windtunnel.cloud.cloudwatch.mathematics.evaluation import FailedExpressionError, plan
from windtunnel.cloud.cloudwatch.queries import ExpressionQuery, MetricQuery, Query, read_queries
from windtunnel.cloud.errors import InvalidError, UnsupportedError
from windtunnel.cloud.tempo import Tempo

Document = dict[str, Any]


def checked_period_s(metrics: Sequence[Document]) -> int:
    """Return the period of an alarm's metrics, or raise what is wrong with them."""
    queries = read_queries(metrics)
    if sum(query.is_returned for query in queries) != 1:
        raise InvalidError("Exactly one element of the metrics list should return data.")
    measured = [query for query in queries if isinstance(query, MetricQuery)]
    if not measured:
        raise InvalidError("At least one element of the metrics list must be a MetricStat.")
    expressions = {
        query.id: query.expression for query in queries if isinstance(query, ExpressionQuery)
    }
    try:
        plan(expressions, [query.id for query in measured])
    except FailedExpressionError as error:
        raise QueryError(str(error)) from None
    if len({query.period_s for query in measured}) > 1:
        raise UnsupportedError(
            "Windtunnel's local cloud does not offer alarms on metrics of several periods."
        )
    return measured[0].period_s


def queries_of(metrics: Sequence[Document], tempo: Tempo) -> list[Query]:
    """Return checked metrics as they are asked for at this cloud's tempo."""
    return [_at_tempo(query, tempo) for query in read_queries(metrics)]


def _at_tempo(query: Query, tempo: Tempo) -> Query:
    if isinstance(query, MetricQuery):
        return replace(query, period_s=tempo.period_s(query.period_s))
    period_s = query.period_s
    return replace(query, period_s=None if period_s is None else tempo.period_s(period_s))
