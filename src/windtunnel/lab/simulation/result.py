"""What a simulation came to: as one JSON object, as files, in words.

result.json    everything
policy.json    the recommended policy, else the first: words for boto3
timeline.csv   of that policy, each period
report.html    all of it for a person
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from windtunnel import __version__
from windtunnel.autoscaling.circumstances import Circumstances, Range
from windtunnel.autoscaling.timeline import Demand, Outcome, Timeline
from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.lab.simulation.capacity import Capacity
from windtunnel.lab.simulation.cost import Rate
from windtunnel.lab.simulation.history import Verification
from windtunnel.lab.simulation.policies import Asked
from windtunnel.lab.simulation.recommendation import Objective, Recommendation, Yardstick
from windtunnel.lab.simulation.sweep import Played

_FORMAT = 1


@dataclass(frozen=True)
class Simulated:
    """Everything that a simulation was and came to."""

    trace: str
    notes: tuple[str, ...]
    demand: Demand
    capacity: Capacity
    circumstances: Circumstances
    fitted_periods: int
    asked: Sequence[Asked]
    # How many of them are the files' own; the rest is a sweep.
    asked_count: int
    played: Sequence[Played]
    # Of the files' policies: targets that can do nothing.
    warnings: tuple[str, ...]
    rate: Rate
    objective: Objective | None
    recommendation: Recommendation | None
    # Of the policy that is shown: the recommended one, else the first.
    shown: int
    timeline: Timeline
    yardstick: Yardstick
    verification: Verification | None = None


def record(simulated: Simulated) -> dict[str, Any]:
    """Return all of it as `result.json` keeps it."""
    first_hours = simulated.played[0].whole.instance_hours
    # As they were for the policy that is shown: a metric of 10 seconds is not minutes late.
    demand, around = simulated.demand, simulated.timeline.circumstances
    found: dict[str, Any] = {
        "format": _FORMAT,
        "windtunnel": __version__,
        "clock": "simulated",
        "warnings": list(simulated.warnings),
        "trace": {
            "file": simulated.trace,
            "from": _time(demand.start_s),
            "to": _time(demand.start_s + len(demand.counts) * demand.period_s),
            "period_s": demand.period_s,
            "periods": len(demand.counts),
            "periods_fitted": simulated.fitted_periods,
            "requests": float(demand.counts.sum()),
            "notes": list(simulated.notes),
        },
        "capacity": asdict(simulated.capacity),
        "circumstances": {
            "metric_delay": _range(around.metric_delay),
            "start_up": _range(around.start_up),
            "removal": _range(around.removal),
            "service_s": around.service_s,
            "seed": around.seed,
        },
        "policies": [
            {
                "name": asked.setup.name,
                "outcome": outcome(played.whole),
                "fitted": outcome(played.fitted),
                "held_out": None if played.rest is None else outcome(played.rest),
                "cost": simulated.rate.record(played.whole.instance_hours, first_hours),
                "boto3": asked.words(),
            }
            for asked, played in zip(simulated.asked, simulated.played, strict=True)
        ],
        "shown": {
            "policy": simulated.shown,
            "clairvoyant": asdict(simulated.yardstick),
            **_events(simulated.timeline),
        },
    }
    if simulated.verification is not None:
        found["verification"] = asdict(simulated.verification)
    if simulated.objective is not None and simulated.recommendation is not None:
        found["recommended"] = {
            "objective": simulated.objective.text,
            "policy": simulated.recommendation.index,
            "sentence": simulated.recommendation.sentence,
            "holds": simulated.recommendation.holds,
            "safer": simulated.recommendation.safer,
        }
    return found


def order(simulated: Simulated) -> list[int]:
    """Return the policies' places as they are listed: the shown, the files', a safer, the others.

    The others by what they cost, those first that keep the objective, where there is one.
    """
    choice = simulated.recommendation
    safer = None if choice is None else choice.safer

    def rank(at: int) -> tuple[bool, bool, bool, bool, float]:
        played, objective = simulated.played[at], simulated.objective
        is_kept = objective is None or objective.is_kept(played.fitted)
        is_asked = at < simulated.asked_count
        hours = played.whole.instance_hours
        return (at != simulated.shown, not is_asked, at != safer, not is_kept, hours)

    return sorted(range(len(simulated.asked)), key=rank)


def safer(simulated: Simulated) -> str | None:
    """Return what keeps the objective on all days, where the recommended policy does not."""
    choice, objective = simulated.recommendation, simulated.objective
    if choice is None or objective is None or choice.holds is not False:
        return None
    if choice.safer is None:
        return f"none keeps {objective.text} on the other days as well"
    hours = simulated.played[choice.safer].whole.instance_hours
    return (
        f"{simulated.asked[choice.safer].setup.name}: the cheapest that keeps {objective.text} on "
        f"all days, for {hours:,.5g} instance-hours"
    )


def outcome(found: Outcome) -> dict[str, Any]:
    """Return an outcome as it is kept."""
    return {
        "requests": found.requests,
        "over_capacity": found.over,
        "over_capacity_share": found.share_over,
        "violation_s": found.violation_s,
        "length_s": found.length_s,
        "instance_hours": found.instance_hours,
        "instances_max": found.peak,
        "changes": found.changes,
    }


def _events(timeline: Timeline) -> dict[str, Any]:
    return {
        "changes": [
            {
                "at": _time(each.decision.at_s),
                "fulfilled_at": _time(each.fulfilled_s),
                "from": each.decision.previous,
                "to": each.decision.desired,
                "cause": each.decision.cause,
                "because": each.decision.why,
            }
            for each in timeline.changes
        ],
        "alarms": [
            {"at": _time(each.at_s), "alarm": each.alarm, "from": each.before, "to": each.after}
            for each in timeline.transitions
        ],
        "not_scaled": [
            {
                "at": _time(each.at_s),
                "periods": each.periods,
                "code": None if each.held.reason is None else each.held.reason.code,
                "cause": each.held.cause,
                "because": each.held.why,
            }
            for each in timeline.not_scaled
        ],
    }


def write(simulated: Simulated, kept: Mapping[str, Any], page: str, out: Path) -> None:
    """Write all files, or say why one cannot be written."""
    timeline, step_s = simulated.timeline, simulated.timeline.demand.period_s
    starts_s = timeline.demand.start_s
    rows = zip(
        timeline.demand.counts.tolist(),
        timeline.capacity.tolist(),
        timeline.serving.tolist(),
        timeline.costing.tolist(),
        strict=True,
    )
    lines = ["period,requests,capacity,serving,paid_for"]
    lines += [
        f"{_time(starts_s + number * step_s)},{count:.10g},{able:.10g},{serves:.6g},{costs:.6g}"
        for number, (count, able, serves, costs) in enumerate(rows)
    ]
    words = simulated.asked[simulated.shown].words()
    files = {
        "timeline.csv": "\n".join(lines) + "\n",
        "policy.json": json.dumps(words, indent=2) + "\n",
        "report.html": page,
        # Last: it stands for a simulation that is there.
        "result.json": json.dumps(kept, indent=1) + "\n",
    }
    try:
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise NotReadyError(f"The simulation could not be kept in {out}: {error}.") from error


def prepare(out: Path) -> None:
    """Make the directory for a simulation; refuse one that holds anything."""
    try:
        if out.exists() and any(out.iterdir()):
            raise UsageError(f"--out {out} is not empty: name a new directory.")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out} cannot be made: {error.strerror or error}.") from error


def _range(found: Range) -> dict[str, Any]:
    return {"low_s": found.low_s, "high_s": found.high_s, "source": found.source}


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
