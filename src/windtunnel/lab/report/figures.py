"""Plotly figures of runs, as plain data.

Figures carry no theme: lines, text and grids are coloured by the page's style sheet, so that one
figure serves light, dark and paper. However many requests a run has, a figure holds at most a few
thousand points: a heat map takes the place of a cloud.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from windtunnel.lab.measurement import Floats
from windtunnel.lab.objectives import parse_objective
from windtunnel.lab.quantities import format_duration, format_rate
from windtunnel.lab.report import findings
from windtunnel.lab.report.view import RunView
from windtunnel.lab.summary import percentile

Figure = dict[str, Any]

# Told apart by people with any colour vision, on white and on near-black (after Okabe and Ito).
COLOURS = ("#3987d6", "#e0862a", "#2fa37a", "#9a77d4", "#d4557a", "#2ba3b4", "#8a8f3a", "#b0703f")
BAD = "#d9534f"
GOOD = "#2fa37a"
# How a step of a search for capacity is drawn: by colour and, for whom colours say little, by form.
_STEPS = {
    "held": (GOOD, "circle"),
    "missed": (BAD, "x"),
    "undecided": ("#c98a16", "diamond"),
    "saturated": (BAD, "triangle-up"),
    "generator": ("#8a939c", "circle-open"),
}
# Up to here every request is a dot; beyond, dots would cover each other.
_POINTS_MAX = 3000
_HEAT_COLUMNS, _HEAT_ROWS = 120, 50
_HISTOGRAM_BINS = 60
# From this ratio of the slowest to the fastest on, a linear axis shows the slowest and little else.
_LOG_FROM = 20
_MARKS = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99))


def throughput(view: RunView) -> tuple[str, Figure]:
    """Return the finding and the figure of answers per second over time."""
    requests = view.run.requests
    width_s = findings.bin_width_s(view.end_s)
    # Whole bins up to the end: after it only the last answers trickle in.
    edges: Floats = np.linspace(0.0, (bins := int(view.end_s / width_s + 1e-9)) * width_s, bins + 1)
    good, _ = np.histogram(requests.done_s[requests.is_good], edges)
    bad, _ = np.histogram(requests.done_s[~requests.is_good], edges)
    counted = edges[:-1] >= view.start_s
    rates = [float(value) for value in good[counted] / width_s]
    title = findings.throughput(rates, view.run.summary["throughput_rps"])
    is_open = "arrivals" in view.run.summary
    if is_open:
        wanted_rps = view.run.summary["arrivals"]["wanted_rps"]
        title = findings.open_throughput(rates, wanted_rps, view.waiting_max)
    traces: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "answered well",
            "x": rounded(edges),
            "y": rounded(np.append(good, good[-1:]) / width_s),
            "line": {"color": COLOURS[0], "width": 2, "shape": "hv"},
            "fill": "tozeroy",
            "fillcolor": faded(COLOURS[0]),
            "hovertemplate": "%{y:.4g} requests/s<extra></extra>",
        }
    ]
    if is_open:
        due, _ = np.histogram(view.all_due_s, edges)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "due",
                "x": rounded(edges),
                "y": rounded(np.append(due, due[-1:]) / width_s),
                "line": {"color": COLOURS[1], "width": 1.5, "shape": "hv", "dash": "dot"},
                "hovertemplate": "%{y:.4g} due/s<extra></extra>",
            }
        )
    if bad.any():
        traces.append(
            {
                "type": "bar",
                "name": "failed",
                "x": rounded(edges[:-1] + width_s / 2),
                "y": rounded(bad / width_s),
                "width": width_s,
                "marker": {"color": BAD},
                "hovertemplate": "%{y:.4g} failures/s<extra></extra>",
            }
        )
    layout = _layout("seconds since the start", "requests per second")
    layout["xaxis"]["range"] = [0, view.end_s]
    layout["yaxis"]["rangemode"] = "tozero"
    layout["shapes"] = _warmup(view)
    layout["showlegend"] = is_open or bool(bad.any())
    return title, {"data": traces, "layout": layout}


def latency_over_time(view: RunView) -> tuple[str, Figure]:
    """Return the finding and the figure of every request's latency by the time it was due."""
    due_s, latency_ms = view.good_due_s, view.good_latency_s * 1000
    layout = _layout("seconds since the start", "latency, ms")
    layout["xaxis"]["range"] = [0, view.end_s]
    layout["yaxis"] |= latency_axis(latency_ms)
    layout["shapes"] = [*_warmup(view), *_limits(view)]
    layout["showlegend"] = False
    if len(due_s) <= _POINTS_MAX:
        trace = {
            "type": "scatter",
            "mode": "markers",
            "x": rounded(due_s),
            "y": rounded(latency_ms),
            "marker": {"color": COLOURS[0], "size": 4, "opacity": 0.55},
            "hovertemplate": "%{y:.4g} ms<extra></extra>",
        }
    else:
        trace = _heat(due_s, latency_ms)
    title = findings.latency_over_time(
        view.good_due_s, view.good_latency_s, view.start_s, view.end_s
    )
    return title, {"data": [trace], "layout": layout}


