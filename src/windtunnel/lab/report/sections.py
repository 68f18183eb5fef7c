"""The parts of a report: what each says about one run, or about several."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from windtunnel.lab import hardware
from windtunnel.lab.comparison import CONFIDENCE, DIFFERENCE_MIN, Change, differences
from windtunnel.lab.objectives import CONFIDENCE as OBJECTIVE_CONFIDENCE
from windtunnel.lab.objectives import format_confidence
from windtunnel.lab.quantities import (
    format_change,
    format_duration,
    format_percent,
    format_rate,
)
from windtunnel.lab.report import circumstances, figures, findings, scaling, stair
from windtunnel.lab.report.markup import Html, Plots, join, table, tag
from windtunnel.lab.report.view import RunView
from windtunnel.lab.summary import driven_by

_CHIPS = {"held": "good", "missed": "bad", "undecided": "warn", "void": "warn"}
_CERTAINTY = (
    f"Held or missed with at least {format_percent(OBJECTIVE_CONFIDENCE)} confidence, by the "
    "binomial test of MLPerf Inference's early stopping; in between there were too few requests to "
    "say. A failed request is over any limit. Requests count as independent, which those in one "
    "queue are not quite."
)
_METHOD = (
    f"The interval is what chance alone leaves open ({format_percent(CONFIDENCE)}, block bootstrap "
    f"over time); less than {format_percent(DIFFERENCE_MIN)} is never called a difference."
)
_AGAINST = (
    f"Worse by more than chance alone explains ({format_percent(OBJECTIVE_CONFIDENCE)}, block "
    "bootstrap over time) fails."
)
# Of a set of payloads.
_PAYLOADS_SHOWN = 20
_CHANGES = {"better": "good", "worse": "bad"}


def started(view: RunView) -> str:
    """Return when a run began."""
    moment = datetime.fromisoformat(view.run.asked["started_at"])
    return f"{moment:%d %B %Y, %H:%M} UTC"


def verdicts(view: RunView) -> Html:
    """Return where it ran, whether it may be believed, and what it was held to."""
    summary = view.run.summary
    chips = [
        tag("li", "valid", cls="chip good")
        if summary["valid"]
        else tag("li", "INVALID", cls="chip bad")
    ]
    if "clock" in summary["hardware"]:
        chips.append(tag("li", f"clock {summary['hardware']['clock']}", cls="chip warn"))
    chips += [
        tag("li", f"{each['objective']} {each['outcome']}", cls=f"chip {_CHIPS[each['outcome']]}")
        for each in summary["objectives"]
    ]
    where = tag(
        "p",
        "endpoint ",
        tag("b", summary["endpoint"]),
        " on ",
        tag("b", hardware.place(summary["hardware"])),
        cls="where",
    )
    notes = [
        tag("ul", *(tag("li", line) for line in lines), cls=f"notes {cls}")
        for cls, lines in (("bad", summary["reasons"]), ("warn", summary["warnings"]))
        if lines
    ]
    return join([where, tag("ul", *chips, cls="chips"), *notes])


def details(view: RunView, plots: Plots) -> Html:
    """Return one run's numbers, figures, errors and circumstances."""
    charts = [
        (figures.throughput(view), "Good answers per second over time"),
        (figures.latency_over_time(view), "Every request by the time it was due"),
        (figures.distribution(view), "How often each latency came, to just beyond p99"),
    ]
    cards = [_chart(title, kind, figure, plots) for (title, figure), kind in charts]
    facts = tag(
        "section",
        tag("h2", "What was run on what"),
        table([], circumstances.rows(view), "facts"),
        cls="card",
    )
    held_to = [objectives(view), baseline(view)]
    top = [stair.section(view, plots), tiles(view)]
    scaled = scaling.section(view, plots)
    return join([*top, *held_to, scaled, *cards, payloads(view), errors(view), facts])


def _chart(title: str, kind: str, figure: figures.Figure, plots: Plots) -> Html:
    return tag(
        "section",
        tag("h2", title),
        tag("p", kind, cls="kind"),
        plots.place(figure),
        cls="card",
    )


