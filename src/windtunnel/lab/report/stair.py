"""The part of a report on a search for capacity: the curve over all steps, and a table of them."""

from collections.abc import Mapping
from typing import Any

from windtunnel.lab.quantities import format_duration, format_percent, format_rate
from windtunnel.lab.report import figures, findings
from windtunnel.lab.report.markup import Html, Plots, join, table, tag
from windtunnel.lab.report.view import RunView

_CLASSES = {"held": "good", "missed": "bad", "saturated": "bad", "undecided": "warn"}
_PERCENTILES = ("p50", "p95", "p99")
_METHOD = (
    "Each step is a run of its own at a constant rate. Rates double until one does not hold, then "
    "the gap is halved down to {precision}; the highest that held is confirmed by another run, "
    "which is the one below. Circles held, crosses missed, diamonds cannot be told, triangles "
    "drowned: what waited longest there was still waiting when the step ended. Hollow circles say "
    "more of the generator than of the endpoint."
)


def section(view: RunView, plots: Plots) -> Html:
    """Return what a search came to, step by step; nothing of a run that was none."""
    found = view.run.summary.get("capacity")
    if found is None:
        return join([])
    pieces: list[object] = [
        tag("h2", findings.knee(found)),
        tag("p", _METHOD.format(precision=format_percent(found["precision"])), cls="kind"),
    ]
    if found["steps"]:
        pieces.append(plots.place(figures.stair(view)))
    head = ["step", *_numbers("wanted/s", "answered/s", *_PERCENTILES, "requests"), "", "because"]
    return tag("section", *pieces, table(head, _rows(found)), cls="card")


def _rows(found: Mapping[str, Any]) -> list[list[object]]:
    alone = found["alone"]
    return [
        [
            "alone",
            tag("td", "one user", cls="number"),
            tag("td", format_rate(alone["throughput_rps"]), cls="number"),
            *_cells(alone),
            "",
            "each request when the last one was answered: nobody waits for anybody",
        ],
        *(
            [
                step["directory"].rpartition("/")[2] + (" confirms" * step["is_confirmation"]),
                tag("td", format_rate(step["rate_rps"]), cls="number"),
                tag("td", _rate(step["achieved_rps"]), cls="number"),
                *_cells(step),
                tag("td", step["outcome"], cls=_CLASSES.get(step["outcome"], "soft")),
                step["why"],
            ]
            for step in found["steps"]
        ),
    ]


def _cells(step: Mapping[str, Any]) -> list[Html]:
    latency = [step["latency_s"][name] for name in _PERCENTILES]
    return [
        *(
            tag("td", "none" if value is None else format_duration(value), cls="number")
            for value in latency
        ),
        tag("td", f"{step['requests']:,}", cls="number"),
    ]


def _rate(achieved_rps: float | None) -> str:
    return "none" if achieved_rps is None else format_rate(achieved_rps)


def _numbers(*names: str) -> list[Html]:
    return [tag("th", name, cls="number") for name in names]
