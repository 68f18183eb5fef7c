"""The functions of metric math, by name; each takes values and returns a value.

What each takes and returns is AWS's table in "Using metric math". What the table leaves open:
MIN, MAX and STDDEV of an array pass over missing values (SUM and AVG count them as 0, as it says),
and a standard deviation is that of all values, not of a sample of them.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate, pairwise

from windtunnel.cloud.cloudwatch.mathematics.series import Series, Value, kind_of
from windtunnel.cloud.cloudwatch.mathematics.syntax import ExpressionError, Word

# A word is an argument too: SORT(METRICS(), AVG, DESC).
Argument = Value | Word
Function = Callable[[Sequence[Argument]], Value]

_Points = Mapping[int, float]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _least(values: Sequence[float]) -> float:
    return min(values)


def _greatest(values: Sequence[float]) -> float:
    return max(values)


# What reduces many values to one; none of them is ever asked of no values.
_REDUCTIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "AVG": _mean,
    "SUM": math.fsum,
    "MIN": _least,
    "MAX": _greatest,
    "STDDEV": statistics.pstdev,
    "DATAPOINT_COUNT": lambda values: float(len(values)),
}
# Over an array these count missing values as 0.
_MISSING_IS_ZERO = frozenset(("AVG", "SUM"))
_OF_NOTHING = {"DATAPOINT_COUNT": 0.0, "SUM": 0.0}


def _reduce(name: str, arguments: Sequence[Argument]) -> Value:
    (value,) = _given(name, arguments, 1)
    reduction = _REDUCTIONS[name]
    if isinstance(value, Series):
        points = list(value.points.values())
        return reduction(points) if points else _OF_NOTHING.get(name, math.nan)
    members = _array(name, value)
    if not members:
        raise ExpressionError(f"{name} needs at least one time series")
    points_by_time: dict[int, float] = {}
    for at_s in {at_s for series in members for at_s in series.points}:
        values = [series.points[at_s] for series in members if at_s in series.points]
        if name in _MISSING_IS_ZERO:
            values += [0.0] * (len(members) - len(values))
        points_by_time[at_s] = reduction(values)
    return members[0].with_points(points_by_time)


_EACH_VALUE: Mapping[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": lambda value: float(math.ceil(value)),
    "FLOOR": lambda value: float(math.floor(value)),
    "LOG": math.log,
    "LOG10": math.log10,
}


def _running_sum(points: _Points) -> _Points:
    return dict(zip(points, accumulate(points.values()), strict=True))


def _steps(compute: Callable[[float, int], float]) -> Callable[[_Points], _Points]:
    """Return a function of the difference between neighbours, in value and in seconds."""

    def of_points(points: _Points) -> _Points:
        return {
            now_s: compute(now - before, now_s - before_s)
            for (before_s, before), (now_s, now) in pairwise(points.items())
        }

    return of_points


_EACH_SERIES: Mapping[str, Callable[[_Points], _Points]] = {
    "DIFF": _steps(lambda value, _: value),
    "DIFF_TIME": _steps(lambda _, seconds: float(seconds)),
    "RATE": _steps(lambda value, seconds: value / seconds),
    "RUNNING_SUM": _running_sum,
}


def _each(
    name: str, change: Callable[[Series], Series], arguments: Sequence[Argument]
) -> Series | list[Series]:
    (value,) = _given(name, arguments, 1)
    if isinstance(value, Series):
        return change(value)
    return [change(each) for each in _array(name, value)]


_OF_TIME: Mapping[str, Callable[[datetime], float]] = {
    "MINUTE": lambda moment: moment.minute,
    "HOUR": lambda moment: moment.hour,
    # Monday is 1, as in AWS's example IF(DAY(m1)<6, m1).
    "DAY": lambda moment: moment.isoweekday(),
    "DATE": lambda moment: moment.day,
    "MONTH": lambda moment: moment.month,
    "YEAR": lambda moment: moment.year,
    "EPOCH": lambda moment: moment.timestamp(),
}


def _of_time(name: str, arguments: Sequence[Argument]) -> Series:
    (value,) = _given(name, arguments, 1)
    series = _series(name, value)
    return series.with_points(
        {
            at_s: float(_OF_TIME[name](datetime.fromtimestamp(at_s, UTC)))
            for at_s in series.windows()
        }
    )


# --- FILL -----------------------------------------------------------------------------------------


def _fill(arguments: Sequence[Argument]) -> Value:
    value, filler = _given("FILL", arguments, 2)
    if isinstance(value, Series):
        return _filled(value, filler)
    return [_filled(each, filler) for each in _array("FILL", value)]


def _filled(series: Series, filler: Argument) -> Series:
    missing = [at_s for at_s in series.windows() if at_s not in series.points]
    if isinstance(filler, float):
        added: _Points = dict.fromkeys(missing, filler)
    elif isinstance(filler, Series):
        added = {at_s: filler.points[at_s] for at_s in missing if at_s in filler.points}
    elif filler == Word("REPEAT"):
        added = _repeated(series.points, missing)
    elif filler == Word("LINEAR"):
        added = _interpolated(series.points, missing)
    else:
        raise ExpressionError("FILL takes a number, a time series, REPEAT or LINEAR")
    return series.with_points({**series.points, **added})


def _repeated(points: _Points, missing: Iterable[int]) -> _Points:
    added: dict[int, float] = {}
    last: float | None = None
    for at_s in sorted({*points, *missing}):
        if at_s in points:
            last = points[at_s]
        elif last is not None:
            added[at_s] = last
    return added


def _interpolated(points: _Points, missing: Sequence[int]) -> _Points:
    added: dict[int, float] = {}
    gaps = iter(sorted(missing))
    at_s = next(gaps, None)
    for (before_s, before), (after_s, after) in pairwise(points.items()):
        while at_s is not None and at_s < after_s:
            if at_s > before_s:
                part = (at_s - before_s) / (after_s - before_s)
                added[at_s] = before + (after - before) * part
            at_s = next(gaps, None)
    return added


# --- IF -------------------------------------------------------------------------------------------


def _if(arguments: Sequence[Argument]) -> Value:
    condition, then, *rest = _given("IF", arguments, 2, 3)
    otherwise = rest[0] if rest else None
    for each in (condition, then, otherwise):
        if each is not None and not isinstance(each, float | Series):
            raise ExpressionError("IF takes numbers and single time series")
    assert isinstance(then, float | Series)
    assert otherwise is None or isinstance(otherwise, float | Series)
    if isinstance(condition, float):
        if condition != 0:
            return then
        if otherwise is not None:
            return otherwise
        return then.with_points({}) if isinstance(then, Series) else math.nan
    assert isinstance(condition, Series)
    points: dict[int, float] = {}
    for at_s, value in condition.points.items():
        if value != 0:
            # A missing value is 0 here, and dropped below (the page's own examples).
            points[at_s] = then.points.get(at_s, 0.0) if isinstance(then, Series) else then
        elif isinstance(otherwise, Series):
            points[at_s] = otherwise.points.get(at_s, math.nan)
        elif otherwise is not None:
            points[at_s] = otherwise
    return condition.with_points(points)


# --- arrays ---------------------------------------------------------------------------------------


def _sort(arguments: Sequence[Argument]) -> list[Series]:
    value, by, order, *limit = _given("SORT", arguments, 3, 4)
    members = _array("SORT", value)
    if not isinstance(by, Word) or by.value not in ("AVG", "MIN", "MAX", "SUM"):
        raise ExpressionError("SORT sorts by AVG, MIN, MAX or SUM")
    if order not in (Word("ASC"), Word("DESC")):
        raise ExpressionError("SORT's order is ASC or DESC")
    reduction = _REDUCTIONS[by.value]
    # Series without values have no place among the others: they come last.
    full = [series for series in members if series.points]
    full.sort(key=lambda each: reduction(list(each.points.values())), reverse=order == Word("DESC"))
    ordered = full + [series for series in members if not series.points]
    return ordered[: _whole("SORT", limit[0])] if limit else ordered


def _slice(arguments: Sequence[Argument]) -> list[Series]:
    value, start, *end = _given("SLICE", arguments, 2, 3)
    first = _whole("SLICE", start)
    return _array("SLICE", value)[first : _whole("SLICE", end[0]) if end else None]


def _whole(name: str, value: Argument) -> int:
    if not isinstance(value, float) or not value.is_integer() or value < 0:
        raise ExpressionError(f"{name} takes whole numbers that are not negative")
    return int(value)


def _end_of_array(name: str, place: int, arguments: Sequence[Argument]) -> Series:
    (value,) = _given(name, arguments, 1)
    members = _array(name, value)
    if not members:
        raise ExpressionError(f"{name} needs at least one time series")
    return members[place]


def _metric_count(arguments: Sequence[Argument]) -> float:
    (value,) = _given("METRIC_COUNT", arguments, 1)
    return float(len(_array("METRIC_COUNT", value)))


def _remove_empty(arguments: Sequence[Argument]) -> list[Series]:
    (value,) = _given("REMOVE_EMPTY", arguments, 1)
    return [series for series in _array("REMOVE_EMPTY", value) if series.points]


# --- what is given --------------------------------------------------------------------------------


def _given(
    name: str, arguments: Sequence[Argument], least: int, most: int | None = None
) -> Sequence[Argument]:
    if not least <= len(arguments) <= (most or least):
        wanted = f"{least} to {most}" if most else f"{least}"
        raise ExpressionError(f"{name} takes {wanted} argument(s) and was given {len(arguments)}")
    return arguments


def _series(name: str, value: Argument) -> Series:
    if not isinstance(value, Series):
        raise ExpressionError(f"{name} takes a time series, not {_kind(value)}")
    return value


def _array(name: str, value: Argument) -> list[Series]:
    if not isinstance(value, list):
        raise ExpressionError(f"Unsupported argument type for {name}: '{_kind(value)}'")
    return value


def _kind(value: Argument) -> str:
    return value.value if isinstance(value, Word) else kind_of(value)


def _table() -> dict[str, Function]:
    table: dict[str, Function] = {
        "FILL": _fill,
        "FIRST": lambda given: _end_of_array("FIRST", 0, given),
        "IF": _if,
        "LAST": lambda given: _end_of_array("LAST", -1, given),
        "METRIC_COUNT": _metric_count,
        "REMOVE_EMPTY": _remove_empty,
        "SLICE": _slice,
        "SORT": _sort,
    }
    for name in _REDUCTIONS:
        table[name] = lambda given, name=name: _reduce(name, given)  # type: ignore[misc]
    for name in _OF_TIME:
        table[name] = lambda given, name=name: _of_time(name, given)  # type: ignore[misc]
    for name, change_value in _EACH_VALUE.items():
        table[name] = lambda given, name=name, change=change_value: _each(  # type: ignore[misc]
            name, lambda series: series.mapped(change), given
        )
    for name, change_points in _EACH_SERIES.items():
        table[name] = lambda given, name=name, change=change_points: _each(  # type: ignore[misc]
            name, lambda series: series.with_points(change(series.points)), given
        )
    return table


# PERIOD, METRICS and TIME_SERIES, which depend on the request, are in `evaluation.py`.
FUNCTIONS: Mapping[str, Function] = _table()
