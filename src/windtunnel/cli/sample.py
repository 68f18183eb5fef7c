"""`windtunnel sample`: models to try things on."""

import dataclasses
import json
import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from windtunnel.cli import options
from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.core.home import Home

app = typer.Typer(help="Write a model to try things on.", no_args_is_help=True)


@app.callback()
def _samples() -> None:
    """Keep `unet` a command of its own while it is the only one."""


@app.command()
def unet(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Where to write.", show_default=False),
    ],
    as_json: options.JsonOption = False,  # noqa: FBT002 - an option
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            help="The directory that keeps the trained model for the next time; else "
            "WINDTUNNEL_HOME, else ~/.windtunnel.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the workshop's U-Net, really trained, with a picture to send and its true mask.

    [bold]Example[/bold]: windtunnel sample unet --out unet

    The first time in a home it is trained, in about 40 seconds on 2 cores.

    Exit status: 0 written, 1 the training failed, 2 wrong words, 4 TensorFlow is missing.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out names a directory to write to, and {out} is a file.")
    from windtunnel.sample import bundle, cache

    made = cache.unet(Home.resolve(home), lambda line: typer.echo(f"unet: {line}", err=True))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in bundle.FILES:
            _copy(made.directory / name, out / name)
    except OSError as error:
        raise NotReadyError(f"{out} cannot be written ({error.strerror}).") from error
    expected = bundle.read_expected(made.directory)
    files = {name: (out / name).stat().st_size for name in bundle.FILES}
    if as_json:
        record = {
            "out": str(out.absolute()),
            "files": files,
            "expected": dataclasses.asdict(expected),
            "reused": made.reused,
        }
        typer.echo(json.dumps(record, indent=2))
        return
    for name, size_bytes in files.items():
        typer.echo(f"{out / name}  {math.ceil(size_bytes / 1000):,} kB")
    typer.echo(
        f"IoU {expected.iou:.3f} on the picture in {bundle.PAYLOAD} and {expected.iou_mean:.3f} "
        f"over {expected.held_out_count} held-out pictures, at threshold {expected.threshold} "
        f"(a global threshold on brightness: {expected.iou_mean_otsu:.3f})."
    )


def _copy(source: Path, target: Path) -> None:
    """Copy a file so that readers see the old one or the new one, never half."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    os.close(descriptor)
    try:
        shutil.copyfile(source, name)
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
