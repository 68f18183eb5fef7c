"""What a pipeline is told of a run: the JUnit file, the Markdown table, and where they lie."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab import checks
from windtunnel.lab.gate import GateFiles
from windtunnel.lab.objectives import judge, parse_objective
from windtunnel.lab.report import junit, markdown

_SPREAD = {"p50": 0.05, "p90": 0.1, "p95": 0.142, "p99": 0.2, "max": 0.3}
_WORSE = {"name": "p50", "verdict": "worse", "before": 0.05, "sentence": "50 ms before, 70 ms now"}


def _summary(*over_counts: int, **changes: Any) -> dict[str, Any]:
    """Return a run's summary with one verdict for each count of requests over p95=150ms."""
    objective = parse_objective("p95=150ms")
    verdicts = [judge(objective, count=1000, over=over, measured=0.142) for over in over_counts]
    return {
        "endpoint": "unet",
        "requests": 1000,
        "failures": 0,
        "throughput_rps": 33.333,
        "latency_s": _SPREAD,
        "service_s": _SPREAD,
        "schedule_lag_s_p99": 0.0001,
        "valid": True,
        "reasons": [],
        "warnings": [],
        "objectives": [verdict.to_json() for verdict in verdicts],
        "errors": [],
        "measured_s": 30.0,
        "hardware": {"instances": "ml.c5.large (stand-in: 2 of 2 vCPU)"},
        **changes,
    }


def _baseline(*figures: dict[str, Any], outcome: str = "not worse") -> dict[str, Any]:
    return {
        "run": "runs/main",
        "started_at": "2026-11-25T10:00:00+00:00",
        "outcome": outcome,
        "differences": [],
        "figures": list(figures),
    }


def _parsed(text: str) -> ET.Element:
    # As it lies in the file, with the encoding it claims.
    return ET.fromstring(text.encode())  # noqa: S314 - our own


def _cases(text: str) -> dict[str, ET.Element]:
    return {case.attrib["name"]: case for case in _parsed(text).iter("testcase")}


