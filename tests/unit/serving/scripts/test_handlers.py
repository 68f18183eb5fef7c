"""A script's functions as one handler; what they may return, and what is said when they may not."""

from pathlib import Path

import pytest

from windtunnel.serving.errors import ScriptError
from windtunnel.serving.scripts.archive import Script
from windtunnel.serving.scripts.context import Context
from windtunnel.serving.scripts.handlers import Answer, Handler, load_handler, read_result
from windtunnel.serving.scripts.stream import Stream
from windtunnel.serving.scripts.whereabouts import describe_error, names_model_dir

CONTEXT = Context(None, None, None, "http://localhost:1/", "2", None, None, "a", "b", 0, 30.0)
PAIR = """
def input_handler(data, context): return "in"
def output_handler(response, context): return "out", "text/plain"
"""


def load(directory: Path, text: str) -> Handler:
    (directory / "code").mkdir()
    (directory / "code" / "inference.py").write_text(text)
    return load_handler(directory, Script(True, False, False))


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (("text é", "text/plain"), Answer(200, "text é".encode(), b"text/plain")),
        ([b"bytes", "a/b"], Answer(200, b"bytes", b"a/b")),
        ((bytearray(b"x"), "a/b"), Answer(200, b"x", b"a/b")),
        ((None, None), Answer(200, b"", b"application/json")),
    ],
)
def test_a_handler_returns_a_body_and_its_type(result: object, expected: Answer) -> None:
    """Text or bytes; nothing is the empty JSON answer of the original."""
    assert read_result(result, "handler") == expected


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, "handler returned NoneType, not two values"),
        (b"only a body", "handler returned bytes, not two values"),
        (({"a": 1}, "application/json"), "a body of dict, not str or bytes"),
        ((b"", b"text/plain"), "returned b'text/plain' as its content type"),
        ((b"", "a\r\nset-cookie: b"), "as its content type"),
    ],
)
def test_a_wrong_return_value_is_named(result: object, said: str) -> None:
    """`cannot unpack non-iterable NoneType object` tells nobody which function to look at."""
    with pytest.raises(TypeError, match=said):
        read_result(result, "handler")


def test_a_handler_wins_over_the_pair(tmp_path: Path) -> None:
    """In the original's code, whatever its page says."""
    handle = load(tmp_path, PAIR + 'def handler(data, context): return data.read(), "text/csv"')

    assert handle(Stream(b"1,2"), CONTEXT) == Answer(200, b"1,2", b"text/csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def input_handler(data, context): pass", "defines neither `handler` nor both"),
        ("\nimport not_there", r"No module named 'not_there' \(code/inference.py:2\)"),
        ("x = (", r"SyntaxError: .* \(code/inference.py:1\)"),
        ("import sys\n\nsys.exit('no')", r"SystemExit: no \(code/inference.py:3\)"),
    ],
)
def test_a_script_that_cannot_be_used_is_said_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    """The sentence becomes an endpoint's FailureReason: its author must find the place."""
    with pytest.raises(ScriptError, match=said):
        load(tmp_path, text)


def test_a_script_that_looks_where_sagemaker_has_its_archive_is_told_where_it_is(
    tmp_path: Path,
) -> None:
    """No such file or directory: /opt/ml/model/… tells nobody that all others of it are here."""
    with pytest.raises(ScriptError) as caught:
        load(tmp_path, "open('/opt/ml/model/code/labels.json')")

    assert f"(code/inference.py:1); SageMaker's /opt/ml/model is {tmp_path} here" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("LABELS = open('/opt/ml/model/code/labels.json')", True),
        ("ROOT = os.environ.get('SM_MODEL_DIR', '/opt/ml/model')", False),
        ("ROOT = os.path.dirname(__file__)", False),
        ("ROOT = '/opt/ml/models/one/model'", False),
    ],
)
def test_a_path_that_is_not_here_is_seen_before_a_script_fails_on_it(
    tmp_path: Path,
    text: str,
    is_named: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Many scripts try it, and quietly go on without their labels where it is not there."""
    script = tmp_path / "inference.py"
    script.write_text(text)

    assert names_model_dir(script) == is_named


def test_the_innermost_line_of_the_script_is_the_one_that_is_named(tmp_path: Path) -> None:
    """Errors are raised deep in libraries; the author knows the line that called them."""
    handle = load(tmp_path, "import json\ndef handler(data, context):\n  return json.loads('{')")

    with pytest.raises(ValueError, match="Expecting") as caught:
        handle(Stream(b""), CONTEXT)
    assert describe_error(caught.value, tmp_path).endswith("(code/inference.py:3)")
