"""An endpoint's past, asked of AWS; botocore holds what the fake answers against AWS's model."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from windtunnel.autoscaling.decider import Bounds
from windtunnel.lab.simulation import history, policies
from windtunnel.lab.simulation.history import Activity

# boto3 takes a quarter of a second to read each service's model.
pytestmark = pytest.mark.slow

_START_S = 1_700_000_040.0
_RESOURCE = "endpoint/unet/variant/AllTraffic"
_WHICH = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": _RESOURCE,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(_START_S + seconds, UTC)


@pytest.fixture
def cloudwatch() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client(
        "cloudwatch", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    with Stubber(client) as stub:
        yield client, stub


@pytest.fixture
def scaling() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client(
        "application-autoscaling", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    with Stubber(client) as stub:
        yield client, stub


def _activity(seconds: float, count: int, status: str = "Successful") -> dict[str, Any]:
    return {
        **_WHICH,
        "ActivityId": "x",
        "Description": f"Setting desired instance count to {count}.",
        "Cause": "monitor alarm a in state ALARM triggered policy p",
        "StartTime": _at(seconds),
        "StatusCode": status,
    }


def test_traffic_policies_and_activities_are_what_aws_answers(
    cloudwatch: tuple[Any, Stubber], scaling: tuple[Any, Stubber]
) -> None:
    """Four minutes, one without a data point, two instances at first, one real activity."""
    metrics, metrics_stub = cloudwatch
    autoscaling, stub = scaling
    moments = [_at(0), _at(60), _at(180)]
    metrics_stub.add_response(
        "get_metric_data",
        {
            "MetricDataResults": [
                {"Id": "invocations", "Timestamps": moments, "Values": [0.0, 40.0, 60.0]},
                {
                    "Id": "invocationsperinstance",
                    "Timestamps": moments,
                    "Values": [0.0, 20.0, 15.0],
                },
            ]
        },
        {
            "MetricDataQueries": ANY,
            "StartTime": _at(0),
            "EndTime": _at(240),
            "ScanBy": "TimestampAscending",
        },
    )
    stub.add_response(
        "describe_scaling_activities",
        {
            "ScalingActivities": [
                _activity(200, 4),
                _activity(100, 9, "Failed"),
                _activity(-500, 2),
                {**_activity(150, 1), "Description": "Setting min capacity to 1"},
            ]
        },
        _WHICH,
    )
    stub.add_response(
        "describe_scalable_targets",
        {
            "ScalableTargets": [
                {
                    **_WHICH,
                    "MinCapacity": 1,
                    "MaxCapacity": 6,
                    "RoleARN": "arn:aws:iam::1:role/r",
                    "CreationTime": _at(-9999),
                }
            ]
        },
    )
    stub.add_response(
        "describe_scaling_policies",
        {
            "ScalingPolicies": [
                {
                    **_WHICH,
                    "PolicyARN": "arn",
                    "PolicyName": "follow",
                    "PolicyType": "TargetTrackingScaling",
                    "CreationTime": _at(-9999),
                    "TargetTrackingScalingPolicyConfiguration": {
                        "TargetValue": 70.0,
                        "PredefinedMetricSpecification": {
                            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                        },
                    },
                }
            ]
        },
    )
    stub.add_response("describe_scheduled_actions", {"ScheduledActions": []})
    found = history.of_clients(metrics, autoscaling, "unet", "AllTraffic", _START_S, _START_S + 240)

    assert found.trace.demand.counts.tolist() == [0, 40, 0, 60]
    assert found.trace.notes == ("1 minute has no data point: they count as without requests",)
    assert found.activities == (Activity(_START_S + 200, 4, is_out=True),)
    assert found.initial == 2
    asked = policies.of_words(dict(found.words), "n", "policy", (None, None), None)
    assert asked.setup.bounds == Bounds(1, 6)
    assert asked.setup.tracking[0].name == "follow"
    stub.assert_no_pending_responses()


def test_a_prediction_is_right_within_a_minute_and_to_the_same_count() -> None:
    """Each real activity answers for one prediction only."""
    real = [Activity(1000, 4), Activity(5000, 2)]
    predicted = [Activity(1059, 4), Activity(1001, 4), Activity(5061, 2), Activity(5000, 3)]
    found = history.verify(predicted, real, 9000)

    assert (found.predicted, found.real, found.matched) == (4, 2, 1)
    assert found.sentence.startswith("1 of 4 predicted activities")


def test_an_alarm_as_it_is_described_becomes_the_words_that_put_it() -> None:
    """State and history of an alarm are no part of its definition."""
    words = policies.put_words(
        {"AlarmName": "a", "StateValue": "OK", "AlarmArn": "x", "Period": 60}
    )

    assert words == {"AlarmName": "a", "Period": 60}


def test_a_scale_in_to_the_same_count_is_no_scale_out() -> None:
    """One prediction, three minutes late, met the way back and counted as right."""
    real = [Activity(1000, 2, is_out=True), Activity(1120, 2, is_out=False)]

    assert history.verify([Activity(1130, 2, is_out=True)], real, 9000).matched == 0
    assert history.verify([Activity(1130, 2, is_out=False)], real, 9000).matched == 1


def test_what_is_predicted_behind_the_trace_counts_on_neither_side() -> None:
    """What led to it may not be in the trace; but a real one there may be a late twin."""
    real = [Activity(1000, 2), Activity(2000.5, 3), Activity(2100, 4)]
    predicted = [Activity(1000, 2), Activity(1999.8, 3), Activity(2000, 4)]

    found = history.verify(predicted, real, 2000)

    assert (found.predicted, found.real, found.matched) == (2, 2, 2)
