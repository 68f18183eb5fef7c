"""Every operation on offer, through boto3: its answers against botocore's own output shapes.

A new operation needs a case here: `test_every_operation_on_offer_has_a_case` says so. What is not
in AWS's models, but true of AWS all the same, is in `gateway/validation.py`, TRUTHS.
"""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError, WaiterError
from botocore.validate import ParamValidator
from tests.contract.samples import ARN, CONFIG_VARIANT, IMAGE, NOW

from windtunnel.cloud.cloudwatch.samples import InvocationRecord
from windtunnel.cloud.gateway.coverage import HONOURED
from windtunnel.cloud.gateway.shapes import load_service
from windtunnel.cloud.gateway.validation import violations

pytestmark = pytest.mark.slow


def _create_model(client: Any, name: str, **environment: str) -> Any:
    return client.create_model(
        ModelName=name,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": "s3://bucket/model.tar.gz",
            "Environment": environment,
            "Mode": "SingleModel",
        },
        ExecutionRoleArn="arn:aws:iam::000000000000:role/WindtunnelLocalRole",
        Tags=[{"Key": "made-by", "Value": "contract"}],
    )


def _create_config(client: Any, name: str, **environment: str) -> Any:
    _create_model(client, name, **environment)
    return client.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                **CONFIG_VARIANT,
                "ModelName": name,
                "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
            }
        ],
    )


def _create_endpoint(client: Any, name: str, **environment: str) -> Any:
    _create_config(client, name, **environment)
    return client.create_endpoint(EndpointName=name, EndpointConfigName=name)


def _wait(client: Any, waiter: str, name: str) -> None:
    client.get_waiter(waiter).wait(
        EndpointName=name, WaiterConfig={"Delay": 0.01, "MaxAttempts": 1000}
    )


def _endpoint_then(operation: str) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        _create_endpoint(client, name)
        _wait(client, "endpoint_in_service", name)
        return getattr(client, operation)(EndpointName=name)

    return call


def _updated(client: Any, name: str) -> Any:
    _create_endpoint(client, name)
    _wait(client, "endpoint_in_service", name)
    _create_config(client, f"{name}-new")
    return client.update_endpoint(
        EndpointName=name,
        EndpointConfigName=f"{name}-new",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )


def _rescaled(client: Any, name: str) -> Any:
    _create_endpoint(client, name)
    _wait(client, "endpoint_in_service", name)
    return client.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredWeight": 0.5, "DesiredInstanceCount": 3}
        ],
    )


def _config_then(operation: str, member: str) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        _create_config(client, name)
        return getattr(client, operation)(**{member: name})

    return call


def _list(operation: str) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        _create_endpoint(client, name)
        return getattr(client, operation)(NameContains=name, SortBy="Name", MaxResults=1)

    return call


def _create_job(client: Any, name: str) -> Any:
    return client.create_compilation_job(
        CompilationJobName=name,
        RoleArn="arn:aws:iam::000000000000:role/WindtunnelLocalRole",
        InputConfig={
            "S3Uri": "s3://bucket/model.tar.gz",
            "DataInputConfig": '{"inputs": [1, 256, 256, 3]}',
            "Framework": "TENSORFLOW",
            "FrameworkVersion": "2.9",
        },
        OutputConfig={"S3OutputLocation": "s3://bucket/compiled/", "TargetDevice": "ml_c5"},
        StoppingCondition={"MaxRuntimeInSeconds": 900},
        Tags=[{"Key": "made-by", "Value": "contract"}],
    )


def _await_job(client: Any, name: str, *statuses: str) -> Any:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        answer = client.describe_compilation_job(CompilationJobName=name)
        if answer["CompilationJobStatus"] in statuses:
            return answer
    raise AssertionError(f"{name} is {answer['CompilationJobStatus']}")


def _job_described(client: Any, name: str) -> Any:
    _create_job(client, name)
    return _await_job(client, name, "COMPLETED")


def _jobs_listed(client: Any, name: str) -> Any:
    _create_job(client, name)
    return client.list_compilation_jobs(NameContains=name, SortBy="Name", MaxResults=1)


