"""What a run is held to, and whether its requests prove it.

An objective such as `p95=150ms` claims that at least 95% of all requests, not only of those that
were seen, are answered within 150 ms; a failed request never is. A run proves the claim, disproves
it, or is too short to say: the number of requests over the limit is binomial, and a claim counts
as proved (disproved) when a system exactly at its limit would look this good (bad) in at most 1%
of runs. This is the test behind MLPerf Inference's early stopping (confidence 0.99, tolerance 0),
whose minimum counts come out of it: mlcommons/inference_policies, "Early Stopping Criterion".

Pure, standard library only.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from windtunnel.core.errors import UsageError
from windtunnel.lab.quantities import (
    format_duration,
    format_percent,
    parse_duration_with_unit,
    parse_percent,
)

CONFIDENCE = 0.99
# The search for the number of requests that would do gives up here: nobody waits that long.
_REQUEST_COUNT_MAX = 10_000_000
# Terms of the binomial sum smaller than this share of the sum are left out.
_NEGLIGIBLE = 1e-12
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")

Outcome = Literal["held", "missed", "undecided"]


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
    over_count: int
    measured: float | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return this as `summary.json` keeps it."""
        return {
            "objective": self.objective.text,
            "outcome": self.outcome,
            "requests": self.request_count,
            "over": self.over_count,
            "measured": None if self.measured is None else round(self.measured, 6),
            "reason": self.reason,
        }


def parse_objective(text: str) -> Objective:
    """Return the objective that `p95=150ms` or `errors=0.1%` names."""
    name, separator, value = text.partition("=")
    percentile = _PERCENTILE.fullmatch(name)
    if separator and name == "errors":
        share = 1 - parse_percent(value, "limit")
        if share >= 1:
            raise UsageError("No number of requests proves errors=0%: write errors=0.1%, say.")
        return Objective(text=text, share=share, limit_s=None)
    if separator and percentile and float(percentile[1]) > 0:
        limit_s = parse_duration_with_unit(value, "limit")
        if limit_s <= 0:
            raise UsageError(f"The objective {text!r} leaves no time at all.")
        return Objective(text=text, share=float(percentile[1]) / 100, limit_s=limit_s)
    raise UsageError(f"The objective {text!r} is not like p95=150ms or errors=0.1%.")


def judge(objective: Objective, *, count: int, over: int, measured: float | None) -> Verdict:
    """Return the verdict on `count` requests of which `over` were not good.

    `measured` is the percentile or the share as reported, for the sentence; it does not decide.
    """
    if measured is None:
        seen = ""
    elif objective.limit_s is None:
        seen = f"{format_percent(measured)} failed"
    else:
        seen = f"measured {format_duration(measured)}"
    outcome = decide(count, over, objective.share)
    return Verdict(
        objective=objective,
        outcome=outcome,
        request_count=count,
        over_count=over,
        measured=measured,
        reason=_reason(objective, outcome, count, over, seen),
    )


def decide(count: int, over: int, share: float) -> Outcome:
    """Return whether `over` bad requests among `count` prove that a `share` is good."""
    bad_share = 1 - share
    if over <= count * bad_share:
        held = binomial_at_most(over, count, bad_share) <= 1 - CONFIDENCE
        return "held" if held else "undecided"
    missed = 1 - binomial_at_most(over - 1, count, bad_share) <= 1 - CONFIDENCE
    return "missed" if missed else "undecided"


def requests_needed(share: float, over: int = 0) -> int:
    """Return the fewest requests that prove a share when `over` of them are bad."""
    bad_share = 1 - share
    low, high = over, max(1, 2 * over)
    while binomial_at_most(over, high, bad_share) > 1 - CONFIDENCE:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_at_most(over, middle, bad_share) <= 1 - CONFIDENCE:
            high = middle
        else:
            low = middle
    return high


def binomial_at_most(successes: int, count: int, probability: float) -> float:
    """Return how likely at most `successes` of `count` independent trials succeed."""
    if successes < 0:
        return 0.0
    if successes >= count:
        return 1.0
    # Of the two tails the one that does not hold the mean is summed, from its largest term
    # outwards, so that few terms are enough and none of them cancels.
    if successes <= count * probability:
        return min(1.0, _tail(range(successes, -1, -1), count, probability))
    return max(0.0, 1.0 - _tail(range(successes + 1, count + 1), count, probability))


def _tail(order: range, count: int, probability: float) -> float:
    log_p, log_q = math.log(probability), math.log1p(-probability)
    total = 0.0
    for hits in order:
        term = math.exp(
            math.lgamma(count + 1)
            - math.lgamma(hits + 1)
            - math.lgamma(count - hits + 1)
            + hits * log_p
            + (count - hits) * log_q
        )
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return total


def _reason(objective: Objective, outcome: Outcome, count: int, over: int, seen: str) -> str:
    if count == 0:
        return "no requests"
    counted = f"{over:,} of {count:,}"
    if objective.limit_s is not None:
        counted += f" over {format_duration(objective.limit_s)}"
    facts = f"{seen}, {counted}" if seen else counted
    if outcome != "undecided":
        return facts
    needed = _needed_at_this_rate(objective.share, count, over)
    if needed is None:
        return f"{facts}: too close to the limit to say"
    return f"{facts}: too few requests to say, {needed:,} would do"


def _needed_at_this_rate(share: float, count: int, over: int) -> int | None:
    """Return how many requests would prove the share if as many of them stay bad as now."""
    if over >= count * (1 - share):
        return None
    wanted = count
    while wanted <= _REQUEST_COUNT_MAX:
        needed = requests_needed(share, math.ceil(over * wanted / count))
        if needed <= wanted:
            return wanted
        wanted = needed
    return None
