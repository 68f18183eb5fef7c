"""How long candidates take, measured side by side.

One round runs every contestant a few times, and rounds go on until time is up: what slows the
machine down slows all of them down. What is compared are medians over rounds, and the ratio's
interval comes from resampling rounds, each with all of its contestants.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Run = Callable[[], object]

# In a round, each contestant runs at least once and at least for so long.
_TURN_S = 0.02
_TURN_RUN_COUNT_MAX = 200
_ROUND_COUNT_MIN, _ROUND_COUNT_MAX = 8, 60
_RESAMPLE_COUNT = 1000
_INTERVAL = (2.5, 97.5)
_SEED = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """What one contestant took, by rounds, in seconds."""

    p50s_s: tuple[float, ...]
    p90_s: float
    cpu_s: float

    @property
    def p50_s(self) -> float:
        """The median of the rounds' medians."""
        return float(np.median(self.p50s_s))

    @property
    def spread_s(self) -> tuple[float, float]:
        """The middle half of the rounds."""
        low, high = np.percentile(self.p50s_s, (25, 75))
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast, and within what with 95% confidence."""

    value: float
    low: float
    high: float


def measure_latency(
    runs: Mapping[str, Run], budget_s: float, on_round: Callable[[float], None]
) -> dict[str, Timing]:
    """Time contestants, one inference after the other; `on_round` is told the share done."""
    counts = {}
    for name, run in runs.items():
        run()
        begin_s = time.perf_counter()
        run()
        took_s = time.perf_counter() - begin_s
        counts[name] = max(1, min(_TURN_RUN_COUNT_MAX, int(_TURN_S / max(took_s, 1e-9))))
    walls: dict[str, list[list[float]]] = {name: [] for name in runs}
    cpus: dict[str, list[float]] = {name: [] for name in runs}
    begin_s = time.perf_counter()
    for number in range(_ROUND_COUNT_MAX):
        elapsed_s = time.perf_counter() - begin_s
        if number >= _ROUND_COUNT_MIN and elapsed_s > budget_s:
            break
        on_round(min(1.0, max(number / _ROUND_COUNT_MAX, elapsed_s / budget_s)))
        for name, run in runs.items():
            cpu_s = time.process_time()
            walls[name].append(_turn(run, counts[name]))
            cpus[name].append((time.process_time() - cpu_s) / counts[name])
    return {
        name: Timing(
            tuple(float(np.median(turn)) for turn in walls[name]),
            float(np.percentile(np.concatenate(walls[name]), 90)),
            float(np.median(cpus[name])),
        )
        for name in runs
    }


def _turn(run: Run, count: int) -> list[float]:
    times_s = []
    for _ in range(count):
        begin_s = time.perf_counter()
        run()
        times_s.append(time.perf_counter() - begin_s)
    return times_s


def measure_throughput(run: Run, callers: int, duration_s: float) -> float:
    """Return how many inferences a second several callers get at once."""
    end_s = time.perf_counter() + duration_s
    counts = [0] * callers
    failures: list[BaseException] = []

    def call(index: int) -> None:
        try:
            while time.perf_counter() < end_s:
                run()
                counts[index] += 1
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            failures.append(error)

    begin_s = time.perf_counter()
    threads = [threading.Thread(target=call, args=(index,)) for index in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(counts) / (time.perf_counter() - begin_s)


def compare(baseline: Timing, other: Timing) -> Ratio:
    """Return how many times as fast as the baseline another contestant is."""
    here, there = np.array(baseline.p50s_s), np.array(other.p50s_s)
    random = np.random.Generator(np.random.PCG64(_SEED))
    picks = random.integers(0, len(here), (_RESAMPLE_COUNT, len(here)))
    ratios = np.median(here[picks], axis=1) / np.median(there[picks], axis=1)
    low, high = np.percentile(ratios, _INTERVAL)
    return Ratio(baseline.p50_s / other.p50_s, float(low), float(high))
