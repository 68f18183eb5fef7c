"""The timeline of a simulation as a Plotly figure: all of it on one time axis.

Demand over capacity, instances, and below them what went on: alarms in ALARM, cooldowns, changes in
progress. A long trace is drawn in bins, of which the worst counts: the most requests, the least
capacity; the bands are drawn where a day is.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from windtunnel.autoscaling.timeline import Floats, Timeline
from windtunnel.lab.report import lanes
from windtunnel.lab.report.lanes import Lane

Figure = dict[str, Any]
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
    rates = _most(demand.counts[begin:end] / step_s, size)
    capacity = _least(played.capacity[begin:end] / step_s, size)
    traces = [
        _line("requests", times, rates, lanes.DEMAND, width=1.4),
        _line("capacity", times, capacity, lanes.CAPACITY),
        _line("paid for", times, _most(played.costing[begin:end], size), lanes.COSTING, axis="y2"),
        _line("serving", times, _least(played.serving[begin:end], size), lanes.CAPACITY, axis="y2"),
    ]
    layout = _layout(has_bands=has_bands)
    layout["xaxis"]["range"] = [times[0], moment(demand.start_s + end * step_s)]
    if has_bands:
        low_s, high_s = demand.start_s + begin * step_s, demand.start_s + end * step_s
        bands, words = lanes.draw(_bands(played), moment, low_s, high_s, "y3")
        traces += bands
        layout["yaxis3"] |= words
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


def _bands(played: Timeline) -> list[Lane]:
    end_s = played.demand.start_s + len(played.demand.counts) * played.demand.period_s
    rows: list[Lane] = []
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
        rows.append(Lane.of(f"ALARM {lanes.short(name)}", lanes.ALARM, spans))
    changes = [(each.decision, each.fulfilled_s) for each in played.changes]
    spans = [(made.at_s, done_s) for made, done_s in changes]
    rows.append(Lane.of("changing", lanes.CHANGE, spans))
    for label, colour, is_out in (
        ("cooldown out", lanes.OUT, True),
        ("cooldown in", lanes.IN, False),
    ):
        spans = [
            (done_s, done_s + made.cooldown_s)
            for made, done_s in changes
            if made.is_out is is_out and made.cooldown_s
        ]
        rows.append(Lane.of(label, colour, spans))
    return rows


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
        layout["yaxis3"] = {**axis, "domain": [0.0, 0.24]}
    return layout
