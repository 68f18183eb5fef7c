"""Which metrics a simulation can work out from requests and instances, and how.

Pure. Anything else a policy may be on (a queue's length, a GPU's use) depends on more than a trace
says: it is refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from windtunnel.autoscaling.alarm import AlarmRule
from windtunnel.core.errors import UsageError

INVOCATIONS_PER_INSTANCE = "SageMakerVariantInvocationsPerInstance"
CONCURRENT_REQUESTS = "SageMakerVariantConcurrentRequestsPerModelHighResolution"


@dataclass(frozen=True, slots=True)
class Signal:
    """How a metric's statistic follows from the requests of a period and the instances in it."""

    # Divided by the instances that served: each request publishes 1/instances.
    is_per_instance: bool
    # The sum over a period, or the mean of what was there at a time.
    is_sum: bool


_INVOCATIONS_PER_INSTANCE = Signal(is_per_instance=True, is_sum=True)
# Little's law: how many are in the containers is how many come a second times how long they stay.
# Those that no instance had room for are counted as over capacity, not as waiting.
_CONCURRENCY = Signal(is_per_instance=True, is_sum=False)
# By predefined metric type, or `Namespace/MetricName/Statistic`.
SIGNALS: Mapping[str, Signal] = {
    INVOCATIONS_PER_INSTANCE: _INVOCATIONS_PER_INSTANCE,
    "AWS/SageMaker/InvocationsPerInstance/Sum": _INVOCATIONS_PER_INSTANCE,
    "AWS/SageMaker/Invocations/Sum": Signal(is_per_instance=False, is_sum=True),
    CONCURRENT_REQUESTS: _CONCURRENCY,
    "AWS/SageMaker/ConcurrentRequestsPerModel/Average": _CONCURRENCY,
}


def signal_of(metric: str) -> Signal:
    """Return how a metric is worked out, or say that it cannot be."""
    if metric not in SIGNALS:
        raise UsageError(
            f"The metric {metric} cannot be worked out from a trace: a simulation knows "
            f"{', '.join(SIGNALS)}."
        )
    return SIGNALS[metric]


@dataclass(frozen=True, slots=True)
class WatchedStep:
    """An alarm that triggers a step policy, and the metric it is on."""

    rule: AlarmRule
    metric: str
