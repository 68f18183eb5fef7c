"""At which rate to probe next: the search for the highest rate that an endpoint keeps.

Rates double until one does not hold; where not even the first one did, they fall until one does.
Between the two, the next rate is their geometric middle, until they lie within 5%. The highest
rate that held is then confirmed by a run of its own: of many runs near a limit the luckiest would
else be the answer. A confirmation that does not hold is followed by others, lower each time.

A run that says more of the generator than of the endpoint is repeated. The third time the search
ends with what it knows, which may be no more than `at least so much`.

Rule: nothing here sends, waits or reads a clock. The next step is a function of those before it,
so that a search of an hour is tested in a millisecond.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

# The answer lies within so much of the rate that did not hold: AIPerf's SLA search stops there,
# too, and equal runs on a busy machine differ by as much.
PRECISION = 0.05
# From the rate of one user alone, doubled so often, an endpoint would be 65,536 times as parallel.
_CLIMBS_MAX = 16
# Halved so often, the rate keeps a server that is alone busy for 3% of the time: what is missed
# there is not missed for the rate's sake.
_DESCENTS_MAX = 4
# Rates that drown an endpoint are found out in seconds, and may be wrong by a lot: typed, not
# measured.
_SATURATED_DESCENTS_MAX = 12
# How far below the rate that was to be confirmed the next tries lie, in steps of the precision.
_STEPS_DOWN = (1, 3, 7)
# On a machine that others use, too, a third of all runs left a millisecond late (2 cores,
# 2026-11-25): three in a row are the generator's doing.
_REPEATS_MAX = 2
# Rates have as many digits as a person reads; a hundredth of the precision would do.
_DIGITS = 3

Outcome = Literal["held", "missed", "undecided", "saturated", "generator"]
LimitedBy = Literal["objectives", "saturation", "errors", "generator", "search", "interrupted"]

_LIMITS: dict[Outcome, LimitedBy] = {
    "missed": "objectives",
    "undecided": "objectives",
    "saturated": "saturation",
    "generator": "generator",
}


@dataclass(frozen=True)
class Probe:
    """One run at a rate, and what became of it."""

    rate_rps: float
    outcome: Outcome
    # Good answers a second; None where the run ended before any counted.
    achieved_rps: float | None = None
    is_confirmation: bool = False


@dataclass(frozen=True)
class Bracket:
    """What is known of the highest rate that holds: it lies between these, where they are known."""

    lower_rps: float | None
    upper_rps: float | None
    # What stood in the way of more.
    limited_by: LimitedBy | None

    @property
    def is_narrow(self) -> bool:
        """Say whether both bounds are known, and close enough."""
        if self.lower_rps is None or self.upper_rps is None:
            return False
        return self.upper_rps <= self.lower_rps * (1 + PRECISION)

    @property
    def halvings_left(self) -> int:
        """Return how often the bracket is yet cut; as if it were a doubling, where it is open."""
        if self.is_narrow:
            return 0
        ratio = 2.0
        if self.lower_rps is not None and self.upper_rps is not None:
            ratio = self.upper_rps / self.lower_rps
        return math.ceil(math.log2(math.log(ratio) / math.log1p(PRECISION)))


@dataclass(frozen=True)
class Next:
    """A run to be made."""

    rate_rps: float
    is_confirmation: bool
    # How many runs are likely to follow, if none of them is a surprise.
    likely_left: int


@dataclass(frozen=True)
class Done:
    """What the search came to."""

    # The highest rate that was confirmed; None: no rate was.
    rate_rps: float | None
    bracket: Bracket

    def to_json(self) -> dict[str, Any]:
        """Return this as `summary.json` keeps it."""
        return {
            "rate_rps": self.rate_rps,
            "lower_rps": self.bracket.lower_rps,
            "upper_rps": self.bracket.upper_rps,
            "limited_by": self.bracket.limited_by,
            "precision": PRECISION,
        }


def start_rate(service_s: float) -> float:
    """Return where to start, given what one request takes alone: a single server, half busy."""
    return _rounded(0.5 / service_s, 2)


def decide(probes: Sequence[Probe], start_rps: float) -> Next | Done:
    """Return the next run, or what the search came to."""
    search = [probe for probe in probes if not probe.is_confirmation]
    confirmations = [probe for probe in probes if probe.is_confirmation]
    if not search:
        return Next(start_rps, is_confirmation=False, likely_left=_left(bracket_of([])) - 1)
    if _is_repeated(probes):
        last = probes[-1]
        left = _left(bracket_of(search)) if not last.is_confirmation else 1
        return Next(last.rate_rps, last.is_confirmation, left - 1)
    if confirmations:
        return _after(search, confirmations)
    bracket = bracket_of(search)
    rate_rps = None if search[-1].outcome == "generator" else _next_rate(search, bracket)
    if rate_rps is not None:
        return Next(rate_rps, is_confirmation=False, likely_left=_left(bracket) - 1)
    if bracket.lower_rps is not None:
        return Next(bracket.lower_rps, is_confirmation=True, likely_left=0)
    return Done(None, bracket)


def bracket_of(probes: Sequence[Probe]) -> Bracket:
    """Return what runs show; one that held above another that did not counts for nothing."""
    failed = [probe for probe in probes if probe.outcome not in {"held", "generator"}]
    lowest = min(failed, key=lambda probe: probe.rate_rps, default=None)
    upper_rps = lowest.rate_rps if lowest else None
    held = [
        probe.rate_rps
        for probe in probes
        if probe.outcome == "held" and (upper_rps is None or probe.rate_rps < upper_rps)
    ]
    limited_by: LimitedBy | None = None
    if lowest is not None:
        limited_by = _LIMITS[lowest.outcome]
    elif probes:
        limited_by = _LIMITS.get(probes[-1].outcome, "search")
    return Bracket(max(held, default=None), upper_rps, limited_by)


def _next_rate(search: Sequence[Probe], bracket: Bracket) -> float | None:
    """Return the next rate to look at; None: there is none."""
    lower_rps, upper_rps = bracket.lower_rps, bracket.upper_rps
    if upper_rps is None:
        assert lower_rps is not None
        return _rounded(2 * lower_rps) if len(search) <= _CLIMBS_MAX else None
    if lower_rps is None:
        return _lower(search, upper_rps)
    if bracket.is_narrow:
        return None
    # After a fall from far too high, the way up is a climb again: what is above is known to drown.
    return _rounded(min(2 * lower_rps, math.sqrt(lower_rps * upper_rps)))


def _lower(search: Sequence[Probe], upper_rps: float) -> float | None:
    """Return a rate below one that did not hold; None: that is not the rate's fault."""
    drowned = sum(probe.outcome == "saturated" for probe in search)
    missed = sum(probe.outcome in {"missed", "undecided"} for probe in search)
    if missed > _DESCENTS_MAX or drowned > _SATURATED_DESCENTS_MAX:
        return None
    achieved_rps = search[-1].achieved_rps if search[-1].outcome == "saturated" else None
    # What came through is about what it can do; a standstill is no such hint.
    hint_rps = max(achieved_rps or upper_rps, upper_rps / 2**_DESCENTS_MAX)
    return _rounded(min(upper_rps / 2, hint_rps))


