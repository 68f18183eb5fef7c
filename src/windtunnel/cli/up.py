"""`windtunnel up`: the local cloud in the foreground."""

import importlib.util
import logging
import os
import random
import re
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from windtunnel.core import limits
from windtunnel.core.errors import NotReadyError, UsageError
from windtunnel.core.home import Home
from windtunnel.core.lifeline import join_parent

_LOOPBACK_HOSTS = frozenset(("127.0.0.1", "localhost", "::1"))
_PORT_MAX = 65_535
# botocore's own rule for a region is a valid host label; AWS's all read like this one.
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}")
# Above instances (nice 5 and more), so that a loaded machine delays the models and not the door.
_GATEWAY_NICE = -5
# What divides 60: what CloudWatch keeps, it keeps by the second (`cloud/tempo.py`).
_WARPS = [number for number in range(1, 61) if 60 % number == 0]


def check_warp(warp: int) -> None:
    """Refuse a --warp that no minute can be divided by."""
    if warp not in _WARPS:
        raise UsageError(f"--warp is one of {', '.join(map(str, _WARPS))}, not {warp}.")


def up(
    home: Annotated[
        Path | None, typer.Option(help="The home: where everything lies (default ~/.windtunnel).")
    ] = None,
    port: Annotated[int, typer.Option(help="The port to answer on; 0 picks a free one.")] = 0,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    region: Annotated[str, typer.Option(help="The region that ARNs name.")] = "us-east-1",
    payload_limit: Annotated[
        int,
        typer.Option(help="The largest InvokeEndpoint body in bytes; AWS's own by default."),
    ] = limits.INVOKE_BODY_BYTES_MAX,
    startup: Annotated[
        str,
        typer.Option(
            metavar="instant|aws",
            help="instant: as fast as this machine can. aws: instances take as long to start as on "
            "AWS, metrics and logs come as late, control calls are throttled.",
        ),
    ] = "instant",
    warp: Annotated[
        int,
        typer.Option(
            "--warp",
            metavar="K",
            help="Let scaling's time pass K times as fast: alarm periods, cooldowns and rates of "
            "schedules last 1/K as long. Counts, timestamps and all else stay as they are. K "
            "divides 60.",
        ),
    ] = 1,
) -> None:
    """Run the local cloud: SageMaker, its runtime, Application Auto Scaling, S3 and more, here.

    It stays in the foreground and prints `ready http://127.0.0.1:PORT` on stdout when it answers.
    Everything it knows lies in the home; the next `up` brings its endpoints back.

    Then, in another terminal:  eval "$(windtunnel env)"
    """
    # A cloud that `run` started ends with it, however that ends.
    lifeline = join_parent(signal.SIGTERM)
    _check(port, region, payload_limit, startup, warp)
    if importlib.util.find_spec("uvloop") is None or importlib.util.find_spec("httptools") is None:
        raise NotReadyError(
            'The local cloud is not installed here: pip install "windtunnel[local]".'
        )
    import uvloop

    from windtunnel.cloud.app import Options, run
    from windtunnel.cloud.pace import INSTANT, as_on_aws
    from windtunnel.cloud.tempo import Tempo
    from windtunnel.core.allocator import keep_freed_memory

    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    keep_freed_memory()
    where = Home.resolve(home)
    typer.echo(f"Windtunnel local cloud, home {where.path}, region {region}.", err=True)
    # How long things take is no secret.
    pace = INSTANT if startup == "instant" else as_on_aws(random.Random())  # noqa: S311
    typer.echo(
        f"{pace.sentence()}; each instance is a stand-in on this machine's {os.cpu_count()} cores.",
        err=True,
    )
    tempo = Tempo(warp)
    if tempo.is_warped:
        typer.echo(tempo.sentence(), err=True)
    if host not in _LOOPBACK_HOSTS:
        typer.echo(
            f"Listening on {host}: whoever reaches it and holds this home's key runs code here.",
            err=True,
        )
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.nice(_GATEWAY_NICE)
    uvloop.run(run(Options(where, host, port, region, payload_limit, lifeline, pace, tempo)))


def _check(port: int, region: str, payload_limit: int, startup: str, warp: int) -> None:
    if not 0 <= port <= _PORT_MAX:
        raise UsageError(f"--port {port}: a port is a number from 0 to {_PORT_MAX}.")
    if not _REGION.fullmatch(region):
        raise UsageError(f"--region {region}: AWS's regions read like us-east-1.")
    if payload_limit < 1:
        raise UsageError("--payload-limit must be at least 1 byte.")
    if startup not in {"instant", "aws"}:
        raise UsageError(f"--startup is `instant` or `aws`, not {startup!r}.")
    check_warp(warp)
    if warp > 1 and startup == "aws":
        raise UsageError(
            "--warp goes with --startup instant: how long AWS takes to start instances and to "
            "show metrics is not warped."
        )
