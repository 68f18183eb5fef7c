"""Values of metric math, and the operators between them.

Numbers, time series and arrays of time series, as AWS's page "Using metric math" has them: between
two series a missing value is 0; a data point whose value cannot be computed (a division by zero) is
dropped; between an array and something else the operator works on each series of the array.
"""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from windtunnel.cloud.cloudwatch.mathematics.syntax import ExpressionError
from windtunnel.core import limits


@dataclass(frozen=True)
class Series:
    """A time series: values by time, in order, and the windows that it could have values in."""

    label: str
    period_s: int
    # The first window, and where the last one ends.
    start_s: int
    end_s: float
    points: Mapping[int, float]

    def mapped(self, function: Callable[[float], float]) -> "Series":
        """Return the series of a function's values, without those that there are not."""
        return self.with_points(
            {at_s: _computed(function, value) for at_s, value in self.points.items()}
        )

    def with_points(self, points: Mapping[int, float]) -> "Series":
        """Return a series with other values, in order of time, and none that is no number."""
        kept = {at_s: points[at_s] for at_s in sorted(points) if math.isfinite(points[at_s])}
        return replace(self, points=kept)

    def windows(self) -> range:
        """Return the start of every window, with and without values."""
        windows = range(self.start_s, math.ceil(self.end_s), self.period_s)
        if len(windows) > limits.METRIC_DATA_DATAPOINT_COUNT_MAX:
            raise ExpressionError(
                f"A series without gaps would have {len(windows)} data points, and may have "
                f"{limits.METRIC_DATA_DATAPOINT_COUNT_MAX}"
            )
        return windows


Value = float | Series | list[Series]

_KINDS = {float: "Scalar", Series: "TimeSeries", list: "Array[TimeSeries]"}


def kind_of(value: Value) -> str:
    """Return what AWS's errors call a value's kind."""
    return _KINDS[type(value)]


def power(base: float, exponent: float) -> float:
    """Return a power, or NaN where there is none among the real numbers."""
    return math.pow(base, exponent)


_OPERATORS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": power,
    "==": lambda left, right: float(left == right),
    "!=": lambda left, right: float(left != right),
    "<": lambda left, right: float(left < right),
    "<=": lambda left, right: float(left <= right),
    ">": lambda left, right: float(left > right),
    ">=": lambda left, right: float(left >= right),
    "AND": lambda left, right: float(left != 0 and right != 0),
    "OR": lambda left, right: float(left != 0 or right != 0),
}


def combine(sign: str, left: Value, right: Value) -> Value:
    """Return what an operator makes of two values."""
    if isinstance(left, list) and isinstance(right, list):
        raise ExpressionError(
            f"Unsupported operand type(s) for {sign}: '[{kind_of(left)}, {kind_of(right)}]'"
        )
    if isinstance(left, list):
        return [_of_series(sign, each, right) for each in left]
    if isinstance(right, list):
        return [_of_series(sign, left, each, each) for each in right]
    if isinstance(left, float) and isinstance(right, float):
        return _computed(_OPERATORS[sign], left, right)
    return _of_series(sign, left, right)


def _of_series(sign: str, left: float | Series, right: Value, like: Series | None = None) -> Series:
    """Combine two values of which one at least is a series; the result is called like one."""
    function = _OPERATORS[sign]
    assert not isinstance(right, list)
    if isinstance(left, float):
        assert isinstance(right, Series)
        return right.mapped(lambda value: function(left, value))
    if isinstance(right, float):
        return left.mapped(lambda value: function(value, right))
    model = like or left
    points = {
        at_s: _computed(function, left.points.get(at_s, 0.0), right.points.get(at_s, 0.0))
        for at_s in left.points.keys() | right.points.keys()
    }
    return model.with_points(points)


def negate(value: Value) -> Value:
    """Return a value with the other sign."""
    if isinstance(value, list):
        return [each.mapped(operator.neg) for each in value]
    return value.mapped(operator.neg) if isinstance(value, Series) else -value


def _computed(function: Callable[..., float], *values: float) -> float:
    try:
        return function(*values)
    except (ArithmeticError, ValueError):
        return math.nan
