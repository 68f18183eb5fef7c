"""Options that several commands share, each declared once.

Every command that reaches an account takes the group `Where`, and opens it: what AWS account is
meant is said first.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from windtunnel.lab.target import Target

_TARGET = "Where"

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        help="The local cloud's directory; else WINDTUNNEL_HOME, else ~/.windtunnel.",
        rich_help_panel=_TARGET,
        show_default=False,
    ),
]
CloudOption = Annotated[
    str,
    typer.Option(
        "--cloud",
        metavar="local|aws",
        help="local: only the cloud of the home, whatever AWS variables are set. aws: the account "
        "that boto3 finds.",
        rich_help_panel=_TARGET,
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="An AWS profile (with --cloud aws).",
        rich_help_panel=_TARGET,
        show_default=False,
    ),
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        "--region",
        help="The region; else us-east-1, or with --cloud aws the one that boto3 finds.",
        rich_help_panel=_TARGET,
        show_default=False,
    ),
]
EndpointUrlOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url",
        metavar="URL",
        help="An address that stands for every AWS service (with --cloud aws).",
        rich_help_panel=_TARGET,
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the result on stdout as one JSON object.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Answer every question with yes.")]
PayloadOption = Annotated[
    Path,
    typer.Option(
        "--payload", metavar="FILE", help="The request's body, sent as it is.", show_default=False
    ),
]
ContentTypeOption = Annotated[
    str | None,
    typer.Option(
        "--content-type",
        metavar="TYPE",
        help="What the body is; else what its name says (.json, .csv, .jsonl, .npy), else "
        "application/json.",
        show_default=False,
    ),
]
AcceptOption = Annotated[
    str | None,
    typer.Option("--accept", metavar="TYPE", help="What the answer should be.", show_default=False),
]


@dataclass(frozen=True)
class Where:
    """Whose endpoints are meant: the local cloud of a home, or an AWS account."""

    home: HomeOption = None
    cloud: CloudOption = "local"
    profile: ProfileOption = None
    region: RegionOption = None
    endpoint_url: EndpointUrlOption = None

    def open(self) -> "Target":
        """Return the target the options name; say on stderr which account, where it is AWS."""
        from windtunnel.lab import target

        opened = target.open_target(target.TargetOptions(**self.__dict__))
        if opened.kind == "aws":
            address = opened.endpoint_url or "AWS's own addresses"
            typer.echo(f"account {opened.account}, region {opened.region}, {address}", err=True)
        return opened
