"""What a run is held to, and whether its requests prove it.

An objective such as `p95=150ms` claims that at least 95% of all requests, not only of those that
were seen, are answered within 150 ms; a failed request never is. A run proves the claim, disproves
it, or is too short to say: the number of requests over the limit is binomial, and a claim counts
as proved (disproved) when a system exactly at its limit would look this good (bad) in at most 1%
of runs. This is the test behind MLPerf Inference's early stopping (confidence 0.99, tolerance 0),
whose minimum counts come out of it: mlcommons/inference_policies, "Early Stopping Criterion".

    held        the share is good enough, and with at least 99% confidence
    missed      the share is not good enough, with the same confidence: the mirror image
    undecided   either may be true; how many requests would tell is said. It fails as `missed` does
    void        the run is invalid, so that whatever its requests show is no verdict

The percentile that was measured decides nothing: 100 requests of which 5 are over a p95's limit
come from a good endpoint about as often as from a bad one. Like MLPerf's, the test takes requests
as independent; those that wait in one queue are not quite, so a run should last many times longer
than a queue takes to empty.

Pure, standard library only.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from windtunnel.core.errors import UsageError
from windtunnel.lab.binomial import binomial_at_most
from windtunnel.lab.quantities import (
    format_duration,
    format_percent,
    parse_duration_with_unit,
    parse_percent,
)

CONFIDENCE = 0.99
# The search for the number of requests that would do gives up here: three hours at 10,000 a second.
_REQUEST_COUNT_MAX = 100_000_000
# No run can tell a stricter share from perfection.
_BAD_SHARE_MIN = 1e-7
# Confidences are written in millionths, rounded down: a run never makes certain.
_CONFIDENCE_STEPS = 1_000_000
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")

Outcome = Literal["held", "missed", "undecided", "void"]


@dataclass(frozen=True)
class Objective:
    """A share of requests that must be good: answered, and within `limit_s` where that is set."""

    text: str
    share: float
    limit_s: float | None


@dataclass(frozen=True)
class Verdict:
    """Whether an objective was met, and how that is known."""

    objective: Objective
    outcome: Outcome
    request_count: int
    # Not good: failed, or over the limit; and those of them that failed.
    over_count: int
    failed_count: int
    measured: float | None
    # Of what the requests speak for, that the objective is held or that it is missed.
    confidence: float
    # In all, if as many of them are bad as now; of an undecided run only.
    requests_needed: int | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return this as `summary.json` keeps it."""
        return {
            "objective": self.objective.text,
            "outcome": self.outcome,
            "requests": self.request_count,
            "over": self.over_count,
            "failed": self.failed_count,
            "measured": None if self.measured is None else round(self.measured, 6),
            "confidence": self.confidence,
            "confidence_wanted": CONFIDENCE,
            "requests_needed": self.requests_needed,
            "reason": self.reason,
        }

    def voided(self) -> "Verdict":
        """Return what is left of this when the run is invalid: what was counted, and no verdict."""
        facts = _facts(
            self.objective, self.request_count, self.over_count, self.failed_count, self.measured
        )
        reason = f"{facts}; no verdict, because the run is invalid"
        return replace(self, outcome="void", requests_needed=None, reason=reason)


def parse_objective(text: str) -> Objective:
    """Return the objective that `p95=150ms` or `errors=0.1%` names."""
    name, separator, value = text.partition("=")
    percentile = _PERCENTILE.fullmatch(name)
    if separator and name == "errors":
        bad_share = parse_percent(value, "limit")
        if bad_share < _BAD_SHARE_MIN:
            raise UsageError(f"No number of requests proves {text}: write errors=0.1%, say.")
        if bad_share == 1:
            raise UsageError("The objective errors=100% is held whatever happens.")
        return Objective(text=text, share=1 - bad_share, limit_s=None)
    if separator and percentile and float(percentile[1]) > 0:
        limit_s = parse_duration_with_unit(value, "limit")
        if limit_s <= 0:
            raise UsageError(f"The objective {text!r} leaves no time at all.")
        share = float(percentile[1]) / 100
        if 1 - share < _BAD_SHARE_MIN:
            raise UsageError(f"No number of requests proves {text}: write p99.9={value}, say.")
        return Objective(text=text, share=share, limit_s=limit_s)
    raise UsageError(f"The objective {text!r} is not like p95=150ms or errors=0.1%.")


