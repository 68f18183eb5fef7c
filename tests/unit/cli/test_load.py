"""What a run's outcome is to a script, and to a person."""

from typing import Any

import pytest
import typer

from windtunnel.cli.load import before_sending
from windtunnel.cli.outcome import exit_status, result_lines

_GOOD: dict[str, Any] = {
    "requests": 100,
    "failures": 0,
    "throughput_rps": 18.24,
    "latency_s": {"p50": 0.05, "p90": 0.1, "p95": 0.142, "p99": 0.2, "max": 0.3},
    "service_s": {"p50": 0.05, "p90": 0.1, "p95": 0.142, "p99": 0.2, "max": 0.3},
    "schedule_lag_s_p99": 0.0001,
    "valid": True,
    "reasons": [],
    "warnings": [],
    "objectives": [],
    "errors": [],
    "users": {"wanted": 4, "reached": 4},
    "measured_s": 30.0,
    "hardware": {"instances": "ml.c5.large (stand-in: 2 of 2 vCPU)"},
}


def _baseline(outcome: str, verdict: str) -> dict[str, Any]:
    sentence = "50 ms before, 70 ms now, +40% (+30% to +50%)"
    return {
        "run": "runs/main",
        "started_at": "2026-11-25T10:00:00+00:00",
        "outcome": outcome,
        "differences": [{"what": "OMP_NUM_THREADS", "then": "1", "now": "2"}],
        "figures": [{"name": "p50", "verdict": verdict, "sentence": sentence}],
    }


def _capacity(outcome: str) -> dict[str, Any]:
    return {"outcome": outcome, "sentence": "48 requests/s keep p95=100ms", "steps": [1, 2]}


def _verdict(outcome: str) -> dict[str, str]:
    return {"objective": "p95=150ms", "outcome": outcome, "reason": "because"}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 0),
        ({"objectives": [_verdict("held")]}, 0),
        ({"objectives": [_verdict("held"), _verdict("missed")]}, 1),
        ({"objectives": [_verdict("undecided")]}, 1),
        ({"failures": 100}, 1),
        ({"failures": 99}, 0),
        ({"baseline": _baseline("not worse", "better")}, 0),
        ({"baseline": _baseline("not worse", "no real difference")}, 0),
        # It was not an objective: what cannot be told of it is no failure.
        ({"baseline": _baseline("not worse", "too few requests to say")}, 0),
        ({"baseline": _baseline("worse", "worse"), "objectives": [_verdict("held")]}, 1),
        ({"valid": False, "reasons": ["the generator fell behind"]}, 3),
        ({"valid": False, "reasons": ["x"], "objectives": [_verdict("void")]}, 3),
        ({"valid": False, "reasons": ["interrupted"]}, 130),
        ({"capacity": _capacity("found")}, 0),
        ({"capacity": _capacity("none")}, 1),
        # The run of the lowest rate stands for the result: that it drowned is the result.
        ({"capacity": _capacity("none"), "valid": False, "reasons": ["stopped early"]}, 1),
        ({"capacity": _capacity("at least")}, 3),
        ({"capacity": _capacity("generator")}, 3),
        ({"capacity": _capacity("interrupted"), "valid": False, "reasons": ["interrupted"]}, 130),
    ],
)
def test_the_status_says_how_a_run_ended(change: dict[str, object], status: int) -> None:
    """Pipelines act on the number alone."""
    assert exit_status({**_GOOD, **change}) == status


def test_a_person_reads_the_run_in_a_few_lines() -> None:
    """The answer to `how fast is it` must not need a browser."""
    lines = result_lines({**_GOOD, "objectives": [_verdict("held")]})

    assert lines == [
        "on        ml.c5.large (stand-in: 2 of 2 vCPU)",
        "rate      18.2 good answers/s by 4 of 4 users",
        "latency   p50 50 ms  p90 100 ms  p95 142 ms  p99 200 ms  max 300 ms",
        "requests  100 in 30 s, 0 failed (0%)",
        "held      p95=150ms: because",
    ]


def test_a_person_reads_what_became_worse_and_by_how_much() -> None:
    """`exit 1` alone sends people into the report before they know what for."""
    lines = result_lines({**_GOOD, "baseline": _baseline("worse", "worse")})

    assert lines[-3:] == [
        "baseline  runs/main, worse",
        "changed   OMP_NUM_THREADS 1 then, 2 now",
        "p50       50 ms before, 70 ms now, +40% (+30% to +50%): worse",
    ]


def test_a_capacity_comes_before_the_run_that_confirmed_it() -> None:
    """It is what was asked; all else says how it is known."""
    lines = result_lines({**_GOOD, "capacity": _capacity("found")})

    assert lines[0] == "capacity  48 requests/s keep p95=100ms (2 steps)"
    assert lines[1].startswith("on        ml.c5.large")


def test_of_a_rate_it_is_said_how_much_of_it_was_reached() -> None:
    """48 requests a second are good news only where 48 were asked for."""
    of_users = {name: value for name, value in _GOOD.items() if name != "users"}
    arrivals = {"wanted_rps": 20.0, "dropped": 0, "connections": 3}

    lines = result_lines({**of_users, "arrivals": arrivals})

    assert lines[1] == "rate      18.2 good answers/s of 20 requests/s, on 3 connections"


def test_errors_are_listed_with_what_one_of_them_said() -> None:
    """`12 failed` is the beginning of a question."""
    error = {"kind": "ModelError (424)", "count": 100, "example": "out of memory"}
    lines = result_lines({**_GOOD, "failures": 100, "errors": [error]})

    assert lines[-1] == "error     100 x ModelError (424): out of memory"
    assert not any(line.startswith("latency") for line in lines)


@pytest.mark.parametrize(
    ("warmup_count", "said"),
    [
        (0, "requests  none was answered: nothing was measured"),
        (1200, "requests  nothing was measured: 1,200 in the warm-up, which does not count"),
    ],
)
def test_a_run_that_ended_before_it_counted_shows_no_zeros(warmup_count: int, said: str) -> None:
    """`rate 0 good answers/s` reads as if the endpoint had been measured, and found dead."""
    lines = result_lines(
        {
            **_GOOD,
            "requests": 0,
            "throughput_rps": 0.0,
            "latency_s": dict.fromkeys(_GOOD["latency_s"]),
            "valid": False,
            "reasons": ["interrupted"],
            "objectives": [_verdict("undecided")],
            "measured_s": 0.0,
            "warmup_requests": warmup_count,
        }
    )

    assert lines == ["on        ml.c5.large (stand-in: 2 of 2 vCPU)", said]


def test_an_error_that_said_nothing_is_not_given_words() -> None:
    """A colon with nothing behind it looks like a report that was cut off."""
    error = {"kind": "ThrottlingException (400)", "count": 521, "example": ""}
    lines = result_lines({**_GOOD, "failures": 100, "errors": [error]})

    assert lines[-1] == "error     521 x ThrottlingException (400)"


def test_an_interrupt_before_the_run_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever saw a typing mistake and hit Ctrl-C learns that nothing went out."""
    with pytest.raises(typer.Exit) as ended, before_sending():
        raise KeyboardInterrupt

    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "windtunnel: interrupted before anything was sent\n"
