"""AWS's formula for a target, and targets that can do nothing."""

from windtunnel.autoscaling import proposal
from windtunnel.autoscaling.signals import CONCURRENT_REQUESTS, INVOCATIONS_PER_INSTANCE
from windtunnel.autoscaling.tracking import TrackingPolicy


def _doubts(target: float, metric: str = INVOCATIONS_PER_INSTANCE, **more: float) -> list[str]:
    return proposal.doubts(TrackingPolicy("p", metric, target), 20.0, **more)


def test_the_proposed_target_is_awss_formula_with_its_arithmetic_shown() -> None:
    """20 requests/s and a factor of 0.5 are 600 a minute."""
    assert proposal.proposed_target(20) == 600
    assert proposal.proposed_target(20, 0.8) == 960
    assert proposal.arithmetic(20) == "20 requests/s x 0.5 x 60 = 600 a minute and instance"


def test_the_proposed_target_raises_no_doubt() -> None:
    """Or the tool would contradict itself."""
    assert _doubts(proposal.proposed_target(20)) == []


def test_a_target_that_always_or_never_fires_is_told() -> None:
    """The workshop's 10 a minute, and more than an instance can do."""
    (always,) = _doubts(10)
    (never,) = _doubts(1200)

    assert "stay at its maximum" in always
    assert "or never" in never


def test_concurrency_is_judged_only_where_the_service_time_is_known() -> None:
    """20 requests/s of 0.25 s are five at once."""
    assert _doubts(5, CONCURRENT_REQUESTS) == []
    assert _doubts(4, CONCURRENT_REQUESTS, service_s=0.25) == []
    assert "or never" in _doubts(5, CONCURRENT_REQUESTS, service_s=0.25)[0]


def test_a_metric_of_the_whole_endpoint_is_not_judged_by_one_instance() -> None:
    """How many share it is not known."""
    assert _doubts(1e9, "AWS/SageMaker/Invocations/Sum") == []
