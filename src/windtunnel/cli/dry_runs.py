"""The options of `windtunnel simulate`: what is played, what is taken as given, what is varied."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from windtunnel.autoscaling.circumstances import Circumstances, Range
    from windtunnel.lab.simulation.capacity import Capacity
    from windtunnel.lab.simulation.play import Grid

_AROUND = "What is taken as given"
_SWEEP = "Many policies"
_ENDPOINT = "An endpoint's own past"


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
    price: Annotated[
        float | None,
        typer.Option(
            "--price",
            metavar="USD",
            help="What an hour of an instance costs, where its price is not known here.",
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

    def circumstances(self, capacity: "Capacity", *, is_instant: bool) -> "Circumstances":
        """Return what the simulation takes as given: AWS's times, or a local cloud's."""
        from windtunnel.autoscaling import circumstances
        from windtunnel.lab.quantities import parse_duration

        service_s = capacity.service_s
        if self.service_time is not None:
            service_s = parse_duration(self.service_time, "service time")
        usual = circumstances.IN_LOCAL_CLOUD if is_instant else circumstances.ON_AWS
        delay, start_up, removal = usual
        return circumstances.Circumstances(
            capacity.rps,
            _range(self.metric_delay, "--metric-delay", delay),
            _range(self.start_up, "--start-up", start_up),
            _range(self.removal, "--removal", removal),
            service_s,
            self.seed,
        )


@dataclass(frozen=True)
class Variations:
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


@dataclass(frozen=True)
class Past:
    """An endpoint whose traffic, policies and activities are taken."""

    from_endpoint: Annotated[
        str | None,
        typer.Option(
            "--from-endpoint",
            metavar="NAME[/VARIANT]",
            help="Take the traffic from an endpoint's CloudWatch minutes in the place of --trace, "
            "and its own policies where no --policy is given.",
            rich_help_panel=_ENDPOINT,
            show_default=False,
        ),
    ] = None
    days: Annotated[
        float,
        typer.Option(
            "--days",
            metavar="N",
            help="How far back, at most; CloudWatch keeps minutes for 15 days.",
            rich_help_panel=_ENDPOINT,
        ),
    ] = 1.0
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Say how many of the predicted activities fall within a minute of a real one.",
            rich_help_panel=_ENDPOINT,
        ),
    ] = False


def grid_of(grid: Variations) -> "Grid | None":
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
    is_cooldown = "cooldown" in name
    least = 0 if is_cooldown else 1e-9
    if not all(least <= each < float("inf") for each in found):
        raise UsageError(f"{name} {text!r} has a value that makes no sense there.")
    if is_cooldown and not all(map(float.is_integer, found)):
        raise UsageError(f"{name} {text!r}: AWS takes cooldowns of whole seconds only.")
    return found


def _range(text: str | None, name: str, usual: "Range") -> "Range":
    from windtunnel.autoscaling.circumstances import Range
    from windtunnel.lab.quantities import parse_duration

    if text is None:
        return usual
    # A dash at the very beginning is a sign, which is refused with the whole of it.
    low, dash, high = text[1:].partition("-")
    low = text[:1] + low
    low_s = parse_duration(low, name)
    return Range(low_s, parse_duration(high, name) if dash else low_s, name)
