"""`windtunnel deploy`: from a model archive to an endpoint in service."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from windtunnel.cli import options
from windtunnel.core.errors import WindtunnelError

# A shell's own code for what SIGINT ended.
_INTERRUPTED = 130
_COST_NOTE = (
    "note: instances on AWS cost money until they are removed; this version neither tells how much "
    "nor asks first. Remove them with `windtunnel clean --cloud aws --endpoint-name {name}`."
)


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
        help="Name or ARN of the role the model runs as; needed on AWS.",
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
    env: _EnvironmentOption = None,
    instance_type: _InstanceTypeOption = "ml.c5.large",
    instance_count: _InstanceCountOption = 1,
    image: _ImageOption = None,
    role: _RoleOption = None,
    bucket: _BucketOption = None,
    as_json: options.JsonOption = False,  # noqa: FBT002
    home: options.HomeOption = None,
    cloud: options.CloudOption = "local",
    profile: options.ProfileOption = None,
    region: options.RegionOption = None,
    endpoint_url: options.EndpointUrlOption = None,
) -> None:
    """Upload a model, create its endpoint and wait until it is in service.

    [bold]Example[/bold]: windtunnel deploy model.tar.gz --endpoint-name unet
    --env SAGEMAKER_TFS_INSTANCE_COUNT=2

    With --json, a deployment that fails after making something prints an object
    with "error" and "made" instead.

    Everything made is tagged windtunnel:created-by, so that `windtunnel clean`
    finds it. Nothing that exists is changed: the endpoint must be a new one.

    Exit status: 0 in service; 1 AWS refused something; 2 wrong words or files;
    4 it could not be brought into service; 130 interrupted.
    """
    from windtunnel.cli.progress import StderrProgress
    from windtunnel.lab import deployment

    order = deployment.Order(
        archive=archive,
        endpoint_name=endpoint_name,
        environment=deployment.parse_environment(env or []),
        instance_type=instance_type,
        instance_count=instance_count,
        image=image,
        role=role,
        bucket=bucket,
    )
    deployment.check_order(order)
    target = options.open_target(
        home=home, cloud=cloud, profile=profile, region=region, endpoint_url=endpoint_url
    )
    if target.kind == "aws":
        typer.echo(_COST_NOTE.format(name=endpoint_name), err=True)
    with StderrProgress() as progress:
        work = deployment.Deployment(target, order, progress)
        try:
            deployed = work.run()
        except KeyboardInterrupt:
            progress.done(_leftovers("Interrupted.", work.made, endpoint_name, cloud))
            if as_json and work.made:
                _tell_failure("Interrupted.", work.made)
            raise typer.Exit(_INTERRUPTED) from None
        except WindtunnelError as error:
            if work.made:
                progress.done(_leftovers("It failed.", work.made, endpoint_name, cloud))
                if as_json:
                    _tell_failure(str(error), work.made)
            raise
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(deployed), indent=2))
    else:
        typer.echo(deployed.endpoint_name)


def _tell_failure(what: str, made: list[str]) -> None:
    """Print what a script needs to clean up after a deployment that did not come to its end."""
    typer.echo(json.dumps({"error": what, "made": made}, indent=2))


def _leftovers(what: str, made: list[str], endpoint_name: str, cloud: str) -> str:
    if not made:
        return f"{what} Nothing was made."
    where = "" if cloud == "local" else f" --cloud {cloud}"
    return (
        f"{what} Made so far: {', '.join(made)}. "
        f"Remove it with `windtunnel clean{where} --endpoint-name {endpoint_name}`."
    )
