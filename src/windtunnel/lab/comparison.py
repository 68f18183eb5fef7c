"""Whether one run was really better than another, and by how much.

Two runs of the very same thing never give the same numbers. How much of a difference is chance is
found by the bootstrap: the run is cut into blocks of time, as many blocks are drawn from it again
and again with replacement, and the spread of what those draws come to is the spread that chance
alone would give. Blocks of time, not single requests, because requests that are in the queue
together are slow together: drawn one by one they would look like independent evidence, and the
interval would come out far too narrow (Künsch, "The jackknife and the bootstrap for general
stationary observations", Annals of Statistics 17, 1989).

What no single run can show is how much runs differ from day to day, so a difference under
`DIFFERENCE_MIN` is never called real, however sure the bootstrap is of it. Everything is seeded:
the same two runs always compare the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from windtunnel.lab import objectives
from windtunnel.lab.load.closed_schedule import ClosedSchedule
from windtunnel.lab.load.open_schedule import OpenSchedule
from windtunnel.lab.measurement import Floats
from windtunnel.lab.run_directory import Run
from windtunnel.lab.summary import percentile

# Blocks a run is cut into. Schmeiser, "Batch size effects in the analysis of simulation output",
# Operations Research 30, 1982: 10 to 30; more add little and get shorter than a queue takes to
# empty.
_BLOCK_COUNT = 30
_RESAMPLE_COUNT = 1000
_SEED = 406
CONFIDENCE = 0.95
# Repeated runs of one setting on one quiet machine differ by a few percent; on a busy one by far
# more, which a run's own warnings say. Guess, to be replaced by a measurement of repeated runs.
DIFFERENCE_MIN = 0.05
# The same for the share of requests that fail, in absolute terms: one failure of 3,800 requests is
# an accident, not a reason to turn a pipeline red (fw-ai/benchmark#112, where it did). Guess.
FAILURE_DIFFERENCE_MIN = 0.001
# Relative width of the latency classes that percentiles of resamples are read from.
_CLASS_WIDTH = 0.002
_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}

Verdict = Literal["better", "worse", "no real difference", "too few requests to say"]


@dataclass(frozen=True)
class Change:
    """One number of two runs: after ÷ before, with its confidence interval."""

    name: str
    before: float
    after: float
    ratio: float
    low: float
    high: float
    verdict: Verdict

    def to_json(self) -> dict[str, Any]:
        """Return this as a machine reads it."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class FailureChange:
    """The share of requests that failed in two runs; the interval is of after - before."""

    before: float
    after: float
    low: float
    high: float
    verdict: Verdict
    name: str = "failures"

    def to_json(self) -> dict[str, Any]:
        """Return this as a machine reads it."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Sampled:
    """What a comparison needs of the part of a run that counts, of good answers but for the last.

    Failures have no latency: an endpoint that refuses half of its requests may answer the others
    the faster.
    """

    start_s: float
    end_s: float
    # When answers came: throughput.
    ended_s: Floats
    # What was due, and how long its answer took: latency.
    due_s: Floats
    latency_s: Floats
    # When requests were due that failed.
    failed_due_s: Floats = field(default_factory=lambda: np.empty(0))

    @classmethod
    def of(cls, run: Run) -> "Sampled":
        """Return the part of a run that counts."""
        start_s = float(run.summary["warmup_s"])
        end_s = start_s + float(run.summary["measured_s"])
        due_s, done_s = (
            times[run.requests.is_good] for times in (run.requests.due_s, run.requests.done_s)
        )
        was_due = (due_s >= start_s) & (due_s < end_s)
        failed_s = run.requests.due_s[~run.requests.is_good]
        return cls(
            start_s=start_s,
            end_s=end_s,
            ended_s=done_s[(done_s >= start_s) & (done_s < end_s)],
            due_s=due_s[was_due],
            latency_s=(done_s - due_s)[was_due],
            failed_due_s=failed_s[(failed_s >= start_s) & (failed_s < end_s)],
        )

    @property
    def failure_share(self) -> float:
        """Failed requests among all."""
        count = len(self.failed_due_s) + len(self.due_s)
        return len(self.failed_due_s) / count if count else 0.0

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.ended_s) / (self.end_s - self.start_s)

    def block_of(self, moments_s: Floats) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Return the number of the block of time that each moment lies in."""
        share = (moments_s - self.start_s) / (self.end_s - self.start_s)
        return np.clip(np.floor(share * _BLOCK_COUNT), 0, _BLOCK_COUNT - 1).astype(np.int64)


def compare(before: Sampled, after: Sampled, *, confidence: float = CONFIDENCE) -> list[Change]:
    """Return how throughput and the percentiles of latency changed from one run to the other."""
    if not len(before.latency_s) or not len(after.latency_s):
        return []
    low = min(before.latency_s.min(), after.latency_s.min())
    high = max(before.latency_s.max(), after.latency_s.max())
    edges = np.geomspace(low, high * (1 + _CLASS_WIDTH), _class_count(low, high) + 1)
    rng = np.random.default_rng(_SEED)
    drawn = [_resample(each, edges, rng) for each in (before, after)]
    count = min(len(before.latency_s), len(after.latency_s))
    tail = (1 - confidence) / 2
    changes = [
        _change(
            "throughput", before.rate, after.rate, drawn[0][0], drawn[1][0], is_good=1, tail=tail
        )
    ]
    for number, (name, share) in enumerate(_PERCENTILES.items()):
        change = _change(
            name,
            percentile(before.latency_s, share),
            percentile(after.latency_s, share),
            drawn[0][1][number],
            drawn[1][1][number],
            is_good=-1,
            tail=tail,
        )
        # A percentile that hangs on the last one or two requests has no spread to resample.
        if count < objectives.requests_needed(share, over=1):
            change = Change(**{**change.__dict__, "verdict": "too few requests to say"})
        changes.append(change)
    return changes


