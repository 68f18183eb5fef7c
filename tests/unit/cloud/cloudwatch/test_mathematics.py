"""Metric math: its syntax, its three kinds of values, and its functions, by AWS's own examples."""

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.cloudwatch.mathematics.evaluation import (
    FailedExpressionError,
    evaluate,
    plan,
)
from windtunnel.cloud.cloudwatch.mathematics.series import Series

_BASE_S = 1_700_000_040
_PERIOD_S = 60
_GAP = None


def _series(*values: float | None, label: str = "") -> Series:
    points = {
        _BASE_S + _PERIOD_S * place: float(value)
        for place, value in enumerate(values)
        if value is not None
    }
    end_s = _BASE_S + _PERIOD_S * len(values)
    return Series(label, _PERIOD_S, _BASE_S, end_s, points)


def _all(expressions: dict[str, str], **metrics: Series) -> dict[str, list[Series]]:
    length = max((len(series.windows()) for series in metrics.values()), default=3)
    empty = _series(*[_GAP] * length)
    return evaluate(plan(expressions, metrics), metrics, empty)


def _values(series: Series) -> list[float | None]:
    return [series.points.get(at_s) for at_s in series.windows()]


def _of(expression: str, **metrics: Series) -> list[float | None]:
    """Return the values of an expression that comes to a single series."""
    (series,) = _all({"e": expression}, **metrics)["e"]
    return _values(series)


def _refusal(expression: str, **metrics: Series) -> str:
    with pytest.raises(FailedExpressionError) as caught:
        _all({"e": expression}, **metrics)
    assert str(caught.value).startswith("Error in expression 'e': ")
    return str(caught.value).removeprefix("Error in expression 'e': ")


# --- syntax and arithmetic ------------------------------------------------------------------------

_NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))
# Expressions that mean the same in Python, but for the power's sign.
_TREES = st.recursive(
    st.one_of(_NUMBERS.map(lambda value: f"{abs(value)}"), st.sampled_from(["m1", "m2"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"{t[0]} {t[1]} {t[2]}"),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-({text})"),
        st.tuples(inner, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner).map(
            lambda t: f"(({t[0]}) {t[1]} ({t[2]}))"
        ),
    ),
    max_leaves=12,
)


@given(_TREES, _NUMBERS, _NUMBERS)
def test_arithmetic_is_pythons_own(expression: str, first: float, second: float) -> None:
    """Brackets and precedence mean what everybody thinks that they mean."""
    found = _of(f"m1 * 0 + {expression}", m1=_series(first), m2=_series(second))
    try:
        expected = float(eval(f"m1 * 0 + {expression}", {}, {"m1": first, "m2": second}))  # noqa: S307 - our own text
    except ArithmeticError:
        # What is dropped counts as 0 further on, where Python has given up.
        return
    assert found == [pytest.approx(expected) if math.isfinite(expected) else None]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("5 * m1", [5, 10, None]),
        ("-m1", [-1, -2, None]),
        ("-m1 ^ 2", [-1, -4, None]),
        ("2 ^ m1 ^ 2", [2, 16, None]),
        ("m1 - m2", [-9, 2, -30]),  # a missing value is 0
        ("m2 / m1", [10, 0, None]),  # dividing by a missing value is dividing by zero
        ("m1/PERIOD(m1)", [1 / 60, 2 / 60, None]),
        ("m1 > 1 AND m2 >= 0", [0, 0, 0]),
        ("m1 == 1 || m2 == 30", [1, 0, 1]),
        ("1e1*m1 + .5", [10.5, 20.5, None]),
        ("SUM(METRICS())", [11, 2, 30]),
        ('SUM(METRICS("2"))', [10, None, 30]),
        ("AVG([m1, m2])", [5.5, 1, 15]),  # missing values are treated as 0
        ("SUM([METRICS('1'), METRICS('2')])", [11, 2, 30]),
        ("MIN([m1,m2])", [1, 2, 30]),
        ("MAX(m2)/m1", [30, 15, None]),
        ("m1-AVG(m1)", [-0.5, 0.5, None]),
        ("SUM(100/[m1, m2])", [110, 50, 100 / 30]),
        ("m1 + STDDEV(m1)", [1.5, 2.5, None]),
        ("DATAPOINT_COUNT([m1, m2])", [2, 1, 1]),
        ("m1 * METRIC_COUNT(METRICS())", [2, 4, None]),
        ("TIME_SERIES(MAX(m2))", [30, 30, 30]),
        ("RATE(m2)", [None, None, 20 / 120]),
        ("DIFF(m1)", [None, 1, None]),
        ("DIFF_TIME(m2)", [None, None, 120]),
        ("RUNNING_SUM(m2)", [10, None, 40]),
        ("CEIL(m1/2)", [1, 1, None]),
        ("FLOOR(m1/2)", [0, 1, None]),
        ("ABS(m1-m2)", [9, 2, 30]),
        ("LOG10(m2)", [1, None, math.log10(30)]),
        ("LOG(m1 - 1)", [None, 0, None]),
        ("FILL(m1, 7)", [1, 2, 7]),
        ("FILL(m1, m2)", [1, 2, 30]),
        ("FILL(m2, MIN(m2))", [10, 10, 30]),
        ("FILL(m1, REPEAT)", [1, 2, 2]),
        ("FILL(m2, LINEAR)", [10, 20, 30]),
        ("FILL(m1, LINEAR)", [1, 2, None]),
        ("FIRST(SORT(METRICS(), AVG, DESC))", [10, None, 30]),
        ("LAST(SORT(METRICS(), SUM, DESC, 1))", [10, None, 30]),
        ("FIRST(SLICE(METRICS(), 1))", [10, None, 30]),
        ("MINUTE(m1)", [14, 15, 16]),
        ("IF(HOUR(m1) == 22, m1)", [1, 2, 0]),
        ("DAY(m1) + MONTH(m1) + YEAR(m1) + DATE(m1) - 2023", [27, 27, 27]),
    ],
)
def test_functions_and_operators_do_what_awss_page_says(
    expression: str, expected: list[float | None]
) -> None:
    """Dashboards and alarms are copied over with their expressions."""
    found = _of(expression, m1=_series(1, 2, _GAP), m2=_series(10, _GAP, 30))

    assert [value if value is None else pytest.approx(value) for value in expected] == found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("metric1 < metric2", [0, 0, 1, 0]),
        ("metric1 >= 30", [1, 0, 0, 0]),
        ("metric1 > 15 AND metric2 > 15", [1, 0, 0, 0]),
    ],
)
def test_comparisons_are_those_of_awss_table(expression: str, expected: list[float | None]) -> None:
    """The page's own vectors: [30, 20, 0, 0] and [20, -, 20, -]."""
    metrics = {"metric1": _series(30, 20, 0, 0), "metric2": _series(20, _GAP, 20, _GAP)}

    found = _of(expression, **metrics)
    # Where the page shows 0 for a place that neither series has, there is no data point to show.
    assert found == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IF(metric1, metric2, metric3)", [30, 0, 20, None, None]),
        ("IF(metric1, 5, metric3)", [5, 5, 20, None, None]),
        ("IF(metric1, metric2, 5)", [30, 0, 5, 5, None]),
        ("IF(metric1, metric2)", [30, 0, None, None, None]),
        ("IF(metric1 < 1, 10, 2)", [2, 2, 10, 10, None]),
        ("IF(1, metric2, metric3)", [30, None, 0, 0, 30]),
        ("IF(0, metric2, metric3)", [0, 0, 20, None, 20]),
        ("IF(0, metric2)", [None, None, None, None, None]),
    ],
)
def test_if_chooses_as_in_awss_tables(expression: str, expected: list[float | None]) -> None:
    """The page's own vectors for each form of IF."""
    found = _of(
        expression,
        metric1=_series(1, 1, 0, 0, _GAP),
        metric2=_series(30, _GAP, 0, 0, 30),
        metric3=_series(0, 0, 20, _GAP, 20),
    )

    assert found == expected


def test_an_array_stays_an_array_of_named_series() -> None:
    """`METRICS()*100` is a line for each metric."""
    metrics = {"m1": _series(1, label="One"), "m2": _series(2, label="Two")}
    first, second = _all({"e": "METRICS() * 100"}, **metrics)["e"]

    assert [(first.label, _values(first)), (second.label, _values(second))] == [
        ("One", [100]),
        ("Two", [200]),
    ]
    halves = _all({"e": "10 / [m1, m2]"}, **metrics)["e"]
    assert [_values(each) for each in halves] == [[10], [5]]
    kept = _all({"e": "REMOVE_EMPTY([m1, IF(0, m2)])"}, **metrics)["e"]
    assert [_values(each) for each in kept] == [[1]]
    descending = _all({"e": "SORT(METRICS(), MAX, DESC)"}, **metrics)["e"]
    assert [each.label for each in descending] == ["Two", "One"]


def test_expressions_may_use_each_other_in_any_order() -> None:
    """Queries come in the order in which a user thought of them."""
    found = _all({"last": "mid + 1", "mid": "m1 * 2", "all": "SUM(METRICS())"}, m1=_series(3))

    assert {name: _values(series[0]) for name, series in found.items()} == {
        "last": [7],
        "mid": [6],
        "all": [3],  # expressions are not among METRICS()
    }


