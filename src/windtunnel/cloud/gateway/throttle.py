"""Turns away control calls that come more often than AWS lets an account make them.

One token bucket an operation, as this home is one account in one region. How often is AWS's
business (`aws/api_rates.py`) and whether at all is the cloud's pace (`cloud/pace.py`); a call that
is turned away costs nothing and changes nothing, and every SDK tries it again.
"""

from collections.abc import Callable

from windtunnel.aws.api_rates import Rate
from windtunnel.cloud.gateway.answers import Fault, FaultError
from windtunnel.cloud.pace import Bucket
from windtunnel.core.clock import Clock

_MESSAGE = "Rate exceeded"
_CODE = "ThrottlingException"
# The query services say it so ("Throttling: Rate exceeded, status code: 400": AWS re:Post, "How do
# I resolve API throttling or Rate exceeded errors for IAM and AWS STS").
_CODES = {"cloudwatch": "Throttling", "iam": "Throttling", "sts": "Throttling"}


class Throttle:
    """The buckets of the operations that were called; there are as many as operations at most."""

    def __init__(self, rate_of: Callable[[str, str], Rate | None], clock: Clock) -> None:
        self._rate_of = rate_of
        self._clock = clock
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def check(self, service: str, operation: str) -> None:
        """Let one call of an operation through, or refuse it as AWS does."""
        rate = self._rate_of(service, operation)
        if rate is None:
            return
        now_s = self._clock.monotonic_s()
        bucket = self._buckets.get((service, operation)) or Bucket.full(rate, now_s)
        after = bucket.take(rate, now_s)
        if after is None:
            raise FaultError(Fault(_CODES.get(service, _CODE), _MESSAGE, 400))
        self._buckets[service, operation] = after
