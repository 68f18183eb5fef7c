"""Kinds of error."""

import json

import pytest

from windtunnel.core import limits
from windtunnel.lab.load import failures
from windtunnel.lab.load.answer import AnswerReader
from windtunnel.lab.load.failures import Failure
from windtunnel.lab.load.samples import FailureKinds


def _answer(status: int, words: object, error_type: str = "") -> AnswerReader:
    body = json.dumps(words).encode() if not isinstance(words, bytes) else words
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n"
    if error_type:
        head += f"x-amzn-ErrorType: {error_type}\r\n"
    reader = AnswerReader()
    assert reader.feed(head.encode() + b"\r\n" + body)
    return reader


def test_a_model_that_fails_is_counted_by_its_own_status_and_quoted() -> None:
    """`424` says nothing; the model's 400 and its words say what to fix."""
    answer = _answer(
        424,
        {
            "Message": "Received client error",
            "OriginalStatusCode": 400,
            "OriginalMessage": "bad shape",
        },
        "ModelError:http://internal.amazon.com",
    )

    assert failures.from_answer(answer) == Failure(
        "ModelError (424, the model answered 400)", "bad shape"
    )


def test_a_throttled_request_is_told_from_a_wrong_one() -> None:
    """Both are a 400 on AWS; only the type tells overload from a mistake."""
    answer = _answer(400, {"message": None}, "ThrottlingException")

    assert failures.from_answer(answer).kind == "ThrottlingException (400)"


def test_an_error_of_something_in_between_keeps_its_status_and_words() -> None:
    """A load balancer answers in HTML."""
    answer = _answer(502, b"<html>Bad Gateway</html>")

    assert failures.from_answer(answer) == Failure("HTTP 502", "<html>Bad Gateway</html>")


@pytest.mark.parametrize(
    ("status", "words", "error_type", "is_server_error"),
    [
        (424, {"OriginalStatusCode": 500}, "ModelError", True),
        (424, {"OriginalStatusCode": 400}, "ModelError", False),
        (424, b"cut short", "ModelError", False),
        (503, {"message": "busy"}, "ServiceUnavailable", False),
    ],
)
def test_a_models_own_5xx_is_told_from_its_answers_to_wrong_requests(
    status: int, words: object, error_type: str, *, is_server_error: bool
) -> None:
    """A model that dies under the load and one that is asked nonsense are both a 424 on AWS."""
    kind = failures.from_answer(_answer(status, words, error_type)).kind

    assert failures.is_models_server_error(kind) == is_server_error


def test_a_code_in_the_body_alone_is_found() -> None:
    """JSON protocols may name the type in the body instead of a header."""
    answer = _answer(400, {"__type": "com.amazon#ValidationError", "message": "no"})

    assert failures.from_answer(answer) == Failure("ValidationError (400)", "no")


def test_faults_of_the_network_have_names_a_person_knows() -> None:
    """`[Errno 111]` helps nobody at three in the morning."""
    assert failures.from_exception(ConnectionRefusedError(111, "x")).kind == "connection refused"
    assert failures.from_exception(TimeoutError()).kind == "no answer in time"
    assert failures.from_exception(BrokenPipeError()).kind == "connection reset"


def test_kinds_are_numbered_once_and_their_number_is_bounded() -> None:
    """A server that invents a new message for every request must not fill the memory."""
    kinds = FailureKinds()
    first = kinds.number(Failure("a", "first words"))

    assert kinds.number(Failure("a", "other words")) == first == 1
    assert kinds.examples["a"] == "first words"
    for number in range(limits.LOAD_ERROR_KINDS_MAX * 2):
        last = kinds.number(Failure(f"kind {number}", ""))
    assert last == limits.LOAD_ERROR_KINDS_MAX + 1


def test_an_empty_message_is_no_message() -> None:
    """`ThrottlingException (400): {"message":null}` reads as if it were the reason."""
    answer = _answer(400, {"__type": "ThrottlingException", "message": None})

    assert failures.from_answer(answer) == Failure("ThrottlingException (400)", "")


def test_a_table_gets_one_line_of_what_was_said() -> None:
    """A model's stack trace in a row of a table is a table nobody reads."""
    assert failures.told("HTTP 502", "<html>\n  Bad\n") == "HTTP 502: <html> Bad"
    assert failures.told("HTTP 502", " ") == "HTTP 502"
    assert failures.told("HTTP 502", "x" * 500) == f"HTTP 502: {'x' * 200}…"
