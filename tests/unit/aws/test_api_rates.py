"""How often AWS lets its operations be called."""

import pytest

from windtunnel.aws.api_rates import rate_of


@pytest.mark.parametrize(
    ("service", "operation", "per_s"),
    [
        ("cloudwatch", "GetMetricData", 50),
        ("logs", "FilterLogEvents", 5),
        ("sagemaker", "ListModels", 2),
        ("sagemaker", "DescribeEndpoint", 10),
        ("sagemaker", "CreateEndpoint", 2),
        ("sts", "GetCallerIdentity", 600),
    ],
)
def test_an_operation_is_limited_as_aws_limits_it(
    service: str, operation: str, per_s: float
) -> None:
    """Code that was only ever run against a patient cloud breaks on the real one."""
    rate = rate_of(service, operation)

    assert rate is not None
    assert rate.per_s == per_s


def test_nothing_is_invented_for_what_nobody_documents() -> None:
    """A limit that AWS does not have would send people to fix what is not broken."""
    assert rate_of("iam", "GetRole") is None
    assert rate_of("cloudwatch", "TagResource") is None
