"""`windtunnel deploy`: from a model archive to an endpoint in service.

On AWS it says what that costs and asks first, and whatever ends it before the endpoint is in
service, what it made is removed again. On a local cloud, where nothing costs, what was made is
left to be looked at.
"""

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.cli import asking, endings, options

if TYPE_CHECKING:
    from windtunnel.cli.progress import StderrProgress
    from windtunnel.lab.deployment import Deployed, Deployment
    from windtunnel.lab.order import Order
    from windtunnel.lab.target import Target


_ArchiveArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL.tar.gz", help="A SavedModel, packed for SageMaker.", show_default=False
    ),
]
_EndpointNameOption = Annotated[
    str, typer.Option("--endpoint-name", help="The endpoint's name.", show_default=False)
]
_EnvironmentOption = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="KEY=VALUE",
        help="A variable of the container; give it as often as needed.",
        show_default=False,
    ),
]
_InstanceTypeOption = Annotated[
    str, typer.Option("--instance-type", help="What to run it on, or to stand in for.")
]
_InstanceCountOption = Annotated[
    int, typer.Option("--instance-count", metavar="N", help="How many instances.")
]
_ImageOption = Annotated[
    str | None,
    typer.Option(
        "--image",
        help="The container image; else AWS's TensorFlow image of the region.",
        show_default=False,
    ),
]
_RoleOption = Annotated[
    str | None,
    typer.Option(
        "--role",
        help="Name or ARN of the role the model runs as; else, on AWS, the role that you assumed.",
        show_default=False,
    ),
]
_BucketOption = Annotated[
    str | None,
    typer.Option(
        "--bucket",
        help="Where the archive goes; else sagemaker-REGION-ACCOUNT, made where missing.",
        show_default=False,
    ),
]


def deploy(
    archive: _ArchiveArgument,
    endpoint_name: _EndpointNameOption,
    where: options.Where,
    env: _EnvironmentOption = None,
    instance_type: _InstanceTypeOption = "ml.c5.large",
    instance_count: _InstanceCountOption = 1,
    image: _ImageOption = None,
    role: _RoleOption = None,
    bucket: _BucketOption = None,
    yes: options.YesOption = False,  # noqa: FBT002
    as_json: options.JsonOption = False,  # noqa: FBT002
) -> None:
    """Upload a model, create its endpoint and wait until it is in service.

    [bold]Example[/bold]: windtunnel deploy model.tar.gz --endpoint-name unet
    --env SAGEMAKER_TFS_INSTANCE_COUNT=2

    With --json, a deployment that fails after making something prints an object
    with "error" and "made", what is still there, instead.

    Everything made is tagged windtunnel:created-by, so that `windtunnel clean`
    finds it. Nothing that exists is changed: the endpoint must be a new one.

    On AWS it says what the instances cost an hour and asks; where nobody can
    answer (no terminal), it wants --yes. What it made is removed when it fails
    or is interrupted.

    Exit status: 0 in service; 1 AWS refused something, or you said no; 2 wrong
    words or files; 4 it could not be brought into service; 130 interrupted.
    """
    from windtunnel.cli.progress import StderrProgress
    from windtunnel.lab.deployment import Deployment
    from windtunnel.lab.order import Order, check_order, parse_environment

    order = Order(
        archive=archive,
        endpoint_name=endpoint_name,
        environment=parse_environment(env or []),
        instance_type=instance_type,
        instance_count=instance_count,
        image=image,
        role=role,
        bucket=bucket,
    )
    check_order(order, cloud=where.cloud)
    target = where.open()
    progress = StderrProgress()
    work = Deployment(target, order, progress)
    work.prepare()
    if target.kind == "aws":
        _ask(target, order, yes=yes)
    with progress, endings.raised() if target.kind == "aws" else contextlib.nullcontext():
        deployed = _carry_out(work, target, order, progress, as_json=as_json)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(deployed), indent=2))
    else:
        typer.echo(deployed.endpoint_name)


def _ask(target: "Target", order: "Order", *, yes: bool) -> None:
    """Say what an hour costs, and make nothing without a yes to it."""
    from windtunnel.lab import cost

    for sentence in cost.of_instances(
        target, order.instance_type, order.instance_count
    ).sentences():
        typer.echo(f"cost      {sentence}", err=True)
    asking.confirm("Create the endpoint?", yes=yes, what="create it at that cost")


def _carry_out(
    work: "Deployment",
    target: "Target",
    order: "Order",
    progress: "StderrProgress",
    *,
    as_json: bool,
) -> "Deployed":
    """Run a deployment; when it does not get there, say what is left of it."""
    try:
        return work.run()
    except BaseException as error:
        is_interrupt = isinstance(error, KeyboardInterrupt)
        what = "Interrupted." if is_interrupt else "It failed."
        bucket = f" --bucket {order.bucket}" if order.bucket else ""
        words = f"{target.words} --endpoint-name {order.endpoint_name}{bucket}"
        command = f"`windtunnel clean{words}`"
        if target.kind == "aws":
            left = _undo(work, progress, what, command)
        else:
            left = work.made
            if left or is_interrupt:
                progress.done(_leftovers(what, left, command))
        if as_json and left:
            _tell_failure(what if is_interrupt else str(error), left)
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(endings.exit_code(error)) from None
        raise


def _undo(work: "Deployment", progress: "StderrProgress", what: str, command: str) -> list[str]:
    """Remove what was made; say, and return, what could not be."""
    if not work.left():
        progress.done(f"{what} Nothing was made.")
        return []
    try:
        progress.done(f"{what} Removing what was made; a second interrupt leaves it.")
        work.undo()
    except KeyboardInterrupt:
        progress.done(_leftovers("Interrupted again.", work.left(), command))
    except Exception as error:  # noqa: BLE001 - whatever it was, what is left is to be told
        progress.done(_leftovers(f"It could not all be removed: {error}", work.left(), command))
    else:
        progress.done("Nothing of it is left.")
    return work.left()


def _tell_failure(what: str, made: list[str]) -> None:
    """Print what a script needs to clean up after a deployment that did not come to its end."""
    typer.echo(json.dumps({"error": what, "made": made}, indent=2))


def _leftovers(what: str, made: list[str], command: str) -> str:
    if not made:
        return f"{what} Nothing was made."
    return f"{what} Made so far: {', '.join(made)}. Remove it with {command}."
