"""Holding a run to an earlier one."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from windtunnel.core.errors import UsageError
from windtunnel.lab import baseline
from windtunnel.lab.load.closed_schedule import ClosedSchedule, Shape
from windtunnel.lab.run_directory import Requests, Run

_HARDWARE: dict[str, Any] = {
    "fidelity": "stand-in",
    "cpu_model": "A processor",
    "cpu_count_usable": 2,
    "instruction_sets": ["avx2"],
    "load_average_1m": 0.5,
}
_ASKED: dict[str, Any] = {
    "started_at": "2026-11-25T10:00:00+00:00",
    "plan": {
        "endpoint_name": "unet",
        "url": "http://127.0.0.1:1",
        "region": "us-east-1",
        "payloads": [
            {
                "name": "/a/payload.json",
                "bytes": 10,
                "sha256": "0123456789abcdef0123456789abcdef",
                "content_type": "application/json",
                "weight": 1.0,
            }
        ],
        "accept": None,
        "schedule": dataclasses.asdict(
            ClosedSchedule(1, 1.0, 0.0, 30.0, shape=Shape("/a/shape.py", "", "1"))
        ),
        "processes": 1,
        "objectives": (),
    },
    "target": {"cloud": "local"},
    "endpoint": {
        "variants": [
            {
                "name": "AllTraffic",
                "instance_type": "ml.c5.large",
                "instance_count": 1,
                "image": "i",
                "environment": {},
            }
        ]
    },
}


def _run(
    *, median_s: float = 0.05, failed_share: float = 0.0, valid: bool = True, count: int = 5000
) -> Run:
    """Return a run of evenly spread requests whose latencies are lognormal."""
    rng = np.random.default_rng(int(median_s * 1000 + failed_share * 100))
    due_s = np.linspace(0, 30, count, endpoint=False)
    is_good = rng.random(count) >= failed_share
    requests = Requests(
        due_s=due_s,
        sent_s=due_s,
        done_s=due_s + median_s * rng.lognormal(0, 0.3, count),
        status=np.full(count, 200),
        is_good=is_good,
        dropped_due_s=np.empty(0),
    )
    summary = {
        "valid": valid,
        "reasons": [] if valid else ["the generator fell behind"],
        "requests": count,
        "failures": int((~is_good).sum()),
        "warmup_s": 0.0,
        "measured_s": 30.0,
        "hardware": _HARDWARE,
    }
    # As read back.
    return Run(Path("runs/main"), json.loads(json.dumps(_ASKED)), summary, requests)


def _changed(words: dict[str, Any], *path: str | int, to: object) -> dict[str, Any]:
    """Return a copy in which one thing is another."""
    copied = copy.deepcopy(words)
    place: Any = copied
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return copied


@pytest.mark.parametrize(
    ("path", "to", "said"),
    [
        (
            ("plan", "payloads", 0, "sha256"),
            "fedcba9876543210fedcba9876543210",
            "payload 1 sha256 was 0123456789abcdef01234567…, is fedcba9876543210fedcba98…",
        ),
        (("plan", "accept"), "text/csv", "--accept was not set, is text/csv"),
        (("plan", "schedule", "users"), 8000, "--users was 1, is 8,000"),
        (("plan", "schedule", "shape", "sha256"), "2", "--shape's file was 1, is 2"),
        (("plan", "schedule", "rate_per_s"), 5.5, "--rate was not set, is 5.5"),
        (("plan", "schedule", "think_s"), [0.5, 2.0], "--think-time was not set, is 500 ms to 2 s"),
        (("plan", "schedule", "duration_s"), 90.0, "--duration was 30 s, is 1 m 30 s"),
        (
            ("plan", "schedule"),
            {"rate_per_s": 50.0, "warmup_s": 1.0, "duration_s": 30.0},
            "the load was users who wait, is requests at a rate",
        ),
        (
            ("endpoint", "variants", 0, "instance_count"),
            2,
            "instances was 1 x ml.c5.large, is 2 x ml.c5.large",
        ),
    ],
)
def test_runs_that_were_asked_other_things_are_not_compared(
    path: tuple[str | int, ...], to: object, said: str
) -> None:
    """Twice the users at half the speed is not a regression, and a gate must not call it one."""
    with pytest.raises(UsageError) as refused:
        baseline.check_comparable(_run(), _changed(_ASKED, *path, to=to), _HARDWARE)

    assert str(refused.value) == (f"--baseline runs/main cannot be compared with this run: {said}.")


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("fidelity", "measured"),
        ("cpu_model", "B processor"),
        ("cpu_count_usable", 4),
        ("instruction_sets", ["avx2", "amx_bf16"]),
        ("clock", "x10"),
    ],
)
def test_a_run_on_another_machine_is_not_compared(name: str, to: object) -> None:
    """Build machines differ from day to day; the difference must not be blamed on the commit."""
    with pytest.raises(UsageError, match=r"cannot be compared with this run"):
        baseline.check_comparable(_run(), _ASKED, {**_HARDWARE, name: to})


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("plan", "endpoint_name"), "unet-candidate"),
        (("plan", "url"), "http://127.0.0.1:2"),
        (("plan", "payloads", 0, "name"), "/b/payload.json"),
        (("plan", "schedule", "shape", "path"), "/b/shape.py"),
        (("plan", "processes"), 2),
        (("plan", "objectives"), ("p95=1s",)),
        (("endpoint", "variants", 0, "environment"), {"OMP_NUM_THREADS": "1"}),
        (("endpoint", "variants", 0, "image"), "j"),
    ],
)
def test_what_a_gate_judges_may_differ(path: tuple[str | int, ...], to: object) -> None:
    """Another setting, image, name or place of the same files is why one compares."""
    asked = _changed(_ASKED, *path, to=to)

    baseline.check_comparable(_run(), asked, {**_HARDWARE, "load_average_1m": 3.0})


def test_on_aws_the_generators_own_machine_may_differ() -> None:
    """The instances are the same type; whoever generates the load is not what is measured."""
    before = _run()
    asked = _changed(_ASKED, "target", "cloud", to="aws")
    there = Run(before.path, asked, before.summary, before.requests)

    baseline.check_comparable(there, asked, {**_HARDWARE, "cpu_model": "B processor"})


def test_a_run_that_is_slower_is_worse_and_says_by_how_much() -> None:
    """Whoever broke it reads which figure, from what to what."""
    found = baseline.hold(_run(), _run(median_s=0.07))

    figures = {figure["name"]: figure for figure in found["figures"]}
    assert found["outcome"] == "worse"
    assert figures["p50"]["verdict"] == figures["p95"]["verdict"] == "worse"
    assert figures["throughput"]["verdict"] == "no real difference"
    sentence = figures["p50"]["sentence"]
    assert sentence.startswith(("50", "49"))
    assert " ms before, 7" in sentence
    assert " now, +4" in sentence or " now, +3" in sentence


def test_a_run_like_the_other_or_better_is_not_worse() -> None:
    """A gate that blames noise is switched off."""
    assert baseline.hold(_run(), _run(median_s=0.0501))["outcome"] == "not worse"
    assert baseline.hold(_run(median_s=0.07), _run())["outcome"] == "not worse"


def test_a_run_that_fails_more_is_worse_however_fast_it_fails() -> None:
    """Refusing half of the work makes the rest quick: by latency alone it would be better."""
    found = baseline.hold(_run(), _run(median_s=0.04, failed_share=0.02))

    verdicts = {figure["name"]: figure["verdict"] for figure in found["figures"]}
    assert found["outcome"] == "worse"
    assert (verdicts["p50"], verdicts["failures"]) == ("better", "worse")
    assert found["figures"][-1]["sentence"].startswith("0% before, ")


def test_a_run_without_any_good_answer_is_worse() -> None:
    """There is no latency left to compare, and that must not count as no difference."""
    found = baseline.hold(_run(), _run(failed_share=1.0))

    assert found["outcome"] == "worse"
    assert [figure["name"] for figure in found["figures"]] == ["failures"]


def test_an_invalid_run_is_not_compared() -> None:
    """It measured its generator."""
    found = baseline.hold(_run(), _run(median_s=0.5, valid=False))

    assert (found["outcome"], found["figures"]) == ("void", [])


def test_what_is_kept_is_json_that_everybody_reads() -> None:
    """NaN is not JSON; a parser of another language stops at it."""
    found = baseline.hold(_run(count=3), _run(count=40, failed_share=0.5))

    assert json.loads(json.dumps(found, allow_nan=False)) == found
