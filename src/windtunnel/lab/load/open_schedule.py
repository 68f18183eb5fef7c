"""An open loop in words: at what rate requests are due, whatever becomes of those before them.

Named as k6 names it: a constant arrival rate, a ramping one (stages, each of which ends at its
target), or the replay of a trace. The words are checked here, kept in `run.json`, and turned into
moments by `arrivals`, in each load process anew.
"""

import itertools
import math
import re
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast

from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.load.arrivals import (
    Arrivals,
    EvenArrivals,
    ListedArrivals,
    PoissonArrivals,
    RateProfile,
    Stage,
)
from windtunnel.lab.load.span import Span
from windtunnel.lab.load.trace import Trace
from windtunnel.lab.quantities import format_duration, format_rate, parse_duration

# What connections, caches and thread pools of an endpoint need to settle. Guess.
_SETTLING_S = 1.0
# Descriptors that a load process needs besides its connections: pipes, Locust's own sockets, files.
_SPARE = 64
_STAGE = re.compile(r"([^:]+):(\d+(?:\.\d+)?)")

Spacing = Literal["constant", "poisson"]


@dataclass(frozen=True)
class Target:
    """A stage as k6 has it: how long it takes to get to which rate."""

    duration_s: float
    rate_per_s: float

    def sentence(self) -> str:
        """Return this as a person reads it."""
        how = f"in {format_duration(self.duration_s)}" if self.duration_s else "at once"
        return f"to {format_rate(self.rate_per_s)} {how}"


@dataclass(frozen=True)
class OpenSchedule(Span):
    """Requests that are due at moments of their own, and sent whether or not others are answered.

    Without stages and trace the rate is constant; with stages it is where they start.
    """

    # From the word to begin until the first request can be due: every process must have heard it.
    lead_s: ClassVar[float] = 1.0

    rate_per_s: float
    stages: tuple[Target, ...]
    trace: Trace | None
    arrivals: Spacing
    # Of Poisson arrivals.
    seed: int | None
    # Of each process: so many requests can be out at once.
    connections_max: int
    warmup_s: float
    duration_s: float

    @property
    def ramp_s(self) -> float:
        """How long users are started: there are none."""
        return 0.0

    def read_arrivals(self) -> Arrivals:
        """Return the moments at which requests are due; reads the trace, if there is one."""
        profile: RateProfile | ListedArrivals
        if self.trace is not None:
            profile = self.trace.read()
        elif self.stages:
            profile = RateProfile(_ramp(self.rate_per_s, self.stages))
        else:
            profile = RateProfile([Stage(self.total_s, self.rate_per_s, self.rate_per_s)])
        if isinstance(profile, ListedArrivals):
            return profile
        return EvenArrivals(profile) if self.seed is None else PoissonArrivals(profile, self.seed)

    def sentence(self) -> str:
        """Return the schedule as a person reads it."""
        spread = "evenly spread" if self.seed is None else f"a Poisson process (seed {self.seed})"
        return (
            f"{self._rate_in_words()}, {spread}, sent when they are due, on up to "
            f"{self.connections_max:,} connections a process; {self.span_in_words()}"
        )

    def in_short(self) -> str:
        """Return the rate in a few words, as a comparison of runs has them."""
        return f"{self._rate_in_words()}, {self.arrivals}"

    def _rate_in_words(self) -> str:
        if self.trace is not None:
            since = f" from {self.trace.first_period}" if self.trace.first_period else ""
            changed = "".join(
                f", {what} {value:g} times"
                for what, value in (("counts", self.trace.scale), ("speed", self.trace.speed))
                if value != 1
            )
            return f"requests as in {Path(self.trace.path).name}{since}{changed}"
        if not self.stages:
            return f"{format_rate(self.rate_per_s)} requests a second"
        steps = ", ".join(stage.sentence() for stage in self.stages)
        return f"requests at a rate that goes from {format_rate(self.rate_per_s)} a second {steps}"

    @classmethod
    def from_json(cls, words: Mapping[str, Any]) -> Self:
        """Return what `dataclasses.asdict` made of one."""
        trace = words["trace"]
        return cls(
            **{
                **words,
                "stages": tuple(Target(**stage) for stage in words["stages"]),
                "trace": Trace(**trace) if trace else None,
            }
        )


