"""Many policies over one trace, on several processes.

Each process gets the trace once. What comes back of a policy is what it came to, on the days it is
fitted to and on the others; the timeline of the one that is shown is played again.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from windtunnel.autoscaling.circumstances import Circumstances
from windtunnel.autoscaling.simulator import simulate
from windtunnel.autoscaling.timeline import Demand, Outcome, Setup

# From here on another process is worth its start: 0.3 s of imports, in periods of 2 microseconds.
_WORTH_PERIODS = 500_000
_given: "tuple[Demand, Circumstances, int] | None" = None


@dataclass(frozen=True)
class Played:
    """A policy's outcome over the whole trace, over the part it is fitted to, and the rest."""

    whole: Outcome
    fitted: Outcome
    rest: Outcome | None


def default_grid(target_max: float) -> tuple[list[float], list[float], list[float]]:
    """Return the targets and cooldowns of a sweep that nobody described.

    Targets from a quarter of what an instance can do to all of it; no cooldown, AWS's default and
    two between and beyond.
    """
    targets = [float(f"{target_max * share:.3g}") for share in np.arange(0.25, 1.0001, 0.05)]
    return targets, [0.0, 60.0, 300.0], [0.0, 300.0, 900.0]


def play(
    setups: Sequence[Setup],
    demand: Demand,
    circumstances: Circumstances,
    *,
    fitted_periods: int,
    processes: int,
    on_done: Callable[[int], None],
) -> list[Played]:
    """Return what each policy came to, in their order; `on_done` is told how many there are."""
    work = len(setups) * len(demand.counts)
    count = min(processes, len(setups), max(1, work // _WORTH_PERIODS))
    given = (demand, circumstances, fitted_periods)
    found = []
    for played in _results(setups, given, count):
        found.append(played)
        on_done(len(found))
    return found


def _results(
    setups: Sequence[Setup], given: tuple[Demand, Circumstances, int], processes: int
) -> Iterator[Played]:
    if processes <= 1:
        for setup in setups:
            yield _play_one(setup, *given)
        return
    # Not by fork: whoever calls may have threads.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _begin, given) as pool:
        yield from pool.imap(_play, setups, chunksize=4)


def _begin(demand: Demand, circumstances: Circumstances, fitted_periods: int) -> None:
    global _given  # noqa: PLW0603 - what a process of a pool has is its module's
    _given = (demand, circumstances, fitted_periods)


def _play(setup: Setup) -> Played:
    assert _given is not None, "a process begins with the trace"
    return _play_one(setup, *_given)


def _play_one(
    setup: Setup, demand: Demand, circumstances: Circumstances, fitted_periods: int
) -> Played:
    timeline = simulate(setup, demand, circumstances)
    # The simulation may be in shorter periods than the trace.
    cut = fitted_periods * (len(timeline.demand.counts) // len(demand.counts))
    whole = timeline.outcome()
    if fitted_periods >= len(demand.counts):
        return Played(whole, whole, None)
    return Played(whole, timeline.outcome(0, cut), timeline.outcome(cut))


def default_processes() -> int:
    """Return how many processes to use where nobody said."""
    return os.cpu_count() or 1
