"""Queries answered: metrics read, expressions worked out, and the answer cut into pages.

A request without expressions is read metric by metric, as far as its page goes; expressions need
all metrics of their request at once, and so are bounded by AWS's own 100,800 data points.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from windtunnel.cloud import paging
from windtunnel.cloud.cloudwatch.errors import QueryError, TokenError
from windtunnel.cloud.cloudwatch.mathematics.evaluation import (
    FailedExpressionError,
    Plan,
    evaluate,
    plan,
)
from windtunnel.cloud.cloudwatch.mathematics.series import Series
from windtunnel.cloud.cloudwatch.queries import ExpressionQuery, MetricQuery, Query, read_queries
from windtunnel.cloud.cloudwatch.statistics import rounded_start_s
from windtunnel.cloud.errors import InvalidError
from windtunnel.core import limits

_TIMEZONE = re.compile(r"[+-](?:0\d|1[0-4])[0-5]\d")
# The windows of series that are made of nothing else, where nothing says otherwise: the period of
# AWS's standard resolution.
_PERIOD_S = 60


class Reader(Protocol):
    """What reads one metric."""

    async def __call__(self, query: MetricQuery, start_s: float, end_s: float) -> Series:
        """Return the series of a query."""
        ...


@dataclass(frozen=True)
class Span:
    """From when to when a request asks, and when it does so."""

    start_s: float
    end_s: float
    now_s: float


@dataclass(frozen=True)
class Result:
    """One series of an answer."""

    id: str
    label: str
    series: Series


async def get_metric_data(request: dict[str, Any], read: Reader, now_s: float) -> dict[str, Any]:
    """Answer a request with one page of its results."""
    span = Span(request["start_time"], request["end_time"], now_s)
    size = request.get("max_datapoints", limits.METRIC_DATA_DATAPOINT_COUNT_MAX)
    _check(request, span, size)
    queries = read_queries(request["metric_data_queries"])
    question = json.dumps(
        {key: value for key, value in request.items() if key != "next_token"}, sort_keys=True
    )
    first, after_s = _place(request.get("next_token"), question)
    is_descending = request.get("scan_by", "TimestampDescending") == "TimestampDescending"
    results: list[dict[str, Any]] = []
    token: str | None = None
    async for index, result in results_of(queries, read, span, first):
        points = sorted(result.series.points.items(), reverse=is_descending)
        if index == first and after_s is not None:
            points = [
                (at_s, value)
                for at_s, value in points
                if (at_s < after_s if is_descending else at_s > after_s)
            ]
        if points and not size:
            token = paging.write_token([index, None], question)
            break
        chosen = points[:size]
        size -= len(chosen)
        is_complete = len(chosen) == len(points)
        results.append(_shown(result, chosen, is_complete=is_complete))
        if not is_complete:
            token = paging.write_token([index, chosen[-1][0]], question)
            break
    return {"metric_data_results": results, "messages": [], "next_token": token}


async def results_of(
    queries: Sequence[Query], read: Reader, span: Span, first: int = 0
) -> AsyncIterator[tuple[int, Result]]:
    """Yield the results that are to be returned, from one of them on, each with its index."""
    expressions = {
        query.id: query.expression for query in queries if isinstance(query, ExpressionQuery)
    }
    metrics = {query.id: query for query in queries if isinstance(query, MetricQuery)}
    if not expressions:
        wanted = [query for query in metrics.values() if query.is_returned]
        for index in range(first, len(wanted)):
            yield index, await _result(wanted[index], read, span)
        return
    try:
        planned = plan(expressions, metrics)
    except FailedExpressionError as error:
        raise QueryError(str(error)) from None
    found = await _found(metrics, read, span)
    results = await asyncio.to_thread(_worked_out, queries, planned, found, span)
    for index in range(first, len(results)):
        yield index, results[index]


async def _found(metrics: dict[str, MetricQuery], read: Reader, span: Span) -> dict[str, Result]:
    """Return the results of all metrics, or refuse what would be too many data points."""
    found: dict[str, Result] = {}
    count = 0
    for query in metrics.values():
        found[query.id] = await _result(query, read, span)
        count += len(found[query.id].series.points)
        if count > limits.METRIC_DATA_DATAPOINT_COUNT_MAX:
            raise QueryError(
                "The expressions need more datapoints than the limit of "
                f"{limits.METRIC_DATA_DATAPOINT_COUNT_MAX}. You may reduce them by increasing "
                "Period, or decreasing the time range."
            )
    return found


def _worked_out(
    queries: Sequence[Query], planned: Plan, found: dict[str, Result], span: Span
) -> list[Result]:
    """Return all results that are to be returned, in the order of their queries."""
    series = {query_id: result.series for query_id, result in found.items()}
    try:
        values = evaluate(planned, series, _empty_windows(queries, span))
    except FailedExpressionError as error:
        raise QueryError(str(error)) from None
    results: list[Result] = []
    for query in queries:
        if not query.is_returned:
            continue
        if isinstance(query, MetricQuery):
            results.append(found[query.id])
            continue
        label = query.id if query.label is None else query.label
        many = len(values[query.id]) > 1
        results += [
            Result(query.id, f"{label} {each.label}".strip() if many else label, each)
            for each in values[query.id]
        ]
    return results


def _empty_windows(queries: Sequence[Query], span: Span) -> Series:
    """Return a series without values: its windows are those of the request's finest metric."""
    periods = [query.period_s for query in queries if isinstance(query, MetricQuery)]
    periods = periods or [query.period_s for query in queries if query.period_s is not None]
    period_s = min(periods, default=_PERIOD_S)
    start_s = rounded_start_s(span.start_s, period_s, span.now_s)
    return Series("", period_s, start_s, min(span.end_s, span.now_s), {})


async def _result(query: MetricQuery, read: Reader, span: Span) -> Result:
    series = await read(query, span.start_s, span.end_s)
    return Result(query.id, series.label, series)


def _shown(result: Result, points: list[tuple[int, float]], *, is_complete: bool) -> dict[str, Any]:
    return {
        "id": result.id,
        "label": result.label,
        "timestamps": [at_s for at_s, _ in points],
        "values": [value for _, value in points],
        "status_code": "Complete" if is_complete else "PartialData",
    }


def _check(request: dict[str, Any], span: Span, size: int) -> None:
    if span.start_s == span.end_s:
        raise QueryError("The parameter StartTime must not equal parameter EndTime.")
    if span.start_s > span.end_s:
        raise QueryError("The parameter StartTime must be less than the parameter EndTime.")
    if not 1 <= size <= limits.METRIC_DATA_DATAPOINT_COUNT_MAX:
        raise QueryError(
            f"The parameter MaxDatapoints must be from 1 to "
            f"{limits.METRIC_DATA_DATAPOINT_COUNT_MAX}."
        )
    # Nothing in a label shows a time here, so that a time zone changes none.
    timezone = (request.get("label_options") or {}).get("timezone")
    if timezone is not None and not _TIMEZONE.fullmatch(timezone):
        raise QueryError(
            f"The value {timezone} for parameter LabelOptions.Timezone is not matching the "
            "expected pattern, as +0130 does."
        )


def _place(token: str | None, question: str) -> tuple[int, int | None]:
    """Return the first result of the page, and after which of its data points it goes on."""
    if token is None:
        return 0, None
    try:
        index, after_s = paging.read_token(token, question)
    except InvalidError as error:
        raise TokenError(error.message) from None
    return index, after_s
