"""Every operation on offer, through boto3: its answers against botocore's own output shapes.

A new operation needs a case in `cases`: `test_every_operation_on_offer_has_a_case` says so. What is
not in AWS's models, but true of AWS all the same, is in `gateway/validation.py`, TRUTHS.
"""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError, WaiterError
from botocore.validate import ParamValidator
from tests.contract.cases import cloudwatch, identity, logs, sagemaker, scaling
from tests.contract.cases.sagemaker import (
    await_job,
    create_endpoint,
    create_job,
    create_model,
    wait,
)
from tests.contract.samples import ARN, IMAGE, Cases

from windtunnel.cloud.cloudwatch.samples import InvocationRecord
from windtunnel.cloud.gateway.coverage import HONOURED
from windtunnel.cloud.gateway.shapes import load_service
from windtunnel.cloud.gateway.validation import violations

pytestmark = pytest.mark.slow

# Each makes what it needs under a name of its own, calls the operation, and returns its answer.
CASES: Cases = {
    **sagemaker.CASES,
    **identity.CASES,
    **cloudwatch.CASES,
    **logs.CASES,
    **scaling.CASES,
}


def _snake(shape: Any, value: Any) -> Any:
    """Return a parsed answer in the form in which our validation reads it."""
    match shape.kind:
        case "structure":
            members = {member.name: member for member in shape.members}
            return {
                members[name].key: _snake(members[name].shape, part) for name, part in value.items()
            }
        case "list":
            return [_snake(shape.member.shape, part) for part in value]
        case _:
            return value


def _as_sent(value: Any) -> Any:
    """Return an answer with its policies as the text that boto3 has read them from."""
    match value:
        case dict():
            return {
                key: quote(json.dumps(part), safe="")
                if key.endswith("PolicyDocument") and isinstance(part, dict)
                else _as_sent(part)
                for key, part in value.items()
            }
        case list():
            return [_as_sent(part) for part in value]
        case _:
            return value


@pytest.mark.parametrize(("service", "operation"), list(CASES))
def test_an_answer_keeps_its_output_shape(contract: Any, service: str, operation: str) -> None:
    """Types by botocore, required members, bounds, patterns and enums by AWS's model."""
    contract.record(
        InvocationRecord(
            "measured", "AllTraffic", time.time(), 200, 0.02, 0.001, 1, is_model_error=False
        )
    )
    client = contract.client(service)
    name = f"case-{operation.lower()}"
    if service == "application-autoscaling":
        create_endpoint(contract.client("sagemaker"), name)
        wait(contract.client("sagemaker"), "endpoint_in_service", name)
    answer = _as_sent(CASES[service, operation](client, name))
    metadata = answer.pop("ResponseMetadata")
    shape = client.meta.service_model.operation_model(operation).output_shape
    ours = load_service(service).operation(operation).output

    assert metadata["HTTPStatusCode"] == 200
    assert re.fullmatch(r"[0-9a-f-]{36}", metadata["RequestId"])
    if shape is None or ours is None:
        assert answer == {}
        return
    assert not ParamValidator().validate(answer, shape).has_errors()
    assert list(violations(ours, _snake(ours, answer))) == []


def test_every_operation_on_offer_has_a_case(contract: Any) -> None:
    """What is not checked here drifts away from AWS."""
    offered = {
        (service, operation)
        for service, operations in contract.api._services.items()
        for operation in operations
    }
    assert offered == set(CASES)
    assert offered == {
        (service, operation) for service, operations in HONOURED.items() for operation in operations
    }


def test_a_description_says_everything_that_aws_says(sagemaker: Any) -> None:
    """Tools read these members without asking whether they are there."""
    create_endpoint(sagemaker, "complete")
    wait(sagemaker, "endpoint_in_service", "complete")
    answer = sagemaker.describe_endpoint(EndpointName="complete")
    (variant,) = answer["ProductionVariants"]

    assert answer["EndpointArn"] == f"{ARN}:endpoint/complete"
    assert answer["EndpointConfigName"] == "complete"
    assert answer["EndpointStatus"] == "InService"
    assert answer["CreationTime"] <= answer["LastModifiedTime"] <= datetime.now(UTC)
    assert variant["VariantName"] == "AllTraffic"
    assert variant["CurrentWeight"] == variant["DesiredWeight"] == 1.0
    assert variant["CurrentInstanceCount"] == variant["DesiredInstanceCount"] == 2
    assert variant["DeployedImages"][0]["SpecifiedImage"] == IMAGE
    assert variant["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}


def test_boto3s_waiters_follow_an_endpoint_through_its_life(sagemaker: Any) -> None:
    """`endpoint_in_service` and `endpoint_deleted` are how scripts wait."""
    create_endpoint(sagemaker, "waited")
    wait(sagemaker, "endpoint_in_service", "waited")
    sagemaker.delete_endpoint(EndpointName="waited")
    wait(sagemaker, "endpoint_deleted", "waited")

    with pytest.raises(ClientError) as caught:
        sagemaker.describe_endpoint(EndpointName="waited")
    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": f'Could not find endpoint "{ARN}:endpoint/waited".',
    }


