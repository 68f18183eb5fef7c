"""`windtunnel simulate`: a scaling policy's dry run over recorded traffic."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.cli import options
from windtunnel.cli.dry_runs import Around, Past, Variations, grid_of
from windtunnel.cli.options import Where
from windtunnel.core.errors import UsageError

if TYPE_CHECKING:
    from windtunnel.lab.simulation.history import History
    from windtunnel.lab.simulation.policies import Asked
    from windtunnel.lab.simulation.result import Simulated
    from windtunnel.lab.target import Target

_SHOWN = 10
# Often enough to be seen to go on; `windtunnel load` speaks as often.
_TOLD_EVERY_S = 5.0


def simulate(
    around: Around,
    variations: Variations,
    past: Past,
    where: Where,
    policy: Annotated[
        list[Path] | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="JSON as boto3 takes it: a target-tracking configuration, put_scaling_policy's "
            "words, or a target with its policies, alarms and scheduled actions. Give it as often "
            "as there are policies to compare.",
            show_default=False,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            "--trace",
            metavar="FILE",
            help="Recorded traffic: CSV of `period,count`, or one moment a line; may be .gz.",
            show_default=False,
        ),
    ] = None,
    capacity_min: Annotated[
        int | None, typer.Option("--min", metavar="N", help="Instances.", show_default=False)
    ] = None,
    capacity_max: Annotated[
        int | None, typer.Option("--max", metavar="N", help="Instances.", show_default=False)
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            metavar="NAME[/VARIANT]",
            help="Whose policy it will be, in the words for boto3.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where the result is kept, with a page and the policy; a new or empty directory.",
            show_default=False,
        ),
    ] = None,
    as_json: options.JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Play scaling policies over recorded traffic, without an account or an endpoint.

    [bold]Example[/bold]: windtunnel simulate --policy policy.json --trace week.csv --capacity-rps 12 --max 20

    Alarms, cooldowns and arithmetic are those that the local cloud scales by;
    how late metrics are and how long instances take is as on AWS, with its
    source, unless you know better. Figures are of this simulation, not of AWS.
    """  # noqa: E501
    from windtunnel.lab.simulation import page, result

    _check(policy, trace, past)
    if out is not None:
        result.prepare(out)
    bounds = (capacity_min, capacity_max)
    simulated = _simulate(policy or [], trace, around, variations, past, where, bounds, endpoint)
    kept = result.record(simulated)
    if out is not None:
        result.write(simulated, kept, page.render(simulated), out)
    if as_json:
        typer.echo(json.dumps(kept, indent=2))
        return
    for line in _lines(simulated):
        typer.echo(line)
    if out is not None:
        typer.echo(f"report    {out / 'report.html'}")


def _check(policy: list[Path] | None, trace: Path | None, past: Past) -> None:
    if (trace is None) == (past.from_endpoint is None):
        raise UsageError(
            "Say where the traffic is from, once: --trace FILE or --from-endpoint NAME."
        )
    if past.from_endpoint is None:
        if not policy:
            raise UsageError("Say which policy is played: --policy FILE.")
        if past.verify:
            raise UsageError("--verify needs an endpoint's activities: --from-endpoint NAME.")


def _simulate(
    paths: list[Path],
    trace: Path | None,
    around: Around,
    variations: Variations,
    past: Past,
    where: Where,
    bounds: tuple[int | None, int | None],
    endpoint: str | None,
) -> "Simulated":
    from windtunnel.lab.simulation import history, policies, traces
    from windtunnel.lab.simulation.play import play

    capacity = around.capacity()
    target = None if trace is not None else _source(where)
    circumstances = around.circumstances(
        capacity, is_instant=target is not None and target.is_instant
    )
    resource_id = _resource(endpoint or past.from_endpoint)
    asked = [policies.read(path, *bounds, resource_id) for path in paths]
    found: History | None = None
    if trace is not None:
        name, read = str(trace), traces.read(trace)
    else:
        assert past.from_endpoint is not None
        assert target is not None
        name = f"endpoint {past.from_endpoint}"
        variant = past.from_endpoint.partition("/")[2] or "AllTraffic"
        told = past.from_endpoint.partition("/")[0]
        found = history.read(target, told, variant, past.days, time.time())
        read = found.trace
        asked = policies_of(found, asked, name, bounds, resource_id)
    for note in read.notes:
        typer.echo(f"note      {name}: {note}", err=True)
    simulated = play(
        name,
        read,
        capacity,
        circumstances,
        asked,
        grid=grid_of(variations),
        objective=variations.objective,
        instance_type=around.instance_type,
        price=around.price,
        processes=variations.processes,
        on_done=_Told(),
    )
    for warning in simulated.warnings:
        typer.echo(f"warning   {warning}", err=True)
    if found is None or not past.verify:
        return simulated
    predicted = [
        history.Activity(each.decision.at_s, each.decision.desired, each.decision.is_out)
        for each in simulated.timeline.changes
    ]
    demand = found.trace.demand
    end_s = demand.start_s + len(demand.counts) * demand.period_s
    verification = history.verify(predicted, found.activities, end_s)
    return replace(simulated, verification=verification)


