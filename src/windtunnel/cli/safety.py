"""The options that keep a load run from costing more, or breaking more, than it was meant to."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.cli import asking
from windtunnel.core.errors import UsageError

if TYPE_CHECKING:
    from windtunnel.lab.load.conductor import Tick
    from windtunnel.lab.load.run import LoadRun

    Watch = Callable[[Tick], str | None]

_SAFETY = "What it may cost and break"
_NEVER = "never"

YesOption = Annotated[
    bool,
    typer.Option(
        "--yes",
        help="Send the load without the endpoint's name being typed (with --cloud aws).",
        rich_help_panel=_SAFETY,
    ),
]
MaxCostOption = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        help="Refuse a run that is likely to cost more: the endpoint's instances, from the warm-up "
        "until the last answer. A local cloud costs nothing.",
        rich_help_panel=_SAFETY,
        show_default=False,
    ),
]
StopOn5xxOption = Annotated[
    str | None,
    typer.Option(
        "--stop-on-5xx",
        metavar="SHARE|never",
        help="End the run as invalid once so many of the last 10 s' answers (of more, where they "
        "come slowly) are 5xx, the model's own included. Else 5% with --cloud aws; a local cloud's "
        "run goes on.",
        rich_help_panel=_SAFETY,
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Safety:
    """What a run may cost and break, and who said so."""

    yes: YesOption = False
    max_cost: MaxCostOption = None
    stop_on_5xx: StopOn5xxOption = None

    def watches(self, cloud: str) -> "Callable[[], Watch]":
        """Return what makes a run's watch, once the options are known to make sense."""
        from windtunnel.lab.load import overload
        from windtunnel.lab.quantities import parse_percent

        if self.max_cost is not None and not 0 <= self.max_cost < math.inf:
            raise UsageError("--max-cost must be an amount of US dollars.")
        share = overload.DEFAULT_SHARE if cloud == "aws" else None
        if self.stop_on_5xx == _NEVER:
            share = None
        elif self.stop_on_5xx is not None:
            share = parse_percent(self.stop_on_5xx, "--stop-on-5xx")
            if share == 0:
                raise UsageError(f"--stop-on-5xx must be more than 0%, or `{_NEVER}`.")
        if share is None:
            return lambda: lambda _tick: None
        return functools.partial(overload.ServerErrorWatch, share)

    def agree(self, run: "LoadRun", lines: "Sequence[str]", *, load_s: float | None = None) -> None:
        """Say what will be sent, what it costs and what else to know; go on if that is agreed to.

        Several runs of a kind take `load_s` together.
        """
        cost = run.cost(load_s)
        for line in lines:
            typer.echo(line, err=True)
        for sentence in cost.sentences() if cost else []:
            typer.echo(f"cost      {sentence}", err=True)
        for note in run.notes():
            typer.echo(f"note      {note}", err=True)
        if cost is None:
            return
        if self.max_cost is not None:
            cost.check(self.max_cost)
        asking.confirm_by_name(
            "Type the endpoint's name to send this load",
            run.plan.endpoint_name,
            yes=self.yes,
            what=f"send this load to {run.plan.endpoint_name}",
        )
