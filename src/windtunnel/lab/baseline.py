"""Holding a run to an earlier one: is any figure worse by more than chance explains?

A gate on every commit compares often, and a false alarm costs it its users: the interval of
`comparison` is taken at the confidence of objectives here, not at the report's, and a failure of a
single request is never a difference. What cannot be told (a p99 of few requests) does not fail,
and is said.

Two runs are compared only when they were asked the same of the same kind of endpoint: everything
of the plan that decides what is sent and when, the instances, and the machine where it stands in
for them. Settings, image and model may differ; they are what a gate is there to judge. Pure, but
for reading the run.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from windtunnel.core.errors import UsageError
from windtunnel.lab import comparison
from windtunnel.lab.comparison import Change, FailureChange, Sampled
from windtunnel.lab.objectives import CONFIDENCE
from windtunnel.lab.quantities import (
    format_change,
    format_duration,
    format_percent,
    format_rate,
)
from windtunnel.lab.run_directory import Run, RunDirectory

# Of the plan: who answers, where a file lies, how the load was made, and what it was held to; none
# of them is part of the load. A file's content is in the plan by its hash.
_NOT_LOAD = frozenset({"endpoint_name", "url", "region", "processes", "objectives", "join_at"})
# Where something came from, and as what.
_NAMES = frozenset({"path", "name"})
# Of the machine, where it is the endpoint's too: what decides how fast a model runs.
_HARDWARE = ("cpu_model", "cpu_count_usable", "instruction_sets")
# Of a plan's schedule, as `_flat` names what is in it.
_SCHEDULE = "schedule "
_LOAD = "the load"
_WORDS = {
    "accept": "--accept",
    "seed": "--seed",
    "schedule seed": "--seed",
    "schedule users": "--users",
    "schedule spawn rate per s": "--spawn-rate",
    "schedule think s": "--think-time",
    "schedule warmup s": "--warmup",
    "schedule duration s": "--duration",
    "schedule rate per s": "--rate",
    "schedule arrivals": "--arrivals",
    "schedule shape sha256": "--shape's file",
    "schedule shape name": "--shape's class",
    "schedule trace sha256": "--trace's file",
    "schedule trace scale": "--trace-scale",
    "schedule trace speed": "--trace-speed",
    "schedule trace first period": "--trace-from",
    "schedule connections max": "connections a process may have",
}
# Of a hash or a long name, as much as tells two apart.
_SHOWN_CHARACTERS = 24

Facts = Mapping[str, Any]


def read(path: Path) -> Run:
    """Return the run that another is to be held to, or say why none can be."""
    try:
        run = RunDirectory(path).read()
    except UsageError as error:
        raise UsageError(f"--baseline {path} cannot be read. {error}") from error
    if not run.summary["valid"]:
        raise UsageError(
            f"--baseline {path} is an invalid run ({'; '.join(run.summary['reasons'])}): "
            "nothing can be held to it."
        )
    if run.summary["failures"] >= run.summary["requests"]:
        raise UsageError(f"--baseline {path} has no good answer: nothing can be held to it.")
    return run


def check_comparable(before: Run, asked: Facts, hardware: Facts) -> None:
    """Refuse a baseline that was asked other things, or of another kind of endpoint."""
    then = _comparable(before.asked, before.summary["hardware"])
    now = _comparable(asked, hardware)
    found = [
        f"{_word(name)} was {_shown(name, then.get(name))}, is {_shown(name, now.get(name))}"
        for name in dict.fromkeys([*then, *now])
        if then.get(name) != now.get(name) and _is_told(name, then, now)
    ]
    if found:
        raise UsageError(
            f"--baseline {before.path} cannot be compared with this run: {'; '.join(found)}."
        )


def _comparable(asked: Facts, hardware: Facts) -> dict[str, Any]:
    # Through JSON, as the one that was read back went.
    plan = json.loads(json.dumps(asked["plan"]))
    facts = dict(_flat({key: value for key, value in plan.items() if key not in _NOT_LOAD}))
    facts[_LOAD] = "users who wait" if "users" in plan["schedule"] else "requests at a rate"
    facts["cloud"] = asked["target"]["cloud"]
    facts["instances"] = ", ".join(
        f"{variant['instance_count']} x {variant['instance_type']}"
        for variant in asked["endpoint"]["variants"]
    )
    facts["fidelity"] = hardware["fidelity"]
    # Of a cloud whose scaling is faster than AWS's (`up --warp`).
    facts["clock"] = hardware.get("clock", "x1")
    if asked["target"]["cloud"] == "local":
        facts |= {name.replace("_", " "): hardware[name] for name in _HARDWARE}
    return facts


def _flat(words: Facts, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in words.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key} ")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, each in enumerate(value, start=1):
                yield from _flat(each, f"{prefix}{key.removesuffix('s')} {number} ")
        elif key not in _NAMES:
            yield f"{prefix}{key}".replace("_", " "), value


def _is_told(name: str, then: Facts, now: Facts) -> bool:
    """Say whether a difference is worth telling: not the words of two kinds of load, one by one."""
    return then[_LOAD] == now[_LOAD] or not name.startswith(_SCHEDULE)


def _word(name: str) -> str:
    """Return a fact of the plan as the command line calls it."""
    return _WORDS.get(name, name.removeprefix(_SCHEDULE))


def _shown(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a plan has
    if value is None or value == [0.0, 0.0]:
        return "not set"
    if name.endswith(" s") and not name.endswith(" per s"):
        spans = value if isinstance(value, list) else [value]
        return " to ".join(dict.fromkeys(format_duration(float(span)) for span in spans))
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def hold(before: Run, after: Run) -> dict[str, Any]:
    """Return what `summary.json` keeps of a run's comparison with its baseline."""
    found: dict[str, Any] = {
        "run": str(before.path),
        "started_at": before.asked["started_at"],
        "differences": [
            {"what": what, "then": then, "now": now}
            for what, then, now in comparison.differences(before.asked, after.asked)
        ],
    }
    if not after.summary["valid"]:
        return {**found, "outcome": "void", "figures": []}
    sampled = Sampled.of(before), Sampled.of(after)
    changes: Sequence[Change | FailureChange] = [
        *comparison.compare(*sampled, confidence=CONFIDENCE),
        comparison.compare_failures(*sampled, confidence=CONFIDENCE),
    ]
    is_worse = any(change.verdict == "worse" for change in changes)
    return {
        **found,
        "outcome": "worse" if is_worse else "not worse",
        "figures": [_figure(change) for change in changes],
    }


def _figure(change: Change | FailureChange) -> dict[str, Any]:
    numbers = {
        key: value if not isinstance(value, float) or math.isfinite(value) else None
        for key, value in change.to_json().items()
    }
    return {**numbers, "sentence": _sentence(change)}


def _sentence(change: Change | FailureChange) -> str:
    """Return a figure then and now, and what chance leaves open of the difference."""
    if isinstance(change, FailureChange):
        then, now = format_percent(change.before), format_percent(change.after)
        return f"{then} before, {now} now"
    write = _requests_a_second if change.name == "throughput" else format_duration
    by = format_change(change.ratio)
    interval = f"{format_change(change.low)} to {format_change(change.high)}"
    return f"{write(change.before)} before, {write(change.after)} now, {by} ({interval})"


def _requests_a_second(rate: float) -> str:
    return f"{format_rate(rate)} requests/s"