def compare_failures(
    before: Sampled, after: Sampled, *, confidence: float = CONFIDENCE
) -> FailureChange:
    """Return how the share of failed requests changed, by the same resampling of blocks of time."""
    tail = (1 - confidence) / 2
    rng = np.random.default_rng(_SEED)
    drawn = [_resample_failures(each, rng) for each in (before, after)]
    low, high = np.quantile(drawn[1] - drawn[0], [tail, 1 - tail])
    difference = after.failure_share - before.failure_share
    verdict: Verdict = "no real difference"
    if (low > 0 or high < 0) and abs(difference) >= FAILURE_DIFFERENCE_MIN:
        verdict = "worse" if difference > 0 else "better"
    return FailureChange(
        before.failure_share, after.failure_share, float(low), float(high), verdict
    )


def _resample_failures(sampled: Sampled, rng: np.random.Generator) -> Floats:
    """Return the share of failures of every resample of one run's blocks."""
    failed, good = (
        np.bincount(sampled.block_of(due_s), minlength=_BLOCK_COUNT)
        for due_s in (sampled.failed_due_s, sampled.due_s)
    )
    weights = _weights(rng)
    return np.asarray((weights @ failed) / np.maximum(weights @ (failed + good), 1))


def _weights(rng: np.random.Generator) -> Floats:
    """Return how often each block is drawn, resample by resample."""
    even = np.full(_BLOCK_COUNT, 1 / _BLOCK_COUNT)
    return rng.multinomial(_BLOCK_COUNT, even, size=_RESAMPLE_COUNT).astype(np.float64)


def _class_count(low: float, high: float) -> int:
    return max(1, int(np.ceil(np.log(high / low) / np.log1p(_CLASS_WIDTH))))


def _resample(
    sampled: Sampled, edges: Floats, rng: np.random.Generator
) -> tuple[Floats, list[Floats]]:
    """Return the throughput, and each percentile, of every resample of one run's blocks."""
    classes = np.searchsorted(edges, sampled.latency_s, side="right") - 1
    counts = np.zeros((_BLOCK_COUNT, len(edges) - 1))
    np.add.at(counts, (sampled.block_of(sampled.due_s), np.clip(classes, 0, len(edges) - 2)), 1)
    ended = np.bincount(sampled.block_of(sampled.ended_s), minlength=_BLOCK_COUNT)
    weights = _weights(rng)
    cumulative = np.cumsum(weights @ counts, axis=1)
    centres = np.sqrt(edges[:-1] * edges[1:])
    percentiles = [
        centres[np.argmax(cumulative >= share * cumulative[:, -1:], axis=1)]
        for share in _PERCENTILES.values()
    ]
    return weights @ ended / (sampled.end_s - sampled.start_s), percentiles


def _change(
    name: str,
    before: float,
    after: float,
    drawn_before: Floats,
    drawn_after: Floats,
    *,
    is_good: Literal[1, -1],
    tail: float,
) -> Change:
    """Return one number's change; `is_good` says which direction is an improvement."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = drawn_after / drawn_before
        low, high = np.nanquantile(ratios, [tail, 1 - tail])
    ratio = after / before
    verdict: Verdict = "no real difference"
    if (low > 1 or high < 1) and abs(ratio - 1) >= DIFFERENCE_MIN:
        verdict = "better" if (ratio - 1) * is_good > 0 else "worse"
    return Change(name, before, after, ratio, float(low), float(high), verdict)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what two runs were asked differently: what, then, now; one line a difference.

    Two runs that differ in more than one thing do not say which of them mattered.
    """
    then, now = _facts(before), _facts(after)
    return [
        (name, then.get(name, "-"), now.get(name, "-"))
        for name in dict.fromkeys([*then, *now])
        if then.get(name) != now.get(name)
    ]


def _facts(asked: Mapping[str, Any]) -> dict[str, str]:
    plan, endpoint = asked["plan"], asked["endpoint"]
    schedule = plan["schedule"]
    is_closed = "users" in schedule
    facts = {
        "users": ClosedSchedule.from_json(schedule).in_short() if is_closed else "-",
        "arrivals": "-" if is_closed else OpenSchedule.from_json(schedule).in_short(),
        "payload": ", ".join(
            f"{payload['bytes']:,} bytes ({payload['sha256'][:8]})" for payload in plan["payloads"]
        ),
        "content type": ", ".join(
            dict.fromkeys(payload["content_type"] for payload in plan["payloads"])
        ),
        "cloud": asked["target"]["cloud"],
        "clock": asked["target"].get("clock", "x1"),
        "load processes": str(plan["processes"]),
    }
    for variant in endpoint["variants"]:
        label = "" if len(endpoint["variants"]) == 1 else f"{variant['name']} "
        facts[f"{label}instances"] = f"{variant['instance_count']} x {variant['instance_type']}"
        facts[f"{label}image"] = variant["image"]
        for key, value in variant["environment"].items():
            facts[f"{label}{key}"] = value
    return facts
