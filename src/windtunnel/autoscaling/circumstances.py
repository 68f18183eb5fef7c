"""What surrounds a policy in a simulation: how late metrics are, how long instances take to come.

Pure. The ranges are from what AWS and its users published, each with its source; a user who knows
better gives their own. Nothing here is a promise of AWS's.
"""

from dataclasses import dataclass, replace
from random import Random

from windtunnel.core.errors import UsageError

_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Range:
    """From how long to how long something takes, in seconds, and who says so."""

    low_s: float
    high_s: float
    source: str

    def __post_init__(self) -> None:
        if not 0 <= self.low_s <= self.high_s < float("inf"):
            raise UsageError(f"{self.low_s:g} s to {self.high_s:g} s is not a range of durations.")

    @property
    def middle_s(self) -> float:
        """The mean of what is drawn."""
        return (self.low_s + self.high_s) / 2

    def draw(self, random: Random) -> float:
        """Return one duration; all between the ends are as likely."""
        return random.uniform(self.low_s, self.high_s)


# A lab on SageMaker endpoints saw metrics come 2 to 3 minutes late. A user saw an endpoint far over
# its target for "more than 5 minutes" before the alarm of 3 minutes acted, which leaves 2 or more
# (re:Post QUf450Wsd9RROGGOIwaolN9w, "Sagemaker autoscaling delay").
METRIC_DELAY = Range(
    120.0, 180.0, "seen by users of SageMaker (re:Post, Sagemaker autoscaling delay)"
)
# AWS's machine learning blog of 2026-06-16 on container caching: a new ml.g6.2xlarge took 525 s
# from its start to serving an 8-billion-parameter model, 258 s with the image in a cache. A
# published activity of an endpoint lasted 426 s. Small models are at the low end.
START_UP = Range(258.0, 525.0, "AWS's blog on container caching, 2026-06-16 (525 s, cached 258 s)")
# Guess: SageMaker drains and stops an instance, and is done when it is gone.
REMOVAL = Range(60.0, 180.0, "guess: nothing is published on how long a removal takes")
# Of a metric of 10 seconds; what CloudWatch itself takes to aggregate. Guess.
HIGH_RESOLUTION_DELAY = Range(10.0, 20.0, "guess: nothing is published for metrics of 10 s")
# The local cloud looks at an alarm half a second after its period, and goes round four times a
# second; a change took 0.25 to 1.1 s under load (benchmarks/RESULTS.md, "Live auto scaling").
LOCAL_METRIC_DELAY = Range(0.5, 0.75, "the local cloud, which looks half a second after a minute")
LOCAL_CHANGE = Range(0.25, 1.1, "the local cloud: changes under load, benchmarks/RESULTS.md")
# How late a metric is, how long a start-up and a removal take.
ON_AWS = (METRIC_DELAY, START_UP, REMOVAL)
IN_LOCAL_CLOUD = (LOCAL_METRIC_DELAY, LOCAL_CHANGE, LOCAL_CHANGE)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a simulation takes as given."""

    # How many requests a second one instance serves.
    capacity_rps: float
    metric_delay: Range = METRIC_DELAY
    start_up: Range = START_UP
    removal: Range = REMOVAL
    # How long a request is in the container: what concurrency follows from.
    service_s: float | None = None
    seed: int = 0

    def suited_to(self, period_s: int) -> "Circumstances":
        """Return the same for alarms of which the shortest period is this long.

        Metrics of 10 seconds are not minutes late; whoever gave a delay of their own keeps it.
        """
        if period_s < _MINUTE_S and self.metric_delay == METRIC_DELAY:
            return replace(self, metric_delay=HIGH_RESOLUTION_DELAY)
        return self

    def __post_init__(self) -> None:
        if not 0 < self.capacity_rps < float("inf"):
            raise UsageError("The capacity of one instance must be more than 0 requests/s.")
        if self.seed < 0:
            raise UsageError(f"The seed {self.seed} is below 0.")
        if self.service_s is not None and not 0 < self.service_s < float("inf"):
            raise UsageError("The time a request takes must be more than 0.")
