"""What a search for capacity came to: in a word for scripts, in a sentence for a person.

    found         the highest rate that was confirmed, and one above it that did not hold
    at least      a rate was confirmed, and nothing above it says anything of the endpoint
    none          no rate held, or none could be confirmed
    generator     the generator kept it from being told
    interrupted   a person did

It reads what `summary.json` keeps. Pure.
"""

from collections.abc import Mapping
from typing import Any, Literal

from windtunnel.lab.quantities import format_rate

Found = Mapping[str, Any]
FoundOutcome = Literal["found", "at least", "none", "generator", "interrupted"]


def outcome_of(found: Found) -> FoundOutcome:
    """Return what a search came to, in a word."""
    if found["limited_by"] == "interrupted":
        return "interrupted"
    if found["rate_rps"] is None:
        return "generator" if found["limited_by"] == "generator" else "none"
    return "at least" if found["upper_rps"] is None else "found"


def sentence(found: Found) -> str:
    """Return what a search came to, as a person reads it."""
    rate_rps, limited_by = found["rate_rps"], found["limited_by"]
    lower, upper = (_at(found[name]) for name in ("lower_rps", "upper_rps"))
    kept = ", ".join(found["objectives"]) or "the rate"
    if limited_by == "interrupted":
        highest = f"{lower} kept {kept} in one run" if lower else "no rate had held"
        return f"interrupted: {highest}, nothing was confirmed"
    if rate_rps is None:
        return _none(found, lower, kept)
    if found["upper_rps"] is None:
        why = (
            "the generator is the limit, not the endpoint"
            if limited_by == "generator"
            else "the search ends here"
        )
        return f"at least {_at(rate_rps)} keep {kept}: {why}"
    if found["objectives"]:
        return f"{_at(rate_rps)} keep {kept}; {upper} {_fate(found)}"
    return (
        f"the endpoint keeps up with {_at(rate_rps)}, and not with {upper}; no objective was "
        "given, so that nothing is said of its latency"
    )


def _fate(found: Found) -> str:
    """Return what became of the rate that is the upper bound."""
    outcomes = [
        step["outcome"] for step in found["steps"] if step["rate_rps"] == found["upper_rps"]
    ]
    if "saturated" in outcomes:
        return "are more than the endpoint keeps up with"
    return "do not" if "missed" in outcomes else "are not shown to"


def _none(found: Found, lower: str, kept: str) -> str:
    """Return why a search ended without a rate."""
    if found["limited_by"] == "errors":
        return f"no rate holds: none of {found['alone']['requests']:,} requests was answered well"
    if not found["steps"]:
        return f"no rate keeps {kept}: one user alone misses it"
    lowest = min(found["steps"], key=lambda step: float(step["rate_rps"]))
    if found["limited_by"] == "generator":
        known = "nothing can be said of any rate"
        if lower:
            known = f"{lower} kept {kept} in one run, but could not be confirmed"
        return f"{known}: {found['steps'][-1]['why']}"
    return f"no rate keeps {kept}, down to {_at(lowest['rate_rps'])}: {lowest['why']}"


def _at(rate_rps: float | None) -> str:
    return "" if rate_rps is None else f"{format_rate(rate_rps)} requests/s"
