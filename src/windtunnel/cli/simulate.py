"""`windtunnel simulate`: a scaling policy's dry run over recorded traffic."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.cli import options

if TYPE_CHECKING:
    from windtunnel.autoscaling.circumstances import Circumstances, Range
    from windtunnel.lab.simulation.capacity import Capacity
    from windtunnel.lab.simulation.result import Simulated

_AROUND = "What is taken as given"
_SWEEP = "Many policies"
_SHOWN = 10


@dataclass(frozen=True)
class Around:
    """What surrounds the policies."""

    capacity_rps: Annotated[
        float | None,
        typer.Option(
            "--capacity-rps",
            metavar="R",
            help="Requests a second that one instance serves.",
            rich_help_panel=_AROUND,
            show_default=False,
        ),
    ] = None
    capacity_from: Annotated[
        Path | None,
        typer.Option(
            "--capacity-from",
            metavar="DIR",
            help="A load run that found it: a search with --capacity, or a single run.",
            rich_help_panel=_AROUND,
            show_default=False,
        ),
    ] = None
    service_time: Annotated[
        str | None,
        typer.Option(
            "--service-time",
            metavar="T",
            help="How long a request is in the container, for metrics of concurrency; else as in "
            "the load run.",
            rich_help_panel=_AROUND,
            show_default=False,
        ),
    ] = None
    metric_delay: Annotated[
        str | None,
        typer.Option(
            "--metric-delay",
            metavar="T[-T]",
            help="How late a metric is: 60s, or drawn from 60s-180s. Else as on AWS.",
            rich_help_panel=_AROUND,
            show_default=False,
        ),
    ] = None
    start_up: Annotated[
        str | None,
        typer.Option(
            "--start-up",
            metavar="T[-T]",
            help="From a decision until a new instance serves. Else as on AWS.",
            rich_help_panel=_AROUND,
            show_default=False,
        ),
    ] = None
    removal: Annotated[
        str | None,
        typer.Option(
            "--removal",
            metavar="T[-T]",
            help="From a decision until an instance is gone and no longer charged.",
            rich_help_panel=_AROUND,
            show_default=False,
        ),
    ] = None
    instance_type: Annotated[
        str | None,
        typer.Option(
            "--instance-type",
            metavar="TYPE",
            help="The ml.* type whose price turns hours into dollars.",
            rich_help_panel=_AROUND,
            show_default=False,
        ),
    ] = None
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", help="Of what is drawn.", rich_help_panel=_AROUND),
    ] = 0

    def capacity(self) -> "Capacity":
        """Return what one instance can do."""
        from windtunnel.core.errors import UsageError
        from windtunnel.lab.simulation import capacity

        if (self.capacity_rps is None) == (self.capacity_from is None):
            raise UsageError(
                "Say what one instance can do, once: --capacity-rps R, or --capacity-from DIR."
            )
        if self.capacity_from is not None:
            return capacity.of_run(self.capacity_from)
        assert self.capacity_rps is not None
        return capacity.given(self.capacity_rps)

    def circumstances(self, capacity: "Capacity") -> "Circumstances":
        """Return what the simulation takes as given."""
        from windtunnel.autoscaling import circumstances
        from windtunnel.lab.quantities import parse_duration

        service_s = capacity.service_s
        if self.service_time is not None:
            service_s = parse_duration(self.service_time, "service time")
        return circumstances.Circumstances(
            capacity.rps,
            _range(self.metric_delay, "--metric-delay", circumstances.METRIC_DELAY),
            _range(self.start_up, "--start-up", circumstances.START_UP),
            _range(self.removal, "--removal", circumstances.REMOVAL),
            service_s,
            self.seed,
        )


@dataclass(frozen=True)
class Grid:
    """Which policies are played beside those of the files."""

    sweep: Annotated[
        bool,
        typer.Option(
            "--sweep",
            help="Vary the policy's target and cooldowns, over a grid that nobody had to name.",
            rich_help_panel=_SWEEP,
        ),
    ] = False
    targets: Annotated[
        str | None,
        typer.Option(
            "--targets",
            metavar="A,B,…",
            help="Targets to try, of the policy's metric.",
            rich_help_panel=_SWEEP,
            show_default=False,
        ),
    ] = None
    out_cooldowns: Annotated[
        str | None,
        typer.Option(
            "--out-cooldowns",
            metavar="S,S,…",
            help="Scale-out cooldowns to try, in seconds.",
            rich_help_panel=_SWEEP,
            show_default=False,
        ),
    ] = None
    in_cooldowns: Annotated[
        str | None,
        typer.Option(
            "--in-cooldowns",
            metavar="S,S,…",
            help="Scale-in cooldowns to try, in seconds.",
            rich_help_panel=_SWEEP,
            show_default=False,
        ),
    ] = None
    objective: Annotated[
        str | None,
        typer.Option(
            "--objective",
            metavar="over=1%",
            help="Recommend the cheapest policy of which no larger share of requests comes when "
            "there is no capacity. It is chosen on the first two thirds of the days.",
            rich_help_panel=_SWEEP,
            show_default=False,
        ),
    ] = None
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            metavar="P",
            help="Processes; else one a core.",
            min=1,
            rich_help_panel=_SWEEP,
            show_default=False,
        ),
    ] = None


def simulate(
    policy: Annotated[
        list[Path],
        typer.Option(
            "--policy",
            metavar="FILE",
            help="JSON as boto3 takes it: a target-tracking configuration, put_scaling_policy's "
            "words, or a target with its policies, alarms and scheduled actions. Give it as often "
            "as there are policies to compare.",
            show_default=False,
        ),
    ],
    trace: Annotated[
        Path,
        typer.Option(
            "--trace",
            metavar="FILE",
            help="Recorded traffic: CSV of `period,count`, or one moment a line; may be .gz.",
            show_default=False,
        ),
    ],
    around: Around,
    grid: Grid,
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

    if out is not None:
        result.prepare(out)
    simulated = _simulate(
        policy, trace, around, grid, (capacity_min, capacity_max), _resource(endpoint)
    )
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


def _simulate(
    paths: list[Path],
    trace: Path,
    around: Around,
    grid: Grid,
    bounds: tuple[int | None, int | None],
    resource_id: str | None,
) -> "Simulated":
    from windtunnel.lab.simulation import policies, traces
    from windtunnel.lab.simulation.play import play

    capacity = around.capacity()
    circumstances = around.circumstances(capacity)
    asked = [policies.read(path, *bounds, resource_id) for path in paths]
    read = traces.read(trace)
    for note in read.notes:
        typer.echo(f"note      {trace}: {note}", err=True)
    return play(
        str(trace),
        read,
        capacity,
        circumstances,
        asked,
        grid=_grid(grid),
        objective=grid.objective,
        instance_type=around.instance_type,
        processes=grid.processes,
        on_done=_tell,
    )


def _tell(done: int, of: int) -> None:
    """Say every hundredth policy; a handful needs no saying."""
    if done % 100 == 0:
        typer.echo(f"played    {done:,} of {of:,} policies", err=True)


def _grid(grid: Grid) -> tuple[list[float] | None, list[float] | None, list[float] | None] | None:
    """Return the values to vary, None where nothing is; of a part left out, what suits it."""
    parts = (grid.targets, grid.out_cooldowns, grid.in_cooldowns)
    if not grid.sweep and not any(parts):
        return None
    names = ("--targets", "--out-cooldowns", "--in-cooldowns")
    found = [
        None if text is None else _numbers(text, name)
        for text, name in zip(parts, names, strict=True)
    ]
    return (found[0], found[1], found[2])


def _numbers(text: str, name: str) -> list[float]:
    from windtunnel.core.errors import UsageError

    try:
        found = [float(each) for each in text.split(",")]
    except ValueError:
        raise UsageError(f"{name} {text!r} is not a list of numbers: write 50,60,70.") from None
    least = 0 if "cooldown" in name else 1e-9
    if not all(least <= each < float("inf") for each in found):
        raise UsageError(f"{name} {text!r} has a value that makes no sense there.")
    return found


def _range(text: str | None, name: str, usual: "Range") -> "Range":
    from windtunnel.autoscaling.circumstances import Range
    from windtunnel.lab.quantities import parse_duration

    if text is None:
        return usual
    low, dash, high = text.partition("-")
    low_s = parse_duration(low, name)
    return Range(low_s, parse_duration(high, name) if dash else low_s, name)


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
    stick = simulated.yardstick
    days = " on the days that chose nothing" if stick.is_held_out else ""
    name = simulated.asked[simulated.shown].setup.name
    lines.append(
        f"beside    a clairvoyant with as many misses: {name} took {stick.ratio:.2f} times its "
        f"instance-hours{days}"
    )
    lines.append(f"cost      {simulated.rate.remark}")
    return lines


def _choice(simulated: "Simulated") -> str:
    found = simulated.recommendation
    assert found is not None
    if found.index is None:
        return found.sentence
    return f"{simulated.asked[found.index].setup.name}: {found.sentence}"
