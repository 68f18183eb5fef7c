"""Servers that answer the same question, asked in turns by the same client."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from benchmarks.machine import cpu_s, tree
from benchmarks.prepared_client import drive


@dataclass
class Contestant:
    """One server and what was measured of it."""

    name: str
    url: str
    # Made afresh for each round: a signature is accepted for five minutes.
    make_request: Callable[[], bytes]
    pid: int
    rates_rps: list[float] = field(default_factory=list)
    # CPU time of its processes for a request.
    cpus_s: list[float] = field(default_factory=list)

    @property
    def rate_rps(self) -> float:
        """Requests a second, the median of the rounds."""
        return median(self.rates_rps)

    @property
    def cpu_s(self) -> float:
        """CPU time for a request, the median of the rounds."""
        return median(self.cpus_s)

    @property
    def rates_range(self) -> str:
        """The rounds' slowest and fastest."""
        digits = 0 if self.rate_rps >= 100 else 1
        low, high = min(self.rates_rps), max(self.rates_rps)
        return f"{self.rate_rps:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def measure(contestant: Contestant, *, connections: int, duration_s: float) -> None:
    """Ask a server for one round."""
    host, _, port = contestant.url.removeprefix("http://").partition(":")
    processes = tree(contestant.pid)
    before_s = cpu_s(processes)
    count = drive(
        host,
        int(port),
        contestant.make_request(),
        connections=connections,
        duration_s=duration_s,
    )
    spent_s = cpu_s(processes) - before_s
    if count.failures or not count.latencies_s:
        raise SystemExit(f"{contestant.name}: {count.failures} requests failed")
    contestant.rates_rps.append(count.rate_rps)
    contestant.cpus_s.append(spent_s / len(count.latencies_s))


@dataclass(frozen=True)
class Duel:
    """Ours and another server, whose rounds alternated."""

    ours: Contestant
    theirs: Contestant

    @property
    def ratio(self) -> float:
        """How many times theirs' requests ours answers, the median of rounds side by side."""
        pairs = zip(self.ours.rates_rps, self.theirs.rates_rps, strict=True)
        return median(mine / other for mine, other in pairs)

    @property
    def cpu_ratio(self) -> float:
        """How many times ours' CPU time theirs takes for a request."""
        return self.theirs.cpu_s / self.ours.cpu_s


def duel(
    theirs: Contestant,
    *ours: Contestant,
    rounds: int,
    connections: int,
    duration_s: float,
) -> list[Duel]:
    """Ask a server and each of ours in turns, ours with fresh sheets."""
    fresh = [replace(each, rates_rps=[], cpus_s=[]) for each in ours]
    for _ in range(rounds):
        for each in (*fresh, theirs):
            measure(each, connections=connections, duration_s=duration_s)
    return [Duel(each, theirs) for each in fresh]


def table(duels: Sequence[Duel], unit_s: float, unit: str) -> list[str]:
    """Return a row for each server, ours first, with ours' figures of all its rounds."""
    mine = duels[0].ours
    ours = replace(
        mine,
        rates_rps=[rate for each in duels for rate in each.ours.rates_rps],
        cpus_s=[cpu for each in duels for cpu in each.ours.cpus_s],
    )
    rows = [
        f"| server | requests/s | {mine.name} beside it | is | CPU a request | times its |",
        "|---|---|---|---|---|---|",
        f"| {ours.name} | {ours.rates_range} | | 1.0x | {ours.cpu_s / unit_s:,.1f} {unit} | 1.0x |",
    ]
    for each in duels:
        theirs = each.theirs
        rows.append(
            f"| {theirs.name} | {theirs.rates_range} | {each.ours.rates_range} "
            f"| {each.ratio:.2f}x | {theirs.cpu_s / unit_s:,.1f} {unit} | {each.cpu_ratio:.2f}x |"
        )
    return rows


def promise(said: str, duels: Sequence[Duel], least: float) -> str:
    """Return a row that holds a promised ratio against the best of some servers."""
    if not duels:
        return f"| {said} | {least}x | not measured | |"
    best = min(duels, key=lambda each: each.ratio)
    thrifty = min(duels, key=lambda each: each.cpu_ratio)
    return (
        f"| {said} | {least}x | {best.ratio:.2f}x ({best.theirs.name}) "
        f"| {thrifty.cpu_ratio:.2f}x ({thrifty.theirs.name}) |"
    )


PROMISES = ["| at least | promised | requests/s | CPU a request |", "|---|---|---|---|"]