def test_a_job_is_described_in_every_state(sagemaker: Any) -> None:
    """`sagemaker`'s `compile` polls members that AWS requires from the first moment on."""
    create_job(sagemaker, "story-held")
    running = await_job(sagemaker, "story-held", "INPROGRESS")
    sagemaker.stop_compilation_job(CompilationJobName="story-held")
    stopped = await_job(sagemaker, "story-held", "STOPPED")
    create_job(sagemaker, "story")
    completed = await_job(sagemaker, "story", "COMPLETED")

    for answer in (running, stopped, completed):
        assert answer["FailureReason"] == ""
        assert answer["ModelArtifacts"]["S3ModelArtifacts"] == (
            "s3://bucket/compiled/model-ml_c5.tar.gz"
        )
        assert answer["StoppingCondition"] == {"MaxRuntimeInSeconds": 900}
    assert "CompilationEndTime" not in running
    assert stopped["CompilationEndTime"] >= stopped["CompilationStartTime"]
    assert "ModelDigests" not in stopped
    assert completed["DerivedInformation"] == {"DerivedDataInputConfig": '{"inputs": [1, 2]}'}
    arn = completed["CompilationJobArn"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "made-by", "Value": "contract"}]


def test_boto3s_waiter_sees_a_failure_and_why(sagemaker: Any) -> None:
    """A waiter that hangs on a failed endpoint costs an hour."""
    create_endpoint(sagemaker, "failing", FAIL="no SavedModel in the archive")
    with pytest.raises(WaiterError) as caught:
        wait(sagemaker, "endpoint_in_service", "failing")

    last: Any = caught.value.last_response
    reason = last["FailureReason"]
    assert "did not pass the ping health check" in reason
    assert reason.endswith("no SavedModel in the archive")


@pytest.mark.parametrize(
    ("operation", "key", "name_key"),
    [
        ("list_models", "Models", "ModelName"),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        ("list_endpoints", "Endpoints", "EndpointName"),
    ],
)
def test_boto3s_paginators_see_everything_once(
    sagemaker: Any, operation: str, key: str, name_key: str
) -> None:
    """A script that cleans up must find all that there is."""
    prefix = f"paged-{operation.replace('_', '-')}"
    names = [f"{prefix}-{number}" for number in range(7)]
    for name in names:
        create_endpoint(sagemaker, name)
    pages = list(
        sagemaker.get_paginator(operation).paginate(
            NameContains=prefix,
            SortBy="Name",
            SortOrder="Ascending",
            PaginationConfig={"PageSize": 3},
        )
    )

    assert [len(page[key]) for page in pages] == [3, 3, 1]
    assert [each[name_key] for page in pages for each in page[key]] == names


def test_a_time_from_an_answer_can_be_used_as_a_filter(sagemaker: Any) -> None:
    """What was created at a time is created after it or at it, to the millisecond."""
    create_model(sagemaker, "timed")
    created = sagemaker.describe_model(ModelName="timed")["CreationTime"]
    at_or_after = sagemaker.list_models(NameContains="timed", CreationTimeAfter=created)["Models"]
    before = sagemaker.list_models(NameContains="timed", CreationTimeBefore=created)["Models"]

    assert [model["ModelName"] for model in at_or_after] == ["timed"]
    assert before == []


def test_metrics_answer_what_was_measured(contract: Any, cloudwatch: Any) -> None:
    """The numbers of a dashboard are those of the requests."""
    now_s = time.time()
    for latency_s in (0.010, 0.030):
        contract.record(
            InvocationRecord(
                "numbers", "AllTraffic", now_s, 200, latency_s, 0.001, 1, is_model_error=False
            )
        )
    now = datetime.now(UTC)
    answer = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[
            {"Name": "EndpointName", "Value": "numbers"},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=60,
        Statistics=["Sum", "SampleCount"],
        Unit="Microseconds",
    )
    (point,) = answer["Datapoints"]

    assert point["Timestamp"] == datetime.fromtimestamp(now_s // 60 * 60, UTC)
    assert point["Sum"] == pytest.approx(40_000)
    assert point["SampleCount"] == 2
    assert point["Unit"] == "Microseconds"
