"""What `windtunnel compile` shows of what was tried."""

from typing import Any

import pytest

from windtunnel.cli import compilation


def row(name: str, p50_ms: float, rates: list[float], **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "p50_ms": p50_ms,
        "cpu_ms": 2 * p50_ms,
        "times_baseline": 4 / p50_ms,
        "times_baseline_95": [3.9 / p50_ms, 4.1 / p50_ms],
        "throughput": [{"inferences_per_s": rate} for rate in rates],
        **more,
    }


@pytest.fixture
def report() -> dict[str, Any]:
    verdict = {"score": 0.99991, "tolerance": 0.98, "is_right": True}
    return {
        "objective": "latency",
        "measure": "1 - error / deviation",
        "measured": "on this machine, which is the target",
        "notices": [],
        "baseline": row("TensorFlow", 4.0, [5084.0]),
        "candidates": [
            row("bf16", 2.0, [8272.0, 10168.0], **verdict),
            {"name": "f32", "score": None, "tolerance": 0.9999, "is_right": False},
        ],
    }


def shown(report: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> list[str]:
    compilation._show(report)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_forms_are_shown_with_their_latency_and_its_interval(
    report: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What decides by default."""
    monkeypatch.setenv("COLUMNS", "120")

    assert shown(report, capsys)[:4] == [
        "form p50 ms times baseline CPU ms 1 - error / deviation at least",
        "TensorFlow 4 1.00 (0.97 to 1.02) 8",
        "bf16 2 2.00 (1.95 to 2.05) 4 0.9999 0.98",
        "f32 not timed no answer 0.9999",
    ]


def test_where_throughput_decides_it_is_shown(
    report: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each form with its best setting, and how many times the baseline's that is."""
    monkeypatch.setenv("COLUMNS", "120")

    assert shown(report | {"objective": "throughput"}, capsys)[:4] == [
        "form inferences/s times baseline p50 ms CPU ms 1 - error / deviation at least",
        "TensorFlow 5,084 1.00 4 8",
        "bf16 10,170 2.00 2 4 0.9999 0.98",
        "f32 not timed no answer 0.9999",
    ]
