"""What a run at a rate says of the endpoint: it kept the rate, it did not, or it cannot be told.

    generator   the run says more of the generator than of the endpoint, which is not blamed
    saturated   the endpoint does not keep up: the run was stopped for it, requests were dropped or
                never answered, or fewer than 95% of what was wanted was answered well
    missed, undecided   an objective was missed, or is not shown to hold
    held        none of these

The order is that of the list: an overloaded generator makes any endpoint look slow, and drowned
endpoints miss every objective.

A run is invalid when its requests left late by a twentieth of the median latency, whatever it is
for. A step is asked one thing only, whether a limit is kept, and answers that as long as they left
late by no more than a twentieth of the limit: on a machine that is not quiet no search would get
anywhere else. What is reported is the confirmation, and that has to be valid. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windtunnel.lab import objectives, validity
from windtunnel.lab.load.capacity import Outcome
from windtunnel.lab.objectives import Objective
from windtunnel.lab.quantities import format_duration, format_percent, format_rate

# Less than this part of the rate, answered well in the time that counts, is not keeping up. The
# rest is for what is out at the end: it is a twentieth of a run of 20 answers' time.
_ANSWERED_SHARE_MIN = 0.95

Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """What a step is asked."""

    rate_rps: float
    objectives: Sequence[Objective]
    # How long a request may wait until the endpoint is called drowned.
    patience_s: float
    is_confirmation: bool

    @property
    def lag_limit_s(self) -> float:
        """How late requests may leave; a confirmation's rule is every run's."""
        if self.is_confirmation:
            return 0.0
        limits_s = [each.limit_s for each in self.objectives if each.limit_s is not None]
        return validity.LAG_SHARE_OF_MEDIAN * min([self.patience_s, *limits_s])


def judge(summary: Summary, question: Question, *, is_stopped: bool) -> tuple[Outcome, str]:
    """Return what became of a rate, and why; a run `is_stopped` if our own watch ended it."""
    if fault := _fault_of_generator(summary, question, is_stopped=is_stopped):
        return "generator", fault
    reasons = [reason for reason in summary["reasons"] if reason != summary["generator"]["late"]]
    if reasons:
        return "saturated", "; ".join(reasons)
    answered, wanted = summary["throughput_rps"], summary["arrivals"]["wanted_rps"]
    came = f"{format_rate(answered)} of {format_rate(wanted)} requests/s were answered well"
    if answered < _ANSWERED_SHARE_MIN * wanted:
        return "saturated", came
    found = _outcomes(summary, question.objectives)
    for outcome in ("missed", "undecided", "held"):
        said = [why for each, why in found if each == outcome]
        if said:
            return outcome, "; ".join(said)
    return "held", came


def _outcomes(
    summary: Summary, wanted: Sequence[Objective]
) -> list[tuple[objectives.Outcome, str]]:
    """Return what became of each objective, also in a run that is invalid for its lateness."""
    verdicts = [
        objectives.judge(
            objective,
            count=each["requests"],
            over=each["over"],
            measured=each["measured"],
            failed=each["failed"],
        )
        for objective, each in zip(wanted, summary["objectives"], strict=True)
    ]
    return [(each.outcome, f"{each.objective.text}: {each.reason}") for each in verdicts]


def _fault_of_generator(summary: Summary, question: Question, *, is_stopped: bool) -> str | None:
    """Return what was wrong with the generator, if it is to blame for what was measured."""
    generator, arrivals = summary["generator"], summary["arrivals"]
    if generator["fault"]:
        return str(generator["fault"])
    # Beside a wait of seconds it does not matter that a request left some milliseconds late.
    allowed_s = max(
        question.lag_limit_s, validity.LAG_SHARE_OF_MEDIAN * question.patience_s * is_stopped
    )
    if generator["late"] and summary["schedule_lag_s_p99"] > allowed_s:
        return str(generator["late"])
    is_good = summary["valid"] and all(
        outcome == "held" for outcome, _ in _outcomes(summary, question.objectives)
    )
    # A process at its limit reads answers late, and they look as if they had come late.
    if not is_good and generator["cpu_share_max"] > validity.CPU_SHARE_WARNED:
        share = format_percent(generator["cpu_share_max"])
        return f"a load process used {share} of its core; give it more --processes"
    waits_s = arrivals["connections"] / question.rate_rps
    if arrivals["dropped"] and waits_s <= question.patience_s:
        return (
            f"all {arrivals['connections']:,} connections were in use, and that is a wait of only "
            f"{format_duration(waits_s)}; give it more --processes"
        )
    return None
