"""`windtunnel report`: one HTML page from run directories."""

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
) -> None:
    """Write one self-contained HTML page about one or more load runs.

    [bold]Example[/bold]: windtunnel report runs/before runs/after --out change.html

    Several runs are compared with the first: what changed, how surely, and
    what was asked differently. The page's path is printed on stdout.
    """
    from windtunnel.lab.report import page
    from windtunnel.lab.run_directory import RunDirectory

    directories = [RunDirectory(path) for path in runs]
    read = [directory.read() for directory in directories]
    if out is None:
        out = directories[0].report if len(directories) == 1 else Path("report.html")
    page.write(read, out)
    typer.echo(out)
