"""The report: one HTML page that needs nothing but itself.

One run gets its findings, its figures and what was run on what. Several get a table and a
comparison against the first, with what was asked differently, before each run's own part. Nothing
on the page is fetched from anywhere.
"""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from plotly.offline import get_plotlyjs

from windtunnel import __version__
from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.comparison import Sampled, compare
from windtunnel.lab.report import findings, sections
from windtunnel.lab.report.markup import Html, Plots, join, tag
from windtunnel.lab.report.view import RunView, views
from windtunnel.lab.run_directory import Run


def write(runs: Sequence[Run], path: Path, *, capacity_rps: float | None = None) -> None:
    """Write the report of one or more runs to a file.

    `capacity_rps` is what one instance answers a second, for the timelines of runs that scaled.
    """
    page = render(runs, capacity_rps)
    if len(page.encode()) > limits.REPORT_BYTES_MAX:
        raise UsageError(
            f"A report on {len(runs)} runs would be larger than "
            f"{limits.REPORT_BYTES_MAX / 1e6:.0f} MB: report on fewer."
        )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The report {path} cannot be written: {error.strerror}.") from error


def render(runs: Sequence[Run], capacity_rps: float | None = None) -> str:
    """Return the page of one or more runs."""
    seen = views(runs, capacity_rps)
    plots = Plots()
    if len(seen) == 1:
        title, body = findings.headline(seen[0]), _one(seen[0], plots)
    else:
        title, body = _several(seen, plots)
    return document(title, body, "latency counts from when a request was due")


def document(title: str, body: Html, remark: str) -> str:
    """Return a page that needs nothing but itself."""
    here = resources.files(__package__)
    style = (here / "page.css").read_text(encoding="utf-8")
    script = (here / "page.js").read_text(encoding="utf-8")
    made = f"Written by Windtunnel {__version__}; {remark}."
    return join(
        [
            Html("<!doctype html>\n"),
            tag(
                "html",
                tag(
                    "head",
                    Html('<meta charset="utf-8">'),
                    Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
                    tag("title", f"{title} · Windtunnel"),
                    tag("style", Html(style)),
                ),
                tag(
                    "body",
                    tag("main", body, tag("footer", made)),
                    tag("script", Html(get_plotlyjs())),
                    tag("script", Html(script)),
                ),
                lang="en",
            ),
        ]
    )


def _one(view: RunView, plots: Plots) -> Html:
    return join(
        [
            tag("div", f"Load run · {sections.started(view)}", cls="brand"),
            tag("h1", findings.headline(view)),
            sections.verdicts(view),
            sections.details(view, plots),
        ]
    )


def _several(seen: Sequence[RunView], plots: Plots) -> tuple[str, Html]:
    first, rest = seen[0], seen[1:]
    sampled = [Sampled.of(view.run) for view in seen]
    changes = [compare(sampled[0], each) for each in sampled[1:]]
    # The headline is the run that moved furthest from the first, whatever came after it.
    furthest = max(range(len(rest)), key=lambda number: findings.distance(changes[number]))
    title = findings.comparison(first.label, rest[furthest].label, changes[furthest])
    return title, join(
        [
            tag("div", f"{len(seen)} load runs · {sections.started(first)}", cls="brand"),
            tag("h1", title),
            sections.doubts(seen),
            sections.overview(seen),
            sections.curves(seen, plots),
            *(
                sections.comparison(first, view, change)
                for view, change in zip(rest, changes, strict=True)
            ),
            *(_part(view, plots) for view in seen),
        ]
    )


def _part(view: RunView, plots: Plots) -> Html:
    return tag(
        "details",
        tag("summary", f"{view.label}: {findings.headline(view)}"),
        sections.verdicts(view),
        sections.details(view, plots),
        open="",
    )
