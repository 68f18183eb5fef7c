"""Resident memory of load processes, and of what gathers from them, as requests come in.

A closed loop of 8 users against `echo_server` until so many requests were answered: ten million
take four to five minutes. Every second psutil is asked for the processes that the conductor
started, told apart by their roles, and for the one that runs it, which is this benchmark's own.
With arguments: `python -m benchmarks.memory 500000 2` sends so many from so many processes.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Self

import psutil

from benchmarks.load_process import echo, load_processes, measure
from windtunnel.lab.load.closed_schedule import closed_schedule
from windtunnel.lab.load.conductor import Tick

_USERS = 8
_MARKS = (1_000_000, 2_000_000, 5_000_000, 10_000_000)
# Beyond any run: what ends it is the count.
_LENGTH_S = 3600.0
_PERIOD_S = 1.0
# What a process is called by its role.
_ROLES = {"local": "load process and head in one", "master": "head", "worker": "load process"}
_OWN = "the process that started it"


class _Watch:
    """Counts what the load processes tell, and asks for memory every second."""

    def __init__(self, wanted: int) -> None:
        self.count = self.failures = 0
        self.at_s = 0.0
        # How many requests there were, and MiB by kind of process: of several, the largest.
        self.samples: list[tuple[int, dict[str, float]]] = []
        self._wanted = wanted
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def take(self, tick: Tick) -> str | None:
        """Count one load process's second; end the run when it is enough."""
        self.count += tick.requests
        self.failures += tick.failures
        self.at_s = tick.at_s
        return "enough" if self.count >= self._wanted else None

    def _run(self) -> None:
        while not self._done.wait(_PERIOD_S):
            self.samples.append((self.count, _resident_mib()))


def _resident_mib() -> dict[str, float]:
    found = {_OWN: psutil.Process().memory_info().rss / 2**20}
    for role, process in load_processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            resident = process.memory_info().rss / 2**20
            found[_ROLES[role]] = max(found.get(_ROLES[role], 0.0), resident)
    return found


def main(wanted: int = _MARKS[-1], processes: int = 1) -> Iterator[str]:
    """Yield a Markdown table: memory at each mark, and at most."""
    schedule = closed_schedule(
        users=_USERS * processes, spawn_rate_per_s=None, warmup_s=0, duration_s=_LENGTH_S
    )
    with echo(checks_signatures=True) as url, _Watch(wanted) as watch:
        measure(url, schedule, processes=processes, watch=watch.take)
    if watch.failures:
        raise SystemExit(f"{watch.failures} of {watch.count} requests failed.")
    marks = [mark for mark in _MARKS if mark < wanted] + [wanted]
    names = list(dict.fromkeys(name for _, found in watch.samples for name in found))
    headings = " | ".join(f"{mark:,}" for mark in marks)
    yield f"| MiB after so many requests, {processes} process(es) | start | {headings} | at most |"
    yield "|---" * (len(marks) + 3) + "|"
    for name in names:
        values = [(count, found[name]) for count, found in watch.samples if name in found]
        cells = [values[0][1], *(_at(values, mark) for mark in marks)]
        most = max(value for _, value in values)
        yield f"| {name} | {' | '.join(f'{value:,.0f}' for value in [*cells, most])} |"
    yield ""
    yield f"{watch.count:,} requests in {watch.at_s:,.0f} s, sampled every second."


def _at(values: list[tuple[int, float]], mark: int) -> float:
    """Return the memory when a mark was reached; the last where it never was seen."""
    return next((value for count, value in values if count >= mark), values[-1][1])


if __name__ == "__main__":
    for line in main(*map(int, sys.argv[1:])):
        print(line)