def _job_stopped(client: Any, name: str) -> Any:
    _create_job(client, f"{name}-held")
    return client.stop_compilation_job(CompilationJobName=f"{name}-held")


def _job_deleted(client: Any, name: str) -> Any:
    _create_job(client, name)
    _await_job(client, name, "COMPLETED")
    return client.delete_compilation_job(CompilationJobName=name)


def _tagged_then(operation: str, **more: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        _create_model(client, name)
        return getattr(client, operation)(ResourceArn=f"{ARN}:model/{name}", **more)

    return call


def _statistics(client: Any, name: str) -> Any:
    return client.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[
            {"Name": "EndpointName", "Value": "measured"},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        StartTime=NOW - timedelta(minutes=10),
        EndTime=NOW + timedelta(minutes=10),
        Period=60,
        Statistics=["Sum", "Average", "Minimum", "Maximum", "SampleCount"],
    )


_POLICY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
_INLINE = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
)


def _create_role(client: Any, name: str) -> Any:
    return client.create_role(
        RoleName=name,
        Path="/service-role/",
        AssumeRolePolicyDocument=_TRUST,
        Description="of a case",
        MaxSessionDuration=7200,
        Tags=[{"Key": "made-by", "Value": "contract"}],
    )


def _role_then(operation: str, **more: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        _create_role(client, name)
        return getattr(client, operation)(RoleName=name, **more)

    return call


def _role_with_policies_then(operation: str, **more: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        _create_role(client, name)
        client.attach_role_policy(RoleName=name, PolicyArn=_POLICY)
        client.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=_INLINE)
        return getattr(client, operation)(RoleName=name, **more)

    return call


def _log_stream_then(operation: str, **request: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        client.create_log_group(logGroupName=name, tags={"made-by": "contract"})
        client.create_log_stream(logGroupName=name, logStreamName="s")
        client.put_log_events(
            logGroupName=name,
            logStreamName="s",
            logEvents=[{"timestamp": int(time.time() * 1000), "message": "hello"}],
        )
        arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{name}"
        told = {
            key: value.format(name=name, arn=arn) if isinstance(value, str) else value
            for key, value in request.items()
        }
        return getattr(client, operation)(**told)

    return call


_DIMENSION = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
_TRACKING = {
    "TargetValue": 70.0,
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    },
    "ScaleInCooldown": 500,
    "ScaleOutCooldown": 30,
}


def _target_of(name: str) -> str:
    return f"endpoint/{name}/variant/AllTraffic"


def _scaled_then(operation: str, *, bare: bool = False, **request: Any) -> Callable[..., Any]:
    """Return a call on an endpoint with a target, a policy and a scheduled action.

    In a request {resource} is the target's, {arn} its own name; `bare` leaves out the dimension.
    """

    def call(contract: Any, client: Any, name: str) -> Any:
        sagemaker = contract.client("sagemaker")
        _create_endpoint(sagemaker, name)
        _wait(sagemaker, "endpoint_in_service", name)
        target = {**_DIMENSION, "ResourceId": _target_of(name)}
        made = client.register_scalable_target(
            **target, MinCapacity=1, MaxCapacity=4, Tags={"made-by": "contract"}
        )
        client.put_scaling_policy(
            **target,
            PolicyName="follow",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=_TRACKING,
        )
        client.put_scheduled_action(
            **target,
            ScheduledActionName="morning",
            Schedule="cron(0 8 * * ? *)",
            Timezone="Europe/Berlin",
            ScalableTargetAction={"MinCapacity": 2, "MaxCapacity": 4},
        )
        told = {
            key: value.format(resource=_target_of(name), arn=made["ScalableTargetARN"])
            if isinstance(value, str)
            else value
            for key, value in request.items()
        }
        return getattr(client, operation)(**({} if bare else _DIMENSION), **told)

    return call


def _put_alarm(client: Any, name: str) -> Any:
    return client.put_metric_alarm(
        AlarmName=name,
        AlarmDescription="of a contract",
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[
            {"Name": "EndpointName", "Value": "measured"},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=3,
        DatapointsToAlarm=2,
        Threshold=10.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )


def _alarm_then(operation: str, **request: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        _put_alarm(client, name)
        told = {
            key: [name] if value == ["{name}"] else name if value == "{name}" else value
            for key, value in request.items()
        }
        return getattr(client, operation)(**told)

    return call


# Application Auto Scaling's, which need an endpoint of SageMaker's.
SCALING_CASES: dict[str, Callable[..., Any]] = {
    "RegisterScalableTarget": _scaled_then(
        "register_scalable_target",
        ResourceId="{resource}",
        MaxCapacity=3,
        SuspendedState={"DynamicScalingInSuspended": True},
    ),
    "DescribeScalableTargets": _scaled_then("describe_scalable_targets"),
    "DeregisterScalableTarget": _scaled_then("deregister_scalable_target", ResourceId="{resource}"),
    "PutScalingPolicy": _scaled_then(
        "put_scaling_policy",
        ResourceId="{resource}",
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "PercentChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 20}],
            "MinAdjustmentMagnitude": 1,
            "Cooldown": 60,
        },
    ),
    "DescribeScalingPolicies": _scaled_then("describe_scaling_policies", ResourceId="{resource}"),
    "DeleteScalingPolicy": _scaled_then(
        "delete_scaling_policy", ResourceId="{resource}", PolicyName="follow"
    ),
    "PutScheduledAction": _scaled_then(
        "put_scheduled_action",
        ResourceId="{resource}",
        ScheduledActionName="night",
        Schedule="rate(1 day)",
        ScalableTargetAction={"MaxCapacity": 2},
    ),
    "DescribeScheduledActions": _scaled_then("describe_scheduled_actions"),
    "DeleteScheduledAction": _scaled_then(
        "delete_scheduled_action", ResourceId="{resource}", ScheduledActionName="morning"
    ),
    "DescribeScalingActivities": _scaled_then(
        "describe_scaling_activities", ResourceId="{resource}", IncludeNotScaledActivities=True
    ),
    "ListTagsForResource": _scaled_then("list_tags_for_resource", bare=True, ResourceARN="{arn}"),
    "TagResource": _scaled_then(
        "tag_resource", bare=True, ResourceARN="{arn}", Tags={"more": "tags"}
    ),
    "UntagResource": _scaled_then(
        "untag_resource", bare=True, ResourceARN="{arn}", TagKeys=["made-by"]
    ),
}


# Each makes what it needs under a name of its own, calls the operation, and returns its answer.
CASES: dict[tuple[str, str], Callable[[Any, str], Any]] = {
    ("sagemaker", "CreateModel"): _create_model,
    ("sagemaker", "DescribeModel"): _config_then("describe_model", "ModelName"),
    ("sagemaker", "ListModels"): _list("list_models"),
    ("sagemaker", "DeleteModel"): _config_then("delete_model", "ModelName"),
    ("sagemaker", "CreateEndpointConfig"): _create_config,
    ("sagemaker", "DescribeEndpointConfig"): _config_then(
        "describe_endpoint_config", "EndpointConfigName"
    ),
    ("sagemaker", "ListEndpointConfigs"): _list("list_endpoint_configs"),
    ("sagemaker", "DeleteEndpointConfig"): _config_then(
        "delete_endpoint_config", "EndpointConfigName"
    ),
    ("sagemaker", "CreateEndpoint"): _create_endpoint,
    ("sagemaker", "DescribeEndpoint"): _endpoint_then("describe_endpoint"),
    ("sagemaker", "ListEndpoints"): _list("list_endpoints"),
    ("sagemaker", "UpdateEndpoint"): _updated,
    ("sagemaker", "UpdateEndpointWeightsAndCapacities"): _rescaled,
    ("sagemaker", "DeleteEndpoint"): _endpoint_then("delete_endpoint"),
    ("sagemaker", "CreateCompilationJob"): _create_job,
    ("sagemaker", "DescribeCompilationJob"): _job_described,
    ("sagemaker", "ListCompilationJobs"): _jobs_listed,
    ("sagemaker", "StopCompilationJob"): _job_stopped,
    ("sagemaker", "DeleteCompilationJob"): _job_deleted,
    ("sagemaker", "AddTags"): _tagged_then("add_tags", Tags=[{"Key": "a", "Value": "b"}]),
    ("sagemaker", "ListTags"): _tagged_then("list_tags"),
    ("sagemaker", "DeleteTags"): _tagged_then("delete_tags", TagKeys=["made-by"]),
    ("iam", "CreateRole"): _create_role,
    ("iam", "GetRole"): _role_then("get_role"),
    ("iam", "ListRoles"): lambda client, _: client.list_roles(),
    ("iam", "UpdateRole"): _role_then("update_role", Description="changed"),
    ("iam", "UpdateAssumeRolePolicy"): _role_then(
        "update_assume_role_policy", PolicyDocument=_TRUST
    ),
    ("iam", "DeleteRole"): _role_then("delete_role"),
    ("iam", "AttachRolePolicy"): _role_then("attach_role_policy", PolicyArn=_POLICY),
    ("iam", "DetachRolePolicy"): _role_with_policies_then("detach_role_policy", PolicyArn=_POLICY),
    ("iam", "ListAttachedRolePolicies"): _role_with_policies_then("list_attached_role_policies"),
    ("iam", "PutRolePolicy"): _role_then(
        "put_role_policy", PolicyName="inline", PolicyDocument=_INLINE
    ),
    ("iam", "GetRolePolicy"): _role_with_policies_then("get_role_policy", PolicyName="inline"),
    ("iam", "DeleteRolePolicy"): _role_with_policies_then(
        "delete_role_policy", PolicyName="inline"
    ),
    ("iam", "ListRolePolicies"): _role_with_policies_then("list_role_policies"),
    ("iam", "TagRole"): _role_then("tag_role", Tags=[{"Key": "a", "Value": "b"}]),
    ("iam", "UntagRole"): _role_then("untag_role", TagKeys=["made-by"]),
    ("iam", "ListRoleTags"): _role_then("list_role_tags"),
    ("iam", "SimulatePrincipalPolicy"): lambda client, _: client.simulate_principal_policy(
        PolicySourceArn="arn:aws:iam::000000000000:role/WindtunnelLocalRole",
        ActionNames=["sagemaker:CreateModel", "s3:*"],
    ),
    ("sts", "AssumeRole"): lambda client, name: client.assume_role(
        RoleArn="arn:aws:iam::000000000000:role/WindtunnelLocalRole", RoleSessionName=name
    ),
    ("sts", "GetCallerIdentity"): lambda client, _: client.get_caller_identity(),
    ("sts", "GetSessionToken"): lambda client, _: client.get_session_token(),
    ("logs", "CreateLogGroup"): lambda client, name: client.create_log_group(logGroupName=name),
    ("logs", "CreateLogStream"): _log_stream_then(
        "create_log_stream", logGroupName="{name}", logStreamName="another"
    ),
    ("logs", "DeleteLogGroup"): _log_stream_then("delete_log_group", logGroupName="{name}"),
    ("logs", "DeleteLogStream"): _log_stream_then(
        "delete_log_stream", logGroupName="{name}", logStreamName="s"
    ),
    ("logs", "DeleteRetentionPolicy"): _log_stream_then(
        "delete_retention_policy", logGroupName="{name}"
    ),
    ("logs", "DescribeLogGroups"): _log_stream_then(
        "describe_log_groups", logGroupNamePrefix="{name}"
    ),
    ("logs", "DescribeLogStreams"): _log_stream_then("describe_log_streams", logGroupName="{name}"),
    ("logs", "FilterLogEvents"): _log_stream_then("filter_log_events", logGroupName="{name}"),
    ("logs", "GetLogEvents"): _log_stream_then(
        "get_log_events", logGroupIdentifier="{arn}", logStreamName="s"
    ),
    ("logs", "ListTagsForResource"): _log_stream_then(
        "list_tags_for_resource", resourceArn="{arn}"
    ),
    ("logs", "PutLogEvents"): _log_stream_then(
        "put_log_events",
        logGroupName="{name}",
        logStreamName="s",
        logEvents=[{"timestamp": 1, "message": "too old"}],
    ),
    ("logs", "PutRetentionPolicy"): _log_stream_then(
        "put_retention_policy", logGroupName="{name}", retentionInDays=7
    ),
    ("logs", "TagResource"): _log_stream_then(
        "tag_resource", resourceArn="{arn}", tags={"more": "tags"}
    ),
    ("logs", "UntagResource"): _log_stream_then(
        "untag_resource", resourceArn="{arn}", tagKeys=["made-by"]
    ),
    ("cloudwatch", "GetMetricStatistics"): _statistics,
    ("cloudwatch", "GetMetricData"): lambda client, _: client.get_metric_data(
        MetricDataQueries=[{"Id": "e1", "Expression": "TIME_SERIES(5)"}],
        StartTime=NOW - timedelta(minutes=10),
        EndTime=NOW,
    ),
    ("cloudwatch", "PutMetricData"): lambda client, _: client.put_metric_data(
        Namespace="Contract", MetricData=[{"MetricName": "m", "Value": 1.0}]
    ),
    ("cloudwatch", "ListMetrics"): lambda client, _: client.list_metrics(
        Namespace="AWS/SageMaker", Dimensions=[{"Name": "EndpointName", "Value": "measured"}]
    ),
    ("cloudwatch", "PutMetricAlarm"): _put_alarm,
    ("cloudwatch", "DescribeAlarms"): _alarm_then("describe_alarms", AlarmNames=["{name}"]),
    ("cloudwatch", "DescribeAlarmsForMetric"): _alarm_then(
        "describe_alarms_for_metric",
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[
            {"Name": "EndpointName", "Value": "measured"},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
    ),
    ("cloudwatch", "DescribeAlarmHistory"): _alarm_then(
        "describe_alarm_history", AlarmName="{name}"
    ),
    ("cloudwatch", "SetAlarmState"): _alarm_then(
        "set_alarm_state", AlarmName="{name}", StateValue="ALARM", StateReason="to see"
    ),
    ("cloudwatch", "DeleteAlarms"): _alarm_then("delete_alarms", AlarmNames=["{name}"]),
    ("cloudwatch", "EnableAlarmActions"): _alarm_then(
        "enable_alarm_actions", AlarmNames=["{name}"]
    ),
    ("cloudwatch", "DisableAlarmActions"): _alarm_then(
        "disable_alarm_actions", AlarmNames=["{name}"]
    ),
}
OFFERED = [*CASES, *(("application-autoscaling", operation) for operation in SCALING_CASES)]


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


@pytest.mark.parametrize(("service", "operation"), OFFERED)
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
        answer = _as_sent(SCALING_CASES[operation](contract, client, name))
    else:
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
    assert offered == set(OFFERED)
    assert offered == {
        (service, operation) for service, operations in HONOURED.items() for operation in operations
    }


def test_a_description_says_everything_that_aws_says(sagemaker: Any) -> None:
    """Tools read these members without asking whether they are there."""
    _create_endpoint(sagemaker, "complete")
    _wait(sagemaker, "endpoint_in_service", "complete")
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
    _create_endpoint(sagemaker, "waited")
    _wait(sagemaker, "endpoint_in_service", "waited")
    sagemaker.delete_endpoint(EndpointName="waited")
    _wait(sagemaker, "endpoint_deleted", "waited")

    with pytest.raises(ClientError) as caught:
        sagemaker.describe_endpoint(EndpointName="waited")
    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": f'Could not find endpoint "{ARN}:endpoint/waited".',
    }


def test_a_job_is_described_in_every_state(sagemaker: Any) -> None:
    """`sagemaker`'s `compile` polls members that AWS requires from the first moment on."""
    _create_job(sagemaker, "story-held")
    running = _await_job(sagemaker, "story-held", "INPROGRESS")
    sagemaker.stop_compilation_job(CompilationJobName="story-held")
    stopped = _await_job(sagemaker, "story-held", "STOPPED")
    _create_job(sagemaker, "story")
    completed = _await_job(sagemaker, "story", "COMPLETED")

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
    _create_endpoint(sagemaker, "failing", FAIL="no SavedModel in the archive")
    with pytest.raises(WaiterError) as caught:
        _wait(sagemaker, "endpoint_in_service", "failing")

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
        _create_endpoint(sagemaker, name)
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
    _create_model(sagemaker, "timed")
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
