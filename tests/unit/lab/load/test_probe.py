"""What a run says of a rate, and of whom."""

from typing import Any

import pytest

from windtunnel.lab.load.probe import Question, judge
from windtunnel.lab.objectives import parse_objective

_GOOD: dict[str, Any] = {
    "valid": True,
    "reasons": [],
    "throughput_rps": 49.9,
    "schedule_lag_s_p99": 0.0002,
    "objectives": [],
    "arrivals": {"due": 1000, "wanted_rps": 50.0, "dropped": 0, "connections": 4},
    "generator": {"cpu_share_max": 0.1, "fault": None, "late": None},
}
_BUSY = {**_GOOD["generator"], "cpu_share_max": 0.97}
_P95, _P99 = parse_objective("p95=100ms"), parse_objective("p99=1s")


def _late(lag_s: float) -> dict[str, Any]:
    return {
        "valid": False,
        "reasons": ["too late"],
        "schedule_lag_s_p99": lag_s,
        "generator": {**_GOOD["generator"], "late": "too late"},
    }


def _verdict(over: int, count: int = 1000) -> dict[str, Any]:
    return {"requests": count, "over": over, "failed": 0, "measured": 0.05}


def _dropped(connections: int) -> dict[str, Any]:
    return {
        "valid": False,
        "reasons": ["9 arrivals were dropped"],
        "arrivals": {**_GOOD["arrivals"], "dropped": 9, "connections": connections},
    }


def _judge(
    change: dict[str, Any], *, is_confirmation: bool = False, is_stopped: bool = False
) -> tuple[str, str]:
    summary = {**_GOOD, **change}
    objectives = [_P95, _P99][: len(summary["objectives"])]
    question = Question(50.0, objectives, 2.0, is_confirmation)
    return judge(summary, question, is_stopped=is_stopped)


@pytest.mark.parametrize(
    ("change", "outcome", "why"),
    [
        ({}, "held", "49.9 of 50 requests/s were answered well"),
        ({"objectives": [_verdict(0)]}, "held", "p95=100ms: measured 50 ms, 0 of"),
        ({"objectives": [_verdict(0), _verdict(99)]}, "missed", "p99=1s: measured 50 ms, 99 of"),
        ({"objectives": [_verdict(50), _verdict(99)]}, "missed", "p99=1s: measured 50 ms, 99 of"),
        ({"objectives": [_verdict(50)]}, "undecided", "p95=100ms: measured 50 ms, 50 of"),
        # Failures are no answers, and no latency objective is needed to say so.
        ({"throughput_rps": 47.4}, "saturated", "47.4 of 50 requests/s were answered well"),
        ({"throughput_rps": 47.5}, "held", "47.5 of 50"),
        ({"throughput_rps": 40, "objectives": [_verdict(999)]}, "saturated", "40 of 50"),
        ({"valid": False, "reasons": ["3 requests were never answered"]}, "saturated", "never"),
        # The generator's own faults, whatever was measured.
        ({"generator": {**_GOOD["generator"], "fault": "1 lost"}}, "generator", "1 lost"),
        ({"generator": _BUSY}, "held", "49.9 of 50"),
        ({"generator": _BUSY, "objectives": [_verdict(99)]}, "generator", "97% of its core"),
        ({"generator": _BUSY, "valid": False, "reasons": ["x"]}, "generator", "97% of its core"),
        # 200 connections at 50/s are a wait of 4 s; 20 are a generator that may have no more.
        (_dropped(200), "saturated", "9 arrivals were dropped"),
        (_dropped(20), "generator", "all 20 connections were in use"),
    ],
)
def test_a_step_is_blamed_on_whom_it_belongs_to(
    change: dict[str, Any], outcome: str, why: str
) -> None:
    """An endpoint called slow for its load generator's sake is paid for twice."""
    found, said = _judge(change)

    assert found == outcome
    assert why in said


def test_a_step_may_be_late_by_a_twentieth_of_what_it_is_asked() -> None:
    """On a machine that is not quiet a search would end at its first step, and say nothing."""
    asked = {"objectives": [_verdict(0)]}

    assert _judge({**_late(0.004), **asked})[0] == "held"
    assert _judge({**_late(0.004), "objectives": [_verdict(99)]})[0] == "missed"
    assert _judge({**_late(0.006), **asked}) == ("generator", "too late")
    # Without a limit on latency the question is whether requests come through.
    assert _judge(_late(0.09))[0] == "held"
    assert _judge(_late(0.11))[0] == "generator"


def test_a_confirmation_has_to_be_valid() -> None:
    """Its run is the one that is reported: INVALID on it, and `found` beside it, are a riddle."""
    late = {**_late(0.0011), "objectives": [_verdict(0)]}

    assert _judge(late, is_confirmation=True) == ("generator", "too late")


def test_beside_a_wait_of_seconds_milliseconds_of_lag_do_not_matter() -> None:
    """A hung endpoint has no latency that the lag could be held against; it hung all the same."""
    hung = {**_late(0.05), "reasons": ["stopped early", "too late"], "objectives": [_verdict(0, 0)]}

    assert _judge(hung, is_stopped=True) == ("saturated", "stopped early")
    assert _judge(hung, is_stopped=True, is_confirmation=True)[0] == "saturated"
    assert _judge({**hung, "schedule_lag_s_p99": 0.2}, is_stopped=True)[0] == "generator"