def _heat(due_s: Floats, latency_ms: Floats) -> Figure:
    rows = np.geomspace(latency_ms.min(), latency_ms.max() * 1.0001, _HEAT_ROWS + 1)
    columns = np.linspace(0.0, due_s.max(), _HEAT_COLUMNS + 1)
    counts, _, _ = np.histogram2d(latency_ms, due_s, [rows, columns])
    # The square root keeps the rare slow requests visible beside the crowd.
    shade = np.sqrt(counts)
    return {
        "type": "heatmap",
        "x": rounded(columns),
        "y": rounded(rows),
        "z": [[round(float(value), 2) or None for value in row] for row in shade],
        "colorscale": [[0, faded(COLOURS[0])], [1, COLOURS[0]]],
        "showscale": False,
        "hoverinfo": "skip",
    }


def distribution(view: RunView) -> tuple[str, Figure]:
    """Return the finding and the figure of how often which latency came."""
    latency_ms = view.latency_s * 1000
    layout = _layout("latency, ms (from when a request was due)", "share of requests, %")
    layout["showlegend"] = False
    layout["bargap"] = 0.04
    traces: list[Figure] = []
    if len(latency_ms):
        # The last percent is in the title and the table; drawn, it would squeeze all the rest.
        top = max(percentile(latency_ms, 0.99) * 1.15, float(latency_ms.min()) * 1.01)
        edges = np.linspace(min(float(latency_ms.min()), top) * 0.98, top, _HISTOGRAM_BINS + 1)
        counts, _ = np.histogram(latency_ms, edges)
        middles = (edges[:-1] + edges[1:]) / 2
        traces.append(
            {
                "type": "bar",
                "x": rounded(middles),
                "y": rounded(100 * counts / len(latency_ms)),
                "marker": {"color": COLOURS[0]},
                "hovertemplate": "%{x:.4g} ms: %{y:.2f}%<extra></extra>",
            }
        )
        layout["shapes"], layout["annotations"] = _marks(latency_ms)
        beyond = int((latency_ms > top).sum())
        if beyond:
            note = f"{beyond:,} slower, up to {latency_ms.max():,.0f} ms"
            layout["annotations"].append(_note(note, x=1, y=0.55, xref="paper", xanchor="right"))
    return findings.distribution(view), {"data": traces, "layout": layout}


def _marks(latency_ms: Floats) -> tuple[list[Figure], list[Figure]]:
    """Return lines and words at the percentiles, the words in steps so that none covers another."""
    shapes, notes = [], []
    for step, (name, share) in enumerate(_MARKS):
        at_ms = percentile(latency_ms, share)
        shapes.append(
            {
                "type": "line",
                "x0": at_ms,
                "x1": at_ms,
                "y0": 0,
                "y1": 1 - 0.085 * step,
                "yref": "paper",
                "line": {"width": 1.2, "dash": "dot", "color": "#7d8791"},
            }
        )
        text = f"{name} {format_duration(at_ms / 1000)}"
        notes.append(_note(text, x=at_ms, y=1 - 0.085 * step, xanchor="left"))
    return shapes, notes


def percentile_curves(views: Sequence[RunView]) -> Figure:
    """Return the figure that compares whole distributions: latency at every percentile."""
    layout = _layout("percentile of requests", "latency, ms")
    ticks = (0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)
    layout["xaxis"]["tickvals"] = [_rarity(share) for share in ticks]
    layout["xaxis"]["ticktext"] = [f"{100 * share:g}" for share in ticks]
    every_ms = np.concatenate([view.latency_s for view in views]) * 1000
    layout["yaxis"] |= latency_axis(every_ms)
    layout["shapes"] = _limits(views[0])
    traces = []
    for number, view in enumerate(views):
        count = len(view.latency_s)
        if not count:
            continue
        # No further out than where at least one request lies beyond.
        rarity = np.linspace(0.0, _rarity(1 - 1 / max(count, 2)), 160)
        shares = 1 - 10.0**-rarity
        values = np.quantile(view.latency_s * 1000, shares, method="inverted_cdf")
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": view.label,
                "x": rounded(rarity),
                "y": rounded(values),
                "customdata": rounded(100 * shares),
                "line": {"color": COLOURS[number % len(COLOURS)], "width": 2},
                "hovertemplate": "p%{customdata:.4g}: %{y:.4g} ms<extra>%{fullData.name}</extra>",
            }
        )
    return {"data": traces, "layout": layout}


