"""What a report says in words: each title states what was found, not what is plotted. Pure."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from windtunnel.lab.comparison import Change
from windtunnel.lab.measurement import Floats
from windtunnel.lab.quantities import (
    format_change,
    format_duration,
    format_percent,
    format_rate,
)
from windtunnel.lab.report.view import RunView
from windtunnel.lab.summary import driven_by, percentile

# A median that moves by less than this between the first and the last third is called steady.
_STEADY = 0.1
# A part of a run whose median is so many times that of its ends is worth mentioning. Of parts there
# are as many as an eye tells apart in the plot, each with enough requests for a median.
_PEAK = 2.0
_PARTS_MAX = 24
_PART_REQUESTS_MIN = 20
# The knee of a curve of latency over rate: from here on p95 is called risen. A queue of chance
# arrivals and services (M/M/1) is there at half of its capacity, one of even ones close to all.
_KNEE = 2.0
# A bin with less than this share of the mean rate is worth mentioning.
_DIP = 0.5


def headline(view: RunView) -> str:
    """Return a run in one line."""
    summary = view.run.summary
    if "capacity" in summary:
        return capacity(summary["capacity"])
    by = driven_by(summary)
    if summary["requests"] == 0:
        return f"No request was measured ({by})"
    if summary["failures"] == summary["requests"]:
        return f"Every one of {summary['requests']:,} requests failed ({by})"
    p95 = format_duration(summary["latency_s"]["p95"])
    return f"p95 {p95} at {format_rate(summary['throughput_rps'])} requests/s, {by}"


def capacity(found: Mapping[str, Any]) -> str:
    """Return what a search for capacity came to."""
    sentence: str = found["sentence"]
    return sentence[:1].upper() + sentence[1:]


def knee(found: Mapping[str, Any]) -> str:
    """Return up to which rate latency hardly depends on it."""
    known = sorted(
        (float(step["rate_rps"]), float(step["latency_s"]["p95"]))
        for step in found["steps"]
        if step["latency_s"]["p95"] is not None
    )
    if not known:
        return "No step has a latency"
    lowest_s = min(p95_s for _, p95_s in known)
    low = itertools.takewhile(lambda step: step[1] <= _KNEE * lowest_s, known)
    flat_rps = max((rate_rps for rate_rps, _ in low), default=None)
    if flat_rps is None:
        return f"p95 was lowest at {format_duration(lowest_s)}, and not at the lowest rate"
    return (
        f"Up to {format_rate(flat_rps)} requests/s p95 stays within {_KNEE:g} times its lowest, "
        f"{format_duration(lowest_s)}"
    )


def throughput(rates: Sequence[float], mean: float) -> str:
    """Return what the rate did over time; `rates` are those of the whole bins that count."""
    if not rates or mean == 0:
        return "Nothing was answered well"
    low, high = min(rates), max(rates)
    if low < _DIP * mean:
        return f"{format_rate(mean)} requests/s on average, down to {format_rate(low)} at times"
    return f"{format_rate(mean)} requests/s, between {format_rate(low)} and {format_rate(high)}"


def open_throughput(answered: Sequence[float], wanted_rps: float, waiting: int) -> str:
    """Return whether answers kept up with what was due; rates are those of the bins that count."""
    if not answered:
        return "Nothing was answered well"
    mean = sum(answered) / len(answered)
    most = "1 request" if waiting == 1 else f"{waiting:,} requests"
    return (
        f"{format_rate(mean)} answers a second to {format_rate(wanted_rps)} that were due; at most "
        f"{most} waited at once"
    )


def latency_over_time(due_s: Floats, latency_s: Floats, start_s: float, end_s: float) -> str:
    """Return whether latency moved between a start and an end, by when requests were due."""
    counts = (due_s >= start_s) & (due_s < end_s)
    due_s, latency_s = due_s[counts], latency_s[counts]
    third_s = (end_s - start_s) / 3
    first, last = latency_s[due_s < start_s + third_s], latency_s[due_s >= end_s - third_s]
    if not len(first) or not len(last):
        return "Latency over time"
    then, now = percentile(first, 0.5), percentile(last, 0.5)
    peak = _peak(due_s, latency_s)
    has_peak = peak > _PEAK * max(then, now)
    between = f", and up to {format_duration(peak)} in between" if has_peak else ""
    if abs(now / then - 1) >= _STEADY:
        verb = "rose" if now > then else "fell"
        return (
            f"Median latency {verb} from {format_duration(then)} to {format_duration(now)}{between}"
        )
    if has_peak:
        return f"Median latency was {format_duration(now)} at first and at last{between}"
    median = format_duration(percentile(latency_s, 0.5))
    return f"Latency was steady, {median} in the median from first to last"


def _peak(due_s: Floats, latency_s: Floats) -> float:
    """Return the highest median of parts of a run with as many requests each."""
    parts = max(1, min(_PARTS_MAX, len(latency_s) // _PART_REQUESTS_MIN))
    ordered = latency_s[np.argsort(due_s, kind="stable")]
    return max(percentile(part, 0.5) for part in np.array_split(ordered, parts))


def distribution(view: RunView) -> str:
    """Return what the slow requests were like."""
    if not len(view.latency_s):
        return "No latency was measured"
    p50, p95, p99 = (percentile(view.latency_s, share) for share in (0.5, 0.95, 0.99))
    return (
        f"Half took {format_duration(p50)} or less; one in twenty more than "
        f"{format_duration(p95)}, one in a hundred more than {format_duration(p99)}"
    )


def payloads(slowest: Sequence[Mapping[str, Any]]) -> str:
    """Return how far apart payloads are, given each one's numbers, the slowest first."""
    p95s = [each["latency_s"]["p95"] for each in slowest if each["latency_s"]["p95"]]
    if not p95s:
        return f"{len(slowest):,} payloads"
    low, high = format_duration(min(p95s)), format_duration(max(p95s))
    return f"p95 of {len(slowest):,} payloads: {low} to {high}"


