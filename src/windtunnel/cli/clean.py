"""`windtunnel clean`: delete what Windtunnel made, there and nothing else."""

import json
from typing import Annotated

import typer

from windtunnel.cli import asking, options


def clean(
    where: options.Where,
    endpoint_name: Annotated[
        str | None,
        typer.Option(
            "--endpoint-name",
            help="Only what was made for this endpoint; else everything.",
            show_default=False,
        ),
    ] = None,
    bucket: Annotated[
        str | None,
        typer.Option(
            "--bucket",
            help="Look for uploads there, too: what `deploy --bucket` was given. The default "
            "bucket, and those of models that are still there, are found without it.",
            show_default=False,
        ),
    ] = None,
    yes: options.YesOption = False,  # noqa: FBT002
    as_json: options.JsonOption = False,  # noqa: FBT002
) -> None:
    """Delete the endpoints, configurations, models and uploads that Windtunnel made.

    [bold]Example[/bold]: windtunnel clean --endpoint-name unet

    Lists them first and asks; where nobody can answer (no terminal), it wants
    --yes. What does not carry Windtunnel's own tag is left alone, and so are
    buckets.
    """
    from windtunnel.cli.progress import StderrProgress
    from windtunnel.lab import cleaning
    from windtunnel.lab.order import check_endpoint_name

    if endpoint_name is not None:
        check_endpoint_name(endpoint_name)
    target = where.open()
    inventory = cleaning.find(target, endpoint_name, bucket)
    lines = inventory.lines()
    if not lines:
        typer.echo(f"Windtunnel made nothing in {target.name} that is still there.", err=True)
    else:
        typer.echo(f"Windtunnel made, in {target.name}:", err=True)
        for line in lines:
            typer.echo(f"  {line}", err=True)
        asking.confirm("Delete all of it?", yes=yes, what="delete what is listed")
        with StderrProgress() as progress:
            cleaning.remove(target, inventory, progress)
    if as_json:
        typer.echo(json.dumps({"deleted": inventory.to_json()}, indent=2))
