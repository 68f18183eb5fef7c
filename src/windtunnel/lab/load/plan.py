"""What a load run is asked to do, checked before anything is sent.

A `Plan` is the words of the person, with every default filled in; it is shown before the run and
kept beside its results. `Orders` are what the head of a run needs on top; credentials travel
through a pipe, one line each, never through a file, an argument, the environment or a network. The
pipe stays open, for credentials that take the place of those that expire.
"""

import json
import resource
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from windtunnel.aws import sigv4
from windtunnel.core import limits
from windtunnel.core.errors import UsageError
from windtunnel.lab.load.closed_schedule import ClosedSchedule
from windtunnel.lab.load.open_schedule import OpenSchedule
from windtunnel.lab.load.outlets import Outlets
from windtunnel.lab.payload import Payload
from windtunnel.lab.quantities import format_bytes_exactly, format_percent

# Descriptors that a load process needs besides its connections: pipes, Locust's own sockets, files.
_SPARE = 64
# So many payloads are listed one by one for a person.
_LISTED_MAX = 5
# In a run's working directory: all bodies, one after the other.
_BODIES_FILE = "payloads"

Schedule = ClosedSchedule | OpenSchedule


def schedule_from_json(words: Mapping[str, Any]) -> Schedule:
    """Return what `dataclasses.asdict` made of a schedule."""
    is_closed = "users" in words
    return ClosedSchedule.from_json(words) if is_closed else OpenSchedule.from_json(words)


@dataclass(frozen=True)
class PayloadFacts:
    """One of a run's payloads, without its bytes."""

    name: str
    bytes: int
    sha256: str
    content_type: str
    # How often it is sent, beside the others.
    weight: float = 1.0

    @classmethod
    def of(cls, payload: Payload) -> "PayloadFacts":
        """Return what is kept of a payload."""
        return cls(
            name=payload.name,
            bytes=len(payload.body),
            sha256=payload.sha256,
            content_type=payload.content_type,
            weight=payload.weight,
        )


@dataclass(frozen=True)
class Plan:
    """One load run, as asked."""

    endpoint_name: str
    url: str
    region: str
    payloads: tuple[PayloadFacts, ...]
    accept: str | None
    schedule: Schedule
    processes: int
    objectives: tuple[str, ...]
    # Of which payload is sent when, and of think times.
    seed: int = 0
    # Where the load processes come from: their address here, or none for processes of this host.
    join_at: str | None = None

    def lines(self) -> list[str]:
        """Return what will be sent, where, and when, for a person to check."""
        accept = f", accepting {self.accept}" if self.accept else ""
        path = f"/endpoints/{self.endpoint_name}/invocations"
        what = _what(self.payloads)
        lines = [
            f"to        endpoint {self.endpoint_name} at {self.url} ({self.region})",
            f"request   POST {path}, {what}{accept}",
            *(f"payload   {line}" for line in _payload_lines(self.payloads)),
            f"schedule  {self.schedule.sentence()}",
            f"from      {self._origin()}",
        ]
        if self.objectives:
            lines.append(f"must hold {', '.join(self.objectives)}")
        return lines

    def _origin(self) -> str:
        if self.join_at is not None:
            workers = f"{self.processes} workers" if self.processes > 1 else "1 worker"
            return f"{workers} that join this master at {self.join_at}"
        processes = f"{self.processes} processes" if self.processes > 1 else "1 process"
        return f"{processes} on this machine"

    def to_json(self) -> dict[str, Any]:
        """Return this as `run.json` keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, words: Mapping[str, Any]) -> "Plan":
        """Return what `to_json` made."""
        return cls(
            **{
                **words,
                "payloads": tuple(PayloadFacts(**payload) for payload in words["payloads"]),
                "schedule": schedule_from_json(words["schedule"]),
                "objectives": tuple(words["objectives"]),
            }
        )


def _what(payloads: Sequence[PayloadFacts]) -> str:
    kinds = " and ".join(dict.fromkeys(payload.content_type for payload in payloads))
    sizes = [payload.bytes for payload in payloads]
    if min(sizes) == max(sizes):
        return f"{format_bytes_exactly(sizes[0])} of {kinds}"
    smallest, largest = format_bytes_exactly(min(sizes)), format_bytes_exactly(max(sizes))
    return f"{smallest} to {largest} of {kinds}"


def _payload_lines(payloads: Sequence[PayloadFacts]) -> list[str]:
    if len(payloads) == 1:
        (only,) = payloads
        return [f"{only.name} (sha256 {only.sha256[:16]}…), the same in every request"]
    total = sum(payload.weight for payload in payloads)
    listed = payloads if len(payloads) <= _LISTED_MAX else payloads[: _LISTED_MAX - 1]
    lines = [
        f"{payload.name} (sha256 {payload.sha256[:16]}…), "
        f"{format_bytes_exactly(payload.bytes)}, in {format_percent(payload.weight / total)}"
        for payload in listed
    ]
    if len(listed) < len(payloads):
        lines.append(f"and {len(payloads) - len(listed):,} more")
    return lines


def check_processes(processes: int, users: int | None, *, word: str = "--processes") -> None:
    """Refuse a number of load processes that cannot be used; an open loop has no users."""
    if processes < 1:
        raise UsageError(f"{word} must be at least 1.")
    if processes > limits.LOAD_PROCESS_COUNT_MAX:
        raise UsageError(f"{word} must be at most {limits.LOAD_PROCESS_COUNT_MAX}.")
    if users is None:
        return
    if processes > users:
        raise UsageError(f"{processes} processes have no use for {users} users: lower {word}.")
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors != resource.RLIM_INFINITY and users / processes + _SPARE > descriptors:
        raise UsageError(
            f"{users:,} users in {processes} process(es) need more open connections than the "
            f"{descriptors:,} that a process may have here: use more {word}, or raise "
            "`ulimit -n`."
        )


@dataclass(frozen=True)
class Listening:
    """Where workers of other hosts are waited for, and how long."""

    host: str
    port: int
    patience_s: float


@dataclass(frozen=True)
class Orders:
    """What the head of a run is told: the plan, whose credentials, and where results go."""

    plan: Plan
    # Of a head that sends requests itself.
    credentials: sigv4.Credentials
    directory: str
    listening: Listening
    outlets: Outlets

    def to_text(self) -> str:
        """Return this for the pipe to a load process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "Orders":
        """Return what `to_text` wrote."""
        words = json.loads(text)
        return cls(
            plan=Plan.from_json(words["plan"]),
            credentials=sigv4.Credentials(**words["credentials"]),
            directory=words["directory"],
            listening=Listening(**words["listening"]),
            outlets=Outlets(**words["outlets"]),
        )


def write_bodies(directory: Path, bodies: Sequence[bytes]) -> None:
    """Keep a run's bodies, as they were checked, where its head finds them."""
    with (directory / _BODIES_FILE).open("wb") as file:
        file.writelines(bodies)


def read_bodies(directory: Path, payloads: Sequence[PayloadFacts]) -> list[bytes]:
    """Return what `write_bodies` kept."""
    with (directory / _BODIES_FILE).open("rb") as file:
        return [file.read(payload.bytes) for payload in payloads]
