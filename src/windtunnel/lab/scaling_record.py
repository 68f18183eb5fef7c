"""What scaled an endpoint while it was measured, as a run's directory keeps it; pure.

Moments are seconds since the run's start, as those of its requests are. Instances are kept where
their number changed. Cooldowns are worked out: no API tells of them. One begins when a change is
complete, lasts as long as its policy says, and a scale-in's ends with the next scale-out.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

Spans = list[tuple[float, float]]
# Of the file; a change that an older reader would misread raises it.
_FORMAT = 1
# An activity that came to nothing begins no cooldown.
_FAILED = frozenset({"Failed", "Unfulfilled", "Overridden"})


@dataclass(frozen=True)
class Sample:
    """How many instances there were, and how many there should have been, from a moment on."""

    at_s: float
    current: int
    desired: int


@dataclass
class Counting:
    """Looks at a number of instances, of which those are kept that found another one."""

    count_max: int
    changes: list[Sample] = field(default_factory=list)
    last: Sample | None = None

    def take(self, sample: Sample) -> None:
        """Take a look."""
        self.last = sample
        before = self.changes[-1] if self.changes else None
        is_other = before is None or (before.current, before.desired) != (
            sample.current,
            sample.desired,
        )
        if is_other and len(self.changes) < self.count_max:
            self.changes.append(sample)

    def from_moment(self, start_s: float) -> tuple[Sample, ...]:
        """Return the looks, the last one too, with moments that count from this one."""
        last = [self.last] if self.last and self.last not in self.changes else []
        return tuple(replace(each, at_s=each.at_s - start_s) for each in [*self.changes, *last])


@dataclass(frozen=True)
class Activity:
    """A change that Application Auto Scaling made."""

    at_s: float
    # None while it goes on.
    end_s: float | None
    # As far as is known: the one before the first that is remembered is not.
    previous: int | None
    desired: int
    status: str
    cause: str
    # Of the policy that was the reason, for both ways; none had a bound or a schedule.
    out_cooldown_s: float = 0.0
    in_cooldown_s: float = 0.0
    # The arithmetic behind it, which the local cloud tells.
    why: str = ""

    @property
    def is_failed(self) -> bool:
        """Whether it came to nothing."""
        return self.status in _FAILED

    @property
    def is_out(self) -> bool | None:
        """Whether it added capacity; None where that is not known."""
        if self.previous is None or self.previous == self.desired:
            return None
        return self.desired > self.previous


@dataclass(frozen=True)
class AlarmPast:
    """A policy's alarm: its state when the run began, and each that it went to."""

    name: str
    metric: str
    threshold: float | None
    comparison: str
    before: str
    turns: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class VariantPast:
    """What one variant went through."""

    name: str
    capacity_min: int
    capacity_max: int
    samples: tuple[Sample, ...]
    activities: tuple[Activity, ...]
    alarms: tuple[AlarmPast, ...]


@dataclass(frozen=True)
class ScalingRecord:
    """What scaled an endpoint during a run."""

    # How many times as fast as AWS's the cloud's alarms and cooldowns were.
    clock: float
    variants: tuple[VariantPast, ...]
    # What could not be asked, a sentence each.
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return this as the file holds it."""
        return {"format": _FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, words: Mapping[str, Any]) -> "ScalingRecord":
        """Return what `to_json` wrote; ValueError for what it did not."""
        try:
            if words["format"] != _FORMAT:
                raise ValueError(f"it has format {words['format']}, this version reads {_FORMAT}")
            variants = tuple(_variant(each) for each in words["variants"])
            return cls(words["clock"], variants, tuple(words["problems"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"what scaled the endpoint is incomplete: {error}") from error


def _variant(words: Mapping[str, Any]) -> VariantPast:
    alarms = (
        AlarmPast(**{**each, "turns": tuple((at_s, state) for at_s, state in each["turns"])})
        for each in words["alarms"]
    )
    return VariantPast(
        words["name"],
        words["capacity_min"],
        words["capacity_max"],
        tuple(Sample(**each) for each in words["samples"]),
        tuple(Activity(**each) for each in words["activities"]),
        tuple(alarms),
    )


def spans_in(alarm: AlarmPast, state: str, end_s: float) -> Spans:
    """Return when, from the run's start to its end, an alarm was in a state."""
    turns = [(0.0, alarm.before), *alarm.turns]
    ends = [at_s for at_s, _ in turns[1:]] + [end_s]
    return [
        (at_s, until_s)
        for (at_s, each), until_s in zip(turns, ends, strict=True)
        if each == state and until_s > at_s
    ]


def changing(activities: Sequence[Activity], end_s: float) -> Spans:
    """Return when a change was under way."""
    return [(each.at_s, end_s if each.end_s is None else each.end_s) for each in activities]


def cooldowns(activities: Sequence[Activity], *, is_out: bool) -> Spans:
    """Return when a cooldown went on after scale-outs, or after scale-ins."""
    found: Spans = []
    for each in activities:
        if each.is_out is not is_out or each.end_s is None or each.is_failed:
            continue
        length_s = each.out_cooldown_s if is_out else each.in_cooldown_s
        until_s = each.end_s + length_s
        # A scale-out interrupts a scale-in's cooldown; a larger one is followed by its own.
        later = [other.at_s for other in activities if other.at_s > each.at_s and other.is_out]
        until_s = min([until_s, *later])
        if until_s > each.end_s:
            found.append((each.end_s, until_s))
    return found


def sentence(record: ScalingRecord) -> str:
    """Return what the endpoint went through, in a line."""
    several = len(record.variants) > 1
    told = [
        f"{each.name + ': ' if several else ''}{_in_words(each)}"
        for each in record.variants
        if each.samples
    ]
    if not told:
        return "How many instances there were is not known"
    whole = "; ".join(told)
    return whole[:1].upper() + whole[1:]


def _in_words(variant: VariantPast) -> str:
    counts = [count for count, _ in itertools.groupby(each.current for each in variant.samples)]
    if len(counts) == 1:
        return f"{_instances(counts[0])} throughout: no policy changed that"
    ways = " to ".join(str(count) for count in _turning(counts))
    return f"from {ways} instances, in {_changes(len(counts) - 1)}"


def _turning(counts: Sequence[int]) -> Iterator[int]:
    """Yield the first, the last, and where it went the other way."""
    yield counts[0]
    for before, here, after in zip(counts, counts[1:], counts[2:], strict=False):
        if (here > before) != (after > here):
            yield here
    yield counts[-1]


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


def _changes(count: int) -> str:
    return "1 change" if count == 1 else f"{count} changes"
