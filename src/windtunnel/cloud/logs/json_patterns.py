"""Filter patterns of JSON events: `{ $.user.id = 1 && ($.code >= 500 || $.error IS TRUE) }`.

    pattern     {or}
    or          and || and …
    and         test && test …            (binds closer)
    test        ( or ) | SELECTOR operator value | SELECTOR IS NULL|TRUE|FALSE | SELECTOR NOT EXISTS
    SELECTOR    $.a.b[0].c

A selector that leads nowhere, or to an array or object, makes its test false, `!=` included. Text
is compared with `=` and `!=`, a `*` at either end standing for anything; numbers with all six.

Rules: pure. An event that is not JSON matches nothing. Source: AWS, "Filter pattern syntax",
CloudWatch Logs User Guide. Not offered: regular expressions in here.
"""

import operator
import re
from collections.abc import Callable
from typing import Any

import orjson

from windtunnel.cloud.errors import InvalidError, UnsupportedError
from windtunnel.core import limits

# Says of a document whether it is wanted.
Test = Callable[[Any], bool]
Path = tuple[str | int, ...]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<selector>\$(?:\.[\w-]+|\[\d{1,9}\]|\["[^"]*"\])+)
      | (?P<symbol>&&|\|\||[()]|!=|>=|<=|=|<|>)
      | "(?P<text>(?:[^"\\]|\\.)*)"
      | (?P<regex>%)
      | (?P<word>[^\s()"=<>!&|]+)
    )""",
    re.VERBOSE,
)
_STEP = re.compile(r'\.([\w-]+)|\[(\d+)\]|\["([^"]*)"\]')
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_MISSING = object()


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Return what says whether a message is wanted."""
    if not pattern.endswith("}"):
        raise InvalidError("If a filter pattern starts with '{' it must end with '}'")
    parser = _Parser(pattern[1:-1])
    test = parser.either()
    if parser.kind:
        raise parser.wrong()

    def is_wanted(message: str) -> bool:
        try:
            document = orjson.loads(message)
        except ValueError:
            return False
        return isinstance(document, dict | list) and test(document)

    return is_wanted


class _Parser:
    """One token ahead: its kind and its text, both empty at the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self.kind = self.token = ""
        self._next()

    def _next(self) -> None:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            if self._text[self._at :].strip():
                raise self.wrong()
            self.kind = self.token = ""
            return
        self._at = found.end()
        self.kind = found.lastgroup or ""
        self.token = found[self.kind]
        if self.kind == "regex":
            raise UnsupportedError(
                "Windtunnel's local cloud does not offer %regular expressions% in JSON patterns."
            )

    def wrong(self) -> InvalidError:
        """Return the refusal of what stands here."""
        rest = self.token or self._text[self._at :].strip() or "the end"
        return InvalidError(f"Invalid filter pattern: {rest[:100]} is not expected there.")

    def _take(self, symbol: str) -> bool:
        is_there = self.kind == "symbol" and self.token == symbol
        if is_there:
            self._next()
        return is_there

    def either(self) -> Test:
        """Read tests of which one must hold."""
        tests = [self._both()]
        while self._take("||"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda document: any(t(document) for t in tests)

    def _both(self) -> Test:
        tests = [self._test()]
        while self._take("&&"):
            tests.append(self._test())
        return tests[0] if len(tests) == 1 else lambda document: all(t(document) for t in tests)

    def _test(self) -> Test:
        if self._take("("):
            self._depth += 1
            if self._depth > limits.LOG_PATTERN_DEPTH_MAX:
                raise InvalidError("Invalid filter pattern: it is nested too deeply.")
            test = self.either()
            if not self._take(")"):
                raise self.wrong()
            self._depth -= 1
            return test
        if self.kind != "selector":
            raise self.wrong()
        path = _path(self.token)
        self._next()
        if self.kind == "word":
            return self._state(path)
        compare = _COMPARISONS.get(self.token) if self.kind == "symbol" else None
        if compare is None:
            raise self.wrong()
        sign = self.token
        self._next()
        if self.kind not in ("word", "text"):
            raise self.wrong()
        is_number = self.kind == "word" and _NUMBER.fullmatch(self.token) is not None
        if sign not in ("=", "!=") and not is_number:
            raise self.wrong()
        value = re.sub(r"\\(.)", r"\1", self.token) if self.kind == "text" else self.token
        self._next()
        return (
            _number_test(path, compare, float(value))
            if is_number
            else _text_test(path, value, is_equal=sign == "=")
        )

    def _state(self, path: Path) -> Test:
        words = self.token.upper()
        self._next()
        if self.kind != "word":
            raise self.wrong()
        words += " " + self.token.upper()
        states = {"IS NULL": None, "IS TRUE": True, "IS FALSE": False, "NOT EXISTS": _MISSING}
        if words not in states:
            raise self.wrong()
        self._next()
        wanted = states[words]
        return lambda document: _find(document, path) is wanted


def _path(selector: str) -> Path:
    return tuple(
        int(number) if number else name or quoted
        for name, number, quoted in _STEP.findall(selector)
    )


def _find(document: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    for step in path:
        if isinstance(step, int):
            if not isinstance(document, list) or step >= len(document):
                return _MISSING
            document = document[step]
        elif isinstance(document, dict) and step in document:
            document = document[step]
        else:
            return _MISSING
    return document


def _number_test(path: Path, compare: Callable[[Any, Any], bool], wanted: float) -> Test:
    def test(document: Any) -> bool:  # noqa: ANN401 - any JSON value
        value = _find(document, path)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and compare(value, wanted)

    return test


def _text_test(path: Path, pattern: str, *, is_equal: bool) -> Test:
    # "Ev*ent will only match the actual string Ev*ent": a star counts at either end only.
    middle = pattern
    is_open_before, is_open_behind = middle.startswith("*"), middle[1:].endswith("*")
    middle = middle[is_open_before : len(middle) - is_open_behind]

    def matches(value: str) -> bool:
        if is_open_before and is_open_behind:
            return middle in value
        if is_open_before:
            return value.endswith(middle)
        return value.startswith(middle) if is_open_behind else value == middle

    def test(document: Any) -> bool:  # noqa: ANN401 - any JSON value
        value = _find(document, path)
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int | float):
            value = orjson.dumps(value).decode()
        return isinstance(value, str) and matches(value) is is_equal

    return test