def errors(view: RunView) -> str:
    """Return how many requests failed."""
    summary = view.run.summary
    if summary["failures"] == 0:
        return f"None of {summary['requests']:,} requests failed"
    share = format_percent(summary["failures"] / summary["requests"])
    return f"{summary['failures']:,} of {summary['requests']:,} requests failed ({share})"


def objectives(view: RunView) -> str:
    """Return what the run proved of what it was held to."""
    verdicts = view.run.summary["objectives"]
    outcomes = [each["outcome"] for each in verdicts]
    if "void" in outcomes:
        return "No verdict: the run is invalid"
    if "missed" in outcomes or "undecided" in outcomes:
        parts = [
            ", ".join(each["objective"] for each in verdicts if each["outcome"] == outcome) + words
            for outcome, words in (("missed", " missed"), ("undecided", " not decided"))
            if outcome in outcomes
        ]
        return "; ".join(parts)
    return "Every objective held"


def baseline(found: Mapping[str, Any]) -> str:
    """Return whether the run is worse than its baseline, and in what."""
    if found["outcome"] == "void":
        return "Not compared with its baseline: the run is invalid"
    worse = [each["name"] for each in found["figures"] if each["verdict"] == "worse"]
    return (
        f"Worse than its baseline: {', '.join(worse)}" if worse else "Not worse than its baseline"
    )


def comparison(before: str, after: str, changes: Sequence[Change]) -> str:
    """Return how two runs compare, in one line."""
    found = {change.name: change for change in changes}
    if not found:
        return f"{after} and {before} cannot be compared: one has no good answer"
    parts = [
        phrase
        for phrase in (_phrase(found["throughput"], "throughput"), _phrase(found["p95"], "p95"))
        if phrase
    ]
    if not parts:
        return f"No real difference between {before} and {after}"
    return f"{after} against {before}: {', '.join(parts)}"


def distance(changes: Sequence[Change]) -> float:
    """Return how far a run is from the one it is compared with; nothing where nothing is real."""
    real = [change.ratio for change in changes if change.verdict in {"better", "worse"}]
    return max((abs(float(np.log(ratio))) for ratio in real if ratio > 0), default=0.0)


def _phrase(change: Change, name: str) -> str:
    if change.verdict not in {"better", "worse"}:
        return ""
    return f"{name} {format_change(change.ratio)}"


def bin_width_s(span_s: float, wanted: int = 60) -> float:
    """Return a round width that cuts a span into about as many bins as wanted."""
    exact = max(span_s, 1e-3) / wanted
    scale = 10.0 ** np.floor(np.log10(exact))
    return float(next(scale * step for step in (1, 2, 5, 10) if scale * step >= exact * 0.999))
