"""The expressions of a request, worked out in the order in which they need each other."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter

from windtunnel.cloud.cloudwatch.mathematics.functions import FUNCTIONS, Argument
from windtunnel.cloud.cloudwatch.mathematics.series import Series, Value, combine, kind_of, negate
from windtunnel.cloud.cloudwatch.mathematics.syntax import (
    Array,
    Binary,
    Call,
    ExpressionError,
    Name,
    Negation,
    Node,
    Number,
    Text,
    Word,
    parse,
    parts,
)

# What AWS has and this cloud has not ("Using metric math", "Metrics Insights", "Search
# expressions").
_NOT_HERE = frozenset(
    (
        "ANOMALY_DETECTION_BAND",
        "DB_PERF_INSIGHTS",
        "INSIGHT_RULE_METRIC",
        "LAMBDA",
        "SEARCH",
        "SERVICE_QUOTA",
    )
)
_OF_THE_REQUEST = frozenset(("METRICS", "PERIOD", "TIME_SERIES"))


class FailedExpressionError(Exception):
    """An expression of a request cannot be worked out, and why."""

    def __init__(self, query_id: str, reason: str) -> None:
        super().__init__(f"Error in expression '{query_id}': {reason}")


@dataclass(frozen=True)
class Plan:
    """The expressions of a request, read and put in order."""

    trees: Mapping[str, Node]
    # Every expression after those that it needs.
    order: Sequence[str]


def plan(expressions: Mapping[str, str], metric_ids: Iterable[str]) -> Plan:
    """Read expressions by id; raise what can be said against them before anything is known."""
    known = {*expressions, *metric_ids}
    trees: dict[str, Node] = {}
    needs: dict[str, set[str]] = {}
    for query_id, text in expressions.items():
        try:
            if text.lstrip()[:6].upper() == "SELECT":
                raise ExpressionError("Windtunnel's local cloud does not offer Metrics Insights")  # noqa: TRY301 - told with its id below
            tree = parse(text)
            needs[query_id] = _needs(tree, known)
        except ExpressionError as error:
            raise FailedExpressionError(query_id, str(error)) from None
        trees[query_id] = tree
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise FailedExpressionError(error.args[1][0], "Circular dependency between Ids") from None
    return Plan(trees, [query_id for query_id in order if query_id in trees])


def _needs(tree: Node, known: set[str]) -> set[str]:
    needed = set()
    for node in parts(tree):
        if isinstance(node, Call):
            if node.function in _NOT_HERE:
                raise ExpressionError(
                    f"Windtunnel's local cloud does not offer the function {node.function}"
                )
            if node.function not in FUNCTIONS and node.function not in _OF_THE_REQUEST:
                raise ExpressionError(f"Unknown function '{node.function}'")
        elif isinstance(node, Name):
            if node.value not in known:
                raise ExpressionError(f"Undefined variable '{node.value}'")
            needed.add(node.value)
    return needed


def evaluate(
    planned: Plan, metrics: Mapping[str, Series], windows: Series
) -> dict[str, list[Series]]:
    """Return the series of each expression.

    `metrics` are the series of the request's metrics by id, in its order; `windows` is a series
    without values that says which windows a series out of nothing has.
    """
    values: dict[str, Value] = dict(metrics)
    results: dict[str, list[Series]] = {}
    for query_id in planned.order:
        try:
            value = _Evaluation(values, metrics, windows).of(planned.trees[query_id])
            if isinstance(value, float):
                raise ExpressionError("The result is a Scalar and must be a TimeSeries")  # noqa: TRY301 - told with its id below
        except ExpressionError as error:
            raise FailedExpressionError(query_id, str(error)) from None
        values[query_id] = value
        results[query_id] = value if isinstance(value, list) else [value]
    return results


class _Evaluation:
    def __init__(
        self, values: Mapping[str, Value], metrics: Mapping[str, Series], windows: Series
    ) -> None:
        self._values = values
        self._metrics = metrics
        self._windows = windows

    def of(self, node: Node) -> Value:
        value = self._argument(node)
        if isinstance(value, Word):
            raise ExpressionError(f"Unexpected symbol '{value.value}'")
        return value

    def _argument(self, node: Node) -> Argument:  # noqa: PLR0911 - one return a kind
        match node:
            case Number(value):
                return value
            case Name(name):
                return self._values[name]
            case Word():
                return node
            case Negation(operand):
                return negate(self.of(operand))
            case Binary():
                return self._chain(node)
            case Array(items):
                return self._array(items)
            case Call(function, arguments):
                return self._call(function, arguments)
            case Text(text):
                raise ExpressionError(f"Unexpected text '{text}'")

    def _chain(self, node: Node) -> Value:
        """Work out a + b + c …, which is as deep as it is long, from its beginning."""
        chain: list[tuple[str, Node]] = []
        while isinstance(node, Binary):
            chain.append((node.operator, node.right))
            node = node.left
        value = self.of(node)
        for sign, right in reversed(chain):
            value = combine(sign, value, self.of(right))
        return value

    def _array(self, items: Sequence[Node]) -> list[Series]:
        members: list[Series] = []
        for item in items:
            value = self.of(item)
            if isinstance(value, float):
                raise ExpressionError("An array is made of time series, not of a Scalar")
            members += value if isinstance(value, list) else [value]
        return members

    def _call(self, function: str, arguments: Sequence[Node]) -> Value:
        if function == "METRICS":
            return self._chosen_metrics(arguments)
        if function == "PERIOD":
            return self._period(arguments)
        values = [self._argument(argument) for argument in arguments]
        if function == "TIME_SERIES":
            return self._constant(values)
        return FUNCTIONS[function](values)

    def _chosen_metrics(self, arguments: Sequence[Node]) -> list[Series]:
        match arguments:
            case ():
                return list(self._metrics.values())
            case (Text(text),):
                return [series for name, series in self._metrics.items() if text in name]
        raise ExpressionError("METRICS takes nothing, or a text in quotes")

    def _period(self, arguments: Sequence[Node]) -> float:
        match arguments:
            case (Name(name),) if name in self._metrics:
                return float(self._metrics[name].period_s)
        raise ExpressionError("PERIOD takes the Id of a metric, not of another expression")

    def _constant(self, values: Sequence[Argument]) -> Series:
        match values:
            case [float() as value]:
                if math.isnan(value):
                    return self._windows
                return replace(self._windows, points=dict.fromkeys(self._windows.windows(), value))
            case [Series() | list() as other]:
                raise ExpressionError(f"TIME_SERIES takes a Scalar, not {kind_of(other)}")
        raise ExpressionError("TIME_SERIES takes one Scalar")