def tiles(view: RunView) -> Html:
    """Return a run's main numbers, large."""
    summary = view.run.summary
    latency = summary["latency_s"]
    failures = summary["failures"]
    numbers = [
        ("good answers/s", format_rate(summary["throughput_rps"]), ""),
        *((name, *_value(latency[name])) for name in ("p50", "p90", "p95", "p99", "max")),
        ("failed", f"{failures:,}", f"of {summary['requests']:,}"),
    ]
    return tag(
        "dl",
        *(
            tag("div", tag("dt", name), tag("dd", value, " ", tag("small", unit)), cls="tile")
            for name, value, unit in numbers
        ),
        cls="card tiles",
    )


def objectives(view: RunView) -> Html:
    """Return what the run was held to, how that went, and how sure it is."""
    verdicts = view.run.summary["objectives"]
    if not verdicts:
        return join([])
    names = ("over", "requests", "confidence")
    rows = (
        (
            each["objective"],
            tag("td", each["outcome"], cls=_CHIPS[each["outcome"]]),
            tag("td", f"{each['over']:,}", cls="number"),
            tag("td", f"{each['requests']:,}", cls="number"),
            tag("td", _sureness(each), cls="number"),
            each["reason"],
        )
        for each in verdicts
    )
    return tag(
        "section",
        tag("h2", findings.objectives(view)),
        tag("p", _CERTAINTY, cls="kind"),
        table(["", "", *(tag("th", name, cls="number") for name in names), "what was seen"], rows),
        cls="card",
    )


def baseline(view: RunView) -> Html:
    """Return how the run compares with the one it was held to."""
    found = view.run.summary.get("baseline")
    if not found:
        return join([])
    rows = (
        (
            each["name"],
            each["sentence"],
            tag("td", each["verdict"], cls=_CHANGES.get(each["verdict"], "soft")),
        )
        for each in found["figures"]
    )
    changed = (
        (each["what"], tag("code", each["then"]), tag("code", each["now"]))
        for each in found["differences"]
    )
    pieces: list[object] = [
        tag("h2", findings.baseline(found)),
        tag("p", f"{_AGAINST} The run was {found['run']}.", cls="kind"),
        table([], rows),
    ]
    if found["differences"]:
        pieces += [
            tag("h2", "What was asked differently", style="margin-top:22px"),
            table(["", "baseline", "this run"], changed, "narrow"),
        ]
    return tag("section", *pieces, cls="card")


def _sureness(verdict: Mapping[str, Any]) -> str:
    """Return a verdict's confidence; runs of earlier versions did not keep it."""
    confidence = verdict.get("confidence")
    return "-" if confidence is None else format_confidence(confidence)


def _value(duration_s: float | None) -> tuple[str, str]:
    """Return a duration's figure and unit apart."""
    if duration_s is None:
        return "none", ""
    figure, _, unit = format_duration(duration_s).partition(" ")
    return figure, unit


def payloads(view: RunView) -> Html:
    """Return what each of several payloads came to, the slowest first; nothing of one alone."""
    found = view.run.summary.get("payloads", [])
    if not found:
        return join([])
    slowest = sorted(found, key=lambda each: -(each["latency_s"]["p95"] or 0.0))
    shown = slowest[:_PAYLOADS_SHOWN]
    note = "" if len(shown) == len(found) else f", {len(found) - len(shown):,} more in summary.json"
    numbers = ["bytes", "requests", "failed", "p50", "p95", "p99"]
    rows = [
        [
            tag("code", each["payload"]),
            *(
                tag("td", f"{each[name]:,}", cls="number")
                for name in ("bytes", "requests", "failures")
            ),
            *(
                tag("td", " ".join(_value(each["latency_s"][name])), cls="number")
                for name in ("p50", "p95", "p99")
            ),
        ]
        for each in shown
    ]
    heads = ["payload", *(tag("th", name, cls="number") for name in numbers)]
    return tag(
        "section",
        tag("h2", findings.payloads(slowest)),
        tag("p", f"Each payload, the slowest first{note}", cls="kind"),
        table(heads, rows),
        cls="card",
    )


