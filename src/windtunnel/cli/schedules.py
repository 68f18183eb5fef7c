"""The options of `windtunnel load` that say when requests are sent, and the schedule they make.

There are two kinds of load, and each option belongs to one or to both: one that is given with the
other kind is refused by name, as it would else be ignored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from windtunnel.lab.load.closed_schedule import ClosedSchedule
    from windtunnel.lab.load.open_schedule import OpenSchedule
    from windtunnel.lab.load.plan import Schedule
    from windtunnel.lab.load.stair import Wanted
    from windtunnel.lab.load.trace import Trace
    from windtunnel.lab.objectives import Objective

_PANEL = "When requests are sent"
# Loads that do not wait for answers.
_OPEN = frozenset({"--rate", "--stages", "--trace"})

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
CapacityOption = Annotated[
    bool,
    typer.Option(
        "--capacity",
        help="Find the highest rate that keeps every objective (none given: that the endpoint "
        "keeps up with), in steps of --duration each. With --rate: the one to start from.",
        rich_help_panel=_PANEL,
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
UserStagesOption = Annotated[
    str | None,
    typer.Option(
        "--user-stages",
        metavar="T:N,…",
        help="Users that come and go: 30s:50,1m:200 goes from none to 50 users within 30 s, then "
        "to 200 within 1 m. 0s:50 is a jump.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
ShapeOption = Annotated[
    str | None,
    typer.Option(
        "--shape",
        metavar="FILE[:CLASS]",
        help="As many users as a LoadTestShape of Locust says, until it ends or --duration is "
        "over. The file is run.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
ThinkTimeOption = Annotated[
    str | None,
    typer.Option(
        "--think-time",
        metavar="T[-T]",
        help="How long a user waits before the next request: 1s, or by chance 500ms-2s.",
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
        help="Of what is left to chance (poisson arrivals, payloads, think times): the same "
        "number, the same run. Else 0.",
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
    user_stages: UserStagesOption = None
    shape: ShapeOption = None
    rate: RateOption = None
    capacity: CapacityOption = False
    stages: StagesOption = None
    trace: TraceOption = None
    duration: DurationOption = None
    spawn_rate: SpawnRateOption = None
    think_time: ThinkTimeOption = None
    arrivals: ArrivalsOption = None
    seed: SeedOption = None
    trace_from: TraceFromOption = None
    trace_scale: TraceScaleOption = None
    trace_speed: TraceSpeedOption = None
    warmup: WarmupOption = None

    @property
    def is_any(self) -> bool:
        """Say whether a kind of load was named."""
        loads = (self.users, self.user_stages, self.shape, self.rate, self.stages, self.trace)
        return self.capacity or any(load is not None for load in loads)

    def schedule(
        self, processes: int, payloads: int, *, processes_word: str = "--processes"
    ) -> "Schedule":
        """Return the schedule that the options name, or say which of them do not go together."""
        from windtunnel.lab.load import plan

        load = self._check()
        self._check_seed(payloads)
        if load in _OPEN:
            plan.check_processes(processes, None, word=processes_word)
            return self._open(processes)
        closed = self._closed(load)
        # How many users a shape will want, nobody knows yet.
        users = None if closed.shape else closed.users
        plan.check_processes(processes, users, word=processes_word)
        return closed

    def _check_seed(self, payloads: int) -> None:
        from windtunnel.core.errors import UsageError

        if self.seed is None:
            return
        if self.seed < 0:
            raise UsageError("--seed must not be negative.")
        if self.arrivals != "poisson" and payloads < 2 and "-" not in (self.think_time or ""):  # noqa: PLR2004
            raise UsageError(
                "--seed goes with what is left to chance: --arrivals poisson, several payloads, a "
                "--think-time from one value to another."
            )

    @property
    def _warmup_s(self) -> float | None:
        from windtunnel.lab.quantities import parse_duration

        return None if self.warmup is None else parse_duration(self.warmup, "--warmup")

    @property
    def _duration_s(self) -> float | None:
        from windtunnel.lab.quantities import parse_duration

        return None if self.duration is None else parse_duration(self.duration, "--duration")

    def _open(self, processes: int) -> "OpenSchedule":
        from windtunnel.lab.load.open_schedule import open_schedule

        return open_schedule(
            rate_per_s=self.rate,
            stages=self.stages,
            trace=_trace(self.trace, self.trace_from, self.trace_scale, self.trace_speed),
            arrivals=self.arrivals or "constant",
            seed=self.seed or 0,
            warmup_s=self._warmup_s,
            duration_s=self._duration_s,
            processes=processes,
        )

    def _closed(self, load: str) -> "ClosedSchedule":
        from windtunnel.core.errors import UsageError
        from windtunnel.lab.load import closed_schedule, shapes

        warmup_s, duration_s = self._warmup_s, self._duration_s
        if load == "--user-stages":
            assert self.user_stages is not None
            if duration_s is not None:
                raise UsageError("--user-stages say how long the run is: leave --duration out.")
            return closed_schedule.ramping_schedule(
                self.user_stages, warmup_s=warmup_s, think=self.think_time
            )
        if duration_s is None:
            raise UsageError(f"{load} needs a --duration.")
        if load == "--shape":
            assert self.shape is not None
            return closed_schedule.shaped_schedule(
                shapes.find(self.shape),
                warmup_s=warmup_s,
                duration_s=duration_s,
                think=self.think_time,
            )
        assert self.users is not None
        return closed_schedule.closed_schedule(
            users=self.users,
            spawn_rate_per_s=self.spawn_rate,
            warmup_s=warmup_s,
            duration_s=duration_s,
            think=self.think_time,
        )

    def search(self, processes: int, payloads: int, objectives: "Sequence[Objective]") -> "Wanted":
        """Return the search for capacity that the options name, likewise checked."""
        from windtunnel.core.errors import UsageError
        from windtunnel.lab.load import plan
        from windtunnel.lab.load.stair import Wanted

        _refuse(
            "--capacity",
            {
                "--users": self.users,
                "--user-stages": self.user_stages,
                "--shape": self.shape,
                "--stages": self.stages,
                "--trace": self.trace,
                "--spawn-rate": self.spawn_rate,
                "--think-time": self.think_time,
                "--trace-from": self.trace_from,
                "--trace-scale": self.trace_scale,
                "--trace-speed": self.trace_speed,
            },
        )
        self._check_seed(payloads)
        if self._duration_s is None:
            raise UsageError("--capacity needs a --duration: how long each step measures.")
        plan.check_processes(processes, None)
        wanted = Wanted(
            start_rps=self.rate,
            arrivals=self.arrivals or "constant",
            seed=self.seed or 0,
            warmup_s=self._warmup_s,
            duration_s=self._duration_s,
            processes=processes,
            objectives=tuple(objectives),
        )
        # What cannot be meant is refused here, as it would be by the first runs.
        wanted.alone()
        wanted.probe(1.0 if self.rate is None else self.rate)
        return wanted

    def _check(self) -> str:
        """Return which kind of load is asked for, if no word belongs to another kind."""
        load = _the_one(
            {
                "--users": self.users,
                "--user-stages": self.user_stages,
                "--shape": self.shape,
                "--rate": self.rate,
                "--stages": self.stages,
                "--trace": self.trace,
            }
        )
        if load != "--users":
            _refuse(load, {"--spawn-rate": self.spawn_rate})
        if load in _OPEN:
            _refuse(load, {"--think-time": self.think_time})
        else:
            _refuse(load, {"--arrivals": self.arrivals})
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
        raise UsageError(f"Name the load: one of {', '.join(loads)}, or --capacity.")
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} are two kinds of load: name one of them.")
    return given[0]


def _refuse(load: str, strangers: Mapping[str, object]) -> None:
    from windtunnel.core.errors import UsageError

    for name, value in strangers.items():
        if value is not None:
            raise UsageError(f"{name} means nothing with {load}: leave it out.")
