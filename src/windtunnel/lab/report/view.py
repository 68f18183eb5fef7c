"""One run, as a report looks at it: the requests that count, and what to call it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from windtunnel.lab.measurement import Floats
from windtunnel.lab.run_directory import Run


@dataclass(frozen=True)
class RunView:
    """A run with a name that is its own among the runs on the page."""

    label: str
    run: Run
    # What one instance answers a second, where somebody knows.
    capacity_rps: float | None = None

    @cached_property
    def start_s(self) -> float:
        """Where counting began."""
        return float(self.run.summary["warmup_s"])

    @cached_property
    def end_s(self) -> float:
        """Where counting ended."""
        return self.start_s + float(self.run.summary["measured_s"])

    @cached_property
    def latency_s(self) -> Floats:
        """Latencies of the good answers that count."""
        return self.good_latency_s[self._counts]

    @cached_property
    def good_due_s(self) -> Floats:
        """When all requests that were answered well were due, the warm-up's too."""
        due_s: Floats = self.run.requests.due_s[self.run.requests.is_good]
        return due_s

    @cached_property
    def good_latency_s(self) -> Floats:
        """Latencies of all requests that were answered well, the warm-up's too."""
        requests = self.run.requests
        latency_s: Floats = (requests.done_s - requests.due_s)[requests.is_good]
        return latency_s

    @cached_property
    def all_due_s(self) -> Floats:
        """When all requests were due, those too that nobody was free to send."""
        requests = self.run.requests
        due_s: Floats = np.sort(np.concatenate([requests.due_s, requests.dropped_due_s]))
        return due_s

    @cached_property
    def waiting_max(self) -> int:
        """How many requests, in the time that counts, had been due and not answered at once."""
        requests = self.run.requests
        moments_s = np.concatenate([requests.due_s, requests.done_s])
        steps = np.repeat([1, -1], len(requests.due_s))
        # What ends at a moment is gone before what is due then comes.
        order = np.lexsort((steps, moments_s))
        waiting = np.cumsum(steps[order])
        counted = (moments_s[order] >= self.start_s) & (moments_s[order] < self.end_s)
        return int(waiting[counted].max(initial=0))

    @cached_property
    def _counts(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return (self.good_due_s >= self.start_s) & (self.good_due_s < self.end_s)


def views(runs: Sequence[Run], capacity_rps: float | None = None) -> list[RunView]:
    """Return views whose labels are as short as they can be and still differ."""
    for depth in range(1, 4):
        labels = ["/".join(run.path.absolute().parts[-depth:]) for run in runs]
        if len(set(labels)) == len(labels):
            break
    else:
        labels = [f"{label} ({number})" for number, label in enumerate(labels, start=1)]
    return [RunView(label, run, capacity_rps) for label, run in zip(labels, runs, strict=True)]