def errors(view: RunView) -> Html:
    """Return the kinds of error, or that there were none."""
    summary = view.run.summary
    pieces: list[object] = [tag("h2", findings.errors(view))]
    if summary["errors"]:
        pieces.append(
            table(
                ["kind", tag("th", "count", cls="number"), "one of them said"],
                (
                    (
                        each["kind"],
                        tag("td", f"{each['count']:,}", cls="number"),
                        tag("code", each["example"]),
                    )
                    for each in summary["errors"]
                ),
            )
        )
    return tag("section", *pieces, cls="card")


def doubts(seen: Sequence[RunView]) -> Html:
    """Return which runs may not be believed, or not quite, before anything is made of them."""
    summaries = [(view.label, view.run.summary) for view in seen]
    void = [
        tag("li", f"{label} is invalid: {reason}")
        for label, summary in summaries
        for reason in summary["reasons"]
    ]
    doubtful = [
        tag("li", f"{label}: {warning}")
        for label, summary in summaries
        for warning in summary["warnings"]
    ]
    return join(
        tag("ul", *lines, cls=f"notes {cls}")
        for cls, lines in (("bad", void), ("warn", doubtful))
        if lines
    )


def overview(seen: Sequence[RunView]) -> Html:
    """Return all runs in one table."""
    names = ("p50", "p90", "p95", "p99", "max")
    head = ["run", *(tag("th", name, cls="number") for name in ("requests/s", *names, "failed"))]
    rows = []
    for number, view in enumerate(seen):
        summary = view.run.summary
        colour = figures.COLOURS[number % len(figures.COLOURS)]
        rows.append(
            (
                join([tag("span", cls="swatch", style=f"background:{colour}"), view.label]),
                tag("td", format_rate(summary["throughput_rps"]), cls="number"),
                *(
                    tag("td", " ".join(_value(summary["latency_s"][name])), cls="number")
                    for name in names
                ),
                tag("td", f"{summary['failures']:,} of {summary['requests']:,}", cls="number"),
                driven_by(summary),
                hardware.place(summary["hardware"]),
                tag("td", "valid") if summary["valid"] else tag("td", "INVALID", cls="bad"),
            )
        )
    return tag(
        "section",
        tag("h2", "All runs"),
        table([*head, "load", "instances", ""], rows),
        cls="card",
    )


def curves(seen: Sequence[RunView], plots: Plots) -> Html:
    """Return all runs' latencies in one figure."""
    best = min(
        (view for view in seen if len(view.latency_s)),
        key=lambda view: float(view.run.summary["latency_s"]["p95"]),
        default=None,
    )
    title = "No run has a latency" if best is None else f"{best.label} has the lowest p95"
    return _chart(title, "Latency at every percentile", figures.percentile_curves(seen), plots)


def comparison(before: RunView, after: RunView, changes: Sequence[Change]) -> Html:
    """Return what changed from one run to another, how surely, and what was asked differently."""
    asked = differences(before.run.asked, after.run.asked)
    pieces: list[object] = [
        tag("h2", findings.comparison(before.label, after.label, changes)),
        tag("p", _METHOD, cls="kind"),
        table(
            [
                "",
                *(
                    tag("th", name, cls="number")
                    for name in (before.label, after.label, "change", "interval")
                ),
                "verdict",
            ],
            (_change_row(change) for change in changes),
        ),
    ]
    if asked:
        rows = ((name, tag("code", then), tag("code", now)) for name, then, now in asked)
        pieces += [
            tag("h2", "What was asked differently", style="margin-top:22px"),
            table(["", before.label, after.label], rows, "narrow"),
        ]
    return tag("section", *pieces, cls="card")


def _change_row(change: Change) -> Sequence[object]:
    is_rate = change.name == "throughput"
    written = (
        [f"{format_rate(value)} requests/s" for value in (change.before, change.after)]
        if is_rate
        else [format_duration(value) for value in (change.before, change.after)]
    )
    interval = f"{format_change(change.low)} to {format_change(change.high)}"
    return (
        change.name,
        *(
            tag("td", value, cls="number")
            for value in (*written, format_change(change.ratio), interval)
        ),
        tag("td", change.verdict, cls=_CHANGES.get(change.verdict, "soft")),
    )
