r"""CloudWatch's filter patterns: which events FilterLogEvents returns.

    ""                    all events
    ERROR "a phrase"      those with every term, anywhere in them, in this case
    -DEBUG                those without it
    ?ERROR ?WARN          those with any of them
    %\d+ ms%              those that a regular expression matches somewhere
    { $.status >= 500 }   JSON events (`json_patterns.py`)

Not offered, and refused by name: patterns of space-delimited events (`[ip, ..., status = 4*]`), and
`?` beside other terms, which AWS ignores there.

Regular expressions are RE2's, which takes time in proportion to the text whatever the expression,
and lets other threads run meanwhile; Python's own could hold the whole cloud up. RE2 comes with
pyarrow. The syntax is AWS's: without groups, and with few symbols.

Sources: AWS, "Filter pattern syntax" and "Supported regular expressions", CloudWatch Logs User
Guide; DefangLabs/defang#1008 and awslogs#210 for the wording.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from windtunnel.cloud.errors import InvalidError, UnsupportedError
from windtunnel.cloud.logs import json_patterns

# Says of each message whether it is wanted.
Filter = Callable[[Sequence[str]], list[bool]]

_TERM = re.compile(r'\s*(?P<sign>[-?]?)\s*(?:"(?P<phrase>(?:[^"\\]|\\.)*)"|(?P<word>[^\s"]+))')
_WORD = re.compile(r"\w+")
_REGEX = re.compile(r"%(?P<expression>(?:[^%\\]|\\.)*)%", re.DOTALL)
# "Alphanumeric characters", the symbols and operators of AWS's list, and what may be escaped.
_ALLOWED = re.compile(r"(?:[A-Za-z0-9:_#=@/;,\- ^$?\[\]{}|*+.]|\\[ -~])*")


@dataclass
class _Terms:
    required: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    optional: list[str] = field(default_factory=list)


def compile_filter(pattern: str) -> Filter:
    """Return the filter of a pattern; refuse what is none, or none of those above."""
    text = pattern.strip()
    if not text:
        return lambda messages: [True] * len(messages)
    if text.startswith("{"):
        is_wanted = json_patterns.compile_pattern(text)
        return lambda messages: [is_wanted(message) for message in messages]
    if text.startswith("["):
        raise UnsupportedError(
            "Windtunnel's local cloud does not offer filter patterns of space-delimited events "
            "([…])."
        )
    if (found := _REGEX.fullmatch(text)) is not None:
        return _regex_filter(found["expression"])
    if "%" in re.sub(r'"(?:[^"\\]|\\.)*"', "", text):
        raise UnsupportedError(
            "Windtunnel's local cloud offers a %regular expression% alone, not beside other terms."
        )
    return _term_filter(_read_terms(text))


def _read_terms(text: str) -> _Terms:
    terms = _Terms()
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise _invalid(text[at:])
        at = found.end()
        term = found["word"]
        if term is None:
            term = re.sub(r"\\(.)", r"\1", found["phrase"])
        elif not _WORD.fullmatch(term):
            raise _invalid(term)
        if not term:
            raise _invalid('""')
        kinds = {"": terms.required, "-": terms.excluded, "?": terms.optional}
        kinds[found["sign"]].append(term)
    if terms.optional and (terms.required or terms.excluded):
        raise UnsupportedError(
            "Windtunnel's local cloud does not offer ?terms beside other terms in one pattern."
        )
    return terms


def _term_filter(terms: _Terms) -> Filter:
    def is_wanted(message: str) -> bool:
        if terms.optional:
            return any(term in message for term in terms.optional)
        return all(term in message for term in terms.required) and not any(
            term in message for term in terms.excluded
        )

    return lambda messages: [is_wanted(message) for message in messages]


def _regex_filter(expression: str) -> Filter:
    if not _ALLOWED.fullmatch(expression):
        raise _invalid(f"%{expression}%")
    # Imported here: it takes a tenth of a second, and only who searches by one needs it.
    import pyarrow as pa
    from pyarrow import compute

    def select(messages: Sequence[str]) -> list[bool]:
        # Surrogates cannot be: messages were decoded from UTF-8, or came as JSON that was valid.
        array = pa.array(messages, pa.string())
        wanted: list[bool] = compute.match_substring_regex(array, expression).to_pylist()
        return wanted

    try:
        select([""])
    except pa.ArrowInvalid as error:
        raise InvalidError(f"Invalid filter pattern: {error}") from None
    return select


def _invalid(term: str) -> InvalidError:
    return InvalidError(f"Invalid filter pattern: Invalid character(s) in term '{term}'")