def stair(view: RunView) -> Figure:
    """Return the figure of a search for capacity: latency over rate, and where each step stood."""
    found = view.run.summary["capacity"]
    steps = sorted(
        (step for step in found["steps"] if step["latency_s"]["p50"] is not None),
        key=lambda step: float(step["rate_rps"]),
    )
    rates = _array(step["rate_rps"] for step in steps)
    layout = _layout("requests per second that were due", "latency, ms")
    traces = []
    for number, name in enumerate(_drawn(found["objectives"])):
        latency_ms = 1000 * _array(step["latency_s"][name] for step in steps)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": rounded(rates),
                "y": rounded(latency_ms),
                "text": [step["outcome"] for step in steps],
                "line": {"color": COLOURS[number], "width": 2},
                "marker": {
                    "size": 9,
                    "color": [_STEPS[step["outcome"]][0] for step in steps],
                    "symbol": [_STEPS[step["outcome"]][1] for step in steps],
                },
                "hovertemplate": f"%{{x:.4g}} requests/s: {name} %{{y:.4g}} ms, %{{text}}"
                "<extra></extra>",
            }
        )
    every_ms = 1000 * _array(
        step["latency_s"][name] for step in steps for name in _drawn(found["objectives"])
    )
    layout["yaxis"] |= latency_axis(every_ms)
    layout["xaxis"] |= latency_axis(rates)
    layout["shapes"] = [*_limits(view), *_found(found)]
    return {"data": traces, "layout": layout}


def _array(values: Iterable[float]) -> Floats:
    return np.array(list(values), dtype=np.float64)


def _drawn(objectives: Sequence[str]) -> list[str]:
    """Return which percentiles are drawn: the median, and those that were to be kept."""
    asked = [text.partition("=")[0] for text in objectives]
    known = [name for name in ("p90", "p95", "p99", "p99.9") if name in asked]
    return ["p50", *(known or ["p95"])]


def _found(found: Mapping[str, Any]) -> list[Figure]:
    """Return a line at the rate that was confirmed."""
    rate_rps = found["rate_rps"]
    if rate_rps is None:
        return []
    return [
        {
            "type": "line",
            "x0": rate_rps,
            "x1": rate_rps,
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "line": {"width": 1.5, "dash": "dot", "color": GOOD},
            "label": {
                "text": f"{format_rate(rate_rps)}/s",
                "textposition": "start",
                "textangle": 0,
                "xanchor": "right",
                "padding": 5,
                "font": {"size": 11, "color": GOOD},
            },
        }
    ]


def latency_axis(latency_ms: Floats) -> Figure:
    """Return a linear axis from zero, or a logarithmic one where values differ greatly."""
    if not len(latency_ms) or latency_ms.max() < _LOG_FROM * latency_ms.min():
        return {"rangemode": "tozero"}
    low, high = float(latency_ms.min()), float(latency_ms.max())
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:,g}" for tick in ticks]}


def _rarity(share: float) -> float:
    """Return how many nines a percentile has: where it stands on the axis."""
    return float(-np.log10(1 - share))


def _limits(view: RunView) -> list[Figure]:
    """Return a line at each limit on latency that the run was held to."""
    wanted = [parse_objective(text) for text in view.run.asked["plan"]["objectives"]]
    return [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": objective.limit_s * 1000,
            "y1": objective.limit_s * 1000,
            "line": {"width": 1.5, "dash": "dash", "color": BAD},
            "label": {
                "text": objective.text,
                "textposition": "end",
                "yanchor": "bottom",
                "padding": 5,
                "font": {"size": 11, "color": BAD},
            },
        }
        for objective in wanted
        if objective.limit_s is not None
    ]


def _warmup(view: RunView) -> list[Figure]:
    if view.start_s <= 0:
        return []
    return [
        {
            "type": "rect",
            "yref": "paper",
            "x0": 0,
            "x1": view.start_s,
            "y0": 0,
            "y1": 1,
            "line": {"width": 0},
            "fillcolor": "rgba(128,138,148,0.16)",
            "layer": "below",
            "label": {
                "text": "warm-up",
                "textposition": "top left",
                "font": {"size": 11, "color": "#7d8791"},
            },
        }
    ]


def _layout(x_title: str, y_title: str) -> Figure:
    axis = {"gridwidth": 1, "zeroline": False, "automargin": True, "fixedrange": True}
    return {
        "xaxis": {**axis, "title": {"text": x_title}, "showgrid": False},
        "yaxis": {**axis, "title": {"text": y_title}},
        "margin": {"l": 56, "r": 16, "t": 26, "b": 44},
        "height": 300,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.14},
        "font": {"size": 12},
    }


def _note(text: str, **place: Any) -> Figure:  # noqa: ANN401 - Plotly's own words
    return {
        "text": text,
        "showarrow": False,
        "yref": "paper",
        "yanchor": "top",
        "font": {"size": 11},
        **place,
    }


def faded(colour: str) -> str:
    """Return a colour as an area below a line has it."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"


def rounded(values: Floats) -> list[float]:
    """Return numbers with as many digits as a screen can show."""
    return [float(f"{value:.5g}") for value in values]
