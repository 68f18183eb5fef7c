"""CloudWatch: what was measured comes in, questions about it are answered.

Inside this process others use `record` (the router, for each request), `add` (whoever samples), and
`read` or `evaluate` (alarms and scaling): the same figures that the API answers with.

What is recorded or added is saved in one batch a second, and before any question is answered; a
PutMetricData is saved before it is acknowledged.
"""

import asyncio
import json
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Self

from windtunnel.cloud.cloudwatch import statistics
from windtunnel.cloud.cloudwatch.archive import Archive, Question, Window
from windtunnel.cloud.cloudwatch.data import Result, Span, get_metric_data, results_of
from windtunnel.cloud.cloudwatch.errors import CombinationError
from windtunnel.cloud.cloudwatch.mathematics.series import Series
from windtunnel.cloud.cloudwatch.metric import Metric, Sample
from windtunnel.cloud.cloudwatch.puts import samples_of_put
from windtunnel.cloud.cloudwatch.queries import MetricQuery, Query
from windtunnel.cloud.cloudwatch.samples import InvocationRecord, Samples, samples_of
from windtunnel.cloud.cloudwatch.statistics import Statistic, UnknownStatisticError
from windtunnel.cloud.cloudwatch.summary import Summary
from windtunnel.cloud.cloudwatch.totals import Totals
from windtunnel.cloud.errors import CloudError, InvalidError
from windtunnel.cloud.paging import page
from windtunnel.core import limits
from windtunnel.core.clock import Clock

log = logging.getLogger(__name__)

# "ListMetrics doesn't return information about metrics if those metrics haven't reported data in
# the past two weeks" (its page); PT3H asks for the past three hours.
_LISTED_S = 14 * 24 * 3600
_RECENTLY_S = 3 * 3600
_STATISTIC_KEYS = {
    "SampleCount": "sample_count",
    "Average": "average",
    "Sum": "sum",
    "Minimum": "minimum",
    "Maximum": "maximum",
}


class PeriodSpan(NamedTuple):
    """Whole periods of a metric, the first of which begins at the start."""

    metric: Metric
    period_s: int
    start_s: int
    end_s: int
    unit: str | None = None
    needs_distribution: bool = False


