"""How often AWS lets one account call an operation in one region, as far as that is known.

AWS throttles by token buckets: so many calls at once, refilled at so many a second (AWS Security
Blog, "How to monitor and query IAM resources at scale - Part 2", says so of IAM and STS). Sources:

- CloudWatch: its user guide's page "CloudWatch service quotas".
- Logs: its user guide's page "CloudWatch Logs quotas"; FilterLogEvents' 5 also in AWS re:Post's
  article on throttling of CloudWatch Logs.
- STS: IAM user guide, "IAM and AWS STS quotas".
- SageMaker publishes none. Lists: 2 a second (an AWS engineer in aws/sagemaker-python-sdk#2071).
  CreateModel and CreateEndpoint are throttled in a handful of parallel test runs
  (aws/aws-step-functions-data-science-sdk-python#162), DescribeEndpoint when many poll it every
  5 s (aws/sagemaker-python-sdk#1204): the numbers for them are guesses that agree with this.

How many calls a bucket holds is published for none of these: twice a second's, a guess.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """So many calls a second on average, and so many at once."""

    per_s: float
    burst: float

    def __post_init__(self) -> None:
        assert self.per_s > 0
        assert self.burst >= 1, "a bucket that holds no whole call lets none pass"


def _rate(per_s: float) -> Rate:
    return Rate(per_s, 2 * per_s)


_BY_OPERATION = {
    ("cloudwatch", "GetMetricData"): _rate(50),
    ("cloudwatch", "GetMetricStatistics"): _rate(400),
    ("cloudwatch", "ListMetrics"): _rate(25),
    ("cloudwatch", "PutMetricData"): _rate(500),
    ("cloudwatch", "DescribeAlarms"): _rate(9),
    ("cloudwatch", "PutMetricAlarm"): _rate(3),
    ("cloudwatch", "DeleteAlarms"): _rate(3),
    ("cloudwatch", "DescribeAlarmHistory"): _rate(3),
    ("cloudwatch", "SetAlarmState"): _rate(3),
    ("logs", "DescribeLogGroups"): _rate(10),
    ("logs", "DescribeLogStreams"): _rate(25),
    ("logs", "FilterLogEvents"): _rate(5),
    ("logs", "GetLogEvents"): _rate(25),
}
# What an operation's name begins with, for services whose operations are alike.
_BY_PREFIX = {
    ("sagemaker", "List"): _rate(2),
    ("sagemaker", "Describe"): _rate(10),
    ("sagemaker", ""): _rate(2),
    ("sts", ""): _rate(600),
}


def rate_of(service: str, operation: str) -> Rate | None:
    """Return how often an operation may be called; None where nothing is known of a limit."""
    known = _BY_OPERATION.get((service, operation))
    if known is not None:
        return known
    for (of_service, prefix), rate in _BY_PREFIX.items():
        if service == of_service and operation.startswith(prefix):
            return rate
    return None
