"""A user's Locust with the watch beside it, against an endpoint that is known."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from windtunnel.core.home import Home
from windtunnel.lab.load import locust_watch

if TYPE_CHECKING:
    from tests.unit.lab.conftest import FakeAws

# Starting Locust takes a second or two.
pytestmark = pytest.mark.slow

PLUGIN = Path(locust_watch.__file__).with_name("locust_plugin.py")
LOCUST = Path(sys.executable).with_name("locust")
# As many have written it: a client and a read of the same file for each user, no size, no wait.
FAULTY = """
import time, boto3
from locust import User, events, task
body_file = open("body.txt")

class Careless(User):
    def on_start(self):
        self.runtime = boto3.client("sagemaker-runtime")
        self.body = body_file.read()

    @task
    def ask(self):
        began_s = time.perf_counter()
        self.runtime.invoke_endpoint(EndpointName="unet", Body=self.body)["Body"].read()
        events.request.fire(
            request_type="InvokeEndpoint", name="SageMaker", response_length=0, exception=None,
            response_time=(time.perf_counter() - began_s) * 1000, context={},
        )
"""
CAREFUL = """
import trace
from locust import constant, events, task
from windtunnel.lab.load import EndpointUser

class Careful(EndpointUser):
    payload = "body.txt"
    wait_time = constant(0.05)

    @task
    def ask(self):
        self.invoke()

@events.quitting.add_listener
def show(environment, **_):
    print("listeners", len(environment.events.request._handlers), trace.__file__)
"""


@pytest.fixture
def watched(
    home: Home, aws: "FakeAws", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> "type[Watched]":
    """Return what runs a locustfile under the watch, in a directory with a body to send."""
    monkeypatch.setenv("WINDTUNNEL_HOME", str(home.path))
    for name, value in {
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIACALLER",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "body.txt").write_text("{}")
    aws.answer = lambda _asked: (200, {}, b'{"predictions": []}')
    monkeypatch.chdir(tmp_path)
    return Watched


class Watched:
    """One run of Locust, and what the watch said of it."""

    def __init__(self, locustfile: str, *words: str) -> None:
        Path("locustfile.py").write_text(locustfile)
        done = subprocess.run(
            [
                *(sys.executable, str(PLUGIN), str(LOCUST), "--headless", "-H", "https://unet"),
                *("--only-summary", *words),
            ],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.status = done.returncode
        self.all = done.stdout + done.stderr
        self.said = [
            line.removeprefix("windtunnel: ")
            for line in done.stderr.splitlines()
            if line.startswith("windtunnel: ")
        ]


def test_each_fault_of_a_careless_script_is_named_once(
    watched: type[Watched], aws: "FakeAws"
) -> None:
    """Nothing of it is in Locust's own tables, and every figure there suffers from it."""
    run = watched(FAULTY, "-u", "8", "-t", "4sx")

    assert run.status == 0, run.all
    starts = [
        "the run time '4sx' is none",
        "Locust starts 1 user a second unless told otherwise: 8 users need 8 s",
        "Careless has no wait_time",
        "of 8 users ",
        "",
        "the answers of SageMaker are all reported as 0 bytes long",
        "",
    ]
    assert len(run.said) == len(starts), run.said
    for said, start in zip(run.said, starts, strict=True):
        assert said.startswith(start)
    empty = sum(asked.body == b"" for asked in aws.asked)
    sent = aws.actions().count("InvokeEndpoint")
    # Requests that were under way when the run ended are counted by the one or the other.
    counted, _, of = run.said[4].partition(" of ")
    assert abs(int(counted) - empty) <= 8
    assert abs(int(of.split()[0]) - sent) <= 8
    assert "boto3 clients served" in run.said[6]


def test_a_careful_script_is_told_nothing_and_left_as_it_is(
    watched: type[Watched], aws: "FakeAws"
) -> None:
    """The watch listens to no request: it would cost, and take the batches away."""
    run = watched(CAREFUL, "-u", "2", "-r", "2", "-t", "2s")

    assert run.status == 0, run.all
    assert run.said == []
    (line,) = [line for line in run.all.splitlines() if line.startswith("listeners ")]
    assert line.startswith("listeners 1 ")
    assert str(PLUGIN.parent) not in line
    assert {asked.body for asked in aws.asked} == {b"{}"}


def test_what_locust_refuses_it_still_refuses(watched: type[Watched]) -> None:
    """The watch must not turn a mistake into a run."""
    run = watched(CAREFUL, "-t", "soon")

    assert run.status == 2
    assert "Invalid time span" in run.all
