"""When a load run is ended early, because the endpoint fails under it.

Somebody else's users may be on the same endpoint, and whoever pays for it gains nothing from an
hour of errors. What is counted are 5xx, the service's own and those of the model behind a
ModelError, as AWS's metric Invocation5XXErrors does; requests that nothing answered are none.

The share is taken over the last seconds, or, where that were too few answers to say, over as many
of the last ones as it takes. It must have reached the limit, and so clearly that an endpoint with
a fifth as many would hardly ever show it: a burst at the start is not a share of anything.

Pure: ticks go in, a reason comes out.
"""

import math
from collections import deque
from dataclasses import dataclass

from windtunnel.lab.binomial import binomial_at_most
from windtunnel.lab.load.conductor import Tick
from windtunnel.lab.load.failures import is_models_server_error
from windtunnel.lab.quantities import format_duration, format_percent

# On AWS, unless it is told otherwise.
DEFAULT_SHARE = 0.05
# Longer than the restart of one worker of a model server, shorter than anybody's patience. Guess.
_WINDOW_S = 10.0
# An endpoint with this share of the limit is not to be stopped by accident …
_HARMLESS = 0.2
# … more than once in a million looks: a load process looks once a second, 86,400 times a day.
_ACCIDENT = 1e-6
# So many bad answers, where the limit is just reached, are no accident by that measure: 15 where a
# fifth of the limit explains 3 have a chance of 0.7 in a million or less.
_BAD_COUNT = 15


@dataclass(frozen=True)
class _Second:
    """What one load process saw since it last told."""

    at_s: float
    count: int
    bad: int


class ServerErrorWatch:
    """Looks at every tick of a run; says why it must end when it must."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._seconds: deque[_Second] = deque()
        self._count = self._bad = 0

    def __call__(self, tick: Tick) -> str | None:
        """Take one load process's last second; return the reason to stop, if there is one."""
        bad = tick.server_errors + sum(
            count for kind, count in tick.errors.items() if is_models_server_error(kind)
        )
        self._seconds.append(_Second(tick.at_s, tick.requests, bad))
        self._count += tick.requests
        self._bad += bad
        self._forget(tick.at_s)
        if not is_reached(self._bad, self._count, self._share):
            return None
        span_s = tick.at_s - self._seconds[0].at_s + 1
        return (
            f"stopped: {format_percent(self._bad / self._count)} of the answers were 5xx "
            f"({self._bad:,} of the last {self._count:,}, in {format_duration(span_s)}); "
            f"{format_percent(self._share)} is where --stop-on-5xx ends a run"
        )

    def _forget(self, now_s: float) -> None:
        """Leave out what is too old, as long as there is enough without it."""
        enough = _BAD_COUNT / self._share
        while (oldest := self._seconds[0]).at_s <= now_s - _WINDOW_S:
            if self._count - oldest.count < enough:
                return
            self._seconds.popleft()
            self._count -= oldest.count
            self._bad -= oldest.bad


def is_reached(bad: int, count: int, share: float) -> bool:
    """Say whether a share of so many answers was bad, and that this is no accident."""
    if bad < share * count or count < math.ceil(1 / share):
        return False
    return binomial_at_most(count - bad, count, 1 - share * _HARMLESS) <= _ACCIDENT
