"""Which candidate is the one, and why: from what was measured, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from windtunnel.serving.compiled import Streams

# A second form of the graph takes memory for another run: for less it is not worth it. A guess, but
# for its lower bound: the best of three short measurements repeats to within 3 % on idle cores.
_BUSY_GAIN_MIN = 1.05
# A form may be the fastest by what this machine has, and the target lacks.
_ELSEWHERE = " on this machine, which is not the target"


@dataclass(frozen=True, slots=True)
class Setting:
    """Streams of so many threads, and what they did."""

    streams: int
    threads: int
    inferences_per_s: float


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a candidate."""

    name: str
    score: float
    tolerance: float
    # None: not measured.
    p50_s: float | None
    # With the settings that were best for it.
    inferences_per_s: float | None

    @property
    def is_right(self) -> bool:
        """Whether its answers are near enough to the baseline's."""
        return self.score >= self.tolerance


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen candidate; without one, the reason says why."""

    name: str | None
    reason: str


def choose(
    entries: Sequence[Entry], baseline: Entry, objective: str, *, must_be_faster: bool
) -> Choice:
    """Return the fastest candidate within its tolerance.

    `must_be_faster` holds where the target itself was measured: there a form that gains nothing is
    none. Elsewhere the figures are of another machine, and the fastest of them is still the best
    guess.
    """
    right = [entry for entry in entries if entry.is_right]
    if not right:
        wrong = "; ".join(
            f"{entry.name} reaches {entry.score:.4f} of {entry.tolerance:g}" for entry in entries
        )
        return Choice(None, f"No form keeps the tolerance: {wrong or 'none could be made'}.")
    speeds = {entry.name: _speed(entry, objective) for entry in right}
    measured: Mapping[str, float] = {
        name: speed for name, speed in speeds.items() if speed is not None
    }
    base = _speed(baseline, objective)
    if not measured or base is None:
        return Choice(
            right[0].name, f"{right[0].name} gives the right answers; its speed was not measured."
        )
    best = max(measured, key=lambda name: measured[name])
    times = measured[best] / base
    what = "median latency" if objective == "latency" else "throughput"
    if times <= 1 and must_be_faster:
        return Choice(
            None,
            f"Nothing is faster than {baseline.name}: the best form, {best}, has {times:.2f} times"
            f" its speed by {what}. Serve the model as it is.",
        )
    if times <= 1:
        return Choice(
            best,
            f"{best} is the fastest of {len(right)}, and has {times:.2f} times {baseline.name}'s"
            f" speed by {what}{_ELSEWHERE}.",
        )
    others = len(right) - 1
    told = f" of {len(right)} forms within tolerance" if others else ""
    where = "" if must_be_faster else _ELSEWHERE
    return Choice(
        best, f"{best} is the fastest{told}: {times:.2f}x {baseline.name} by {what}{where}."
    )


def choose_streams(
    settings: Sequence[Setting], lone_threads: int, objective: str
) -> tuple[Streams, Streams]:
    """Return how a lone request is run and how several at once are, by what each setting did."""
    lone = Streams(1, lone_threads)
    if not settings:
        return lone, lone
    best = max(settings, key=lambda each: each.inferences_per_s)
    busy = Streams(best.streams, best.threads)
    if objective == "throughput":
        return busy, busy
    alone = max(each.inferences_per_s for each in settings if each.streams == 1)
    return lone, busy if best.inferences_per_s > _BUSY_GAIN_MIN * alone else lone


def _speed(entry: Entry, objective: str) -> float | None:
    if objective == "throughput":
        return entry.inferences_per_s
    return None if not entry.p50_s else 1 / entry.p50_s
