"""A run's timeline as a Plotly figure: demand, instances, latency, and what scaled, on one axis.

Seconds since the run's start are the axis of all its parts. Each part has a scale of its own; below
them are bands of what went on (`lanes`), which a dry run's timeline has, too.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from windtunnel.lab.measurement import Floats
from windtunnel.lab.report import findings, lanes
from windtunnel.lab.report.figures import BAD, COLOURS, latency_axis, rounded
from windtunnel.lab.report.lanes import Lane, Stretch
from windtunnel.lab.report.view import RunView
from windtunnel.lab.scaling_record import (
    AlarmPast,
    ScalingRecord,
    VariantPast,
    changing,
    cooldowns,
    spans_in,
)
from windtunnel.lab.summary import percentile

Figure = dict[str, Any]

_UNKNOWN, _OK, _MARK = "#8a939c", "rgba(47,163,122,0.28)", "#7d8791"
_SIGNS = {
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": "≥",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "≤",
}
_PERCENTILES = (("p50", 0.5, COLOURS[0]), ("p95", 0.95, COLOURS[1]))
# In pixels: the panels above, and each lane below.
_PANELS_HEIGHT, _LANE_HEIGHT, _MARGIN_TOP, _MARGIN_BOTTOM = 500, 24, 44, 44
_GAP = 0.045
# More of them than a person can tell apart are left to the bands.
_MARKS_MAX = 40
# Words that would stand on each other go down in steps.
_NEAR, _STEP, _STEPS = 0.06, 0.026, 5


def timeline(view: RunView, record: ScalingRecord) -> Figure:
    """Return the figure; capacity is in it where what one instance can is known."""
    bottom = list(_lanes(record, view.end_s))
    bands, words = lanes.draw(bottom, lambda at_s: round(at_s, 2), 0.0, view.end_s, "y4")
    latency, latency_ms = _latency(view)
    layout = _layout(len(bottom), view.end_s)
    layout["yaxis3"] |= latency_axis(latency_ms)
    layout["yaxis4"] |= words
    layout["shapes"], layout["annotations"] = _marks(record, view.end_s)
    traces = [*_rates(view), *_instances(record, view.end_s, view.capacity_rps), *latency, *bands]
    return {"data": traces, "layout": layout}


def _rates(view: RunView) -> Iterator[Figure]:
    requests = view.run.requests
    edges = _edges(view)
    width_s = float(edges[1] - edges[0])
    due, _ = np.histogram(view.all_due_s, edges)
    good, _ = np.histogram(requests.done_s[requests.is_good], edges)
    bad, _ = np.histogram(requests.done_s[~requests.is_good], edges)
    dropped, _ = np.histogram(requests.dropped_due_s, edges)
    bad += dropped
    yield {
        **_line("due", edges, np.append(due, due[-1:]) / width_s, lanes.DEMAND),
        "fill": "tozeroy",
        "fillcolor": "rgba(57,135,214,0.14)",
    }
    yield _line("answered well", edges, np.append(good, good[-1:]) / width_s, COLOURS[4], 1.5)
    if bad.any():
        yield {
            "type": "bar",
            "name": "failed",
            "x": rounded(edges[:-1] + width_s / 2),
            "y": rounded(bad / width_s),
            "width": width_s,
            "marker": {"color": BAD},
            "hovertemplate": "failed %{y:.4g}/s<extra></extra>",
        }


def _instances(record: ScalingRecord, end_s: float, capacity_rps: float | None) -> Iterator[Figure]:
    several = len(record.variants) > 1
    for number, variant in enumerate(record.variants):
        if not variant.samples:
            continue
        label = f" {variant.name}" if several else ""
        times, current, desired = _steps(variant, end_s)
        colour = lanes.CAPACITY if number == 0 else COLOURS[(number + 5) % len(COLOURS)]
        yield {
            **_line(f"desired{label}", times, desired, lanes.COSTING, 1.5, "y2"),
            "line": {"color": lanes.COSTING, "width": 1.5, "shape": "hv", "dash": "dot"},
        }
        yield _line(f"instances{label}", times, current, colour, 2.5, "y2")
    # Which variant gets how much of the demand is not the figure's to say.
    if capacity_rps is not None and not several and record.variants[0].samples:
        times, current, _ = _steps(record.variants[0], end_s)
        yield _line("capacity", times, current * capacity_rps, lanes.CAPACITY, 1.5)


def _steps(variant: VariantPast, end_s: float) -> tuple[Floats, Floats, Floats]:
    """Return the moments from the start to the end, and the numbers from each on."""
    samples = variant.samples
    times = [0.0, *(each.at_s for each in samples[1:] if 0 < each.at_s < end_s), end_s]
    # Before the first look there were as many as it found.
    shown = [samples[0], *(each for each in samples[1:] if 0 < each.at_s < end_s)]
    shown.append(shown[-1])
    return (
        np.array(times),
        np.array([each.current for each in shown], dtype=np.float64),
        np.array([each.desired for each in shown], dtype=np.float64),
    )


def _latency(view: RunView) -> tuple[list[Figure], Floats]:
    edges = _edges(view)
    where = np.digitize(view.good_due_s, edges) - 1
    middles = (edges[:-1] + edges[1:]) / 2
    groups = [view.good_latency_s[where == number] * 1000 for number in range(len(middles))]
    drawn: list[Figure] = []
    every: list[float] = []
    for name, share, colour in _PERCENTILES:
        values = [percentile(group, share) if len(group) else None for group in groups]
        known = [value for value in values if value is not None]
        every += known
        drawn.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": rounded(middles),
                "y": [None if value is None else float(f"{value:.5g}") for value in values],
                "yaxis": "y3",
                "line": {"color": colour, "width": 2},
                "hovertemplate": f"{name} %{{y:.4g}} ms<extra></extra>",
            }
        )
    return drawn, np.array(every, dtype=np.float64)


def _edges(view: RunView) -> Floats:
    width_s = findings.bin_width_s(view.end_s)
    bins = max(1, int(view.end_s / width_s + 1e-9))
    edges: Floats = np.linspace(0.0, bins * width_s, bins + 1)
    return edges


def _lanes(record: ScalingRecord, end_s: float) -> Iterator[Lane]:
    several = len(record.variants) > 1
    for variant in record.variants:
        of = f"{variant.name}: " if several else ""
        for alarm in variant.alarms:
            yield Lane(
                f"{of}{_alarm(alarm)}",
                tuple(
                    Stretch(f"{alarm.name} {state}", colour, spans_in(alarm, state, end_s))
                    for state, colour in (
                        ("OK", _OK),
                        ("INSUFFICIENT_DATA", _UNKNOWN),
                        ("ALARM", lanes.ALARM),
                    )
                ),
            )
        made = variant.activities
        yield Lane.of(f"{of}changing", lanes.CHANGE, changing(made, end_s))
        yield Lane.of(f"{of}cooldown out", lanes.OUT, cooldowns(made, is_out=True))
        yield Lane.of(f"{of}cooldown in", lanes.IN, cooldowns(made, is_out=False))


def _alarm(alarm: AlarmPast) -> str:
    """Return an alarm's name, as short as it can be, and what it is in ALARM for."""
    sign = _SIGNS.get(alarm.comparison)
    rule = "" if sign is None or alarm.threshold is None else f" {sign} {alarm.threshold:g}"
    return f"alarm {lanes.short(alarm.name)}{rule}"


