"""When to stop a run because the endpoint no longer keeps up with the rate.

By Little's law the requests that are out are the rate times what a request waits. At a rate above
what an endpoint can do they become more every second, and so does the wait: what happens after that
is known, and the queue that is left behind would have to be emptied before the next run. A burst
looks the same for a while, so that a run is stopped only when the wait is longer than anybody
would accept, and grows still. (GuideLLM stops over-saturated runs by the slope of the same number.)

Pure, but for remembering the ticks of one run.
"""

from collections.abc import Sequence

from windtunnel.lab.load.conductor import Tick
from windtunnel.lab.quantities import format_duration

# A wait that is never called saturation, however fast the endpoint is alone. Guess: what a burst,
# a garbage collection or a busy neighbour takes.
_PATIENCE_S_MIN = 2.0
# So many times the longest wait that is allowed, or that a request takes alone. Guess: at one time
# it would be the objective itself, which the whole run has to judge.
_PATIENCE_TIMES = 4.0
# So many seconds in a row the wait is too long, the last one's the longest, and by a twentieth at
# least longer than the first one's. A queue that empties and one that stands are left alone. Guess.
_SECONDS = 4
_GROWTH = 1.05


def patience_s(limits_s: Sequence[float], alone_s: float) -> float:
    """Return how long a request may wait before the run is in doubt."""
    return max(_PATIENCE_S_MIN, _PATIENCE_TIMES * max([alone_s, *limits_s]))


def find_saturation(out: Sequence[int], rate_rps: float, patience_s: float) -> str | None:
    """Return why a run should stop, given how many requests were out, second by second."""
    last = out[-_SECONDS:]
    if len(last) < _SECONDS or min(last) / rate_rps <= patience_s:
        return None
    if last[-1] < max(last) or last[-1] < _GROWTH * last[0]:
        return None
    waits = format_duration(last[-1] / rate_rps)
    return (
        f"stopped early, the endpoint does not keep up: {last[-1]:,} requests were out and became "
        f"more every second, which is a wait of {waits} and growing"
    )


class SaturationWatch:
    """Watches the ticks of one open-loop run; to be given to `LoadRun.execute`."""

    def __init__(self, rate_rps: float, processes: int, patience_s: float) -> None:
        self._rate_rps = rate_rps
        self._processes = processes
        self._patience_s = patience_s
        self._latest: dict[int, Tick] = {}
        # Of all processes together, second by second.
        self._out: list[int] = []
        self.stopped_because: str | None = None

    def __call__(self, tick: Tick) -> str | None:
        """Take one process's last second; return why the run should stop, if it should."""
        self.stopped_because = self.stopped_because or self._look(tick)
        return self.stopped_because

    def _look(self, tick: Tick) -> str | None:
        self._latest[tick.worker] = tick
        if len(self._latest) < self._processes:
            return None
        ticks = list(self._latest.values())
        self._latest = {}
        if any(each.dropped for each in ticks):
            return "stopped early: arrivals found no connection free and were dropped"
        self._out.append(sum(each.users for each in ticks))
        return find_saturation(self._out, self._rate_rps, self._patience_s)
