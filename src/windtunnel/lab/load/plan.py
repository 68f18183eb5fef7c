"""What a load run is asked to do, checked before anything is sent.

A `Plan` is the words of the person, with every default filled in; it is shown before the run and
kept beside its results. `Orders` are what a load process needs on top, credentials among them:
they travel through a pipe, one line each, never through a file, an argument or the environment. The
pipe stays open, for credentials that take the place of those that expire.
"""

import json
import resource
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from windtunnel.aws import sigv4
from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.load.open_schedule import OpenSchedule
from windtunnel.lab.quantities import format_bytes_exactly, format_duration, format_rate

# After the last user was started: what connections, caches and thread pools need to settle. Guess.
_SETTLING_S = 1.0
# Descriptors that a load process needs besides its connections: pipes, Locust's own sockets, files.
_SPARE = 64


@dataclass(frozen=True)
class ClosedSchedule:
    """So many users, each of whom sends the next request when the last one was answered."""

    # From the word to begin until the run's start: a user is never late.
    lead_s: ClassVar[float] = 0.0

    users: int
    spawn_rate_per_s: float
    warmup_s: float
    duration_s: float

    @property
    def total_s(self) -> float:
        """How long requests are sent, those that are not counted included."""
        return self.warmup_s + self.duration_s

    @property
    def ramp_s(self) -> float:
        """When the last user starts: Locust starts whole users at once, every second or rarer."""
        return max(0.0, (self.users - max(1.0, self.spawn_rate_per_s)) / self.spawn_rate_per_s)

    def spawning(self, processes: int) -> tuple[int, float]:
        """Return how many of Locust's users are started in all processes, and how many a second."""
        del processes
        return self.users, self.spawn_rate_per_s

    def in_short(self) -> str:
        """Return the load in a few words, as a comparison of runs has them."""
        return "1 user" if self.users == 1 else f"{self.users:,} users"

    def sentence(self) -> str:
        """Return the schedule as a person reads it."""
        who = "1 user, who sends"
        if self.users > 1:
            rate = format_rate(self.spawn_rate_per_s)
            who = f"{self.users:,} users, started at {rate} a second; each sends"
        return (
            f"{who} the next request when the last one is answered; "
            f"{format_duration(self.warmup_s)} of warm-up that is not counted, then "
            f"{format_duration(self.duration_s)}"
        )


def closed_schedule(
    *, users: int, spawn_rate_per_s: float | None, warmup_s: float | None, duration_s: float
) -> ClosedSchedule:
    """Return a schedule with its defaults, or refuse one that cannot be meant.

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
    return ClosedSchedule(users, rate, warmup_s, duration_s)


Schedule = ClosedSchedule | OpenSchedule


def schedule_from_json(words: Mapping[str, Any]) -> Schedule:
    """Return what `dataclasses.asdict` made of a schedule."""
    return ClosedSchedule(**words) if "users" in words else OpenSchedule.from_json(words)


@dataclass(frozen=True)
class Plan:
    """One load run, as asked."""

    endpoint_name: str
    url: str
    region: str
    payload_path: str
    payload_bytes: int
    payload_sha256: str
    content_type: str
    accept: str | None
    schedule: Schedule
    processes: int
    objectives: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return what will be sent, where, and when, for a person to check."""
        accept = f", accepting {self.accept}" if self.accept else ""
        size = format_bytes_exactly(self.payload_bytes)
        digest = f"sha256 {self.payload_sha256[:16]}…"
        processes = f"{self.processes} processes" if self.processes > 1 else "1 process"
        path = f"/endpoints/{self.endpoint_name}/invocations"
        lines = [
            f"to        endpoint {self.endpoint_name} at {self.url} ({self.region})",
            f"request   POST {path}, {size} of {self.content_type}{accept}",
            f"payload   {self.payload_path} ({digest}), the same in every request",
            f"schedule  {self.schedule.sentence()}",
            f"from      {processes} on this machine",
        ]
        if self.objectives:
            lines.append(f"holds     {', '.join(self.objectives)}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return this as `run.json` keeps it."""
        return asdict(self)


def check_processes(processes: int, users: int | None) -> None:
    """Refuse a number of load processes that cannot be used; an open loop has no users."""
    if processes < 1:
        raise UsageError("--processes must be at least 1.")
    if processes > limits.LOAD_PROCESS_COUNT_MAX:
        raise UsageError(f"--processes must be at most {limits.LOAD_PROCESS_COUNT_MAX}.")
    if users is None:
        return
    if processes > users:
        raise UsageError(f"{processes} processes have no use for {users} users: lower --processes.")
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors != resource.RLIM_INFINITY and users / processes + _SPARE > descriptors:
        raise UsageError(
            f"{users:,} users in {processes} process(es) need more open connections than the "
            f"{descriptors:,} that a process may have here: use more --processes, or raise "
            "`ulimit -n`."
        )


@dataclass(frozen=True)
class Orders:
    """What a load process is told: the plan, whose credentials, and where its results go."""

    plan: Plan
    credentials: sigv4.Credentials
    directory: str

    def to_text(self) -> str:
        """Return this for the pipe to a load process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "Orders":
        """Return what `to_text` wrote."""
        words = json.loads(text)
        plan = words["plan"]
        plan["schedule"] = schedule_from_json(plan["schedule"])
        plan["objectives"] = tuple(plan["objectives"])
        return cls(
            plan=Plan(**plan),
            credentials=sigv4.Credentials(**words["credentials"]),
            directory=words["directory"],
        )

    def read_body(self) -> bytes:
        """Return the payload, as long as it is still what was checked."""
        body = Path(self.plan.payload_path).read_bytes()
        if sigv4.payload_hash(body) != self.plan.payload_sha256:
            raise UsageError(f"The payload {self.plan.payload_path} changed since it was checked.")
        return body
