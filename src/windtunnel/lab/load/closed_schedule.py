"""A closed loop in words: so many users, each of whom waits for an answer before the next request.

Named as k6 names it: constant users, or ramping ones (stages, each of which ends at its target).
Or the numbers come from one of Locust's LoadTestShape classes while the run goes on. Of all users
numbers 0, 1, 2, … user k belongs to process k mod P.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.load.span import Span
from windtunnel.lab.quantities import format_duration, format_rate, parse_duration

# After the last user was started: what connections, caches and thread pools need to settle. Guess.
_SETTLING_S = 1.0
_STAGE = re.compile(r"([^:]+):(\d+)")


@dataclass(frozen=True)
class UserStage:
    """How long it takes to get to how many users."""

    duration_s: float
    users: int

    def sentence(self) -> str:
        """Return this as a person reads it."""
        how = f"in {format_duration(self.duration_s)}" if self.duration_s else "at once"
        return f"to {self.users:,} {how}"


@dataclass(frozen=True)
class Shape:
    """One of Locust's LoadTestShape classes: where it is, as which it was checked."""

    path: str
    # Of the class, or nothing where the file has only one.
    name: str
    sha256: str

    @property
    def label(self) -> str:
        """How a person knows it."""
        return f"{self.name} in {self.path}" if self.name else self.path


@dataclass(frozen=True)
class ClosedSchedule(Span):
    """So many users, each of whom sends the next request when the last one was answered.

    `users` is the most there are at once; with a shape, as far as is known.
    """

    # From the word to begin until the run's start: a user is never late.
    lead_s: ClassVar[float] = 0.0

    users: int
    spawn_rate_per_s: float
    warmup_s: float
    duration_s: float
    # Of ramping users; they start from none.
    stages: tuple[UserStage, ...] = ()
    shape: Shape | None = None
    # Between an answer and the next request a user waits so long, or by chance between two values.
    think_s: tuple[float, float] = (0.0, 0.0)

    @property
    def is_constant(self) -> bool:
        """Say whether all users, once started, stay to the end."""
        return not self.stages and self.shape is None

    @property
    def ramp_s(self) -> float:
        """When the last of constant users starts: whole users, every second or rarer, as Locust."""
        if not self.is_constant:
            return 0.0
        return max(0.0, (self.users - max(1.0, self.spawn_rate_per_s)) / self.spawn_rate_per_s)

    def users_at(self, at_s: float) -> int:
        """Return how many users there should be at a moment of the run."""
        if self.stages:
            return _on_the_way(self.stages, at_s)
        rate = self.spawn_rate_per_s
        started = (math.floor(at_s) + 1) * rate if rate >= 1 else 1 + math.floor(at_s * rate)
        return min(self.users, int(started))

    def in_short(self) -> str:
        """Return the load in a few words, as a comparison of runs has them."""
        if self.shape is not None:
            return f"users of {self.shape.label}"
        if self.stages:
            return f"users {', '.join(stage.sentence() for stage in self.stages)}"
        return "1 user" if self.users == 1 else f"{self.users:,} users"

    def sentence(self) -> str:
        """Return the schedule as a person reads it."""
        who = "1 user, who sends"
        if self.shape is not None:
            who = f"as many users as {self.shape.label} says; each sends"
        elif self.stages:
            ways = ", ".join(stage.sentence() for stage in self.stages)
            who = f"users from 0 {ways}; each sends"
        elif self.users > 1:
            at_rate = f"at {format_rate(self.spawn_rate_per_s)} a second"
            pace = "all at once" if self.spawn_rate_per_s >= self.users else at_rate
            who = f"{self.users:,} users, started {pace}; each sends"
        return f"{who} the next request {self.pause()}; {self.span_in_words()}"

    def pause(self) -> str:
        """Return when a user sends the next request."""
        low, high = self.think_s
        if high == 0:
            return "when the last one is answered"
        if low == high:
            return f"{format_duration(low)} after the last one is answered"
        return f"{format_duration(low)} to {format_duration(high)} after the last one is answered"

    @classmethod
    def from_json(cls, words: Mapping[str, Any]) -> Self:
        """Return what `dataclasses.asdict` made of a schedule."""
        shape = words["shape"]
        return cls(
            **{
                **words,
                "stages": tuple(UserStage(**stage) for stage in words["stages"]),
                "shape": Shape(**shape) if shape else None,
                "think_s": tuple(words["think_s"]),
            }
        )


