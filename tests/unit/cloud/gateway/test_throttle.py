"""Control calls that come too often, refused as AWS refuses them."""

import pytest

from windtunnel.aws.api_rates import Rate
from windtunnel.cloud.gateway.answers import FaultError
from windtunnel.cloud.gateway.throttle import Throttle
from windtunnel.core.clock import ManualClock


def _throttle(clock: ManualClock) -> Throttle:
    limited = {"ListModels": Rate(1, 2), "ListMetrics": Rate(1, 1)}
    return Throttle(lambda _service, operation: limited.get(operation), clock)


def test_a_call_too_many_is_refused_and_one_later_is_not() -> None:
    """What every SDK is written to cope with must come in the form that they look for."""
    clock = ManualClock()
    throttle = _throttle(clock)
    throttle.check("sagemaker", "ListModels")
    throttle.check("sagemaker", "ListModels")
    with pytest.raises(FaultError) as refused:
        throttle.check("sagemaker", "ListModels")
    fault = refused.value.fault
    clock.advance(1.0)
    throttle.check("sagemaker", "ListModels")

    assert (fault.code, fault.message, fault.status) == (
        "ThrottlingException",
        "Rate exceeded",
        400,
    )


def test_one_operation_does_not_use_up_anothers_calls() -> None:
    """AWS counts each operation by itself; so does a user who plans calls."""
    throttle = _throttle(ManualClock())
    for _ in range(2):
        throttle.check("sagemaker", "ListModels")
    for _ in range(100):
        throttle.check("sagemaker", "DescribeModel")
    throttle.check("cloudwatch", "ListMetrics")


def test_the_query_services_have_their_own_word_for_it() -> None:
    """Botocore retries `Throttling` and `ThrottlingException`; people search for what they saw."""
    throttle = _throttle(ManualClock())
    throttle.check("cloudwatch", "ListMetrics")
    with pytest.raises(FaultError) as refused:
        throttle.check("cloudwatch", "ListMetrics")

    assert refused.value.fault.code == "Throttling"
