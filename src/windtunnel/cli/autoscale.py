"""`windtunnel autoscale`: a scalable target and a target-tracking policy for an endpoint."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.cli import asking, options

if TYPE_CHECKING:
    from windtunnel.lab.endpoint import Variant
    from windtunnel.lab.scaling_policy import Proposal, Wanted
    from windtunnel.lab.simulation.capacity import Capacity
    from windtunnel.lab.target import Target

_TARGET = "The target"


@dataclass(frozen=True)
class Aim:
    """What an instance is to have to do, or how that is found."""

    target: Annotated[
        float | None,
        typer.Option(
            "--target",
            metavar="N",
            help="Invocations per instance and minute that the policy keeps; else proposed by "
            "AWS's formula, MAX_RPS x SAFETY_FACTOR x 60.",
            rich_help_panel=_TARGET,
            show_default=False,
        ),
    ] = None
    capacity_rps: Annotated[
        float | None,
        typer.Option(
            "--capacity-rps",
            metavar="R",
            help="MAX_RPS: requests a second that one instance serves.",
            rich_help_panel=_TARGET,
            show_default=False,
        ),
    ] = None
    capacity_from: Annotated[
        Path | None,
        typer.Option(
            "--capacity-from",
            metavar="DIR",
            help="A load run that found it: a search with --capacity, or a single run.",
            rich_help_panel=_TARGET,
            show_default=False,
        ),
    ] = None
    safety_factor: Annotated[
        float,
        typer.Option(
            "--safety-factor",
            metavar="F",
            help="SAFETY_FACTOR: the share of that which an instance is to have to do.",
            rich_help_panel=_TARGET,
        ),
    ] = 0.5

    def capacity(self) -> "Capacity | None":
        """Return what one instance can do, as far as it is said; check the words."""
        from windtunnel.core.errors import UsageError
        from windtunnel.lab.simulation import capacity

        if self.capacity_rps is not None and self.capacity_from is not None:
            raise UsageError("--capacity-rps and --capacity-from say the same: leave one out.")
        if self.target is not None and not 0 < self.target < float("inf"):
            raise UsageError(f"--target {self.target:g} is not above 0.")
        if self.capacity_rps is not None:
            if not 0 < self.capacity_rps < float("inf"):
                raise UsageError(f"--capacity-rps {self.capacity_rps:g} is not above 0.")
            return capacity.given(self.capacity_rps)
        if self.capacity_from is not None:
            return capacity.of_run(self.capacity_from)
        if self.target is None:
            raise UsageError(
                "Say the --target, or what one instance can do: --capacity-rps, or --capacity-from "
                "a run of `windtunnel load ENDPOINT --capacity`."
            )
        return None


def autoscale(
    endpoint_name: Annotated[
        str, typer.Argument(metavar="ENDPOINT", help="The endpoint's name.", show_default=False)
    ],
    aim: Aim,
    where: options.Where,
    capacity_min: Annotated[
        int, typer.Option("--min", metavar="N", help="The fewest instances.")
    ] = 1,
    capacity_max: Annotated[
        int, typer.Option("--max", metavar="N", help="The most instances.")
    ] = 4,
    variant: Annotated[
        str | None,
        typer.Option("--variant", help="The variant; else the only one.", show_default=False),
    ] = None,
    out_cooldown: Annotated[
        str, typer.Option("--out-cooldown", metavar="T", help="The rest after adding instances.")
    ] = "300s",
    in_cooldown: Annotated[
        str, typer.Option("--in-cooldown", metavar="T", help="The rest after removing some.")
    ] = "300s",
    no_scale_in: Annotated[  # noqa: FBT002 - an option
        bool, typer.Option("--no-scale-in", help="Never remove instances.")
    ] = False,
    policy_name: Annotated[
        str | None,
        typer.Option(
            "--policy-name",
            help="The policy's name; else the one that SageMaker's console gives its own.",
            show_default=False,
        ),
    ] = None,
    yes: options.YesOption = False,  # noqa: FBT002
    as_json: options.JsonOption = False,  # noqa: FBT002
) -> None:
    """Let an endpoint's instances follow its traffic: register a target, put a policy.

    [bold]Example[/bold]: windtunnel autoscale unet --min 1 --max 4
    --capacity-from runs/capacity

    Without --target it proposes one and shows its arithmetic; it warns of one
    that could never fire, or always will, and of other policies of the
    variant. Called again, it changes what is there. On AWS it says what the
    most instances cost an hour and asks.

    Exit status: 0 registered; 1 AWS refused something, or you said no; 2 wrong
    words or files; 4 no such endpoint, credentials or cloud.
    """
    from windtunnel.autoscaling import names
    from windtunnel.lab import endpoint as endpoints
    from windtunnel.lab import scaling_policy
    from windtunnel.lab.order import check_endpoint_name

    check_endpoint_name(endpoint_name)
    wanted = scaling_policy.Wanted(
        capacity_min,
        capacity_max,
        _whole_seconds(out_cooldown, "--out-cooldown"),
        _whole_seconds(in_cooldown, "--in-cooldown"),
        policy_name or scaling_policy.POLICY_NAME,
        no_scale_in,
    )
    wanted.check()
    capacity = aim.capacity()
    target = where.open()
    proposal = _proposal(aim, capacity, target)
    value = aim.target if proposal is None else proposal.value
    assert value is not None
    found = endpoints.describe(target, endpoint_name)
    chosen = scaling_policy.variant_of(found, variant)
    resource_id = names.resource_id(found.name, chosen.name)
    told = [
        *scaling_policy.warnings(wanted, value, capacity, target.warp),
        *scaling_policy.other_policies(target, resource_id, wanted.policy_name),
    ]
    for sentence in told:
        typer.echo(f"warning   {sentence}", err=True)
    if target.kind == "aws":
        _ask(target, chosen, wanted, yes=yes)
    words = scaling_policy.words_for(resource_id, wanted, value)
    alarms = scaling_policy.register(target, words)
    if as_json:
        _print_json(words, alarms, proposal, told, target)
    else:
        _print(words, wanted, proposal, value, target)


def _whole_seconds(text: str, option: str) -> int:
    """Return a cooldown; a fraction of a second is refused, because AWS has none."""
    from windtunnel.core.errors import UsageError
    from windtunnel.lab.quantities import parse_duration

    # 2.3m is 138 s, which a float does not know.
    seconds = round(parse_duration(text, option), 6)
    if seconds != int(seconds):
        raise UsageError(f"{option} {text} is no whole number of seconds, which AWS wants.")
    return int(seconds)


def _proposal(aim: Aim, capacity: "Capacity | None", target: "Target") -> "Proposal | None":
    """Return the target that is proposed, None where one was named."""
    from windtunnel.lab import scaling_policy

    if aim.target is not None or capacity is None:
        return None
    return scaling_policy.proposed(capacity, aim.safety_factor, target.warp)


def _ask(target: "Target", variant: "Variant", wanted: "Wanted", *, yes: bool) -> None:
    """Say what the most instances cost, and change nothing without a yes to it."""
    from windtunnel.lab import cost

    for sentence in cost.of_instances(
        target, variant.instance_type, wanted.capacity_max
    ).sentences():
        typer.echo(f"cost      {sentence}", err=True)
    asking.confirm("Register the policy?", yes=yes, what="let it scale at up to that cost")


def _print(
    words: dict[str, dict[str, object]],
    wanted: "Wanted",
    proposal: "Proposal | None",
    value: float,
    target: "Target",
) -> None:
    from windtunnel.lab import scaling_policy

    if proposal is not None:
        typer.echo(f"target    {proposal.arithmetic}")
    scalable = words["ScalableTarget"]
    typer.echo(
        f"scales    {scalable['ResourceId']} between {wanted.capacity_min} and "
        f"{wanted.capacity_max} instances"
    )
    typer.echo(
        f"policy    {wanted.policy_name} keeps {scaling_policy.METRIC} at {value:g}; cooldowns "
        f"{wanted.out_cooldown_s} s out, {wanted.in_cooldown_s} s in"
    )
    for sentence in scaling_policy.alarm_sentences(value, is_in_disabled=wanted.is_in_disabled):
        typer.echo(f"alarm     {sentence}")
    if target.warp != 1:
        typer.echo(f"clock     x{target.warp:g}: a minute lasts {60 / target.warp:g} s there")


def _print_json(
    words: dict[str, object],
    alarms: list[str],
    proposal: "Proposal | None",
    told: list[str],
    target: "Target",
) -> None:
    found = {**words, "Alarms": alarms, "warnings": told}
    if proposal is not None:
        found["arithmetic"] = proposal.arithmetic
    if target.warp != 1:
        found["clock"] = f"x{target.warp:g}"
    typer.echo(json.dumps(found, indent=2))