def test_every_check_is_a_test_case_that_ends_as_the_run_did() -> None:
    """The pipeline shows the file, and acts on the status: they must say the same."""
    summary = _summary(20, 80, 50, baseline=_baseline(_WORSE, outcome="worse"))
    root = _parsed(junit.render(summary))

    (suite,) = root
    assert root.tag == "testsuites"
    for element in (root, suite):
        counts = {name: element.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {"tests": "5", "failures": "3", "errors": "0", "skipped": "0"}
    ends = [(case.attrib["name"], [child.tag for child in case]) for case in suite]
    assert ends == [
        ("valid", ["system-out"]),
        ("p95=150ms", ["system-out"]),
        ("p95=150ms", ["failure", "system-out"]),
        ("p95=150ms", ["failure", "system-out"]),
        ("baseline p50", ["failure", "system-out"]),
    ]
    assert [failure.attrib["type"] for failure in suite.iter("failure")] == [
        "missed",
        "undecided",
        "worse",
    ]
    assert sum(float(case.attrib["time"]) for case in suite) == pytest.approx(30.0)


def test_the_numbers_are_in_each_test_cases_output() -> None:
    """A failed build months ago is all that is left of the run."""
    cases = _cases(junit.render(_summary(20)))

    assert "latency_s_p95: 0.142" in (cases["valid"].findtext("system-out") or "")
    said = (cases["p95=150ms"].findtext("system-out") or "").splitlines()
    assert said[0] == "measured 142 ms, 20 of 1,000 over 150 ms; confidence 99.99%"
    assert {"requests: 1000", "over: 20", "confidence_wanted: 0.99"} <= set(said)


def test_an_invalid_run_is_an_error_and_its_objectives_are_skipped() -> None:
    """No verdict is neither a pass nor a fault of the endpoint."""
    summary = _summary(20, valid=False, reasons=["the generator fell behind"])
    summary["objectives"] = [
        judge(parse_objective("p95=150ms"), count=1000, over=20, measured=0.142).voided().to_json()
    ]
    cases = _cases(junit.render({**summary, "baseline": _baseline(outcome="void")}))

    error = cases["valid"].find("error")
    assert error is not None
    assert error.attrib["message"] == error.text == "the generator fell behind"
    assert cases["p95=150ms"].find("skipped") is not None
    assert cases["baseline"].find("skipped") is not None
    assert "INVALID" in markdown.render(summary).splitlines()[0]


def test_a_run_that_nothing_answered_fails_without_an_objective() -> None:
    """Its status is 1, so its file must not be all green."""
    error = {"kind": "refused", "example": "out of memory", "count": 1000}
    summary = _summary(failures=1000, errors=[error], latency_s=dict.fromkeys(_SPREAD))

    failure = _cases(junit.render(summary))["answered"].find("failure")
    assert failure is not None
    assert "refused: out of memory" in (failure.text or "")
    assert not checks.is_passed(summary)


@given(text=st.text(st.characters(), max_size=80))
def test_whatever_an_endpoint_says_the_files_stay_whole(*, text: str) -> None:
    """One control character in a model's message must not cost the pipeline its result."""
    error = {"kind": "ModelError", "example": text, "count": 1000}
    summary = _summary(failures=1000, errors=[error])

    _parsed(junit.render(summary))
    table = markdown.render(summary)
    row = next(line for line in table.splitlines() if line.startswith("| answered"))
    # Three cells: nothing in them ends one. What is escaped is no end.
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 4
    assert "<" not in table


def test_the_table_shows_each_check_and_the_figures() -> None:
    """It is what a reviewer sees without a click."""
    table = markdown.render(_summary(20, 80))

    assert table.startswith("### Load on unet: failed\n")
    assert "| p95=150ms | held | measured 142 ms, 20 of 1,000 over 150 ms; confidence 99.99% |" in (
        table
    )
    assert "| p95=150ms | **missed** | " in table
    assert "33.3 requests/s, p50 50 ms, p90 100 ms, p95 142 ms, p99 200 ms, max 300 ms; " in table
    assert "1,000 requests in 30 s, 0 failed (0%), on ml.c5.large (stand-in: 2 of 2 vCPU)." in table


def test_the_table_stays_short_whatever_an_endpoint_says() -> None:
    """GitHub drops a summary of more than a megabyte whole."""
    error = {"kind": "ModelError", "example": "x" * 2_000_000, "count": 1000}

    table = markdown.render(_summary(failures=1000, errors=[error]))

    assert len(table) < 2 * limits.MARKDOWN_CELL_CHARACTERS_MAX + 1000


def test_until_the_run_has_ended_its_file_is_an_error(tmp_path: Path) -> None:
    """A run that was killed must not leave yesterday's pass behind."""
    path = tmp_path / "junit.xml"
    files = GateFiles(junit=path, markdown=None, job_summary=None)
    path.write_text(junit.render(_summary(20)))

    files.check(tmp_path / "run")
    assert not path.exists()
    files.begin("unet")
    assert _cases(path.read_text())["valid"].find("error") is not None
    assert files.write(_summary(20)) == []
    assert [case.find("error") for case in _cases(path.read_text()).values()] == [None, None]


def test_the_table_is_added_to_what_other_steps_wrote(tmp_path: Path) -> None:
    """The job's summary is everybody's."""
    job, own = tmp_path / "job.md", tmp_path / "own.md"
    job.write_text("## Unit tests\n")
    files = GateFiles(junit=None, markdown=own, job_summary=job)

    files.check(tmp_path / "run")
    files.begin("unet")
    files.write(_summary(20))

    assert job.read_text() == "## Unit tests\n" + markdown.render(_summary(20))
    assert own.read_text() == markdown.render(_summary(20))


def test_a_summary_that_goes_to_the_jobs_own_file_is_there_once(tmp_path: Path) -> None:
    """Who names it by hand as well does not want it twice."""
    job = tmp_path / "job.md"
    GateFiles(junit=None, markdown=job, job_summary=job).write(_summary(20))

    assert job.read_text() == markdown.render(_summary(20))


def test_what_is_no_junit_file_is_left_alone(tmp_path: Path) -> None:
    """`--junit payload.json` is a slip that must not cost the payload."""
    payload = tmp_path / "payload.json"
    payload.write_text('{"instances": []}')

    with pytest.raises(UsageError, match="holds something else"):
        GateFiles(payload, None, None).check(tmp_path / "run")
    assert payload.read_text() == '{"instances": []}'


def test_a_place_where_nothing_can_be_written_is_refused_first(tmp_path: Path) -> None:
    """After an hour it is too late to learn that the directory is missing."""
    out = tmp_path / "run"
    with pytest.raises(UsageError, match="there is no directory"):
        GateFiles(tmp_path / "no" / "junit.xml", None, None).check(out)
    with pytest.raises(UsageError, match="is a directory"):
        GateFiles(None, tmp_path, None).check(out)
    # The run's own directory will be made.
    GateFiles(out / "junit.xml", out / "summary.md", None).check(out)


def test_a_result_that_cannot_be_written_is_said_and_loses_nothing_else(tmp_path: Path) -> None:
    """A full disk takes one file, not the other, nor the run's status."""
    files = GateFiles(tmp_path / "gone" / "junit.xml", tmp_path / "own.md", None)

    problems = files.write(_summary(20))

    assert len(problems) == 1
    assert "junit.xml could not be written: No such file or directory" in problems[0]
    assert (tmp_path / "own.md").exists()