def _after(search: Sequence[Probe], confirmations: Sequence[Probe]) -> Next | Done:
    """Return what follows from the last confirmation."""
    last = confirmations[-1]
    if last.outcome == "held":
        # In this order: what stopped a search without an upper bound is its own last run.
        found = bracket_of([*confirmations, *search])
        return Done(last.rate_rps, Bracket(last.rate_rps, found.upper_rps, found.limited_by))
    if last.outcome == "generator":
        bracket = bracket_of(search)
        return Done(None, Bracket(bracket.lower_rps, bracket.upper_rps, "generator"))
    failed = [probe for probe in confirmations if probe.outcome != "generator"]
    if len(failed) > len(_STEPS_DOWN):
        return Done(None, Bracket(None, last.rate_rps, _LIMITS[last.outcome]))
    down = (1 + PRECISION) ** _STEPS_DOWN[len(failed) - 1]
    return Next(_rounded(failed[0].rate_rps / down), is_confirmation=True, likely_left=0)


def _is_repeated(probes: Sequence[Probe]) -> bool:
    """Say whether the last run is worth another try: its generator was at fault, but not often."""
    last, tries = probes[-1], 0
    for probe in reversed(probes):
        if probe != replace(last, achieved_rps=probe.achieved_rps):
            break
        tries += 1
    return last.outcome == "generator" and tries <= _REPEATS_MAX


def _left(bracket: Bracket) -> int:
    """Return how many runs are likely to come: the next one, those that narrow, a confirmation."""
    bounds_to_find = [bracket.lower_rps, bracket.upper_rps].count(None)
    return bounds_to_find + bracket.halvings_left + 1


def _rounded(rate_rps: float, digits: int = _DIGITS) -> float:
    return float(f"{rate_rps:.{digits}g}")
