"""A simulation for a person: one HTML page with the timeline, the policies and what was assumed."""

import json
from collections.abc import Iterable

from windtunnel.autoscaling.timeline import Outcome
from windtunnel.lab.quantities import (
    format_duration,
    format_percent,
    format_rate,
    format_usd,
)
from windtunnel.lab.report.markup import Html, Plots, join, table, tag
from windtunnel.lab.report.page import document
from windtunnel.lab.simulation import figures, result
from windtunnel.lab.simulation.recommendation import Objective, Recommendation
from windtunnel.lab.simulation.result import Simulated

# Of a sweep; the rest is in result.json.
_POLICIES_SHOWN = 40
_CHANGES_SHOWN = 200
_REMARK = "simulated: the policies decided as they would live, on a virtual clock"


def render(simulated: Simulated) -> str:
    """Return the page."""
    plots = Plots()
    title = headline(simulated)
    body = [
        tag("div", f"Dry run of auto scaling · {simulated.trace}", cls="brand"),
        tag("h1", title),
        _chips(simulated),
        _notes(simulated),
        _timelines(simulated, plots),
        _policies(simulated),
        _changes(simulated),
        _assumed(simulated),
        _boto3(simulated),
    ]
    return document(title, join(body), _REMARK)


def headline(simulated: Simulated) -> str:
    """Return a simulation in one line."""
    shown = simulated.played[simulated.shown].whole
    name = simulated.asked[simulated.shown].setup.name
    hours = f"{shown.instance_hours:,.5g} instance-hours"
    missed = format_percent(shown.share_over)
    return f"{name}: {hours}, {missed} of requests over capacity"


def _chips(simulated: Simulated) -> Html:
    chips = [tag("li", "clock simulated", cls="chip warn")]
    chips.append(tag("li", f"capacity {simulated.capacity.fidelity}", cls="chip"))
    found, objective = simulated.recommendation, simulated.objective
    if found is not None and objective is not None:
        chips.append(_chip(found, objective))
    ratio = f"{simulated.yardstick.ratio:.2f} x a clairvoyant's hours at equal misses"
    chips.append(tag("li", ratio, cls="chip"))
    return tag("ul", *chips, cls="chips")


def _chip(found: Recommendation, objective: Objective) -> Html:
    if found.index is None:
        return tag("li", f"{objective.text} kept by none", cls="chip bad")
    if found.holds is False:
        return tag("li", f"{objective.text} not kept on other days", cls="chip warn")
    return tag("li", f"{objective.text} kept", cls="chip good")


def _notes(simulated: Simulated) -> Html:
    lines = [f"The trace: {note}" for note in simulated.notes] + list(simulated.warnings)
    if not lines:
        return join([])
    return tag("ul", *(tag("li", line) for line in lines), cls="notes warn")


def _timelines(simulated: Simulated, plots: Plots) -> Html:
    played = simulated.timeline
    length_s = len(played.demand.counts) * played.demand.period_s
    pieces: list[object] = []
    if length_s > figures.BANDS_MAX_S:
        pieces += [
            tag("h2", "Demand, capacity and instances over the whole trace"),
            tag(
                "p",
                "Each point is the most requests and the least capacity of its stretch.",
                cls="kind",
            ),
            plots.place(figures.timeline(played)),
        ]
    begin, end = figures.worst_day(played)
    what = (
        "The day with most requests over capacity" if played.outcome().over else "The busiest day"
    )
    pieces += [
        tag("h2", what if length_s > figures.BANDS_MAX_S else "Demand, capacity and what was done"),
        tag(
            "p",
            "Bands: alarms in ALARM, changes in progress, and the cooldowns after them.",
            cls="kind",
        ),
        plots.place(figures.timeline(played, begin, end)),
    ]
    return tag("section", *pieces, cls="card")


