"""Simulated auto scaling: how fast, and how the recommended policy does beside a clairvoyant.

The trace is the generated stand-in of the 1998 World Cup's (125,300 minutes), or the one named in
WINDTUNNEL_TRACE. CPU time, because cores are shared. The ratio is that of the policy which a sweep
chose on the first two thirds of the days, over the last third, to a plan that knew those days, with
the same start-up and removal times, and misses as many requests.
"""

import itertools
import os
import statistics
import time
from pathlib import Path

from windtunnel.autoscaling import clairvoyant
from windtunnel.autoscaling.alarm import Alarm
from windtunnel.autoscaling.circumstances import Circumstances
from windtunnel.autoscaling.decider import Bounds, Decider, Tracked
from windtunnel.autoscaling.signals import INVOCATIONS_PER_INSTANCE
from windtunnel.autoscaling.simulator import simulate
from windtunnel.autoscaling.timeline import Demand, Setup
from windtunnel.autoscaling.tracking import TrackingPolicy
from windtunnel.lab.simulation import recommendation, stand_in, sweep, traces

ROUNDS = 5
TARGETS = 1000
SWEPT = 1000
# Of a sweep this many are played and the time of all is worked out from them: 1,000 take minutes.
SWEPT_PLAYED = int(os.environ.get("WINDTUNNEL_SWEPT", "100"))
# An instance that does 5,000 requests a minute: 46 of them at the peak.
CAPACITY_RPM = 5_000.0
OBJECTIVES = ("over=0.1%", "over=0.2%", "over=0.5%", "over=1%", "over=2%")


def main() -> list[str]:
    """Measure and return the lines of three tables."""
    demand = _demand()
    return [*_speed(demand), "", *_ratios(demand)]


def _demand() -> Demand:
    name = os.environ.get("WINDTUNNEL_TRACE")
    return traces.read(Path(name)).demand if name else stand_in.generate()


def _setup(share: float, out_s: float = 300, in_s: float = 300) -> Setup:
    policy = TrackingPolicy("p", INVOCATIONS_PER_INSTANCE, CAPACITY_RPM * share, out_s, in_s)
    return Setup(f"{share:.2f} {out_s:g}/{in_s:g}", Bounds(1, 200), (policy,))


def _around(seed: int = 1) -> Circumstances:
    return Circumstances(CAPACITY_RPM / 60, seed=seed)


def _grid(count: int) -> list[Setup]:
    shares = [0.30 + 0.0175 * step for step in range(41)]
    cooldowns = [0.0, 60.0, 120.0, 300.0, 600.0]
    every = [_setup(*words) for words in itertools.product(shares, cooldowns, cooldowns)]
    step = max(len(every) // count, 1)
    return every[::step][:count]


def _speed(demand: Demand) -> list[str]:
    minutes = len(demand.counts)
    spent = []
    for _ in range(ROUNDS):
        before_s = time.process_time()
        simulate(_setup(0.7), demand, _around())
        spent.append(time.process_time() - before_s)
    one_s = statistics.median(spent)
    setups = _grid(SWEPT_PLAYED)
    before_s = time.process_time()
    for setup in setups:
        simulate(setup, demand, _around()).outcome()
    each_s = (time.process_time() - before_s) / len(setups)
    rows = ["| what | CPU time | target |", "|---|---|---|"]
    rows.append(f"| one policy over {minutes:,} minutes | {one_s:.2f} s | 2 s |")
    rows.append(
        f"| {SWEPT:,} policies on two cores, from {len(setups)} of them | "
        f"{each_s * SWEPT / 2:.0f} s | 600 s |"
    )
    rows.append(f"| {TARGETS:,} scalable targets in one tick | {_tick_ms():.1f} ms | 100 ms |")
    return rows


def _tick_ms() -> float:
    """Return the median tick of targets that all have a data point, a third of them in breach."""
    targets = []
    for number in range(TARGETS):
        policy = TrackingPolicy("p", INVOCATIONS_PER_INSTANCE, 100.0)
        low = policy.low_rule("r", "l")
        assert low is not None
        tracked = Tracked(policy, Alarm(policy.high_rule("r", "h")), Alarm(low))
        targets.append((Decider(Bounds(1, 9), [tracked]), tracked, 50.0 * (number % 3 + 1) + 20))
    spent = []
    for period in range(30):
        before_s = time.process_time()
        for decider, tracked, value in targets:
            tracked.high.observe(period, value)
            assert tracked.low is not None
            tracked.low.observe(period, value)
            decider.decide(60.0 * (period + 1), 3)
        spent.append(time.process_time() - before_s)
    return 1000 * statistics.median(spent)


def _ratios(demand: Demand) -> list[str]:
    fitted = recommendation.fitted_periods(demand)
    setups = _grid(SWEPT_PLAYED)
    played = sweep.play(
        setups,
        demand,
        _around(),
        fitted_periods=fitted,
        processes=1,
        on_done=lambda _done: None,
    )
    rows = [
        "| objective | chosen (share of capacity, cooldowns) | over, days that chose | over, other "
        "days | instance-hours there | clairvoyant | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    rest = demand.part(fitted, len(demand.counts))
    for text in OBJECTIVES:
        choice = recommendation.recommend(played, recommendation.parse_objective(text))
        if choice.index is None:
            rows.append(f"| {text} | none: {choice.sentence} | | | | | |")
            continue
        chosen = played[choice.index]
        assert chosen.rest is not None
        found = clairvoyant.plan(rest, _around(), Bounds(1, 200), chosen.rest.over)
        rows.append(
            f"| {text} | {setups[choice.index].name} | {chosen.fitted.share_over:.2%} | "
            f"{chosen.rest.share_over:.2%} | {chosen.rest.instance_hours:,.0f} | "
            f"{found.least_hours:,.0f} | "
            f"{chosen.rest.instance_hours / found.least_hours:.2f} |"
        )
    return rows
