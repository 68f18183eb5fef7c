"""Which of many policies to take: the cheapest that keeps an objective, and how good that is.

The choice is made on the first part of a trace and held against a clairvoyant on the rest: a policy
that is the best on the days it was chosen by may be the best by chance. Pure but for numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from windtunnel.autoscaling import clairvoyant
from windtunnel.autoscaling.circumstances import Circumstances
from windtunnel.autoscaling.decider import Bounds
from windtunnel.autoscaling.timeline import Demand, Outcome
from windtunnel.core.errors import UsageError
from windtunnel.lab.quantities import format_percent, parse_percent
from windtunnel.lab.simulation.sweep import Played

# Of a trace that is long enough, the first two thirds choose.
FITTED_SHARE = 2 / 3
# Shorter ones (a day) choose by all they have: a third of a day is a night, or none.
FITTED_FROM_S = 2 * 24 * 3600.0


@dataclass(frozen=True)
class Objective:
    """The share of requests that may come when there is no capacity for them."""

    text: str
    over_max: float

    def is_kept(self, outcome: Outcome) -> bool:
        """Say whether an outcome keeps it."""
        return outcome.share_over <= self.over_max


@dataclass(frozen=True)
class Yardstick:
    """A policy beside somebody who knew the trace, who missed as many requests."""

    instance_hours: float
    over: float
    ratio: float
    # On which part of the trace.
    is_held_out: bool


@dataclass(frozen=True)
class Recommendation:
    """The chosen one's place among the policies; None where none keeps the objective."""

    index: int | None
    kept: int
    sentence: str
    # Whether it keeps the objective on the days that did not choose it, where there are such.
    holds: bool | None = None
    # Where it does not: the cheapest that keeps it there, too.
    safer: int | None = None


def parse_objective(text: str) -> Objective:
    """Return what `over=1%` names."""
    name, equals, value = text.partition("=")
    if name != "over" or not equals:
        raise UsageError(
            f"The objective {text!r} is none of a simulation: write over=1%, the share of requests "
            "that may come when there is no capacity for them."
        )
    return Objective(text, parse_percent(value, "objective"))


def fitted_periods(demand: Demand) -> int:
    """Return how many periods of a trace choose: whole days, where it has enough of them."""
    length = len(demand.counts)
    day = 86_400 // demand.period_s
    if length * demand.period_s < FITTED_FROM_S:
        return length
    return max(int(length * FITTED_SHARE) // day * day, day)


def recommend(played: Sequence[Played], objective: Objective) -> Recommendation:
    """Return the cheapest of those that keep the objective; of equals the one that misses less."""
    keep = [index for index, each in enumerate(played) if objective.is_kept(each.fitted)]
    if not keep:
        least = min(range(len(played)), key=lambda index: played[index].fitted.share_over)
        share = format_percent(played[least].fitted.share_over)
        return Recommendation(
            None, 0, f"none of {len(played):,} keeps {objective.text}: the least is {share}"
        )
    best = min(keep, key=lambda i: (played[i].fitted.instance_hours, played[i].fitted.over))
    sentence = f"the cheapest of the {len(keep):,} of {len(played):,} that keep {objective.text}"
    rest = played[best].rest
    if rest is None:
        return Recommendation(best, len(keep), sentence)
    holds = objective.is_kept(rest)
    held = "and so it does" if holds else "but it does not"
    sentence += (
        f" on the days that chose it, {held} on the others: {format_percent(rest.share_over)}"
    )
    safer = None if holds else _safer(keep, played, objective)
    return Recommendation(best, len(keep), sentence, holds, safer)


def _safer(keep: Sequence[int], played: Sequence[Played], objective: Objective) -> int | None:
    """Return the cheapest of those that keep the objective on both parts of the trace."""
    both = []
    for index in keep:
        rest = played[index].rest
        if rest is not None and objective.is_kept(rest):
            both.append(index)
    return min(both, key=lambda index: played[index].whole.instance_hours, default=None)


def measure(
    outcome: Outcome, demand: Demand, circumstances: Circumstances, bounds: Bounds, begin: int
) -> Yardstick:
    """Hold an outcome over the trace from a period on against a clairvoyant's."""
    part = demand.part(begin, len(demand.counts))
    found = clairvoyant.plan(part, circumstances, bounds, outcome.over)
    ratio = outcome.instance_hours / found.least_hours if found.least_hours else 1.0
    return Yardstick(found.least_hours, outcome.over, ratio, begin > 0)
