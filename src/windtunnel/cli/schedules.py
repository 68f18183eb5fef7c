"""The options of `windtunnel load` that say when requests are sent, and the schedule they make.

There are two kinds of load, and each option belongs to one or to both: one that is given with the
other kind is refused by name, as it would else be ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from windtunnel.lab.load.plan import ClosedSchedule, Schedule
    from windtunnel.lab.load.trace import Trace

_PANEL = "When requests are sent"

UsersOption = Annotated[
    int | None,
    typer.Option(
        "--users",
        metavar="N",
        help="N users send requests, each when its last one was answered.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--rate",
        metavar="R",
        help="R requests are due a second, whatever becomes of the others; request i at i/R. With "
        "--stages: the rate they start from, else 0.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
StagesOption = Annotated[
    str | None,
    typer.Option(
        "--stages",
        metavar="T:R,…",
        help="A rate that changes: 30s:50,1m:200 goes to 50 requests a second within 30 s, then to "
        "200 within 1 m. 0s:50 is a jump.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
TraceOption = Annotated[
    Path | None,
    typer.Option(
        "--trace",
        metavar="FILE",
        help="Replay recorded traffic: CSV of `period,count` (periods as 1998-04-30 21:30:00), or "
        "one moment a line in seconds; may be .gz.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
DurationOption = Annotated[
    str | None,
    typer.Option(
        "--duration",
        metavar="T",
        help="How long to measure: 30s, 1m30s. The warm-up comes on top. Stages have their own; a "
        "trace is cut there.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
WarmupOption = Annotated[
    str | None,
    typer.Option(
        "--warmup",
        metavar="T",
        help="How long to send before measuring. Else: with users, until a second after the last "
        "one started; with --rate, a second; with stages and a trace, of which it is the "
        "beginning, nothing.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
SpawnRateOption = Annotated[
    float | None,
    typer.Option(
        "--spawn-rate",
        metavar="R",
        help="Users started a second; else all at once.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
ArrivalsOption = Annotated[
    str | None,
    typer.Option(
        "--arrivals",
        metavar="constant|poisson",
        help="How requests at a rate are spread: evenly (else), or by chance, as those of many "
        "independent clients are.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Of poisson arrivals: the same number, the same moments. Else 0.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
TraceFromOption = Annotated[
    str | None,
    typer.Option(
        "--trace-from",
        metavar="PERIOD",
        help="Start at the first period of the trace whose name begins so: 1998-06-30, say.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
TraceScaleOption = Annotated[
    float | None,
    typer.Option(
        "--trace-scale",
        metavar="F",
        help="Multiply the trace's counts.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
TraceSpeedOption = Annotated[
    float | None,
    typer.Option(
        "--trace-speed",
        metavar="K",
        help="Let the trace's time pass K times as fast: the same requests, K times as dense.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]


@dataclass(frozen=True)
class When:
    """When requests are sent, as the command line says it."""

    users: UsersOption = None
    rate: RateOption = None
    stages: StagesOption = None
    trace: TraceOption = None
    duration: DurationOption = None
    spawn_rate: SpawnRateOption = None
    arrivals: ArrivalsOption = None
    seed: SeedOption = None
    trace_from: TraceFromOption = None
    trace_scale: TraceScaleOption = None
    trace_speed: TraceSpeedOption = None
    warmup: WarmupOption = None

    def schedule(self, processes: int) -> "Schedule":
        """Return the schedule that the options name, or say which of them do not go together."""
        from windtunnel.core.errors import UsageError
        from windtunnel.lab.load import plan
        from windtunnel.lab.load.open_schedule import open_schedule
        from windtunnel.lab.quantities import parse_duration

        load = self._check()
        if self.seed is not None and self.arrivals != "poisson":
            raise UsageError("--seed goes with --arrivals poisson.")
        warmup_s = None if self.warmup is None else parse_duration(self.warmup, "--warmup")
        duration_s = None if self.duration is None else parse_duration(self.duration, "--duration")
        if load == "--users":
            assert self.users is not None
            closed = _closed(self.users, self.spawn_rate, warmup_s, duration_s)
            plan.check_processes(processes, self.users)
            return closed
        plan.check_processes(processes, None)
        return open_schedule(
            rate_per_s=self.rate,
            stages=self.stages,
            trace=_trace(self.trace, self.trace_from, self.trace_scale, self.trace_speed),
            arrivals=self.arrivals or "constant",
            seed=self.seed or 0,
            warmup_s=warmup_s,
            duration_s=duration_s,
            processes=processes,
        )

    def _check(self) -> str:
        """Return which kind of load is asked for, if no word belongs to another kind."""
        load = _the_one(
            {
                "--users": self.users,
                "--rate": self.rate,
                "--stages": self.stages,
                "--trace": self.trace,
            }
        )
        if load == "--users":
            _refuse(load, {"--arrivals": self.arrivals})
        else:
            _refuse(load, {"--spawn-rate": self.spawn_rate})
        if load != "--trace":
            _refuse(
                load,
                {
                    "--trace-from": self.trace_from,
                    "--trace-scale": self.trace_scale,
                    "--trace-speed": self.trace_speed,
                },
            )
        return load


def _closed(
    users: int, spawn_rate: float | None, warmup_s: float | None, duration_s: float | None
) -> "ClosedSchedule":
    from windtunnel.core.errors import UsageError
    from windtunnel.lab.load.plan import closed_schedule

    if duration_s is None:
        raise UsageError("--users needs a --duration.")
    return closed_schedule(
        users=users, spawn_rate_per_s=spawn_rate, warmup_s=warmup_s, duration_s=duration_s
    )


def _trace(
    path: Path | None, first_period: str | None, scale: float | None, speed: float | None
) -> "Trace | None":
    from windtunnel.lab.load.trace import open_trace

    if path is None:
        return None
    return open_trace(
        path,
        scale=1.0 if scale is None else scale,
        speed=1.0 if speed is None else speed,
        first_period=first_period,
    )


def _the_one(loads: Mapping[str, object]) -> str:
    """Return which kind of load was asked for; --stages may have a --rate to start from."""
    from windtunnel.core.errors import UsageError

    given = [name for name, value in loads.items() if value is not None]
    if given == ["--rate", "--stages"]:
        return "--stages"
    if not given:
        raise UsageError(f"Name the load: one of {', '.join(loads)}.")
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} are two kinds of load: name one of them.")
    return given[0]


def _refuse(load: str, strangers: Mapping[str, object]) -> None:
    from windtunnel.core.errors import UsageError

    for name, value in strangers.items():
        if value is not None:
            raise UsageError(f"{name} means nothing with {load}: leave it out.")
