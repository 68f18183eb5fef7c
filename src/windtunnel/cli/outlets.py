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
# Nobody else's business.
_WEB_HOST = "127.0.0.1"

UiOption = Annotated[
    bool,
    typer.Option(
        "--ui",
        help="Show the run in Locust's web page while it goes on, with latency counted from when "
        "requests were due. Like --csv and --html it has what counts, nothing of the warm-up. Its "
        "users are the load processes where load comes at a rate. Its stop button ends the run, "
        "which is kept.",
        rich_help_panel=_PANEL,
    ),
]
UiPortOption = Annotated[
    int | None,
    typer.Option(
        "--ui-port",
        metavar="P",
        help=f"The page's port; else {_UI_PORT}.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
WebHostOption = Annotated[
    str | None,
    typer.Option(
        "--web-host",
        metavar="ADDRESS",
        help=f"The address that --ui and --prometheus listen on; else {_WEB_HOST}.",
        rich_help_panel=_PANEL,
        show_default=False,
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
    ui_port: UiPortOption = None
    web_host: WebHostOption = None
    prometheus: PrometheusOption = None
    csv: CsvOption = None
    html: HtmlOption = None

    def outlets(self) -> "Outlets":
        """Return them, once it is known that they can be there."""
        from windtunnel.lab.load.outlets import Outlets

        self._check()
        ui_port = _UI_PORT if self.ui_port is None else self.ui_port
        found = Outlets(
            host=_WEB_HOST if self.web_host is None else self.web_host,
            ui_port=ui_port if self.ui else None,
            prometheus_port=self.prometheus,
            csv_prefix=self.csv,
            html=None if self.html is None else str(self.html.absolute()),
        )
        found.check()
        return found

    def _check(self) -> None:
        """Refuse words without what they are about, and ports that are none."""
        from windtunnel.core.errors import UsageError

        if self.ui_port is not None and not self.ui:
            raise UsageError("--ui-port means nothing without --ui: leave it out.")
        if self.web_host is not None and not self.ui and self.prometheus is None:
            raise UsageError("--web-host means nothing without --ui or --prometheus: leave it out.")
        for word, port in (("--ui-port", self.ui_port), ("--prometheus", self.prometheus)):
            if port is not None and not 0 < port < 2**16:
                raise UsageError(f"{word} is a number from 1 to 65535.")
