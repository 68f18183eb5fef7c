"""An expression's text, read into a tree.

    m1 / PERIOD(m1)      SUM([m1, m2]) * -2      IF(m1 > 5 AND m2 != 0, m1, 0)

Binding, from the loosest: OR, AND, comparisons, + -, * /, unary -, ^. Names of queries begin with a
lower-case letter, functions and words (REPEAT, ASC) are in capitals.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from windtunnel.core import limits

T = TypeVar("T")

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<sign><=|>=|==|!=|&&|\|\||[-+*/^()\[\],<>])
    )""",
    re.VERBOSE | re.ASCII,
)
_SAME_AS = {"&&": "AND", "||": "OR"}
_LEVELS: tuple[frozenset[str], ...] = (
    frozenset(("OR",)),
    frozenset(("AND",)),
    frozenset(("==", "!=", "<", "<=", ">", ">=")),
    frozenset(("+", "-")),
    frozenset(("*", "/")),
)


class ExpressionError(Exception):
    """What is wrong with an expression."""


@dataclass(frozen=True)
class Number:
    """A number that stands in the text."""

    value: float


@dataclass(frozen=True)
class Text:
    """A text in quotes."""

    value: str


@dataclass(frozen=True)
class Name:
    """The id of another query."""

    value: str


@dataclass(frozen=True)
class Word:
    """A word that some function knows: REPEAT, DESC, or the name of a function."""

    value: str


@dataclass(frozen=True)
class Array:
    """Series in brackets."""

    items: "tuple[Node, ...]"


@dataclass(frozen=True)
class Call:
    """A function and what it is given."""

    function: str
    arguments: "tuple[Node, ...]"


@dataclass(frozen=True)
class Negation:
    """A minus before something."""

    operand: "Node"


@dataclass(frozen=True)
class Binary:
    """An operator between two things."""

    operator: str
    left: "Node"
    right: "Node"


Node = Number | Text | Name | Word | Array | Call | Negation | Binary


def parse(text: str) -> Node:
    """Return the tree of an expression."""
    parser = _Parser(list(_tokens(text)))
    tree = parser.expression(0)
    parser.end()
    return tree


def parts(tree: Node) -> Iterator[Node]:
    """Yield everything in a tree, however long its chains of operators are."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case Array(items):
                waiting += items
            case Call(_, arguments):
                waiting += arguments
            case Negation(operand):
                waiting.append(operand)
            case Binary(_, left, right):
                waiting += (left, right)
            case _:
                pass


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise ExpressionError(f"Unexpected symbol '{text[place:].strip()[0]}'")
        assert match.lastgroup is not None
        token = match.group(match.lastgroup)
        yield match.lastgroup, _SAME_AS.get(token, token)
        place = match.end()


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def expression(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._signed()
        left = self.expression(level + 1)
        while (operator := self._peek()[1]) in _LEVELS[level] and self._peek()[0] != "text":
            self._next += 1
            left = Binary(operator, left, self.expression(level + 1))
        return left

    def end(self) -> None:
        kind, text = self._peek()
        if kind:
            raise ExpressionError(f"Unexpected symbol '{text}'")

    def _signed(self) -> Node:
        if self._take("-"):
            return self._nested(lambda: Negation(self._signed()))
        left = self._primary()
        if self._take("^"):
            # To the right: 2^3^2 is 2^9.
            return self._nested(lambda: Binary("^", left, self._signed()))
        return left

    def _primary(self) -> Node:
        kind, text = self._peek()
        self._next += 1
        if kind == "number":
            return Number(float(text))
        if kind == "text":
            return Text(text[1:-1])
        if kind == "name":
            if self._take("("):
                return Call(text, self._nested(lambda: self._list(")")))
            return Name(text) if text[0].islower() else Word(text)
        if text == "(":
            inner = self._nested(lambda: self.expression(0))
            self._expect(")")
            return inner
        if text == "[":
            return Array(self._nested(lambda: self._list("]")))
        raise ExpressionError(f"Unexpected symbol '{text}'" if kind else "Unexpected end")

    def _list(self, closing: str) -> tuple[Node, ...]:
        items: list[Node] = []
        if self._take(closing):
            return ()
        while True:
            items.append(self.expression(0))
            if self._take(closing):
                return tuple(items)
            self._expect(",")

    def _nested(self, read: Callable[[], T]) -> T:
        self._depth += 1
        if self._depth > limits.METRIC_EXPRESSION_DEPTH_MAX:
            raise ExpressionError("The expression is nested too deeply")
        found = read()
        self._depth -= 1
        return found

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("", "")

    def _take(self, sign: str) -> bool:
        is_there = self._peek() == ("sign", sign)
        self._next += is_there
        return is_there

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            found = self._peek()[1]
            raise ExpressionError(f"Expected '{sign}', found '{found or 'the end'}'")
