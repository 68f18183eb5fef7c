"""The options of `windtunnel load` that show a run elsewhere than in the terminal."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from windtunnel.lab.load.outlets import Outlets

_PANEL = "Where else to look"
# Locust's own.
_UI_PORT = 8089

UiOption = Annotated[
    bool,
    typer.Option(
        "--ui",
        help="Show the run in Locust's web page while it goes on, with latency counted from when "
        "requests were due. Its stop button ends the run, which is kept.",
        rich_help_panel=_PANEL,
    ),
]
UiPortOption = Annotated[
    int, typer.Option("--ui-port", metavar="P", help="Where it is.", rich_help_panel=_PANEL)
]
WebHostOption = Annotated[
    str,
    typer.Option(
        "--web-host",
        metavar="ADDRESS",
        help="The address that --ui and --prometheus listen on.",
        rich_help_panel=_PANEL,
    ),
]
PrometheusOption = Annotated[
    int | None,
    typer.Option(
        "--prometheus",
        metavar="P",
        help="Answer Prometheus at this port: requests by kind of error, latency, service time and "
        "lateness as histograms.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
CsvOption = Annotated[
    str | None,
    typer.Option(
        "--csv",
        metavar="PREFIX",
        help="Locust's CSV files: PREFIX_stats.csv, PREFIX_stats_history.csv, …",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
HtmlOption = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="FILE",
        help="Locust's own report, beside Windtunnel's in DIR.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Looks:
    """Where else a run can be looked at."""

    ui: UiOption = False
    ui_port: UiPortOption = _UI_PORT
    web_host: WebHostOption = "127.0.0.1"
    prometheus: PrometheusOption = None
    csv: CsvOption = None
    html: HtmlOption = None

    def outlets(self) -> "Outlets":
        """Return them, once it is known that they can be there."""
        from windtunnel.lab.load.outlets import Outlets

        found = Outlets(
            host=self.web_host,
            ui_port=self.ui_port if self.ui else None,
            prometheus_port=self.prometheus,
            csv_prefix=self.csv,
            html=None if self.html is None else str(self.html.absolute()),
        )
        found.check()
        return found
