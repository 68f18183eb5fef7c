"""A load run that outlives its credentials."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.lab.conftest import Asked, FakeAws, Ran

    Command = Callable[..., Ran]

pytestmark = pytest.mark.slow

# What a company's own tool for credentials does: a new token each time it is asked. When it was
# asked for the nth time is the size of a file; that the session has ended says another.
_PROCESS = """
import datetime as dt, json, pathlib, sys
count = pathlib.Path(sys.argv[1])
with count.open("a") as file:
    file.write(".")
number = len(count.read_text())
if pathlib.Path(sys.argv[2]).exists():
    sys.exit("the session has ended")
expiration = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60)
print(json.dumps({
    "Version": 1, "AccessKeyId": f"ASIA{number}", "SecretAccessKey": "secret",
    "SessionToken": f"token-{number}", "Expiration": expiration.isoformat(),
}))
"""


@pytest.fixture
def profile(to_aws: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Return the words for AWS with a profile whose credentials come from a program."""
    program = tmp_path / "process.py"
    program.write_text(_PROCESS)
    config = tmp_path / "config"
    command = f"{sys.executable} {program} {tmp_path / 'count'} {tmp_path / 'ended'}"
    config.write_text(f"[profile company]\ncredential_process = {command}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    return [*to_aws, "--profile", "company"]


def _answer_slowly(aws: "FakeAws") -> None:
    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.005)
        return 200, {}, b"1"

    aws.answer = answer
    aws.statuses = ["InService"]


def _numbers(aws: "FakeAws") -> dict[int, list[int]]:
    """Return the numbers of the tokens that invocations carried, in order, by connection."""
    numbers: dict[int, list[int]] = {}
    for asked in aws.asked:
        if asked.action == "InvokeEndpoint":
            number = asked.headers["x-amz-security-token"].removeprefix("token-")
            assert f"Credential=ASIA{number}/" in asked.headers["authorization"]
            numbers.setdefault(asked.port, []).append(int(number))
    return numbers


@pytest.mark.parametrize("processes", [1, 2])
def test_requests_are_signed_with_credentials_that_have_not_expired(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    payload_file: Path,
    profile: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    processes: int,
) -> None:
    """An hour into a soak test every request would fail, and look like the endpoint's fault."""
    monkeypatch.setattr("windtunnel.core.limits.CREDENTIALS_CHECK_S", 0.1)
    _answer_slowly(aws)
    made = windtunnel("deploy", archive, "--endpoint-name", "unet", *profile, "--yes")
    assert made.code == 0, made.err

    ran = windtunnel(
        *("load", "unet", "--payload", payload_file, "--out", tmp_path / "run", "--json"),
        *("--users", 2, "--duration", "2s", "--warmup", "0s", "--processes", processes),
        *("--yes", *profile),
    )

    assert ran.out, ran.err
    summary = json.loads(ran.out)
    assert summary["failures"] == 0, ran.err
    # Two processes get a token at moments of their own; no user ever goes back to an older one.
    connections = _numbers(aws).values()
    assert len(connections) >= 2
    assert all(len(set(numbers)) > 2 for numbers in connections)
    assert all(numbers == sorted(numbers) for numbers in connections)
    assert "ml.c5.large" in ran.err
    assert "instance-hours" in ran.err


def test_credentials_that_can_no_longer_be_renewed_are_said_to_be_so(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    payload_file: Path,
    profile: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The failures that follow are the sign-in's, and the summary must say so."""

    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        (tmp_path / "ended").touch()
        time.sleep(0.005)
        return 200, {}, b"1"

    aws.answer = answer
    aws.statuses = ["InService"]
    windtunnel("deploy", archive, "--endpoint-name", "unet", *profile, "--yes")
    monkeypatch.setattr("windtunnel.core.limits.CREDENTIALS_CHECK_S", 0.1)

    ran = windtunnel(
        *("load", "unet", "--payload", payload_file, "--out", tmp_path / "run", "--json"),
        *("--users", 1, "--duration", "2s", "--warmup", "0s"),
        *("--yes", *profile),
    )

    summary = json.loads(ran.out)
    (warning,) = [text for text in summary["warnings"] if "renewed" in text]
    assert "the session has ended" in warning


def test_static_session_credentials_are_said_not_to_last(
    windtunnel: "Command",
    aws: "FakeAws",
    archive: Path,
    payload_file: Path,
    to_aws: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A token pasted into a shell cannot be renewed by anybody; better known before the run."""
    _answer_slowly(aws)
    windtunnel("deploy", archive, "--endpoint-name", "unet", *to_aws, "--yes")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "pasted")

    ran = windtunnel(
        *("load", "unet", "--payload", payload_file, "--out", tmp_path / "run"),
        *("--users", 1, "--duration", "500ms", "--warmup", "0s"),
        *("--yes", *to_aws),
    )

    assert "nothing renews them" in ran.err
