"""`windtunnel report`: one HTML page from run directories."""

import math
from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Directories that `load` wrote.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The page; else report.html in the one directory, or here for several.",
            show_default=False,
        ),
    ] = None,
    capacity_rps: Annotated[
        float | None,
        typer.Option(
            "--capacity-rps",
            metavar="R",
            help="What one instance answers a second: the timeline of a run that scaled shows its "
            "capacity.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write one self-contained HTML page about one or more load runs.

    [bold]Example[/bold]: windtunnel report runs/before runs/after --out change.html

    Several runs are compared with the first: what changed, how surely, and
    what was asked differently. The page's path is printed on stdout.
    """
    from windtunnel.core.errors import UsageError
    from windtunnel.lab.report import page
    from windtunnel.lab.run_directory import RunDirectory

    if capacity_rps is not None and not 0 < capacity_rps < math.inf:
        raise UsageError(f"--capacity-rps {capacity_rps:g} is not above 0.")
    directories = [RunDirectory(path) for path in runs]
    read = [directory.read() for directory in directories]
    if out is None:
        out = directories[0].report if len(directories) == 1 else Path("report.html")
    page.write(read, out, capacity_rps=capacity_rps)
    typer.echo(out)
