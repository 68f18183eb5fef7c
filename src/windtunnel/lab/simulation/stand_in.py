"""A generated trace of the length and burstiness of the 1998 World Cup site's, minute by minute.

The real one (Internet Traffic Archive; counted per minute by nimamahmoudi/worldcup98-dataset) is
125,300 minutes from 1998-04-30 to 1998-07-26, 1,352,804,107 requests, a peak of 229,426 a minute,
a median of 3,884, a 99th percentile of 109,971, and days whose peak is up to 35 times their mean.
What makes it hard for a policy is in here: days with a night, weeks of growth, an end, matches
that multiply traffic within an hour or two and let go faster, and minutes that scatter.

Seeded, and the same on every machine. `windtunnel simulate` reads the file that `write` makes.
"""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from windtunnel.autoscaling.timeline import Demand, Floats

MINUTES = 125_300
START_S = datetime(1998, 4, 30, 21, 30, tzinfo=UTC).timestamp()
_DAY = 1440
# The tournament: from the 41st day on (June 10) for 33 days.
_FIRST_DAY, _LAST_DAY = 40, 73
# Kick-offs of the group stage and of the finals, in UTC minutes of the day.
_KICK_OFFS = (12 * 60 + 30, 15 * 60 + 30, 19 * 60)
_PEAK = 229_426.0
_SEED = 1998


def generate(seed: int = _SEED, minutes: int = MINUTES) -> Demand:
    """Return the trace, or its first minutes."""
    random = np.random.Generator(np.random.PCG64(seed))
    minute: Floats = np.arange(MINUTES, dtype=np.float64)
    day, clock = (minute + 21 * 60 + 30) / _DAY, (minute + 21 * 60 + 30) % _DAY
    base = _season(day) * (1 + 0.55 * np.sin(2 * np.pi * (clock - 9 * 60) / _DAY))
    rate: Floats = base + _matches(random, minute) + _flashes(random)
    # Scatter that lasts: half of it is still there after five minutes.
    noise = _smoothed(random.normal(0, 0.05, MINUTES), 8) + random.normal(0, 0.02, MINUTES)
    rate = np.maximum(rate * np.exp(noise), 0.0)
    rate = np.minimum(rate, _PEAK)
    counts: Floats = random.poisson(rate).astype(float)
    return Demand(START_S, 60, counts[:minutes])


def write(path: Path, demand: Demand) -> None:
    """Write a trace as `period,count`, the form that traces are read in."""
    lines = ["period,count"]
    for number, count in enumerate(demand.counts.tolist()):
        moment = datetime.fromtimestamp(demand.start_s + number * demand.period_s, UTC)
        lines.append(f"{moment:%Y-%m-%d %H:%M:%S},{count:.0f}")
    path.write_text("\n".join(lines) + "\n")


def _season(day: Floats) -> Floats:
    """Return how busy a day is without a match: growth up to the tournament, and its end."""
    growth = 1_070 * np.exp(np.minimum(day, _FIRST_DAY) / 24)
    during = np.where((day > _FIRST_DAY) & (day < _LAST_DAY + 1), 11_000.0, 0.0)
    after = np.where(day >= _LAST_DAY + 1, 0.1 + 0.9 * np.exp(-(day - _LAST_DAY - 1) / 2.5), 1.0)
    found: Floats = (growth + during) * after
    return found


def _matches(random: np.random.Generator, minute: Floats) -> Floats:
    """Return what matches add: a rise over an hour, two hours of it, a faster fall."""
    total = np.zeros(MINUTES)
    for day in range(_FIRST_DAY, _LAST_DAY):
        # Two matches a day in the groups, one in the finals, with days of rest between.
        count = int(random.integers(1, 4)) if day < _FIRST_DAY + 17 else int(random.integers(0, 2))
        for kick_off in random.choice(_KICK_OFFS, count, replace=False):
            begin = day * _DAY + int(kick_off) - (21 * 60 + 30)
            height = float(random.lognormal(np.log(66_000), 0.5))
            rise, fall = random.uniform(40, 110), random.uniform(15, 60)
            since = minute - begin
            until = begin + random.uniform(105, 125) - minute
            shape = _step(since / rise) * _step(until / fall)
            # The half-time is a second peak.
            half = 0.35 * np.exp(-(((since - 52) / 7) ** 2))
            total += height * shape * (1 + half)
    return total


def _step(distance: Floats) -> Floats:
    """Return what rises from 0 to 1 around 0, over about a unit."""
    found: Floats = 1 / (1 + np.exp(-4 * np.clip(distance, -20, 20)))
    return found


def _flashes(random: np.random.Generator) -> Floats:
    """Return what comes from nowhere: minutes of many times the usual, that nobody foresees."""
    total = np.zeros(MINUTES)
    for begin in random.integers(0, MINUTES - 200, 8):
        length = int(random.integers(5, 30))
        total[begin : begin + length] += min(random.lognormal(np.log(7_000), 0.9), 45_000.0)
    return total


def _smoothed(values: Floats, minutes: int) -> Floats:
    """Return values of which each keeps a part of the one before it."""
    kept = np.exp(-1 / minutes)
    found = np.empty_like(values)
    last = 0.0
    for number, value in enumerate(values.tolist()):
        last = kept * last + value
        found[number] = last
    return found