class CloudWatch:
    """Takes measurements, answers questions about them.

    With `visible_after_s`, what was measured can be seen only so long after its second or minute
    ended, as on AWS, where metrics are late. With `keeps_seconds` all is kept by the second, for
    alarms whose minutes are shorter (`tempo.py`).
    """

    def __init__(
        self,
        clock: Clock,
        archive: Archive,
        *,
        visible_after_s: float = 0.0,
        keeps_seconds: bool = False,
    ) -> None:
        self._clock = clock
        self._archive = archive
        self.visible_after_s = visible_after_s
        self._keeps_seconds = keeps_seconds
        self._samples = Samples()
        self._totals = Totals()
        self._added: deque[Sample] = deque(maxlen=limits.METRIC_UNSAVED_COUNT_MAX)
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin to save what is measured, and to let it age."""
        self._tasks = [
            asyncio.create_task(self._keep_saving()),
            asyncio.create_task(self._keep_tidy()),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Save what is left, and let the file go."""
        await self.close()

    async def close(self) -> None:
        """Save what is left, and let the file go."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._save()
        await self._archive.close()

    # --- for others in this process ---------------------------------------------------------------

    def record(self, record: InvocationRecord) -> None:
        """Take one invocation's record: the hot path."""
        self._samples.record(record)

    def add(self, samples: Iterable[Sample]) -> None:
        """Take what somebody in this process measured; it is saved with the next batch."""
        self._added.extend(self._kept(samples))

    def _kept(self, samples: Iterable[Sample]) -> Iterable[Sample]:
        if not self._keeps_seconds:
            return samples
        return [sample._replace(is_high_resolution=True) for sample in samples]

    async def read(self, query: MetricQuery, start_s: float, end_s: float) -> Series:
        """Return the values of a statistic, by the start of their windows."""
        first_s = statistics.rounded_start_s(start_s, query.period_s, self._clock.now_s())
        windows = await self._windows(
            query.metric, query.period_s, first_s, end_s, query.unit, [query.statistic]
        )
        merged: dict[int, Summary] = {}
        for window in windows:
            old = merged.get(window.start_s)
            merged[window.start_s] = window.summary if old is None else old.plus(window.summary)
        values = ((at_s, query.statistic.of(summary)) for at_s, summary in merged.items())
        return Series(
            query.metric.name if query.label is None else query.label,
            query.period_s,
            first_s,
            min(end_s, self._clock.now_s()),
            {at_s: value for at_s, value in values if value is not None},
        )

    async def read_periods(self, spans: Sequence[PeriodSpan]) -> list[dict[int, Summary]]:
        """Return what metrics came to in whole periods, by the moment at which each began.

        For alarms: many at once, and periods that begin where they say, not where a question does.
        """
        await self._save()
        now_s = self._clock.now_s()
        shown_until_s = now_s - self.visible_after_s if self.visible_after_s else math.inf
        questions = [
            Question(
                span.metric,
                span.period_s,
                span.start_s,
                span.end_s,
                now_s,
                span.unit,
                span.needs_distribution,
                shown_until_s,
            )
            for span in spans
        ]
        alike = [each for each in questions if not each.needs_distribution]
        answers = iter(await self._archive.windows_of_all(alike))
        found = []
        for question in questions:
            windows = (
                await self._archive.windows(question)
                if question.needs_distribution
                else next(answers)
            )
            found.append(_by_start(windows))
        return found

    async def evaluate(
        self, queries: Sequence[Query], start_s: float, end_s: float
    ) -> list[Result]:
        """Return the results of queries and expressions, those that are to be returned."""
        span = Span(start_s, end_s, self._clock.now_s())
        return [result async for _, result in results_of(queries, self.read, span)]

    async def has_samples(self, metric: Metric, start_s: int, end_s: int) -> bool:
        """Say whether a metric has samples in a stretch of time, shown already or not."""
        await self._save()
        now_s = self._clock.now_s()
        span = Question(metric, end_s - start_s, start_s, end_s, now_s)
        return bool(await self._archive.windows(span))

    async def totals(self) -> Totals:
        """Return what all variants came to since the start, up to now."""
        await self._save()
        return self._totals

    # --- operations -------------------------------------------------------------------------------

    def operations(self) -> Mapping[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]]:
        """Return what the API can ask for."""
        return {
            "GetMetricData": self.get_metric_data,
            "GetMetricStatistics": self.get_metric_statistics,
            "ListMetrics": self.list_metrics,
            "PutMetricData": self.put_metric_data,
        }

    async def put_metric_data(self, request: dict[str, Any]) -> dict[str, Any]:
        """Keep what a user measured."""
        now_s = self._clock.now_s()
        # A thousand metrics take tens of milliseconds, which the loop does not have.
        samples = self._kept(await asyncio.to_thread(samples_of_put, request, now_s))
        await self._archive.put(lambda: samples, now_s)
        return {}

    async def get_metric_data(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return series of metrics and expressions, a page at a time."""
        return await get_metric_data(request, self.read, self._clock.now_s())

    async def get_metric_statistics(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return a metric's data points over a stretch of time."""
        period_s: int = request["period"]
        end_s: float = request["end_time"]
        simple, extended = _wanted_statistics(request)
        _check_question(request["start_time"], end_s, period_s)
        start_s = statistics.rounded_start_s(request["start_time"], period_s, self._clock.now_s())
        _check_count(start_s, end_s, period_s)
        dimensions = [(each["name"], each["value"]) for each in request.get("dimensions") or []]
        metric = Metric.of(request["namespace"], request["metric_name"], dimensions)
        windows = await self._windows(
            metric, period_s, start_s, end_s, request.get("unit"), [*simple, *extended]
        )
        points = [_datapoint(window, simple, extended) for window in windows]
        return {
            "label": metric.name,
            "datapoints": [point for point in points if point is not None],
        }

    async def list_metrics(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return which metrics there are, a page at a time."""
        since_s = _RECENTLY_S if request.get("recently_active") else _LISTED_S
        await self._save()
        metrics = await self._archive.metrics(
            request.get("namespace"),
            request.get("metric_name"),
            self._clock.now_s() - since_s,
        )
        question = {key: value for key, value in request.items() if key != "next_token"}
        filters = request.get("dimensions") or []
        listed, token = page(
            [metric for metric in metrics if _has_dimensions(metric, filters)],
            lambda metric: [metric.namespace, metric.name, [list(each) for each in metric[2]]],
            question=json.dumps(question, sort_keys=True),
            token=request.get("next_token"),
            size=limits.METRIC_PAGE_COUNT_MAX,
        )
        return {"metrics": [_shown(metric) for metric in listed], "next_token": token}

    # --- reading and saving -----------------------------------------------------------------------

    async def _windows(
        self,
        metric: Metric,
        period_s: int,
        start_s: int,
        end_s: float,
        unit: str | None,
        wanted: Sequence[Statistic],
    ) -> list[Window]:
        await self._save()
        now_s = self._clock.now_s()
        late_s = self.visible_after_s
        question = Question(
            metric,
            period_s,
            start_s,
            end_s,
            now_s,
            unit,
            any(each.needs_distribution for each in wanted),
            now_s - late_s if late_s else math.inf,
        )
        return await self._archive.windows(question)

    async def _save(self) -> None:
        """Save everything that was measured up to now."""
        seconds = self._samples.take()
        self._totals.add(second for second in seconds if not second.was_given_back)
        added = list(self._added)
        self._added.clear()
        if not seconds and not added:
            return
        try:
            await self._archive.put_what_fits(
                lambda: chain(added, *(samples_of(second) for second in seconds)),
                self._clock.now_s(),
            )
        except CloudError as error:
            log.warning("Metrics could not be saved, and wait: %s", error.message)
            self._samples.give_back(seconds)
            self._added.extendleft(reversed(added))

    async def _keep_saving(self) -> None:
        while True:
            await asyncio.sleep(limits.METRIC_FLUSH_INTERVAL_S)
            try:
                await self._save()
            except Exception:
                # A bug that costs one batch must not cost all that follow.
                log.exception("a batch of metrics was lost")

    async def _keep_tidy(self) -> None:
        while True:
            try:
                await self._archive.tidy(self._clock.now_s())
            except Exception:
                # What could not age now does so in five minutes.
                log.exception("the metrics could not be tidied")
            await asyncio.sleep(limits.METRIC_TIDY_INTERVAL_S)


def _by_start(windows: Sequence[Window]) -> dict[int, Summary]:
    """Return windows by their beginning; a metric's units are summed up together."""
    found: dict[int, Summary] = {}
    for window in windows:
        old = found.get(window.start_s)
        found[window.start_s] = window.summary if old is None else old.plus(window.summary)
    return found


def _wanted_statistics(request: dict[str, Any]) -> tuple[list[Statistic], list[Statistic]]:
    simple: list[str] = request.get("statistics") or []
    extended: list[str] = request.get("extended_statistics") or []
    if not simple and not extended:
        raise CombinationError("Must specify either Statistics or ExtendedStatistics")
    if simple and extended:
        raise CombinationError(
            "The parameters Statistics and ExtendedStatistics are mutually exclusive and you have "
            "specified both."
        )
    try:
        percentiles = [statistics.percentile(name) for name in extended]
    except UnknownStatisticError as error:
        if error.is_aws:
            raise InvalidError(
                f"Windtunnel's local cloud does not offer the extended statistic {error.name}."
            ) from None
        raise InvalidError(
            f"The value {error.name} for parameter ExtendedStatistics is not supported."
        ) from None
    return [statistics.SIMPLE[name] for name in simple], percentiles


def _check_question(start_s: float, end_s: float, period_s: int) -> None:
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


def _datapoint(
    window: Window, simple: Sequence[Statistic], extended: Sequence[Statistic]
) -> dict[str, Any] | None:
    """Return a window as the API shows it, None when nothing that is wanted of it is known."""
    point: dict[str, Any] = {_STATISTIC_KEYS[each.name]: each.of(window.summary) for each in simple}
    found = {each.name: each.of(window.summary) for each in extended}
    known = {name: value for name, value in found.items() if value is not None}
    if known:
        point["extended_statistics"] = known
    if not point:
        return None
    return {"timestamp": window.start_s, "unit": window.unit, **point}


def _has_dimensions(metric: Metric, filters: Sequence[dict[str, str]]) -> bool:
    dimensions = dict(metric.dimensions)
    return all(
        each["name"] in dimensions and each.get("value") in (None, dimensions[each["name"]])
        for each in filters
    )


def _shown(metric: Metric) -> dict[str, Any]:
    return {
        "namespace": metric.namespace,
        "metric_name": metric.name,
        "dimensions": [{"name": name, "value": value} for name, value in metric.dimensions],
    }
