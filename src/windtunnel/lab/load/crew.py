"""The load processes of a run as its head knows them: who is there, whose clock is where, who left.

No I/O. Workers get their numbers when the run begins; who comes later is turned away, and who is
lost takes a share of the load along, which is said: the others were given theirs.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from windtunnel.core import limits
from windtunnel.lab.load.closed_schedule import ClosedSchedule, share
from windtunnel.lab.load.plan import Plan
from windtunnel.lab.quantities import format_duration


@dataclass
class Worker:
    """One load process."""

    name: str
    host: str
    pid: int
    # Of its clock before the one of the head, as far as the quickest of several looks tells.
    ahead_s: float = 0.0
    answered_in_s: float = math.inf
    number: int = -1
    outcome: dict[str, Any] | None = None
    # When it last said anything, into the run.
    heard_after_s: float = 0.0
    is_lost: bool = False

    @property
    def label(self) -> str:
        """How a person finds it."""
        return f"process {self.pid} on {self.host}"

    def look_at_clock(self, asked_s: float, answered_s: float, its_s: float) -> None:
        """Take what its clock said to a question asked, and answered, at these of the head's.

        As NTP does it: the answer was given halfway, and the quickest exchange says it best.
        """
        if answered_s - asked_s < self.answered_in_s:
            self.answered_in_s = answered_s - asked_s
            self.ahead_s = its_s - (asked_s + answered_s) / 2


@dataclass
class Crew:
    """All load processes of a run."""

    plan: Plan
    # Those that can begin, in the order in which they said so.
    ready: dict[str, Worker] = field(default_factory=dict)
    # What is to be said of workers afterwards.
    notes: list[str] = field(default_factory=list)
    has_begun: bool = False

    @property
    def is_complete(self) -> bool:
        """Say whether all are there."""
        return len(self.ready) >= self.plan.processes

    def join(self, worker: Worker) -> None:
        """Take a worker that can begin."""
        self.ready.setdefault(worker.name, worker)

    def leave(self, name: str) -> Worker | None:
        """Forget a worker that went before the run began."""
        return self.ready.pop(name, None)

    def refusal(self, version: str, own_version: str) -> str | None:
        """Return why a worker that comes now cannot take part, if so."""
        if version != own_version:
            return f"it runs Windtunnel {version}, the master {own_version}"
        if self.has_begun:
            return "the run has begun without it"
        if self.is_complete:
            return f"the {self.plan.processes} workers that the master waits for are there"
        return None

    def begin(self) -> None:
        """Number the workers: from now on nobody joins."""
        self.has_begun = True
        for number, worker in enumerate(self.ready.values()):
            worker.number = number

    def working(self) -> Iterator[Worker]:
        """Yield those that are neither through nor lost."""
        for worker in self.ready.values():
            if worker.outcome is None and not worker.is_lost:
                yield worker

    @property
    def is_any_lost(self) -> bool:
        """Say whether the run is incomplete."""
        return any(worker.is_lost for worker in self.ready.values())

    def unread(self) -> str | None:
        """Return whose clock nobody knows, if anyone's."""
        for worker in self.ready.values():
            if math.isinf(worker.answered_in_s):
                return f"{worker.label} did not say what its clock shows. Nothing was sent."
        return None

    def astray(self) -> str | None:
        """Return whose clock is too far away for a common start, if any is."""
        for worker in self.ready.values():
            if abs(worker.ahead_s) > limits.LOAD_CLOCK_OFFSET_S_MAX:
                where = "ahead of" if worker.ahead_s > 0 else "behind"
                return (
                    f"The clock of {worker.label} is {format_duration(abs(worker.ahead_s))} "
                    f"{where} this machine's: set both by NTP. Nothing was sent."
                )
        return None

    def losses(self) -> list[str]:
        """Return what the run lacks, a sentence for each worker that was lost."""
        return [
            f"{worker.label} was lost, last heard of "
            f"{format_duration(max(0.0, worker.heard_after_s))} into the run, and with it "
            f"{self._share(worker)}"
            for worker in self.ready.values()
            if worker.is_lost
        ]

    def _share(self, worker: Worker) -> str:
        schedule, processes = self.plan.schedule, self.plan.processes
        if isinstance(schedule, ClosedSchedule) and schedule.shape is None:
            lost = share(schedule.users, worker.number, processes)
            return f"{lost:,} of {schedule.users:,} users"
        return "all of the load" if processes == 1 else f"1/{processes} of the load"
