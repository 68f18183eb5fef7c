"""What a pipeline asks of a run, one by one: is it valid, did it hold, is it no worse than before.

The same checks make the exit status, the JUnit file and the Markdown table, so that none of them
can pass where another fails. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

# error: the run itself went wrong, so that it says nothing; skipped: for that reason, no verdict.
Status = Literal["passed", "failed", "error", "skipped"]

_OBJECTIVES: dict[str, Status] = {
    "held": "passed",
    "missed": "failed",
    "undecided": "failed",
    "void": "skipped",
}
_SEARCHES: dict[str, Status] = {"found": "passed", "none": "failed"}


@dataclass(frozen=True)
class Check:
    """One question, what came of it, and the numbers behind that."""

    name: str
    status: Status
    # In the words of the lab: held, missed, undecided, worse.
    outcome: str
    sentence: str
    numbers: Mapping[str, Any]


def of(summary: Mapping[str, Any]) -> list[Check]:
    """Return the checks of a run in the order in which they matter."""
    return [
        _valid(summary),
        *_answered(summary),
        *_capacity(summary.get("capacity")),
        *(_objective(verdict) for verdict in summary["objectives"]),
        *_baseline(summary.get("baseline")),
    ]


def is_passed(summary: Mapping[str, Any]) -> bool:
    """Say whether nothing stands against a run."""
    return all(check.status == "passed" for check in of(summary))


def _valid(summary: Mapping[str, Any]) -> Check:
    names = ("requests", "failures", "throughput_rps", "schedule_lag_s_p99", "measured_s")
    numbers = {name: summary[name] for name in names}
    for kind in ("latency_s", "service_s"):
        numbers |= {f"{kind}_{name}": value for name, value in summary[kind].items()}
    if summary["valid"]:
        sentence = "; ".join(summary["warnings"]) or "the generator kept up"
        return Check("valid", "passed", "valid", sentence, numbers)
    return Check("valid", "error", "INVALID", "; ".join(summary["reasons"]), numbers)


def _answered(summary: Mapping[str, Any]) -> Iterator[Check]:
    """Yield a failure if nothing was answered well: it needs no objective to be one."""
    if summary["valid"] and summary["failures"] >= summary["requests"]:
        said = "; ".join(f"{error['kind']}: {error['example']}" for error in summary["errors"])
        yield Check("answered", "failed", "failed", f"no request was answered well; {said}", {})


def _capacity(found: Mapping[str, Any] | None) -> Iterator[Check]:
    """Yield what a search for capacity came to; one that was kept from its end says nothing."""
    if found is not None:
        names = ("rate_rps", "lower_rps", "upper_rps", "limited_by")
        numbers = {**{name: found[name] for name in names}, "steps": len(found["steps"])}
        status = _SEARCHES.get(found["outcome"], "error")
        yield Check("capacity", status, found["outcome"], found["sentence"], numbers)


def _objective(verdict: Mapping[str, Any]) -> Check:
    numbers = {key: verdict[key] for key in verdict if key not in ("objective", "reason")}
    outcome = verdict["outcome"]
    return Check(verdict["objective"], _OBJECTIVES[outcome], outcome, verdict["reason"], numbers)


def _baseline(found: Mapping[str, Any] | None) -> Iterator[Check]:
    if found is None:
        return
    numbers = {"baseline": found["run"], "started_at": found["started_at"]}
    if found["outcome"] == "void":
        yield Check("baseline", "skipped", "void", "not compared: the run is invalid", numbers)
    for figure in found["figures"]:
        status: Status = "failed" if figure["verdict"] == "worse" else "passed"
        own = {key: value for key, value in figure.items() if key != "sentence"}
        yield Check(
            f"baseline {figure['name']}",
            status,
            figure["verdict"],
            figure["sentence"],
            {**numbers, **own},
        )
