"""The timeline of a simulation as a Plotly figure: all of it on one time axis.

Demand over capacity, instances, and below them what went on: alarms in ALARM, cooldowns, changes in
progress. A long trace is drawn in bins, of which the worst counts: the most requests, the least
capacity; the bands are drawn where a day is.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from windtunnel.autoscaling.timeline import Floats, Timeline

Figure = dict[str, Any]
_DEMAND, _CAPACITY, _COSTING, _ALARM, _OUT, _IN, _CHANGE = (
    *("#3987d6", "#2fa37a", "#8a939c", "#d9534f"),
    *("#e0862a", "#9a77d4", "#2ba3b4"),
)
_POINTS_MAX = 1500
# As long a stretch as bands of minutes can be told apart on.
BANDS_MAX_S = 26 * 3600.0


def timeline(played: Timeline, begin: int = 0, end: int | None = None) -> Figure:
    """Return the figure of some periods of a simulation."""
    demand = played.demand
    end = len(demand.counts) if end is None else end
    step_s = demand.period_s
    size = max(1, -(-(end - begin) // _POINTS_MAX))
    starts_s: Floats = np.arange(begin, end, dtype=np.float64) * step_s + demand.start_s
    times = _times(starts_s[::size])
    has_bands = (end - begin) * step_s <= BANDS_MAX_S
    traces = [
        _line(
            "requests", times, _most(demand.counts[begin:end] / step_s, size), _DEMAND, width=1.4
        ),
        _line("capacity", times, _least(played.capacity[begin:end] / step_s, size), _CAPACITY),
        _line("paid for", times, _most(played.costing[begin:end], size), _COSTING, axis="y2"),
        _line("serving", times, _least(played.serving[begin:end], size), _CAPACITY, axis="y2"),
    ]
    layout = _layout(has_bands=has_bands)
    layout["xaxis"]["range"] = [times[0], moment(demand.start_s + end * step_s)]
    if has_bands:
        low_s, high_s = demand.start_s + begin * step_s, demand.start_s + end * step_s
        rows = _bands(played)
        traces += [
            _band(name, colour, len(rows) - number, _clipped(spans, low_s, high_s))
            for number, (name, colour, spans) in enumerate(rows)
        ]
        layout["yaxis3"] |= {
            "tickvals": [len(rows) - number for number in range(len(rows))],
            "ticktext": [name for name, _, _ in rows],
            "range": [0.4, len(rows) + 0.6],
        }
    return {"data": traces, "layout": layout}


def worst_day(played: Timeline) -> tuple[int, int]:
    """Return the first and the last period of the day with most requests over capacity."""
    demand = played.demand
    day = 86_400 // demand.period_s
    count = len(demand.counts)
    over = np.maximum(demand.counts - played.capacity, 0.0)
    # Where nothing is over, the busiest one.
    measure = over if over.any() else demand.counts
    sums = np.add.reduceat(measure, np.arange(0, count, day))
    begin = int(sums.argmax()) * day
    return begin, min(begin + day, count)


Spans = list[tuple[float, float]]


def _bands(played: Timeline) -> list[tuple[str, str, Spans]]:
    end_s = played.demand.start_s + len(played.demand.counts) * played.demand.period_s
    rows: list[tuple[str, str, Spans]] = []
    for name in dict.fromkeys(each.alarm for each in played.transitions):
        spans, since_s = [], None
        for each in played.transitions:
            if each.alarm != name:
                continue
            if each.after == "ALARM":
                since_s = each.at_s
            elif since_s is not None:
                spans.append((since_s, each.at_s))
                since_s = None
        if since_s is not None:
            spans.append((since_s, end_s))
        rows.append((f"ALARM {_short(name)}", _ALARM, spans))
    changes = [(each.decision, each.fulfilled_s) for each in played.changes]
    rows.append(("changing", _CHANGE, [(made.at_s, done_s) for made, done_s in changes]))
    for label, colour, is_out in (("cooldown out", _OUT, True), ("cooldown in", _IN, False)):
        spans = [
            (done_s, done_s + made.cooldown_s)
            for made, done_s in changes
            if made.is_out is is_out and made.cooldown_s
        ]
        rows.append((label, colour, spans))
    return rows


def _short(alarm: str) -> str:
    """Return what tells an alarm from its target's others."""
    for part in ("AlarmHigh", "AlarmLow"):
        if alarm.startswith("TargetTracking-") and f"-{part}-" in alarm:
            return part.removeprefix("Alarm").lower()
    return alarm[:24]


def _clipped(spans: Iterable[tuple[float, float]], low_s: float, high_s: float) -> Spans:
    return [
        (max(begin_s, low_s), min(end_s, high_s))
        for begin_s, end_s in spans
        if end_s > low_s and begin_s < high_s
    ]


def _band(name: str, colour: str, row: int, spans: Spans) -> Figure:
    times: list[str | None] = []
    for begin_s, end_s in spans:
        times += [moment(begin_s), moment(end_s), None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": times,
        "y": [None if each is None else row for each in times],
        "yaxis": "y3",
        "line": {"color": colour, "width": 9},
        "showlegend": False,
        "hovertemplate": f"{name}<br>%{{x}}<extra></extra>",
    }


def _line(
    name: str,
    times: Sequence[str],
    values: Floats,
    colour: str,
    *,
    axis: str = "y",
    width: float = 2,
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(times),
        "y": [float(f"{value:.5g}") for value in values],
        "yaxis": axis,
        "line": {"color": colour, "width": width, "shape": "hv"},
        "hovertemplate": f"{name} %{{y:.4g}}<extra></extra>",
    }


def _most(values: Floats, size: int) -> Floats:
    found: Floats = np.maximum.reduceat(values, np.arange(0, len(values), size))
    return found


def _least(values: Floats, size: int) -> Floats:
    found: Floats = np.minimum.reduceat(values, np.arange(0, len(values), size))
    return found


def _times(moments_s: Floats) -> list[str]:
    return [moment(float(each)) for each in moments_s]


def moment(at_s: float) -> str:
    """Return a moment as Plotly and people read it, in UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _layout(*, has_bands: bool) -> Figure:
    axis = {"gridwidth": 1, "zeroline": False, "automargin": True, "fixedrange": True}
    top, middle = ([0.62, 1.0], [0.3, 0.56]) if has_bands else ([0.46, 1.0], [0.0, 0.38])
    layout = {
        "xaxis": {
            **axis,
            "title": {"text": "UTC"},
            "showgrid": False,
            "type": "date",
            "anchor": "y3" if has_bands else "y2",
        },
        "yaxis": {
            **axis,
            "title": {"text": "requests per second"},
            "domain": top,
            "rangemode": "tozero",
        },
        "yaxis2": {
            **axis,
            "title": {"text": "instances"},
            "domain": middle,
            "rangemode": "tozero",
        },
        "margin": {"l": 72, "r": 16, "t": 26, "b": 44},
        "height": 560 if has_bands else 430,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "x",
        "legend": {"orientation": "h", "x": 0, "y": 1.08},
        "font": {"size": 12},
    }
    if has_bands:
        layout["yaxis3"] = {**axis, "domain": [0.0, 0.24], "showgrid": False}
    return layout
