"""`windtunnel load` as a gate in a pipeline, against a fake of the endpoint's side."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from tests.unit.lab.conftest import Asked, FakeAws, Ran

    Command = Callable[..., Ran]

# Starting a load process takes a second or two: Locust is imported anew.
pytestmark = pytest.mark.slow


@pytest.fixture
def service_s(aws: "FakeAws") -> list[float]:
    """Return how long the endpoint takes, as a list of one number that a test may change."""
    taken = [0.01]

    def answer(_asked: "Asked") -> tuple[int, dict[str, str], bytes]:
        time.sleep(taken[0])
        return 200, {"Content-Type": "application/json"}, b'{"predictions": [1]}'

    aws.answer = answer
    return taken


@pytest.fixture
def load(
    windtunnel: "Command",
    in_service: str,
    payload_file: Path,
    service_s: list[float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> "Command":
    """Return a function that runs a short load into `tmp_path / name`."""
    assert service_s
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    def run(name: str, *words: object) -> "Ran":
        return windtunnel(
            *("load", in_service, "--payload", payload_file, "--out", tmp_path / name),
            *("--users", 2, "--duration", "2s", "--warmup", "0s", *words),
        )

    return run


def _junit(path: Path) -> ET.Element:
    return ET.parse(path).getroot()  # noqa: S314 - our own


def test_a_slower_endpoint_fails_against_its_baseline_and_says_what(
    load: "Command", service_s: list[float], tmp_path: Path
) -> None:
    """This is the gate: the same load, before and after a change."""
    assert load("before").code == 0
    service_s[0] = 0.05

    ran = load("after", "--baseline", tmp_path / "before", "--junit", tmp_path / "junit.xml")

    assert ran.code == 1, ran.err
    lines = ran.out.decode().splitlines()
    assert f"baseline  {tmp_path / 'before'}, worse" in lines
    assert any(line.startswith("throughput ") and line.endswith(": worse") for line in lines)
    summary = json.loads((tmp_path / "after" / "summary.json").read_text())
    assert summary["baseline"]["outcome"] == "worse"
    cases = {case.attrib["name"]: case for case in _junit(tmp_path / "junit.xml").iter("testcase")}
    assert cases["baseline p50"].find("failure") is not None
    assert cases["baseline failures"].find("failure") is None
    page = (tmp_path / "after" / "report.html").read_text()
    assert "Worse than its baseline: throughput" in page


def test_a_faster_endpoint_passes_against_its_baseline(
    load: "Command", service_s: list[float], tmp_path: Path
) -> None:
    """A change is not a fault: only for the worse does it fail."""
    service_s[0] = 0.03
    assert load("before").code == 0
    service_s[0] = 0.01

    ran = load("after", "--baseline", tmp_path / "before")

    assert ran.code == 0, ran.err
    assert f"baseline  {tmp_path / 'before'}, not worse" in ran.out.decode().splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--users", 3], "--users was 2, is 3"),
        (["--duration", "3s"], "--duration was 2 s, is 3 s"),
        (["--accept", "text/csv"], "accept was not set, is text/csv"),
    ],
)
def test_another_load_is_refused_before_anything_is_sent(
    load: "Command", aws: "FakeAws", tmp_path: Path, *, words: list[object], said: str
) -> None:
    """Comparing what cannot be compared costs a run, and then a wrong conclusion."""
    assert load("before").code == 0
    aws.asked.clear()

    ran = load("after", "--baseline", tmp_path / "before", *words)

    assert ran.code == 2
    assert "cannot be compared with this run" in ran.err
    assert said in " ".join(ran.err.split())
    assert "InvokeEndpoint" not in aws.actions()
    assert not (tmp_path / "after").exists()


def test_an_invalid_baseline_is_refused_before_any_call(
    load: "Command", aws: "FakeAws", tmp_path: Path
) -> None:
    """Held to a run that measured its generator, anything passes."""
    assert load("before").code == 0
    path = tmp_path / "before" / "summary.json"
    summary = json.loads(path.read_text())
    path.write_text(json.dumps({**summary, "valid": False, "reasons": ["interrupted"]}))
    aws.asked.clear()

    invalid = load("after", "--baseline", tmp_path / "before")
    missing = load("after", "--baseline", tmp_path / "nowhere")

    assert (invalid.code, missing.code) == (2, 2)
    assert "is an invalid run (interrupted)" in " ".join(invalid.err.split())
    assert "There is no directory" in missing.err
    assert aws.asked == []


def test_a_pipeline_gets_its_files_also_in_the_runs_own_directory(
    load: "Command", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One artefact to upload, and the table on the job's page without a word in the pipeline."""
    job = tmp_path / "job.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(job))
    out = tmp_path / "run"

    ran = load("run", "--slo", "p50=5s", "--slo", "p99=1ms", "--junit", out / "junit.xml")

    assert ran.code == 1, ran.err
    root = _junit(out / "junit.xml")
    assert (root.attrib["tests"], root.attrib["failures"]) == ("3", "1")
    table = job.read_text()
    assert "### Load on unet: failed" in table
    assert "| p50=5s | held |" in table
    assert "| p99=1ms | **missed** |" in table


def test_a_run_that_could_not_begin_leaves_no_pass_behind(
    load: "Command", aws: "FakeAws", tmp_path: Path
) -> None:
    """The file of an earlier run must not speak for the one that never was."""
    path = tmp_path / "junit.xml"
    assert load("first", "--junit", path).code == 0
    aws.statuses = ["Updating"]

    assert load("second", "--junit", path).code == 4

    assert not path.exists()
