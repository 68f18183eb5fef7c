"""`windtunnel run`: any command, unmodified, inside the wind tunnel."""

import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.cli.options import HomeOption
from windtunnel.cli.up import check_warp
from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.core.home import CloudRecord, Home

if TYPE_CHECKING:
    from windtunnel.cloud.gateway.proxy.permits import Permit

# As a shell says it: found but not runnable, and not found.
_NOT_RUNNABLE = 126
_NOT_FOUND = 127


def run(
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="What to run, and its arguments.")
    ],
    home: HomeOption = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="HOST",
            help="A host besides AWS's that may be reached over https, like pypi.org, *.pypi.org "
            "or git.example.org:8443; may be repeated.",
            show_default=False,
        ),
    ] = None,
    warp: Annotated[
        int | None,
        typer.Option(
            "--warp",
            metavar="K",
            help="Start the cloud with a clock of scaling that is K times as fast (see `up`).",
            show_default=False,
        ),
    ] = None,
    no_locust_watch: Annotated[  # noqa: FBT002 - an option
        bool,
        typer.Option(
            "--no-locust-watch",
            help="Say nothing of what makes a Locust run's figures mislead.",
        ),
    ] = False,
) -> None:
    """Run a command whose requests to AWS land in the local cloud, of any SDK and region.

    It gets what `windtunnel env` prints, a proxy for clients that hard-code
    AWS's hosts, and whom to trust. Where no cloud is up, one is started and
    ended with it. A `locust` in it is the one on PATH, watched for what makes
    its figures mislead. The exit status is the command's.

    So:  windtunnel run -- aws s3 ls
    """
    from windtunnel.cli.cloud_process import used_cloud
    from windtunnel.cli.foreground import run_in_foreground
    from windtunnel.cli.inside import inside
    from windtunnel.cli.left_behind import RUN_VARIABLE, wait_left_behind
    from windtunnel.cli.locust_shim import with_locust_watched

    permits = _permits(allow_host or [])
    if warp is not None:
        check_warp(warp)
    if shutil.which(command[0]) is None:
        _refuse(command[0])
    where = Home.resolve(home)
    with used_cloud(where, _say, *(() if warp is None else ("--warp", str(warp)))) as cloud:
        _check_clock(warp, cloud)
        made = inside(where, cloud, permits, os.environ)
        for remark in made.remarks:
            _say(remark)
        word = secrets.token_hex(8)
        environment = {**made.environment, RUN_VARIABLE: word}
        if not no_locust_watch:
            environment = with_locust_watched(environment, where)
        try:
            status = run_in_foreground(command, environment)
        except OSError as error:
            _say(f"Cannot run {command[0]!r}: {error.strerror}.")
            status = _NOT_RUNNABLE
        if not no_locust_watch:
            wait_left_behind(word, where.shims, _say)
    raise typer.Exit(status)


def _permits(hosts: list[str]) -> "list[Permit]":
    from windtunnel.cloud.gateway.proxy.permits import read_permit

    permits = []
    for text in hosts:
        try:
            permits.append(read_permit(text))
        except ValueError as error:
            raise UsageError(f"--allow-host {text}: {error}.") from error
    if len(permits) > limits.ALLOWED_HOST_COUNT_MAX:
        raise UsageError(f"--allow-host: at most {limits.ALLOWED_HOST_COUNT_MAX} hosts.")
    return permits


def _check_clock(warp: int | None, cloud: CloudRecord) -> None:
    """Refuse a cloud that is up already with another clock."""
    if warp is not None and cloud.warp != warp:
        raise UsageError(
            f"--warp {warp}: the cloud that is up there runs at clock x{cloud.warp:g}. Stop it, or "
            "name another home."
        )


def _refuse(name: str) -> None:
    if "/" in name and Path(name).exists():
        _say(f"Cannot run {name!r}: it is no program that may be executed.")
        raise typer.Exit(_NOT_RUNNABLE)
    _say(f"Cannot run {name!r}: there is no such command.")
    raise typer.Exit(_NOT_FOUND)


def _say(text: str) -> None:
    typer.echo(f"windtunnel: {text}", err=True)