def _source(where: Where) -> "Target":
    """Return what an endpoint's past is asked of."""
    target = where.open()
    if target.warp != 1:
        raise UsageError(
            f"The cloud there runs at clock x{target.warp:g}: its policies go by minutes of "
            f"{60 / target.warp:g} s, and CloudWatch has whole ones. Take the past of an endpoint "
            "in a cloud without --warp."
        )
    return target


def policies_of(
    found: "History",
    asked: "list[Asked]",
    name: str,
    bounds: tuple[int | None, int | None],
    resource_id: str | None,
) -> "list[Asked]":
    """Return the policies to play: the files', else the endpoint's own; from what it began with."""
    from windtunnel.lab.simulation import policies

    if not asked:
        if not found.words["ScalingPolicies"]:
            raise UsageError(f"The {name} has no scaling policy: name one with --policy FILE.")
        asked = [
            policies.of_words(dict(found.words), name, f"policy of {name}", bounds, resource_id)
        ]
    return [replace(each, setup=replace(each.setup, initial=found.initial)) for each in asked]


class _Told:
    """Says how many policies are played and what time is left, every few seconds."""

    def __init__(self) -> None:
        self._begin_s = self._said_s = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        from windtunnel.lab.quantities import format_duration

        now_s = time.monotonic()
        if now_s < self._said_s + _TOLD_EVERY_S or done == of:
            return
        self._said_s = now_s
        left_s = (now_s - self._begin_s) / done * (of - done)
        left = format_duration(max(1.0, round(left_s)))
        typer.echo(f"played    {done:,} of {of:,} policies, {left} left", err=True)


def _resource(endpoint: str | None) -> str | None:
    if endpoint is None:
        return None
    name, _, variant = endpoint.partition("/")
    return f"endpoint/{name}/variant/{variant or 'AllTraffic'}"


def _lines(simulated: "Simulated") -> list[str]:
    """Return what a simulation came to, as a person reads it."""
    from windtunnel.lab.quantities import format_duration, format_percent, format_rate, format_usd
    from windtunnel.lab.simulation import result

    demand = simulated.demand
    length = format_duration(len(demand.counts) * demand.period_s)
    source = f"{simulated.capacity.source}; {simulated.capacity.fidelity}"
    lines = [
        f"clock     simulated: {length} of traffic, {demand.counts.sum():,.0f} requests",
        f"capacity  {format_rate(simulated.capacity.rps)} requests/s an instance ({source})",
    ]
    order = result.order(simulated)
    for at in order[:_SHOWN]:
        outcome = simulated.played[at].whole
        usd = simulated.rate.usd(outcome.instance_hours)
        violated = format_duration(outcome.violation_s) if outcome.violation_s else "no time"
        lines.append(
            f"policy    {simulated.asked[at].setup.name}: {outcome.instance_hours:,.5g} "
            f"instance-hours{'' if usd is None else f' ({format_usd(round(usd, 2))})'}, "
            f"{format_percent(outcome.share_over)} of requests over capacity, {violated} in "
            f"violation, {outcome.changes:,} changes, at most {outcome.peak:,} instances"
        )
    if len(order) > _SHOWN:
        lines.append(f"policy    and {len(order) - _SHOWN:,} more (--json, or --out DIR)")
    found = simulated.recommendation
    if found is not None:
        lines.append(f"choice    {_choice(simulated)}")
    if (safer := result.safer(simulated)) is not None:
        lines.append(f"safer     {safer}")
    stick = simulated.yardstick
    days = " on the days that chose nothing" if stick.is_held_out else ""
    name = simulated.asked[simulated.shown].setup.name
    lines.append(
        f"beside    a clairvoyant with as many misses: {name} took {stick.ratio:.2f} times its "
        f"instance-hours{days}"
    )
    if simulated.verification is not None:
        lines.append(f"verify    {simulated.verification.sentence}")
    lines.append(f"cost      {simulated.rate.remark}")
    return lines


def _choice(simulated: "Simulated") -> str:
    found = simulated.recommendation
    assert found is not None
    if found.index is None:
        return found.sentence
    return f"{simulated.asked[found.index].setup.name}: {found.sentence}"