def test_nothing_is_said_of_no_values() -> None:
    """The average of an idle hour is not zero."""
    empty = _series(_GAP, _GAP)

    assert _of("m2 / AVG(m1)", m1=empty, m2=_series(1, 2)) == [None, None]
    assert _of("TIME_SERIES(MIN(m1))", m1=empty) == [None, None]
    assert _of("m2 + SUM(m1)", m1=empty, m2=_series(1, 2)) == [1, 2]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("m1 +", "Unexpected end"),
        ("", "Unexpected end"),
        ("m1 m1", "Unexpected symbol 'm1'"),
        ("m1 # 2", "Unexpected symbol '#'"),
        ("(m1", "Expected ')', found 'the end'"),
        ("[m1 m1]", "Expected ',', found 'm1'"),
        ("m1 + REPEAT", "Unexpected symbol 'REPEAT'"),
        ("m1 + 'text'", "Unexpected text 'text'"),
        ("m9 * 2", "Undefined variable 'm9'"),
        ("e + 1", "Circular dependency between Ids"),
        ("5", "The result is a Scalar and must be a TimeSeries"),
        ("AVG(m1)", "The result is a Scalar and must be a TimeSeries"),
        (
            "[m1] + [m1]",
            "Unsupported operand type(s) for +: '[Array[TimeSeries], Array[TimeSeries]]'",
        ),
        ("ABS(5)", "Unsupported argument type for ABS: 'Scalar'"),
        ("FIRST(m1)", "Unsupported argument type for FIRST: 'TimeSeries'"),
        ("[m1, 5]", "An array is made of time series, not of a Scalar"),
        ("ABS(m1, m1)", "ABS takes 1 argument(s) and was given 2"),
        ("FILL(m1, UP)", "FILL takes a number, a time series, REPEAT or LINEAR"),
        ("SORT(METRICS(), P99, ASC)", "SORT sorts by AVG, MIN, MAX or SUM"),
        ("SORT(METRICS(), AVG, UP)", "SORT's order is ASC or DESC"),
        ("SLICE(METRICS(), -1)", "SLICE takes whole numbers that are not negative"),
        ("SUM([])", "SUM needs at least one time series"),
        ("IF([m1], m1, 0)", "IF takes numbers and single time series"),
        ("PERIOD(m1 * 2) * m1", "PERIOD takes the Id of a metric, not of another expression"),
        ("METRICS(m1)", "METRICS takes nothing, or a text in quotes"),
        ("TIME_SERIES(m1)", "TIME_SERIES takes a Scalar, not TimeSeries"),
        ("MEDIAN(m1)", "Unknown function 'MEDIAN'"),
        ("sum(m1)", "Unknown function 'sum'"),
        ("SEARCH('{AWS/EC2}', 'Sum')", "does not offer the function SEARCH"),
        ("ANOMALY_DETECTION_BAND(m1)", "does not offer the function ANOMALY_DETECTION_BAND"),
        ("SERVICE_QUOTA(m1)", "does not offer the function SERVICE_QUOTA"),
        ("SELECT AVG(x) FROM y", "does not offer Metrics Insights"),
        ("(" * 500 + "m1" + ")" * 500, "The expression is nested too deeply"),
        ("-" * 2000 + "m1", "The expression is nested too deeply"),
    ],
)
def test_what_makes_no_sense_or_is_not_here_is_refused_by_name(expression: str, words: str) -> None:
    """A wrong expression must not come back as a series that looks right."""
    assert words in _refusal(expression, m1=_series(1, 2))


def test_a_long_chain_of_operators_is_no_deep_one() -> None:
    """A sum over a hundred endpoints is written as one."""
    assert _of("+".join(["m1"] * 680), m1=_series(1)) == [680]
    assert _of("*".join(["1"] * 900) + "*m1", m1=_series(2)) == [2]


def test_a_series_without_gaps_is_bounded() -> None:
    """FILL over a century by the second would take all memory."""
    endless = Series("", 1, 0, 4e9, {0: 1.0})
    for expression in ("FILL(m1, 0)", "EPOCH(m1)"):
        with pytest.raises(FailedExpressionError, match="A series without gaps would have"):
            _all_with(expression, endless)


def _all_with(expression: str, metric: Series) -> Any:
    return evaluate(plan({"e": expression}, {"m1": metric}), {"m1": metric}, metric)


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    """Nothing that is typed makes the cloud stumble."""
    with contextlib.suppress(FailedExpressionError):
        assert all(isinstance(each, Series) for each in _all({"e": text}, m1=_series(1))["e"])
