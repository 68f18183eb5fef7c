"""How late an open loop's requests leave, beside how late a loop wakes that does nothing else.

`inf` is of a round in which so many arrivals were dropped: of requests that never left.
"""

import subprocess
import sys
from collections.abc import Iterator

import numpy as np

from benchmarks.load_process import at_rate, measure
from windtunnel.lab.summary import percentile

_ROUNDS = 5
_LENGTH_S = 5.0
_IDLE = """
import gevent
from time import perf_counter
from windtunnel.lab.load.beat import Beat
beat = Beat()
gevent.spawn(beat.run)
gevent.sleep(5)
print(beat.late_s_p99(0.0, perf_counter()))
"""


def table(url: str, rate_rps: float) -> Iterator[str]:
    """Yield a Markdown table of some rounds at a rate."""
    schedule = at_rate(rate_rps, warmup_s=1.0, length_s=_LENGTH_S)
    medians, late, idle, shares = [], [], [], []
    for _ in range(_ROUNDS):
        measured = measure(url, schedule)
        lag_s = (measured.sent_s - measured.due_s)[measured.due_s >= schedule.warmup_s]
        # An arrival that was dropped never left.
        lag_s = np.nan_to_num(lag_s, nan=np.inf)
        medians.append(percentile(lag_s, 0.5))
        late.append(percentile(lag_s, 0.99))
        shares.append(measured.workers[0].cpu_share)
        words = [sys.executable, "-c", _IDLE]
        idle.append(float(subprocess.run(words, check=True, capture_output=True).stdout))
    yield f"| at {rate_rps:,.0f} requests/s | best of {_ROUNDS} | all |"
    yield "|---|---|---|"
    for name, values in (
        ("requests left late by, p50", medians),
        ("requests left late by, p99", late),
        ("an idle loop woke late by, p99", idle),
    ):
        everything = ", ".join(f"{value * 1e6:,.0f}" for value in values)
        yield f"| {name} | {min(values) * 1e6:,.0f} µs | {everything} µs |"
    yield f"| processor of the load process | {min(shares):.0%} of a core | |"