def judge(
    objective: Objective, *, count: int, over: int, measured: float | None, failed: int = 0
) -> Verdict:
    """Return the verdict on `count` requests of which `over` were not good, `failed` among them.

    `measured` is the percentile or the share as reported, for the sentence; it does not decide.
    """
    outcome = decide(count, over, objective.share)
    confidence = confidence_of(count, over, objective.share)
    facts = _facts(objective, count, over, failed, measured)
    sureness = f"confidence {format_confidence(confidence)}"
    needed = None
    if outcome == "undecided":
        needed = _needed_at_this_rate(objective.share, count, over)
        reason = f"{facts}: {_doubt(objective.share, count, over, needed)}; {sureness}"
    else:
        reason = f"{facts}; {sureness}"
    return Verdict(
        objective=objective,
        outcome=outcome,
        request_count=count,
        over_count=over,
        failed_count=failed,
        measured=measured,
        confidence=confidence,
        requests_needed=needed,
        reason=reason if count else "no requests",
    )


def decide(count: int, over: int, share: float) -> Outcome:
    """Return whether `over` bad requests among `count` prove that a `share` is good."""
    if _chance(count, over, share) > 1 - CONFIDENCE:
        return "undecided"
    return "held" if _leans_to_held(count, over, share) else "missed"


def confidence_of(count: int, over: int, share: float) -> float:
    """Return how sure what the requests speak for is; rounded down, so that it is never certain."""
    steps = math.floor((1 - _chance(count, over, share)) * _CONFIDENCE_STEPS)
    return min(steps, _CONFIDENCE_STEPS - 1) / _CONFIDENCE_STEPS


def _leans_to_held(count: int, over: int, share: float) -> bool:
    return over <= count * (1 - share)


def _chance(count: int, over: int, share: float) -> float:
    """Return how often a system exactly at its limit looks this good, or this bad."""
    if _leans_to_held(count, over, share):
        return binomial_at_most(over, count, 1 - share)
    # So many bad ones or more are so few good ones or fewer.
    return binomial_at_most(count - over, count, share)


def requests_needed(share: float, over: int = 0) -> int:
    """Return the fewest requests that prove a share when `over` of them are bad."""
    low, high = over, max(1, 2 * over)
    while decide(high, over, share) != "held":
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if decide(middle, over, share) == "held":
            high = middle
        else:
            low = middle
    return high


def _needed_at_this_rate(share: float, count: int, over: int) -> int | None:
    """Return how many requests would decide if as large a part of them stays bad as now."""
    leans_to_held = _leans_to_held(count, over, share)

    def is_decided(wanted: int) -> bool:
        # A bad request is whole: rounded against what is to be proved.
        bad = -(-over * wanted // count) if leans_to_held else over * wanted // count
        return decide(wanted, bad, share) != "undecided"

    if count == 0:
        return requests_needed(share)
    low, high = count, 2 * count
    while not is_decided(high):
        if high > _REQUEST_COUNT_MAX:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if is_decided(middle):
            high = middle
        else:
            low = middle
    return high


def _facts(objective: Objective, count: int, over: int, failed: int, measured: float | None) -> str:
    """Return what was seen, as a person reads it."""
    counted = f"{over:,} of {count:,}"
    if objective.limit_s is not None:
        counted += f" over {format_duration(objective.limit_s)}"
        if failed:
            counted += f" ({failed:,} of them failed)"
    if measured is None:
        return counted
    if objective.limit_s is None:
        return f"{format_percent(measured)} failed, {counted}"
    return f"measured {format_duration(measured)}, {counted}"


def _doubt(share: float, count: int, over: int, needed: int | None) -> str:
    if needed is None:
        return "too close to the limit to say"
    if _leans_to_held(count, over, share):
        return f"too few requests to say, {needed - count:,} more would do ({needed:,} in all)"
    return (
        f"looks missed, but too few requests to say, {needed - count:,} more would show it "
        f"({needed:,} in all)"
    )


def format_confidence(confidence: float) -> str:
    """Return a confidence as a percentage, rounded down to a hundredth."""
    return f"{math.floor(confidence * 10_000) / 100:g}%"
