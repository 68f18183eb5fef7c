"""What a load run shows while it runs: a moving line on a terminal, else a plain one every 5 s.

The numbers here are the last second's, from a sample of its requests; the run's own numbers come
from all of them, at the end.
"""

import sys
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from windtunnel.lab.load.arrivals import Arrivals
from windtunnel.lab.load.conductor import Tick
from windtunnel.lab.load.plan import Schedule
from windtunnel.lab.quantities import format_duration, format_rate

_PLAIN_PERIOD_S = 5
_BAR_WIDTH = 24
# A load process tells every second: twice as long without a word, and it is done.
_TOLD_WITHIN_S = 2.0
# A tick tells of the second before it: this one's lies before the start.
_TOLD_BEFORE_START_S = 0.5


class LiveView:
    """Shows a run's progress on stderr; use as a context manager."""

    def __init__(
        self, schedule: Schedule, processes: int, arrivals: Arrivals | None = None
    ) -> None:
        self._schedule = schedule
        # Of an open loop: where the rate that is wanted comes from.
        self._arrivals = arrivals
        self._processes = processes
        self._latest: dict[int, Tick] = {}
        self._waiting: dict[int, Tick] = {}
        self._failures = 0
        self._shown_at_s = 0.0
        self._live: Live | None = None
        self._console = Console(stderr=True, highlight=False)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._live = Live(Text("starting …"), console=self._console, transient=True)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def wait(self, holder: str) -> None:
        """Say whose measurement this one waits for."""
        text = f"waiting for {holder}: two at once would measure each other"
        if self._live is not None:
            self._live.update(Text(text))
        else:
            self._console.print(text, markup=False, soft_wrap=True)

    def tick(self, tick: Tick) -> None:
        """Take one worker's last second; show the whole when every worker has told its own."""
        self._failures += tick.failures
        if tick.at_s < _TOLD_BEFORE_START_S:
            return
        if tick.at_s > self._schedule.total_s:
            self._waiting[tick.worker] = tick
            if users := self._users_waiting(tick.at_s):
                self._show(tick.at_s, self._waiting_line(users))
            return
        self._latest[tick.worker] = tick
        if len(self._latest) < self._processes:
            return
        ticks = list(self._latest.values())
        self._latest = {}
        at_s = max(each.at_s for each in ticks)
        self._show(at_s, self._line(at_s, ticks))

    def _show(self, at_s: float, line: str) -> None:
        if self._live is not None:
            self._live.update(Text(f"{self._bar(at_s)}  {line}"))
        elif at_s - self._shown_at_s >= _PLAIN_PERIOD_S or self._shown_at_s == 0:
            self._shown_at_s = at_s
            self._console.print(line, markup=False, soft_wrap=True)

    def _users_waiting(self, at_s: float) -> int:
        """Return how many users are left after the end, each with a request that is out."""
        # A process whose users are all done tells nothing any more.
        return sum(
            tick.users for tick in self._waiting.values() if at_s - tick.at_s < _TOLD_WITHIN_S
        )

    def _waiting_line(self, users: int) -> str:
        requests = "1 request" if users == 1 else f"{users:,} requests"
        return (
            f"{self._schedule.total_s:4.0f} s are over: waiting for {requests} to be answered  "
            f"{self._failures:,} errors"
        )

    def _line(self, at_s: float, ticks: list[Tick]) -> str:
        # Every worker samples its own second: each sample stands for as many requests as there
        # were to a sample.
        samples = [np.array(tick.latencies_s) for tick in ticks if tick.latencies_s]
        latency = ""
        if samples:
            values = np.concatenate(samples)
            weights = np.concatenate(
                [
                    np.full(len(tick.latencies_s), tick.requests / len(tick.latencies_s))
                    for tick in ticks
                    if tick.latencies_s
                ]
            )
            p50, p95 = np.quantile(values, [0.5, 0.95], method="inverted_cdf", weights=weights)
            latency = f"  p50 {format_duration(p50)}  p95 {format_duration(p95)}"
        # A tick tells of the second before it.
        phase = "warm-up" if at_s - 0.5 <= self._schedule.warmup_s else "counting"
        return (
            f"{at_s:4.0f} s of {self._schedule.total_s:.0f}  {phase:8}  "
            f"{self._rate(at_s, ticks)}{latency}  {self._failures:,} errors"
        )

    def _rate(self, at_s: float, ticks: list[Tick]) -> str:
        """Return who sent how much; in an open loop also how much was wanted."""
        count = sum(tick.users for tick in ticks)
        rate = format_rate(sum(tick.requests for tick in ticks))
        if self._arrivals is None:
            users = "1 user" if count == 1 else f"{count:,} users"
            return f"{users}  {rate} requests/s"
        before = self._arrivals.expected_before
        wanted = format_rate(before(at_s) - before(at_s - 1))
        dropped = sum(tick.dropped for tick in ticks)
        lost = f", {dropped:,} dropped" if dropped else ""
        return f"{rate} of {wanted} requests/s, {count:,} out{lost}"

    def _bar(self, at_s: float) -> str:
        done = min(_BAR_WIDTH, round(_BAR_WIDTH * at_s / self._schedule.total_s))
        return "━" * done + "╌" * (_BAR_WIDTH - done)
