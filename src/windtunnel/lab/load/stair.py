"""The runs of a search for capacity, one after the other, and the directory they leave.

    DIR/steps/00/     one user alone: what a request takes when no other is there
    DIR/steps/NN/     each probe, a whole run but for its report
    DIR/              the same files again, of the run that stands for the result: the one that
                      confirmed the rate; `summary.json` has `capacity` on top

Where no rate held, the run with the lowest rate stands there: it shows what the endpoint did when
it was asked least. Where the generator was at fault, the run that shows how.

What to probe is decided in `capacity`, what a run says in `probe`.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from windtunnel.lab.load import capacity
from windtunnel.lab.load.capacity import Bracket, Done, Next, Outcome, Probe
from windtunnel.lab.load.closed_schedule import ClosedSchedule, closed_schedule
from windtunnel.lab.load.conductor import Tick
from windtunnel.lab.load.found import outcome_of, sentence
from windtunnel.lab.load.open_schedule import OpenSchedule, open_schedule
from windtunnel.lab.load.plan import Schedule
from windtunnel.lab.load.probe import Question, judge
from windtunnel.lab.load.rest import rest
from windtunnel.lab.load.run import LoadRun
from windtunnel.lab.load.saturation import SaturationWatch, patience_s
from windtunnel.lab.objectives import Objective, requests_needed
from windtunnel.lab.quantities import format_duration, format_rate
from windtunnel.lab.report import page
from windtunnel.lab.run_directory import RunDirectory

# How long one user sends alone, at most. Guess: some hundred answers of most endpoints.
_ALONE_S = 5.0
# A probe has so many requests that three bad ones may be among them: 198 for a p95, 1,001 for a
# p99. With none allowed, 90 and 459, any hiccup of the machine would lower the capacity found.
_BAD_ALLOWED = 3
# Without objectives: 95% of them is the first share that one late answer does not decide.
_REQUESTS_MIN = 20
# The warm-up lasts for so many answers' time: until then what comes is less than what is sent.
_WARMUP_ANSWERS = 3.0
_WARMUP_S_MIN = 1.0
# As `Wanted.sentence` has it: most searches take no more, their repeats included.
_STEPS_LIKELY = 15
_SUMMARY, _REPORT = "summary.json", "report.html"

Summary = dict[str, Any]
Watch = Callable[[Tick], str | None]
Prepare = Callable[[Schedule, RunDirectory, int], LoadRun]
CarryOut = Callable[[LoadRun, Watch], Summary]


@dataclass(frozen=True)
class Wanted:
    """A search, as asked."""

    # None: derived from what one request takes alone.
    start_rps: float | None
    arrivals: str
    seed: int
    # None: as long as the endpoint's answers ask for.
    warmup_s: float | None
    duration_s: float
    processes: int
    objectives: tuple[Objective, ...]

    @property
    def requests_min(self) -> int:
        """How many requests a probe has at least."""
        counts = [requests_needed(each.share, _BAD_ALLOWED) for each in self.objectives]
        return max([_REQUESTS_MIN, *counts])

    @property
    def limits_s(self) -> list[float]:
        """The limits on latency that are to be kept."""
        return [each.limit_s for each in self.objectives if each.limit_s is not None]

    def sentence(self) -> str:
        """Return the search as a person reads it."""
        start = "half of what one user alone gets"
        if self.start_rps is not None:
            start = f"{format_rate(self.start_rps)} requests a second"
        return (
            f"a search for the highest rate, from {start}; steps of "
            f"{format_duration(self.duration_s)}, longer where that is less than "
            f"{self.requests_min:,} requests; some eight to fifteen of them"
        )

    @property
    def likely_s(self) -> float:
        """How long all runs send together, if they are as many as they mostly are."""
        step_s = self.duration_s + (_WARMUP_S_MIN if self.warmup_s is None else self.warmup_s)
        if self.start_rps is not None:
            step_s = self.probe(self.start_rps).total_s
        return self.alone().total_s + _STEPS_LIKELY * step_s

    def alone(self) -> ClosedSchedule:
        """Return the schedule of one user alone."""
        return closed_schedule(
            users=1,
            spawn_rate_per_s=None,
            warmup_s=0.0,
            duration_s=min(_ALONE_S, self.duration_s),
        )

    def probe(self, rate_rps: float, number: int = 0, alone_s: float = 0.0) -> OpenSchedule:
        """Return the schedule of a probe, given what a request takes alone."""
        warmup_s = self.warmup_s
        if warmup_s is None:
            warmup_s = max(_WARMUP_S_MIN, _WARMUP_ANSWERS * alone_s)
        # A rate of nothing is refused below, as everywhere.
        long_enough_s = self.requests_min / rate_rps if rate_rps > 0 else 0.0
        return open_schedule(
            rate_per_s=rate_rps,
            stages=None,
            trace=None,
            arrivals=self.arrivals,
            # Each run has a chance of its own, or a confirmation would confirm nothing.
            seed=self.seed + number,
            warmup_s=warmup_s,
            duration_s=max(self.duration_s, long_enough_s),
            processes=self.processes,
        )


@dataclass(frozen=True)
class Step:
    """One finished run of a search."""

    number: int
    rate_rps: float
    outcome: Outcome
    why: str
    is_confirmation: bool
    summary: Mapping[str, Any]
    directory: Path

    def probe(self) -> Probe:
        """Return this as the search looks at it."""
        return Probe(self.rate_rps, self.outcome, self.achieved_rps, self.is_confirmation)

    @property
    def achieved_rps(self) -> float | None:
        """Good answers a second, if any time counted."""
        return self.summary["throughput_rps"] if self.summary["measured_s"] else None

    def to_json(self, root: Path) -> dict[str, Any]:
        """Return this as `summary.json` keeps it."""
        return {
            "rate_rps": self.rate_rps,
            "achieved_rps": self.achieved_rps,
            "outcome": self.outcome,
            "why": self.why,
            "is_confirmation": self.is_confirmation,
            "latency_s": self.summary["latency_s"],
            "requests": self.summary["requests"],
            "failures": self.summary["failures"],
            "measured_s": self.summary["measured_s"],
            "directory": str(self.directory.relative_to(root)),
        }


class _InterruptedError(Exception):
    """A person ended the run that was under way; what it measured is kept."""


class Search:
    """One search in the making."""

    def __init__(
        self,
        wanted: Wanted,
        root: RunDirectory,
        *,
        prepare: Prepare,
        carry_out: CarryOut,
        invoke: Callable[[], object],
    ) -> None:
        """`prepare` makes a run of a schedule, `carry_out` executes it under a watch.

        `invoke` sends one request and waits for its answer.
        """
        self._wanted = wanted
        self._root = root
        self._prepare = prepare
        self._carry_out = carry_out
        self._invoke = invoke
        # All runs that have a directory, the one of one user alone first.
        self._runs: list[tuple[Path, Summary]] = []
        self._steps: list[Step] = []

    def run(
        self, on_alone: Callable[[Summary], None], on_step: Callable[[Step, Next | Done], None]
    ) -> Summary:
        """Search to the end, or until interrupted; write DIR and return its summary."""
        try:
            return self._end(self._search(on_alone, on_step))
        except (_InterruptedError, KeyboardInterrupt):
            if not self._runs:
                raise
            bracket = capacity.bracket_of([step.probe() for step in self._steps])
            return self._end(Done(None, replace(bracket, limited_by="interrupted")))

    def _search(
        self, on_alone: Callable[[Summary], None], on_step: Callable[[Step, Next | Done], None]
    ) -> Done:
        alone = self._execute(self._wanted.alone(), 1, lambda _tick: None)
        on_alone(alone)
        alone_s = alone["service_s"]["p50"]
        if alone_s is None:
            return Done(None, Bracket(None, None, "errors"))
        if any(verdict["outcome"] == "missed" for verdict in alone["objectives"]):
            # Nobody waits for anybody: no rate, however low, is answered faster.
            return Done(None, Bracket(None, None, "objectives"))
        start_rps = self._wanted.start_rps or capacity.start_rate(alone_s)
        following = capacity.decide([], start_rps)
        while isinstance(following, Next):
            step = self._probe(following, alone_s)
            self._steps.append(step)
            following = capacity.decide([each.probe() for each in self._steps], start_rps)
            on_step(step, following)
            if not step.summary["valid"] and isinstance(following, Next):
                rest(self._invoke, alone_s)
        return following

    def _probe(self, following: Next, alone_s: float) -> Step:
        """Make a run at a rate, and judge it."""
        rate_rps, number, wanted = following.rate_rps, len(self._runs), self._wanted
        patience = patience_s(wanted.limits_s, alone_s)
        question = Question(rate_rps, wanted.objectives, patience, following.is_confirmation)
        watch = SaturationWatch(rate_rps, wanted.processes, patience)
        schedule = wanted.probe(rate_rps, number, alone_s)
        summary = self._execute(schedule, wanted.processes, watch)
        is_stopped = watch.stopped_because is not None
        outcome, why = judge(summary, question, is_stopped=is_stopped)
        directory = self._runs[-1][0]
        return Step(number, rate_rps, outcome, why, following.is_confirmation, summary, directory)

    def _execute(self, schedule: Schedule, processes: int, watch: Watch) -> Summary:
        path = self._root.path / "steps" / f"{len(self._runs):02}"
        run = self._prepare(schedule, RunDirectory(path), processes)
        summary = self._carry_out(run, watch)
        self._runs.append((path, summary))
        if "interrupted" in summary["reasons"]:
            raise _InterruptedError
        return summary

    def _end(self, done: Done) -> Summary:
        """Put the run that stands for the result into DIR, with the search on top."""
        path, summary = self._standing(done)
        for file in path.iterdir():
            if file.is_file() and file.name not in {_SUMMARY, _REPORT}:
                _link(file, self._root.path / file.name)
        if done.bracket.limited_by == "interrupted" and "interrupted" not in summary["reasons"]:
            summary = {**summary, "valid": False, "reasons": [*summary["reasons"], "interrupted"]}
        summary = {**summary, "capacity": self._record(done)}
        self._root.write_summary(summary)
        page.write([self._root.read()], self._root.report)
        return summary

    def _standing(self, done: Done) -> tuple[Path, Summary]:
        """Return the run that stands for the result: the confirmed one, or that of least load."""
        if done.bracket.limited_by == "interrupted" or not self._steps:
            return self._runs[-1]
        if done.rate_rps is not None or done.bracket.limited_by == "generator":
            step = self._steps[-1]
        else:
            step = min(self._steps, key=lambda each: (each.rate_rps, -each.number))
        return self._runs[step.number]

    def _record(self, done: Done) -> Summary:
        """Return what `summary.json` keeps of the search."""
        path, alone = self._runs[0]
        found = {
            **done.to_json(),
            "objectives": [each.text for each in self._wanted.objectives],
            "alone": {
                "throughput_rps": alone["throughput_rps"],
                "latency_s": alone["latency_s"],
                "requests": alone["requests"],
                "failures": alone["failures"],
                "directory": str(path.relative_to(self._root.path)),
            },
            "steps": [step.to_json(self._root.path) for step in self._steps],
        }
        return {**found, "outcome": outcome_of(found), "sentence": sentence(found)}


def _link(source: Path, copy: Path) -> None:
    """Have a file in two directories; its bytes only once, where the file system can do that."""
    try:
        os.link(source, copy)
    except OSError:
        shutil.copyfile(source, copy)
