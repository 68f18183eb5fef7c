"""What a metric is, and a sample of one; the names and units of those that this cloud publishes.

A metric is its namespace, its name and its dimensions: CloudWatch sums nothing up over dimensions
that were not published. Names and units are SageMaker's ("Monitor SageMaker AI with Amazon
CloudWatch": endpoint invocation metrics; jobs and endpoint metrics).
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from windtunnel.cloud.cloudwatch.summary import Summary

INVOCATIONS = "AWS/SageMaker"
INSTANCES = "/aws/sagemaker/Endpoints"
# What only multi-model endpoints have ("CloudWatch Metrics for Multi-Model Endpoint Deployments").
MODEL_LOADING: Mapping[str, str] = {
    "ModelCacheHit": "None",
    "ModelLoadingWaitTime": "Microseconds",
    "ModelDownloadingTime": "Microseconds",
    "ModelLoadingTime": "Microseconds",
    "ModelUnloadingTime": "Microseconds",
}
# By namespace: metric and unit.
UNITS: Mapping[str, Mapping[str, str]] = {
    INVOCATIONS: {
        "Invocations": "None",
        "InvocationsPerInstance": "None",
        "Invocation4XXErrors": "None",
        "Invocation5XXErrors": "None",
        "InvocationModelErrors": "None",
        "ModelLatency": "Microseconds",
        "OverheadLatency": "Microseconds",
        "ConcurrentRequestsPerModel": "None",
        **MODEL_LOADING,
    },
    INSTANCES: {
        "CPUUtilization": "Percent",
        "MemoryUtilization": "Percent",
        "DiskUtilization": "Percent",
        "LoadedModelCount": "None",
    },
}


class Metric(NamedTuple):
    """A metric's identity; dimensions are pairs in the order of their names."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Iterable[tuple[str, str]] = ()) -> "Metric":
        """Return a metric, in whatever order its dimensions were given."""
        return cls(namespace, name, tuple(sorted(dimensions)))


def variant_metric(namespace: str, name: str, endpoint_name: str, variant_name: str) -> Metric:
    """Return a metric of one variant of an endpoint."""
    return Metric(namespace, name, (("EndpointName", endpoint_name), ("VariantName", variant_name)))


class Sample(NamedTuple):
    """Values of one metric that belong to one moment, summed up."""

    metric: Metric
    unit: str
    at_s: int
    summary: Summary
    # Kept by the second too, and not by the minute alone.
    is_high_resolution: bool = False
