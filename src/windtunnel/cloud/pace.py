"""How fast this cloud does what takes AWS minutes: at once, or as slowly as AWS does it.

    Pace     how long an instance takes to start, how late metrics and logs can be read, and how
             often each operation may be called
    Bucket   the tokens of one operation at one moment; `take` is all it can do

Pure: the moment and the chance are handed in. The fleet waits what `start_s` draws before it
starts an instance; the gateway asks `take` before it runs an operation.

Sources of AWS's times. Start of an instance: AWS Machine Learning Blog, "Introducing container
caching in Amazon SageMaker AI for faster model scaling" (2026-06-16): 134 s at the median for an
image that was cached, 346 to 381 s for images that were not, 525 s for the slowest of its examples.
Metrics: they are published every minute (SageMaker's page "Amazon SageMaker AI metrics in Amazon
CloudWatch") and were seen two to three minutes late by those who read them (Datadog's page "Amazon
CloudWatch Metric Streams"). Logs come within seconds: guess.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from windtunnel.aws import api_rates
from windtunnel.aws.api_rates import Rate

_START_S = (134.0, 525.0)
_METRIC_DELAY_S = (120.0, 180.0)
_LOG_DELAY_S = (2.0, 20.0)


def _unlimited(service: str, operation: str) -> Rate | None:
    del service, operation
    return None


@dataclass(frozen=True)
class Pace:
    """The times and limits that one cloud keeps from its start to its end."""

    # The shortest and the longest start of an instance.
    start_range_s: tuple[float, float] = (0.0, 0.0)
    # From when something happens until it can be read: `visible_after_s` of CloudWatch and Logs.
    metric_delay_s: float = 0.0
    log_delay_s: float = 0.0
    # By service and operation; None: as often as one likes.
    rate_of: Callable[[str, str], Rate | None] = _unlimited

    def start_s(self, chance: random.Random) -> float:
        """Return how long one instance takes to start: anything in the range is as likely."""
        return chance.uniform(*self.start_range_s)

    @property
    def is_instant(self) -> bool:
        """Whether nothing waits for anything but this machine."""
        return self.start_range_s[1] == 0

    def sentence(self) -> str:
        """Say it to whoever starts the cloud."""
        if self.is_instant:
            return "Instances start as fast as they can here (AWS takes minutes)"
        first_s, last_s = self.start_range_s
        return (
            f"Instances take {first_s:.0f} to {last_s:.0f} s to start, metrics come "
            f"{self.metric_delay_s:.0f} s late and control calls are throttled, all as on AWS"
        )


INSTANT = Pace()


def as_on_aws(chance: random.Random) -> Pace:
    """Return a pace drawn from what is known of AWS."""
    return Pace(
        start_range_s=_START_S,
        metric_delay_s=chance.uniform(*_METRIC_DELAY_S),
        log_delay_s=chance.uniform(*_LOG_DELAY_S),
        rate_of=api_rates.rate_of,
    )


@dataclass(frozen=True)
class Bucket:
    """How many calls may be made now, and when now is."""

    tokens: float
    at_s: float

    @classmethod
    def full(cls, rate: Rate, now_s: float) -> Self:
        """Return the bucket of an operation that was not called for a while."""
        return cls(rate.burst, now_s)

    def take(self, rate: Rate, now_s: float) -> "Bucket | None":
        """Return the bucket after one call at `now_s`, None when there is no token for it."""
        refilled = self.tokens + max(0.0, now_s - self.at_s) * rate.per_s
        tokens = min(rate.burst, refilled)
        return Bucket(tokens - 1, now_s) if tokens >= 1 else None
