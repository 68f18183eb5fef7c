"""Bands over time below a figure: what went on when, one lane for each kind of thing.

What a dry run and a measured run share of their timelines: the same colours mean the same things in
both. `place` turns a moment in seconds into what stands on the figure's time axis.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Figure = dict[str, Any]
Spans = list[tuple[float, float]]
Place = Callable[[float], str | float]

DEMAND, CAPACITY, COSTING, ALARM, OUT, IN, CHANGE = (
    *("#3987d6", "#2fa37a", "#8a939c", "#d9534f"),
    *("#e0862a", "#9a77d4", "#2ba3b4"),
)
_WIDTH = 9


@dataclass(frozen=True)
class Stretch:
    """When something was so, and how it is drawn."""

    name: str
    colour: str
    spans: Spans


@dataclass(frozen=True)
class Lane:
    """A row with a name of its own."""

    name: str
    stretches: tuple[Stretch, ...]

    @classmethod
    def of(cls, name: str, colour: str, spans: Spans) -> "Lane":
        """Return a row of one kind of thing."""
        return cls(name, (Stretch(name, colour, spans),))


def draw(
    lanes: Sequence[Lane], place: Place, low_s: float, high_s: float, axis: str
) -> tuple[list[Figure], Figure]:
    """Return the traces of some lanes, top to bottom, and the words of their axis."""
    rows = list(zip(range(len(lanes), 0, -1), lanes, strict=True))
    traces = [
        _band(stretch, row, clipped(stretch.spans, low_s, high_s), place, axis)
        for row, lane in rows
        for stretch in lane.stretches
    ]
    words = {
        "tickvals": [row for row, _ in rows],
        "ticktext": [lane.name for _, lane in rows],
        "range": [0.4, len(lanes) + 0.6],
        "showgrid": False,
    }
    return traces, words


def short(alarm: str) -> str:
    """Return what tells an alarm from its target's others."""
    for part in ("AlarmHigh", "AlarmLow"):
        if alarm.startswith("TargetTracking-") and f"-{part}-" in alarm:
            return part.removeprefix("Alarm").lower()
    return alarm[:24]


def clipped(spans: Iterable[tuple[float, float]], low_s: float, high_s: float) -> Spans:
    """Return what of some spans is between two moments."""
    return [
        (max(begin_s, low_s), min(end_s, high_s))
        for begin_s, end_s in spans
        if end_s > low_s and begin_s < high_s
    ]


def _band(stretch: Stretch, row: int, spans: Spans, place: Place, axis: str) -> Figure:
    times: list[str | float | None] = []
    for begin_s, end_s in spans:
        times += [place(begin_s), place(end_s), None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": stretch.name,
        "x": times,
        "y": [None if each is None else row for each in times],
        "yaxis": axis,
        "line": {"color": stretch.colour, "width": _WIDTH},
        "showlegend": False,
        "hovertemplate": f"{stretch.name}<br>%{{x}}<extra></extra>",
    }