def share(users: int, number: int, processes: int) -> int:
    """Return how many of so many users one process has."""
    return max(0, -(-(users - number) // processes))


def closed_schedule(
    *,
    users: int,
    spawn_rate_per_s: float | None,
    warmup_s: float | None,
    duration_s: float,
    think: str | None = None,
) -> ClosedSchedule:
    """Return a schedule of constant users with its defaults, or refuse one that cannot be meant.

    Unless told otherwise all users start at once, and counting starts a second after the last one
    did: users that are still being started make any number depend on the length of the run.
    """
    if users < 1:
        raise UsageError("--users must be at least 1.")
    if duration_s <= 0:
        raise UsageError("--duration must be longer than nothing.")
    if spawn_rate_per_s is not None and spawn_rate_per_s <= 0:
        raise UsageError("--spawn-rate must be more than 0 users a second.")
    rate = float(users) if spawn_rate_per_s is None else spawn_rate_per_s
    ramp_s = ClosedSchedule(users, rate, 0.0, duration_s).ramp_s
    if warmup_s is None:
        warmup_s = ramp_s + _SETTLING_S
    elif warmup_s + duration_s <= ramp_s:
        raise UsageError(
            f"{users:,} users at {format_rate(rate)} a second take {format_duration(ramp_s)} to "
            "start, longer than the whole run: raise --spawn-rate, or --duration."
        )
    return ClosedSchedule(users, rate, warmup_s, duration_s, think_s=parse_think(think))


def ramping_schedule(
    stages: str, *, warmup_s: float | None, think: str | None = None
) -> ClosedSchedule:
    """Return a schedule of users that come and go; its warm-up is its beginning, else nothing."""
    targets = parse_user_stages(stages)
    most = max(target.users for target in targets)
    if most == 0:
        raise UsageError("--user-stages never have a user.")
    whole_s = sum(target.duration_s for target in targets)
    warmup_s = warmup_s or 0.0
    if whole_s <= warmup_s:
        raise UsageError(f"--warmup leaves nothing to count: all takes {format_duration(whole_s)}.")
    return ClosedSchedule(
        most,
        float(most),
        warmup_s,
        whole_s - warmup_s,
        stages=targets,
        think_s=parse_think(think),
    )


def shaped_schedule(
    shape: Shape,
    *,
    warmup_s: float | None,
    duration_s: float,
    think: str | None = None,
) -> ClosedSchedule:
    """Return a schedule whose users a shape counts; it ends when the shape, or the time, does."""
    if duration_s <= 0:
        raise UsageError("--duration must be longer than nothing.")
    return ClosedSchedule(
        1, 1.0, warmup_s or 0.0, duration_s, shape=shape, think_s=parse_think(think)
    )


def parse_user_stages(text: str) -> tuple[UserStage, ...]:
    """Return the stages that `30s:50,1m:200` names: in 30 s to 50 users, in 1 m to 200."""
    stages = []
    for part in text.split(","):
        match = _STAGE.fullmatch(part.strip())
        if match is None:
            raise UsageError(
                f"The stage {part.strip()!r} of --user-stages is not a duration and a number of "
                "users: write 30s:50,1m:200, which goes to 50 users in 30 s, then to 200 in 1 m."
            )
        stages.append(UserStage(parse_duration(match[1], "stage's duration"), int(match[2])))
    return tuple(stages)


def parse_think(text: str | None) -> tuple[float, float]:
    """Return the think time that `1s` or `500ms-2s` names."""
    if text is None:
        return (0.0, 0.0)
    first, separator, last = text.partition("-")
    if separator and not (first and last):
        raise UsageError(f"--think-time {text} is not a length of time: write 1s, or 500ms-2s.")
    low_s = parse_duration(first, "--think-time")
    high_s = parse_duration(last, "--think-time") if separator else low_s
    if low_s > high_s or low_s < 0:
        raise UsageError(f"--think-time {text} goes from more to less.")
    if high_s > limits.LOAD_THINK_S_MAX:
        raise UsageError(
            f"--think-time is at most {format_duration(limits.LOAD_THINK_S_MAX)}: a user who "
            "waits longer is no load."
        )
    return (low_s, high_s)


def _on_the_way(stages: Sequence[UserStage], at_s: float) -> int:
    before = 0
    for stage in stages:
        if at_s < stage.duration_s:
            return round(before + (stage.users - before) * at_s / stage.duration_s)
        at_s -= stage.duration_s
        before = stage.users
    return before
