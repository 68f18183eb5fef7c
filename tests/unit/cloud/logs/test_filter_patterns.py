"""Filter patterns: AWS's own examples, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.cloud.errors import CloudError, InvalidError, UnsupportedError
from windtunnel.cloud.logs.filter_patterns import compile_filter

# From AWS's pages "Filter pattern syntax" and "Supported regular expressions", and a few more.
_MESSAGES = [
    "[ERROR 400] BAD REQUEST",
    "[ERROR 401] UNAUTHORIZED REQUEST",
    "[WARN] Failed to process the request",
    "Exiting with ERRORCODE: -1",
    'said "hello" \\ loudly',
    "grün",
]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("", [0, 1, 2, 3, 4, 5]),
        ("  ", [0, 1, 2, 3, 4, 5]),
        ("ERROR", [0, 1, 3]),
        ("error", []),
        ("ERROR REQUEST", [0, 1]),
        ("REQUEST ERROR", [0, 1]),
        ("ERROR -UNAUTHORIZED", [0, 3]),
        ('ERROR - "Exiting with"', [0, 1]),
        ("-ERROR", [2, 4, 5]),
        ("?BAD ?Failed", [0, 2]),
        ("? BAD ?Failed", [0, 2]),
        ('"BAD REQUEST"', [0]),
        ('"said \\"hello\\" \\\\"', [4]),
        ("grün", [5]),
        ("%AUTHORIZED%", [1]),
        ("%ERROR 40[0-9]%", [0, 1]),
        (r"%^\[W|1$%", [2, 3]),
        (r"%ERROR\w+: -\d%", [3]),
        (r"%\x5bERROR%", [0, 1]),
    ],
)
def test_a_pattern_wants_what_aws_says(pattern: str, wanted: list[int]) -> None:
    """A search that misses the one error line costs an evening."""
    flags = compile_filter(pattern)(_MESSAGES)

    assert [number for number, flag in enumerate(flags) if flag] == wanted


_EVENT = {
    "eventType": "UpdateTrail",
    "sourceIPAddress": "111.111.111.111",
    "arrayKey": ["value", "another value"],
    "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
    "SomeObject": None,
    "ThisFlag": True,
    "latency": 55.5,
    "code": 400,
    "coordinates": [[0, 1, 2], [4, 5, 6]],
    "odd name": "x",
    "text": "Ev*ent",
}


@pytest.mark.parametrize(
    ("pattern", "is_wanted"),
    [
        ('{ $.eventType = "UpdateTrail" }', True),
        ("{$.eventType=UpdateTrail}", True),
        ("{ $.eventType != UpdateTrail }", False),
        ("{ $.sourceIPAddress != 123.123.* }", True),
        ("{ $.sourceIPAddress = 111.111.* }", True),
        ('{ $.eventType = "*Trail" }', True),
        ('{ $.eventType = "*dateT*" }', True),
        ('{ $.eventType = "*" }', True),
        ('{ $.text = "Ev*ent" }', True),
        ('{ $.eventType = "Up*Trail" }', False),
        ('{ $.arrayKey[0] = "value" }', True),
        ('{ $.arrayKey[2] = "value" }', False),
        ("{ $.objectList[1].id = 2 }", True),
        ("{ $.eventType[0] = 2 }", False),
        ("{ $.SomeObject IS NULL }", True),
        ("{ $.eventType IS NULL }", False),
        ("{ $.SomeOtherObject NOT EXISTS }", True),
        ("{ $.SomeObject NOT EXISTS }", False),
        ("{ $.ThisFlag IS TRUE }", True),
        ("{ $.ThisFlag is false }", False),
        ("{ $.latency <= 55.5 }", True),
        ("{ $.latency < 5e1 }", False),
        ("{ $.latency > +1000 }", False),
        ("{ $.code = 400 }", True),
        ("{ $.code != 500 }", True),
        ('{ $.code = "400" }', True),
        ("{ $.code = 4* }", True),
        ("{ $.latency = * }", True),
        ("{ $.missing != 500 }", False),
        ("{ $.objectList = 1 }", False),
        ("{ $.objectList != 1 }", False),
        ("{ $.ThisFlag > 0 }", False),
        ("{ $.coordinates[1][2] = 6 }", True),
        ('{ $["odd name"] = x }', True),
        ('{ ($.code = 400) && ($.objectList[0].name = "a") }', True),
        ("{ ($.code = 1 && $.latency = 1) || $.code = 2 }", False),
        ("{ $.code = 400 || $.latency = 1 && $.code = 2 }", True),
        ("{ ($.code = 400 || $.latency = 1) && $.code = 2 }", False),
    ],
)
def test_a_json_pattern_wants_what_aws_says(pattern: str, is_wanted: bool) -> None:  # noqa: FBT001 - a column
    """Structured logs are searched by their fields."""
    assert compile_filter(pattern)([json.dumps(_EVENT), "no JSON", "7", "{"]) == [
        is_wanted, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "kind", "words"),
    [
        ("foo-bar", InvalidError, "Invalid character(s) in term 'foo-bar'"),
        ('""', InvalidError, "Invalid character(s) in term '\"\"'"),
        ('"open', InvalidError, "Invalid filter pattern"),
        ("-", InvalidError, "Invalid filter pattern"),
        ("ERROR ?WARN", UnsupportedError, "?terms beside other terms"),
        ("[ip, user]", UnsupportedError, "space-delimited"),
        ("%a% b", UnsupportedError, "alone"),
        ("%(a|b)%", InvalidError, "Invalid character(s) in term '%(a|b)%'"),
        ("%something!%", InvalidError, "Invalid character(s)"),
        ("%ü%", InvalidError, "Invalid character(s)"),
        ("%a{3,1}%", InvalidError, "Invalid filter pattern"),
        ("%[%", InvalidError, "Invalid filter pattern"),
        ("{ $.a = 1", InvalidError, "it must end with '}'"),
        ("{ }", InvalidError, "the end is not expected"),
        ("{ $.a }", InvalidError, "the end is not expected"),
        ("{ a = 1 }", InvalidError, "a is not expected"),
        ("{ $.a > text }", InvalidError, "text is not expected"),
        ("{ $.a = 1 $.b = 2 }", InvalidError, "$.b is not expected"),
        ("{ $.a IS MAYBE }", InvalidError, "MAYBE is not expected"),
        ("{ ($.a = 1 }", InvalidError, "the end is not expected"),
        ("{ $.a = %x% }", UnsupportedError, "regular expressions"),
        ("{" + "(" * 500 + "}", InvalidError, "nested too deeply"),
    ],
)
def test_what_is_no_pattern_is_refused_by_what_is_wrong(
    pattern: str, kind: type[Exception], words: str
) -> None:
    """An empty answer to a mistyped pattern would say that there is no error."""
    with pytest.raises(kind) as caught:
        compile_filter(pattern)
    assert words in str(caught.value)


@given(pattern=st.text(max_size=30), message=st.text(max_size=20))
def test_any_text_is_a_pattern_or_refused(pattern: str, message: str) -> None:
    """Whatever is typed into a search box gets an answer."""
    try:
        compile_filter(pattern)([message])
    except CloudError:
        pass