def _policies(simulated: Simulated) -> Html:
    pairs = list(zip(simulated.asked, simulated.played, strict=True))
    order = result.order(simulated)
    head = [
        "policy",
        *(
            tag("th", name, cls="number")
            for name in (
                *("instance-hours", "cost", "over capacity", "in violation"),
                *("instances", "changes", "on other days"),
            )
        ),
    ]
    rows = []
    for at in order[:_POLICIES_SHOWN]:
        asked, played = pairs[at]
        rest = "" if played.rest is None else format_percent(played.rest.share_over)
        rows.append([asked.setup.name, *_cells(played.whole, simulated), _number(rest)])
    more = len(order) - len(rows)
    tail = tag("p", f"And {more:,} more in result.json.", cls="kind") if more else ""
    found = simulated.recommendation
    words = [
        "Cost beside that of the first file's policy, where no price is known; instances at most."
    ]
    if found is not None:
        words.insert(0, f"Recommended: {found.sentence}.")
    if (safer := result.safer(simulated)) is not None:
        words.insert(1, f"Safer: {safer}.")
    why = [tag("p", each, cls="kind") for each in words]
    return tag("section", tag("h2", "Policies"), *why, table(head, rows), tail, cls="card")


def _cells(found: Outcome, simulated: Simulated) -> Iterable[Html]:
    usd = simulated.rate.usd(found.instance_hours)
    first = simulated.played[0].whole.instance_hours
    relative = f"{found.instance_hours / first:.3g} x" if first else ""
    yield _number(f"{found.instance_hours:,.5g}")
    yield _number(relative if usd is None else format_usd(round(usd, 2)))
    yield _number(format_percent(found.share_over))
    yield _number(format_duration(found.violation_s) if found.violation_s else "none")
    yield _number(f"{found.peak:,}")
    yield _number(f"{found.changes:,}")


def _number(value: object) -> Html:
    return tag("td", value, cls="number")


def _changes(simulated: Simulated) -> Html:
    changes = simulated.timeline.changes
    rows = [
        [
            f"{figures.moment(each.decision.at_s)}",
            f"{each.decision.previous} to {each.decision.desired}",
            format_duration(each.fulfilled_s - each.decision.at_s),
            each.decision.cause,
            each.decision.why,
        ]
        for each in changes[:_CHANGES_SHOWN]
    ]
    more = len(changes) - len(rows)
    tail = tag("p", f"And {more:,} more in result.json.", cls="kind") if more else ""
    head = ["decided", "instances", "took", "cause", "because"]
    return tag(
        "details", tag("summary", f"{len(changes):,} changes"), table(head, rows), tail, cls="card"
    )


def _assumed(simulated: Simulated) -> Html:
    around, capacity = simulated.timeline.circumstances, simulated.capacity
    ranges = (
        ("metric delay", around.metric_delay),
        ("start-up", around.start_up),
        ("removal", around.removal),
    )
    taken: list[list[object]] = [
        [name, f"{each.low_s:g} s to {each.high_s:g} s ({each.source})"] for name, each in ranges
    ]
    rows: list[list[object]] = [
        ["capacity", f"{format_rate(capacity.rps)} requests/s an instance ({capacity.source})"],
        *taken,
        ["cost", simulated.rate.remark],
        ["seed", str(around.seed)],
        [
            "clairvoyant",
            f"{simulated.yardstick.instance_hours:,.5g} instance-hours at least, at as many misses"
            + (", on the days that chose nothing" if simulated.yardstick.is_held_out else ""),
        ],
    ]
    if simulated.verification is not None:
        rows.append(["beside what was done", simulated.verification.sentence])
    return tag(
        "section", tag("h2", "What was taken as given"), table([], rows, cls="facts"), cls="card"
    )


def _boto3(simulated: Simulated) -> Html:
    words = json.dumps(simulated.asked[simulated.shown].words(), indent=2)
    return tag(
        "details",
        tag("summary", "The policy for boto3"),
        tag("pre", tag("code", words)),
        cls="card",
    )