def parse_stages(text: str) -> tuple[Target, ...]:
    """Return the stages that `30s:50,1m:200` names: in 30 s to 50 a second, in 1 m to 200."""
    stages = []
    for part in text.split(","):
        match = _STAGE.fullmatch(part.strip())
        if match is None:
            raise UsageError(
                f"The stage {part.strip()!r} of --stages is not a duration and a rate: write "
                "30s:50,1m:200, which goes to 50 requests a second in 30 s, then to 200 in 1 m."
            )
        duration_s = parse_duration(match[1], "stage's duration")
        stages.append(Target(duration_s, float(match[2])))
    return tuple(stages)


def open_schedule(
    *,
    rate_per_s: float | None,
    stages: str | None,
    trace: Trace | None,
    arrivals: str,
    seed: int,
    warmup_s: float | None,
    duration_s: float | None,
    processes: int,
) -> OpenSchedule:
    """Return a schedule with its defaults, or refuse one that cannot be meant.

    At a constant rate the warm-up comes on top of what is counted, a second of it unless told
    otherwise. Stages and a trace say themselves how long they are: there it is their beginning,
    and nothing unless told otherwise.
    """
    _check_rate(rate_per_s, has_stages=stages is not None)
    if arrivals not in {"constant", "poisson"}:
        raise UsageError(f"--arrivals is constant or poisson, not {arrivals}.")
    if seed < 0:
        raise UsageError("--seed must not be negative.")
    targets = parse_stages(stages) if stages is not None else ()
    if targets and duration_s is not None:
        raise UsageError("--stages say how long the run is: leave --duration out.")
    if not targets and trace is None and duration_s is None:
        raise UsageError("--rate needs a --duration.")
    if duration_s is not None and duration_s <= 0:
        raise UsageError("--duration must be longer than nothing.")
    if warmup_s is None:
        warmup_s = 0.0 if targets or trace else _SETTLING_S
    whole_s = sum(stage.duration_s for stage in targets)
    if trace is not None:
        recorded = trace.read()
        if isinstance(recorded, ListedArrivals) and arrivals == "poisson":
            raise UsageError(
                "A trace that lists its moments leaves nothing to chance: no --arrivals."
            )
        whole_s = recorded.length_s
        if duration_s is not None:
            whole_s = min(whole_s, warmup_s + duration_s)
    schedule = OpenSchedule(
        rate_per_s=rate_per_s or 0.0,
        stages=targets,
        trace=trace,
        arrivals=cast("Spacing", arrivals),
        seed=seed if arrivals == "poisson" else None,
        connections_max=_connections_max(),
        warmup_s=warmup_s,
        duration_s=whole_s - warmup_s if targets or trace else (duration_s or 0.0),
    )
    _check_length(schedule, processes)
    return schedule


def _check_rate(rate_per_s: float | None, *, has_stages: bool) -> None:
    if rate_per_s is None:
        return
    if not math.isfinite(rate_per_s):
        raise UsageError(f"--rate is a number of requests a second, not {rate_per_s}.")
    is_low = rate_per_s < 0 if has_stages else rate_per_s <= 0
    if is_low:
        raise UsageError("--rate must be more than 0 requests a second.")


def _check_length(schedule: OpenSchedule, processes: int) -> None:
    """Refuse a schedule in which nothing is due, or more than a run can keep."""
    if schedule.duration_s <= 0:
        raise UsageError(
            f"--warmup leaves nothing to count: all takes {format_duration(schedule.total_s)}."
        )
    arrivals = schedule.read_arrivals()
    expected = arrivals.expected_before(schedule.total_s)
    if expected <= 0:
        raise UsageError("At this rate no request is ever due.")
    if expected > processes * limits.LOAD_REQUEST_COUNT_MAX:
        raise UsageError(
            f"{expected:,.0f} requests would be due, and a process keeps "
            f"{limits.LOAD_REQUEST_COUNT_MAX:,}: use more --processes, or a shorter run."
        )


def _ramp(rate_per_s: float, targets: Sequence[Target]) -> list[Stage]:
    rates = [rate_per_s, *(target.rate_per_s for target in targets)]
    return [
        Stage(target.duration_s, first, last)
        for target, (first, last) in zip(targets, itertools.pairwise(rates), strict=True)
    ]


def _connections_max() -> int:
    """Return how many connections a process can have here."""
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return limits.LOAD_CONNECTION_COUNT_MAX
    return max(1, min(limits.LOAD_CONNECTION_COUNT_MAX, descriptors - _SPARE))
