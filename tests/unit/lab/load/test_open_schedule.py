"""Open loops in words: their defaults, and the nonsense they refuse."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from windtunnel.core.errors import UsageError
from windtunnel.lab.load.arrivals import PoissonArrivals
from windtunnel.lab.load.open_schedule import OpenSchedule, Target, open_schedule, parse_stages
from windtunnel.lab.load.plan import schedule_from_json
from windtunnel.lab.load.trace import Trace, open_trace


def _schedule(**words: Any) -> OpenSchedule:
    asked: dict[str, Any] = {
        "rate_per_s": None,
        "stages": None,
        "trace": None,
        "arrivals": "constant",
        "seed": 0,
        "warmup_s": None,
        "duration_s": None,
        "processes": 1,
    }
    return open_schedule(**{**asked, **words})


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Return three minutes of traffic."""
    path = tmp_path / "trace.csv"
    lines = [f"2026-01-01 00:0{minute}:00,{minute}" for minute in range(3)]
    path.write_text("\n".join(["period,count", *lines]))
    return open_trace(path, scale=1.0, speed=1.0, first_period=None)


def test_stages_are_read_as_k6_reads_them() -> None:
    """A duration, and the rate at its end; who knows one tool knows the other."""
    assert parse_stages("30s:50, 1m:200,0s:1.5") == (
        Target(30, 50),
        Target(60, 200),
        Target(0, 1.5),
    )


@pytest.mark.parametrize("text", ["", "30s", "30s:", "50:30s", "30s:-1", "30s:50;1m:2", "1mg:3"])
def test_stages_that_are_none_are_refused(text: str) -> None:
    """`50:30s` the other way round must not become fifty seconds."""
    with pytest.raises(UsageError, match="30s:50|length of time"):
        parse_stages(text)


def test_a_warm_up_comes_on_top_of_a_rate_and_is_the_start_of_what_has_a_length(
    trace: Trace,
) -> None:
    """A trace's morning is not sent twice; a constant rate loses nothing of what counts."""
    constant = _schedule(rate_per_s=10.0, duration_s=30.0)
    stages = _schedule(stages="30s:50,30s:0", warmup_s=10.0)
    whole = _schedule(trace=trace)
    part = _schedule(trace=trace, duration_s=60.0, warmup_s=30.0)

    assert (constant.warmup_s, constant.duration_s) == (1.0, 30.0)
    assert (stages.warmup_s, stages.duration_s) == (10.0, 50.0)
    assert (whole.warmup_s, whole.duration_s) == (0.0, 180.0)
    assert (part.warmup_s, part.duration_s) == (30.0, 60.0)


def test_the_seed_is_kept_where_there_is_chance() -> None:
    """Without it nobody can send the same again; with evenly spread requests it means nothing."""
    words = {"rate_per_s": 10.0, "duration_s": 30.0, "seed": 7}
    by_chance = _schedule(**words, arrivals="poisson")

    assert by_chance.seed == 7
    assert isinstance(by_chance.read_arrivals(), PoissonArrivals)
    assert _schedule(**words).seed is None


def test_a_schedule_survives_its_way_to_a_load_process(trace: Trace) -> None:
    """Every process of a run must do exactly the same."""
    for schedule in (
        _schedule(rate_per_s=10.0, duration_s=30.0),
        _schedule(stages="30s:50,1m:200", rate_per_s=5.0, arrivals="poisson"),
        _schedule(trace=trace),
    ):
        assert schedule_from_json(json.loads(json.dumps(dataclasses.asdict(schedule)))) == schedule


def test_a_schedule_reads_as_a_sentence(trace: Trace) -> None:
    """It is what a person checks before the run."""
    constant = _schedule(rate_per_s=10.0, duration_s=30.0).sentence()
    stages = _schedule(rate_per_s=5.0, stages="30s:50,1m:200", arrivals="poisson").sentence()
    replay = _schedule(trace=dataclasses.replace(trace, speed=60.0, scale=0.5)).sentence()

    assert constant.startswith("10 requests a second, evenly spread, sent when they are due")
    assert constant.endswith("1 s of warm-up that is not counted, then 30 s")
    assert "from 5 a second to 50 in 30 s, to 200 in 1 m, a Poisson process (seed 0)" in stages
    assert "as in trace.csv, counts 0.5 times, speed 60 times" in replay


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"rate_per_s": 0.0, "duration_s": 1.0}, "--rate"),
        ({"rate_per_s": -1.0, "duration_s": 1.0}, "--rate"),
        ({"rate_per_s": float("inf"), "duration_s": 1.0}, "--rate"),
        ({"rate_per_s": float("nan"), "duration_s": 1.0}, "--rate"),
        ({"rate_per_s": 1.0}, "--duration"),
        ({"rate_per_s": 1.0, "duration_s": 0.0}, "longer than nothing"),
        ({"rate_per_s": 1.0, "duration_s": 1.0, "arrivals": "normal"}, "--arrivals"),
        ({"rate_per_s": 1.0, "duration_s": 1.0, "seed": -1}, "--seed"),
        ({"stages": "30s:50", "duration_s": 1.0}, "leave --duration out"),
        ({"stages": "30s:50", "warmup_s": 30.0}, "--warmup leaves nothing"),
        ({"stages": "30s:0"}, "no request is ever due"),
        ({"stages": "0s:50"}, "--warmup leaves nothing"),
        ({"rate_per_s": 1e6, "duration_s": 3600.0}, "more --processes"),
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused(words: dict[str, Any], expected: str) -> None:
    """It would measure nothing, or end in the middle of the night."""
    with pytest.raises(UsageError, match=expected):
        _schedule(**words)


def test_chance_is_refused_where_every_moment_is_written_down(tmp_path: Path) -> None:
    """The option would be ignored, and the run be taken for what it is not."""
    path = tmp_path / "moments.txt"
    path.write_text("0\n1\n")
    moments = open_trace(path, scale=1.0, speed=1.0, first_period=None)

    assert _schedule(trace=moments).duration_s == 2.0
    with pytest.raises(UsageError, match="leaves nothing to chance"):
        _schedule(trace=moments, arrivals="poisson")


def test_a_process_opens_no_more_connections_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would come back as `Too many open files`, in the name of the endpoint."""
    monkeypatch.setattr("resource.getrlimit", lambda _which: (256, 1024))

    assert _schedule(rate_per_s=1.0, duration_s=1.0).connections_max == 960
