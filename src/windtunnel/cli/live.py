"""What a load run shows while it runs: a moving line on a terminal, else a plain one every 5 s.

The latencies here are the last second's, to three significant digits; the run's own come from every
request, at the end.
"""

import sys
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from windtunnel.lab.load.arrivals import Arrivals
from windtunnel.lab.load.conductor import Tick
from windtunnel.lab.load.histogram import Histogram, merged
from windtunnel.lab.load.plan import Schedule
from windtunnel.lab.quantities import format_duration, format_rate

_PLAIN_PERIOD_S = 5
_BAR_WIDTH = 24
# Of the kinds of error, so many of the most frequent.
_KINDS_SHOWN = 2
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
        self._kinds: Counter[str] = Counter()
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
        self.note(f"waiting for {holder}: two at once would measure each other")

    def note(self, text: str) -> None:
        """Say what goes on before anything is sent."""
        if self._live is not None:
            self._live.update(Text(text))
        else:
            self._console.print(text, markup=False, soft_wrap=True)

    def tick(self, tick: Tick) -> None:
        """Take one worker's last second; show the whole when every worker has told its own."""
        self._failures += tick.failures
        self._kinds.update(tick.errors)
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
        latency = _percentiles(merged(tick.latency for tick in ticks))
        lag_s = merged(tick.lag for tick in ticks).percentile(0.99)
        late = f"  left {format_duration(lag_s)} late (p99)" if lag_s is not None else ""
        # A tick tells of the second before it.
        phase = "warm-up" if at_s - 0.5 <= self._schedule.warmup_s else "counting"
        return (
            f"{at_s:4.0f} s of {self._schedule.total_s:.0f}  {phase:8}  "
            f"{self._rate(at_s, ticks)}{latency}{late}  {self._errors()}"
        )

    def _errors(self) -> str:
        """Return how many requests failed so far, and of which kinds most."""
        if not self._kinds:
            return f"{self._failures:,} errors"
        most = self._kinds.most_common(_KINDS_SHOWN)
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in most)
        more = ", …" if len(self._kinds) > len(most) else ""
        return f"{self._failures:,} errors ({kinds}{more})"

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


def _percentiles(latency: Histogram) -> str:
    marks = [
        f"  {name} {format_duration(value)}"
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        if (value := latency.percentile(share)) is not None
    ]
    return "".join(marks)
