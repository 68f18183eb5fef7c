"""What sixty workers cost the master of a load run that gathers from them.

The workers are light ones, `peers/light_workers.py`: they hand over made-up requests in the words
of real ones, in a process of its own on another core. The head and the command that started it
share a core, whose time is counted from two seconds into the run.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.load_process import at_rate, free_port, load_processes, measure, on_core
from benchmarks.machine import cpu_s
from windtunnel.lab.load.conductor import Tick
from windtunnel.lab.load.plan import Listening

_WORKERS = 60
# Of one worker, a second.
_RATES = (10, 100, 500)
_LENGTH_S = 10.0
_COUNTED_FROM_S = 2.0
_PATIENCE_S = 60.0
# Workers that hand over less than this share of what they should measure themselves.
_REACHED = 0.95
_PROGRAM = Path(__file__).parent / "peers" / "light_workers.py"


@dataclass(frozen=True)
class _Look:
    """Processor time so far, at a moment of the run."""

    at_s: float
    head_s: float
    own_s: float


class _Watch:
    """Looks at processor time with every second that the first worker tells."""

    def __init__(self) -> None:
        self.looks: list[_Look] = []

    def take(self, tick: Tick) -> None:
        """Look, once the run has settled."""
        if tick.worker == 0 and tick.at_s >= _COUNTED_FROM_S:
            head_s = cpu_s(process for role, process in load_processes() if role == "master")
            self.looks.append(_Look(time.perf_counter(), head_s, cpu_s([psutil.Process()])))


def main() -> Iterator[str]:
    """Yield a Markdown table: processor of the head and of the command, by rate."""
    yield f"| {_WORKERS} workers | processor of the head | of it a 1,000 requests/s | the command |"
    yield "|---|---|---|---|"
    for rate in _RATES:
        head, own = _shares(rate)
        total = rate * _WORKERS
        yield f"| {total:,} requests/s | {head:.1%} | {head / total * 1000:.2%} | {own:.1%} |"


def _shares(rate: int) -> tuple[float, float]:
    """Return the shares of a core that the head and this process take."""
    schedule = at_rate(rate * _WORKERS, warmup_s=1.0, length_s=_LENGTH_S, processes=_WORKERS)
    port, watch = free_port(), _Watch()
    words = [sys.executable, str(_PROGRAM), "127.0.0.1", str(port), str(_WORKERS), str(rate)]
    with on_core(-1):
        workers = subprocess.Popen(words, env=os.environ)
    try:
        with on_core(0):
            measured = measure(
                "http://127.0.0.1:9",
                schedule,
                processes=_WORKERS,
                on_tick=watch.take,
                listening=Listening("127.0.0.1", port, _PATIENCE_S),
            )
    finally:
        workers.terminate()
        workers.wait()
    if len(measured) < _REACHED * schedule.total_s * rate * _WORKERS:
        raise SystemExit(f"Only {len(measured):,} requests came in.")
    first, last = watch.looks[0], watch.looks[-1]
    span_s = last.at_s - first.at_s
    return (last.head_s - first.head_s) / span_s, (last.own_s - first.own_s) / span_s


if __name__ == "__main__":
    for line in main():
        print(line)