def _marks(record: ScalingRecord, end_s: float) -> tuple[list[Figure], list[Figure]]:
    """Return a line through all parts where a change began, and to how many instances it was."""
    made = [each for variant in record.variants for each in variant.activities]
    shown = sorted((each for each in made if 0 <= each.at_s <= end_s), key=lambda each: each.at_s)
    if len(shown) > _MARKS_MAX:
        return [], []
    shapes, notes = [], []
    last_s, steps = -np.inf, 0
    for each in shown:
        is_near = each.at_s - last_s < _NEAR * end_s
        steps, last_s = (steps + 1) % _STEPS if is_near else 0, each.at_s
        x = round(each.at_s, 2)
        shapes.append(
            {
                "type": "line",
                "x0": x,
                "x1": x,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"width": 1, "dash": "dot", "color": _MARK},
            }
        )
        notes.append(
            {
                "text": f"to {each.desired}",
                "x": x,
                "y": 1 - _STEP * steps,
                "yref": "paper",
                "xanchor": "left",
                "xshift": 2,
                "yanchor": "top",
                "showarrow": False,
                "font": {"size": 11, "color": _MARK},
            }
        )
    return shapes, notes


def _line(
    name: str, times: Floats, values: Floats, colour: str, width: float = 2, axis: str = "y"
) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": rounded(times),
        "y": rounded(values),
        "yaxis": axis,
        "line": {"color": colour, "width": width, "shape": "hv"},
        "hovertemplate": f"{name} %{{y:.4g}}<extra></extra>",
    }


def _layout(lanes_count: int, end_s: float) -> Figure:
    axis = {"gridwidth": 1, "zeroline": False, "automargin": True, "fixedrange": True}
    lanes_height = _LANE_HEIGHT * lanes_count + 8
    whole = _PANELS_HEIGHT + lanes_height
    lowest = lanes_height / whole
    # Of what is above the lanes, the parts' shares from the top.
    room = 1 - lowest - 3 * _GAP
    tops = np.cumsum([0.0, 0.44 * room + _GAP, 0.22 * room + _GAP, 0.34 * room + _GAP])
    panels = [[float(1 - tops[n + 1] + _GAP), float(1 - tops[n])] for n in range(3)]
    titles = ("requests per second", "instances", "latency, ms")
    drawn = {
        f"yaxis{number or ''}": {
            **axis,
            "title": {"text": title, "font": {"size": 12}},
            "domain": panel,
            "rangemode": "tozero",
        }
        for number, title, panel in zip((0, 2, 3), titles, panels, strict=True)
    }
    # Instances are whole.
    drawn["yaxis2"] |= {"tickformat": "d", "dtick": None, "nticks": 5}
    return {
        "xaxis": {
            **axis,
            "title": {"text": "seconds since the start"},
            "showgrid": False,
            "range": [0, end_s],
            "anchor": "y4",
        },
        **drawn,
        "yaxis4": {**axis, "domain": [0.0, lowest]},
        "margin": {"l": 120, "r": 16, "t": _MARGIN_TOP, "b": _MARGIN_BOTTOM},
        "height": whole + _MARGIN_TOP + _MARGIN_BOTTOM,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "x",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "font": {"size": 12},
    }
