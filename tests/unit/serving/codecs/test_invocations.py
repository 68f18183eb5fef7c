"""Bodies of /invocations become the predict requests that the original's nginx makes of them."""

import json
from typing import Any

import pytest

from windtunnel.serving.codecs.invocations import decode_invocation, rewrite_csv, rewrite_json
from windtunnel.serving.codecs.predict import Form
from windtunnel.serving.errors import RequestError
from windtunnel.serving.tensors import TYPES, Signature, TensorSpec


def invoke(body: str, content_type: str | None = "application/json", kind: str = "float") -> Any:
    spec = TensorSpec("x", TYPES[kind], kind, None)
    signatures = {"serving_default": Signature("serving_default", {"x": spec}, {})}
    header = None if content_type is None else content_type.encode()
    return decode_invocation(body.encode(), header, signatures).inputs["x"].tolist()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"instances": [[1, 2]]}', [[1, 2]]),
        ('{"inputs": [1, 2]}', [1, 2]),
        # The workshop's payload: a bare picture with its batch dimension.
        ("[[[[1, 2]]]]", [[[[1, 2]]]]),
        ("[ [1, 2],\n [3, 4] ]", [[1, 2], [3, 4]]),
        ("[1, 2]", [[1, 2]]),
        ("5", [5]),
        ("[NaN, 1e300]", None),
        # JSON lines: a second value after white space only.
        ("[1, 2]\n[3, 4]", [[1, 2], [3, 4]]),
        ("[1, 2]\r\n\r\n[3, 4]\r\n", [[1, 2], [3, 4]]),
        ('{"x": 1}\n{"x": 2}', [1, 2]),
        ('{"x": [1]}', [[1]]),
    ],
)
def test_json_without_a_key_becomes_instances(body: str, expected: Any) -> None:
    """Clients of the original send lists, lines and objects as they have them."""
    if expected is None:
        with pytest.raises(RequestError, match="Cannot convert JSON value: 1e"):
            invoke(body)
    else:
        assert invoke(body) == expected


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/jsonlines", "application/jsons", "Application/JSON"],
)
@pytest.mark.parametrize("suffix", ["", "; charset=utf-8", ";charset=UTF-8"])
def test_every_json_type_is_taken_with_a_charset_or_without(content_type: str, suffix: str) -> None:
    """The original answers 415 to `application/json; charset=utf-8`, which HTTP clients send."""
    assert invoke("[[1]]", content_type + suffix) == [[1]]


@pytest.mark.parametrize(
    ("content_type", "shown"), [("image/png", "image/png"), (None, "Unknown"), ("", "Unknown")]
)
def test_other_types_are_refused_with_the_originals_words(
    content_type: str | None, shown: str
) -> None:
    """415 and the type that was sent."""
    with pytest.raises(RequestError, match=f"Unsupported Media Type: {shown}") as caught:
        invoke("[[1]]", content_type)

    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("1.0,2\n3,4\n", [[1.0, 2], [3, 4]]),
        ("1\n2\n\n3", [1, 2, 3]),
        ("-1e3,NaN", [[-1000.0, "NaN"]]),
        ("a,b,c\nd,e,f", [["a", "b", "c"], ["d", "e", "f"]]),
        ('"a","b"', [["a", "b"]]),
        ("word\nother", ["word", "other"]),
        # Starts with E: a number to the original's pattern, a word to everybody else.
        ('Ed said "hi",x', [['Ed said "hi"', "x"]]),
    ],
)
def test_csv_is_one_instance_a_line(body: str, expected: Any) -> None:
    """A line with commas is a list, a single column bare values; words are quoted."""
    constants = {"NaN": "NaN"}
    assert json.loads(rewrite_csv(body.encode()), parse_constant=constants.get) == expected


def test_csv_reaches_the_model() -> None:
    """From a spreadsheet's lines to a tensor."""
    assert invoke("1,2\n3,4", "text/csv") == [[1, 2], [3, 4]]
    assert invoke("a,b", "text/csv; charset=utf-8", "string") == [[b"a", b"b"]]
    with pytest.raises(RequestError, match="The document is empty"):
        invoke("\n", "text/csv")


def test_two_values_on_one_line_are_not_json() -> None:
    """The original passes them on and TensorFlow Serving refuses them."""
    with pytest.raises(RequestError, match="must not be followed by other values"):
        invoke("[1][2]")


def test_text_that_looks_like_two_values_is_what_the_original_takes_it_for() -> None:
    """The original looks for `] [` in strings, too; one line then stands as it is."""
    assert rewrite_json(b'["a] [b"]') == (b'["a] [b"]', Form.INSTANCES)
