"""What scaled an endpoint while it was measured: the part of a page that tells it."""

from windtunnel.lab.quantities import format_duration
from windtunnel.lab.report.markup import Html, Plots, join, table, tag
from windtunnel.lab.report.timeline import timeline
from windtunnel.lab.report.view import RunView
from windtunnel.lab.scaling_record import Activity, ScalingRecord, sentence

_KIND = (
    "Demand, instances, latency and what the scaling policies did, on one time axis. Bands: alarms "
    "in ALARM (red), in OK (pale) and without data (grey), changes under way, and the cooldowns "
    "after them, worked out from the policies."
)
# Of a long run; the rest is in scaling.json.
_ACTIVITIES_SHOWN = 40


def section(view: RunView, plots: Plots) -> Html:
    """Return the timeline and the activities; nothing of a run that nothing could scale."""
    record = view.run.scaling
    if record is None:
        return join([])
    return tag(
        "section",
        tag("h2", sentence(record)),
        tag("p", _kind(record), cls="kind"),
        plots.place(timeline(view, record)),
        *_activities(record, view.end_s),
        cls="card",
    )


def _kind(record: ScalingRecord) -> str:
    if record.clock == 1:
        return _KIND
    return (
        f"{_KIND} Clock x{record.clock:g}: periods and cooldowns last "
        f"1/{record.clock:g} as long as on AWS."
    )


def _activities(record: ScalingRecord, end_s: float) -> list[Html]:
    made = [
        (f"{variant.name}: " if len(record.variants) > 1 else "", each)
        for variant in record.variants
        for each in variant.activities
        if 0 <= each.at_s <= end_s
    ]
    if not made:
        return []
    made.sort(key=lambda pair: pair[1].at_s)
    rows = (
        (
            f"{each.at_s:.1f} s",
            f"{name}{'?' if each.previous is None else each.previous} to {each.desired}",
            _took(each),
            _because(each),
        )
        for name, each in made[:_ACTIVITIES_SHOWN]
    )
    left = len(made) - _ACTIVITIES_SHOWN
    note = [tag("p", f"{left:,} more in scaling.json", cls="kind")] if left > 0 else []
    return [table(["at", "instances", "", "because"], rows), *note]


def _because(activity: Activity) -> Html:
    """Return AWS's words, and before them the arithmetic, where it is known."""
    words = tag("code", activity.cause)
    return join([tag("div", activity.why), words]) if activity.why else words


def _took(activity: Activity) -> str:
    if activity.end_s is None:
        return activity.status
    return f"{activity.status} in {format_duration(activity.end_s - activity.at_s)}"
