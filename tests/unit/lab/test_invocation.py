"""One request from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.lab.conftest import FakeAws, Ran

    Command = Callable[..., Ran]

# boto3 takes a quarter of a second to read each service's model.
pytestmark = pytest.mark.slow


def test_the_answer_comes_out_byte_for_byte(
    windtunnel: "Command", aws: "FakeAws", payload_file: Path
) -> None:
    """An answer is piped into other programs; a newline too much breaks an image."""
    body = bytes(range(256))
    aws.answer = lambda _: (200, {"Content-Type": "image/png"}, body)

    ran = windtunnel("invoke", "unet", "--payload", payload_file)

    assert (ran.code, ran.out) == (0, body)


def test_the_request_is_the_file_and_what_the_options_say(
    windtunnel: "Command", aws: "FakeAws", tmp_path: Path
) -> None:
    """The container chooses its decoder by the content type alone."""
    path = tmp_path / "rows.csv"
    path.write_bytes(b"1,2\n3,4\n")

    windtunnel("invoke", "unet", "--payload", path, "--accept", "text/csv")
    windtunnel("invoke", "unet", "--payload", path, "--content-type", "text/plain")

    first, second = aws.asked
    assert first.path == "/endpoints/unet/invocations"
    assert first.body == b"1,2\n3,4\n"
    assert (first.headers["content-type"], first.headers["accept"]) == ("text/csv", "text/csv")
    assert second.headers["content-type"] == "text/plain"


def _error(
    code: str, message: str, **more: object
) -> Callable[..., tuple[int, dict[str, str], bytes]]:
    statuses = {"ModelError": 424, "ValidationError": 400, "ThrottlingException": 400}
    body = json.dumps({"Message": message, **more}).encode()
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return lambda _: (statuses[code], headers, body)


def test_a_failing_model_is_quoted(
    windtunnel: "Command", aws: "FakeAws", payload_file: Path
) -> None:
    """SageMaker wraps the model's own words in three lines about CloudWatch."""
    aws.answer = _error(
        "ModelError",
        "Received client error (400) from primary",
        OriginalStatusCode=400,
        OriginalMessage='{"error": "shape mismatch"}',
    )

    ran = windtunnel("invoke", "unet", "--payload", payload_file)

    assert ran.code == 1
    assert 'The model answered 400: {"error": "shape mismatch"}' in ran.err
    assert ran.out == b""


def test_an_unknown_endpoint_is_status_4(
    windtunnel: "Command", aws: "FakeAws", payload_file: Path
) -> None:
    """Scripts tell `not deployed yet` from `broken` by the status."""
    aws.answer = _error("ValidationError", "Endpoint unet of account 0 not found.")

    ran = windtunnel("invoke", "unet", "--payload", payload_file)

    assert ran.code == 4
    assert "no endpoint unet" in ran.err


def test_an_overloaded_endpoint_is_not_asked_again(
    windtunnel: "Command", aws: "FakeAws", payload_file: Path
) -> None:
    """boto3 retries throttled calls silently; one request must mean one request."""
    aws.answer = _error("ThrottlingException", "")

    ran = windtunnel("invoke", "unet", "--payload", payload_file)

    assert ran.code == 1
    assert len(aws.asked) == 1


@pytest.mark.parametrize("size", [0, 6_291_457])
def test_a_body_that_sagemaker_would_refuse_is_refused_here(
    windtunnel: "Command", aws: "FakeAws", tmp_path: Path, *, size: int
) -> None:
    """The limit is exact, and the answer to breaking it on AWS is not."""
    path = tmp_path / "payload.json"
    path.write_bytes(b"x" * size)

    ran = windtunnel("invoke", "unet", "--payload", path)

    assert ran.code == 2
    assert aws.asked == []
