"""Which members of each operation this cloud honours; a request with any other is refused by name.

Nothing that AWS declares is ignored here: what is not in this table is not offered, also what a
newer botocore adds. Names are AWS's, as in its documentation. `Only` means: this value changes
nothing here, or is the one that is kept; other values are refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from windtunnel.cloud.gateway.answers import FaultError, invalid
from windtunnel.cloud.gateway.shapes import OperationModel, Shape
from windtunnel.cloud.gateway.validation import printed
from windtunnel.core.home import ACCOUNT_ID


@dataclass(frozen=True)
class Whole:
    """A member that is honoured with all its parts."""


@dataclass(frozen=True)
class Only:
    """A member of which these values alone are honoured."""

    values: tuple[Any, ...]


Honoured = Mapping[str, "Whole | Only | Honoured"]

ALL = Whole()


def _names(*names: str) -> Honoured:
    return dict.fromkeys(names, ALL)


_CONTAINER: Honoured = {
    # "This parameter is ignored for models that contain only a PrimaryContainer" (AWS, the same).
    **_names("ContainerHostname", "Image", "ModelDataUrl", "Environment"),
    "ModelDataSource": {"S3DataSource": _names("S3Uri", "S3DataType", "CompressionType")},
    "ImageConfig": {"RepositoryAccessMode": Only(("Platform",))},
    "Mode": Only(("SingleModel", "MultiModel")),
    "MultiModelConfig": _names("ModelCacheSetting"),
}

_VARIANT: Honoured = {
    **_names(
        "VariantName",
        "ModelName",
        "InitialInstanceCount",
        "InstanceType",
        "InitialVariantWeight",
        "ContainerStartupHealthCheckTimeoutInSeconds",
        "ModelDataDownloadTimeoutInSeconds",
        # Instances here share the home's disk: there is at least as much as was asked for.
        "VolumeSizeInGB",
    ),
    "EnableSSMAccess": Only((False,)),
    "RoutingConfig": {"RoutingStrategy": Only(("LEAST_OUTSTANDING_REQUESTS", "RANDOM"))},
}

_LIST = _names(
    "SortBy",
    "SortOrder",
    "NextToken",
    "MaxResults",
    "NameContains",
    "CreationTimeBefore",
    "CreationTimeAfter",
)

# Application Auto Scaling scales the instances of endpoints' variants here, and nothing else.
_SCALED: Honoured = {
    "ServiceNamespace": Only(("sagemaker",)),
    "ScalableDimension": Only(("sagemaker:variant:DesiredInstanceCount",)),
}

HONOURED: Mapping[str, Mapping[str, Honoured]] = {
    "application-autoscaling": {
        "RegisterScalableTarget": {
            **_SCALED,
            **_names("ResourceId", "MinCapacity", "MaxCapacity", "SuspendedState", "Tags"),
            # AWS uses its service-linked role for SageMaker, whatever is named.
            "RoleARN": ALL,
        },
        "DescribeScalableTargets": {
            **_SCALED,
            **_names("ResourceIds", "MaxResults", "NextToken"),
        },
        "DeregisterScalableTarget": {**_SCALED, **_names("ResourceId")},
        "PutScalingPolicy": {
            **_SCALED,
            **_names("PolicyName", "ResourceId", "StepScalingPolicyConfiguration"),
            "PolicyType": Only(("StepScaling", "TargetTrackingScaling")),
            "TargetTrackingScalingPolicyConfiguration": {
                **_names(
                    "TargetValue",
                    "PredefinedMetricSpecification",
                    "ScaleOutCooldown",
                    "ScaleInCooldown",
                    "DisableScaleIn",
                ),
                "CustomizedMetricSpecification": _names(
                    "MetricName", "Namespace", "Dimensions", "Statistic", "Unit", "Metrics"
                ),
            },
        },
        "DescribeScalingPolicies": {
            **_SCALED,
            **_names("PolicyNames", "ResourceId", "MaxResults", "NextToken"),
        },
        "DeleteScalingPolicy": {**_SCALED, **_names("PolicyName", "ResourceId")},
        "PutScheduledAction": {
            **_SCALED,
            **_names(
                "ResourceId",
                "ScheduledActionName",
                "Schedule",
                "Timezone",
                "StartTime",
                "EndTime",
                "ScalableTargetAction",
            ),
        },
        "DescribeScheduledActions": {
            **_SCALED,
            **_names("ScheduledActionNames", "ResourceId", "MaxResults", "NextToken"),
        },
        "DeleteScheduledAction": {**_SCALED, **_names("ResourceId", "ScheduledActionName")},
        "DescribeScalingActivities": {
            **_SCALED,
            **_names("ResourceId", "MaxResults", "NextToken", "IncludeNotScaledActivities"),
        },
        "ListTagsForResource": _names("ResourceARN"),
        "TagResource": _names("ResourceARN", "Tags"),
        "UntagResource": _names("ResourceARN", "TagKeys"),
    },
    "sagemaker": {
        "CreateModel": {
            # Roles are checked for their form: there is nothing to be protected from one's own
            # machine.
            **_names("ModelName", "ExecutionRoleArn", "Tags"),
            "PrimaryContainer": _CONTAINER,
            "EnableNetworkIsolation": Only((False,)),
        },
        "DescribeModel": _names("ModelName"),
        "ListModels": _LIST,
        "DeleteModel": _names("ModelName"),
        "CreateEndpointConfig": {
            **_names("EndpointConfigName", "ExecutionRoleArn", "Tags"),
            "ProductionVariants": _VARIANT,
            "EnableNetworkIsolation": Only((False,)),
        },
        "DescribeEndpointConfig": _names("EndpointConfigName"),
        "ListEndpointConfigs": _LIST,
        "DeleteEndpointConfig": _names("EndpointConfigName"),
        "CreateEndpoint": _names("EndpointName", "EndpointConfigName", "Tags"),
        "DescribeEndpoint": _names("EndpointName"),
        "ListEndpoints": {
            **_LIST,
            **_names("LastModifiedTimeBefore", "LastModifiedTimeAfter", "StatusEquals"),
        },
        "UpdateEndpoint": {
            **_names("EndpointName", "EndpointConfigName", "RetainAllVariantProperties"),
            "ExcludeRetainedVariantProperties": {
                "VariantPropertyType": Only(("DesiredInstanceCount", "DesiredWeight"))
            },
            # There is none to reuse.
            "RetainDeploymentConfig": Only((False,)),
        },
        "UpdateEndpointWeightsAndCapacities": {
            "EndpointName": ALL,
            "DesiredWeightsAndCapacities": _names(
                "VariantName", "DesiredWeight", "DesiredInstanceCount"
            ),
        },
        "DeleteEndpoint": _names("EndpointName"),
        "CreateCompilationJob": {
            **_names("CompilationJobName", "RoleArn", "Tags"),
            "InputConfig": _names("S3Uri", "DataInputConfig", "Framework", "FrameworkVersion"),
            "OutputConfig": _names(
                # Which targets and platforms are offered says the room (`jobs/places.py`).
                "S3OutputLocation",
                "TargetDevice",
                "TargetPlatform",
                "CompilerOptions",
            ),
            "StoppingCondition": _names("MaxRuntimeInSeconds"),
        },
        "DescribeCompilationJob": _names("CompilationJobName"),
        "StopCompilationJob": _names("CompilationJobName"),
        "ListCompilationJobs": {
            **_LIST,
            **_names("LastModifiedTimeBefore", "LastModifiedTimeAfter", "StatusEquals"),
        },
        "DeleteCompilationJob": _names("CompilationJobName"),
        "AddTags": _names("ResourceArn", "Tags"),
        "ListTags": _names("ResourceArn", "NextToken", "MaxResults"),
        "DeleteTags": _names("ResourceArn", "TagKeys"),
    },
    "iam": {
        "CreateRole": _names(
            "Path",
            "RoleName",
            "AssumeRolePolicyDocument",
            "Description",
            "MaxSessionDuration",
            "Tags",
        ),
        "GetRole": _names("RoleName"),
        "ListRoles": _names("PathPrefix", "Marker", "MaxItems"),
        "UpdateRole": _names("RoleName", "Description", "MaxSessionDuration"),
        "UpdateAssumeRolePolicy": _names("RoleName", "PolicyDocument"),
        "DeleteRole": _names("RoleName"),
        "AttachRolePolicy": _names("RoleName", "PolicyArn"),
        "DetachRolePolicy": _names("RoleName", "PolicyArn"),
        "ListAttachedRolePolicies": _names("RoleName", "PathPrefix", "Marker", "MaxItems"),
        "PutRolePolicy": _names("RoleName", "PolicyName", "PolicyDocument"),
        "GetRolePolicy": _names("RoleName", "PolicyName"),
        "DeleteRolePolicy": _names("RoleName", "PolicyName"),
        "ListRolePolicies": _names("RoleName", "Marker", "MaxItems"),
        "TagRole": _names("RoleName", "Tags"),
        "UntagRole": _names("RoleName", "TagKeys"),
        "ListRoleTags": _names("RoleName", "Marker", "MaxItems"),
        "SimulatePrincipalPolicy": _names("PolicySourceArn", "ActionNames", "Marker", "MaxItems"),
    },
    "sts": {
        # Trust policies are not enforced, so there is nothing to hold an ExternalId against.
        "AssumeRole": _names("RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"),
        "GetCallerIdentity": {},
        "GetSessionToken": _names("DurationSeconds"),
    },
    "logs": {
        "CreateLogGroup": {
            **_names("logGroupName", "tags"),
            "logGroupClass": Only(("STANDARD",)),
            "deletionProtectionEnabled": Only((False,)),
        },
        "CreateLogStream": _names("logGroupName", "logStreamName"),
        "DeleteLogGroup": _names("logGroupName"),
        "DeleteLogStream": _names("logGroupName", "logStreamName"),
        "DeleteRetentionPolicy": _names("logGroupName"),
        "DescribeLogGroups": {
            **_names("logGroupNamePrefix", "logGroupNamePattern", "nextToken", "limit"),
            "includeLinkedAccounts": Only((False,)),
            "logGroupClass": Only(("STANDARD",)),
        },
        "DescribeLogStreams": _names(
            "logGroupName",
            "logGroupIdentifier",
            "logStreamNamePrefix",
            "orderBy",
            "descending",
            "nextToken",
            "limit",
        ),
        "FilterLogEvents": {
            **_names(
                "logGroupName",
                "logGroupIdentifier",
                "logStreamNames",
                "logStreamNamePrefix",
                "startTime",
                "endTime",
                "filterPattern",
                "nextToken",
                "limit",
                # "this parameter is ignored and the value is assumed to be true" (AWS, the same).
                "interleaved",
            ),
            "startFromHead": Only((True,)),
            "unmask": Only((False,)),
        },
        "GetLogEvents": {
            **_names(
                "logGroupName",
                "logGroupIdentifier",
                "logStreamName",
                "startTime",
                "endTime",
                "nextToken",
                "limit",
                "startFromHead",
            ),
            "unmask": Only((False,)),
        },
        "ListTagsForResource": _names("resourceArn"),
        "PutLogEvents": _names(
            "logGroupName",
            "logStreamName",
            "logEvents",
            # "The sequence token is now ignored" (AWS, the same).
            "sequenceToken",
        ),
        "PutRetentionPolicy": _names("logGroupName", "retentionInDays"),
        "TagResource": _names("resourceArn", "tags"),
        "UntagResource": _names("resourceArn", "tagKeys"),
    },
    "cloudwatch": {
        "GetMetricData": {
            "MetricDataQueries": {
                **_names("Id", "MetricStat", "Expression", "Label", "ReturnData", "Period"),
                "AccountId": Only((ACCOUNT_ID,)),
            },
            **_names("StartTime", "EndTime", "NextToken", "ScanBy", "MaxDatapoints"),
            "LabelOptions": ALL,
        },
        "GetMetricStatistics": _names(
            "Namespace",
            "MetricName",
            "Dimensions",
            "StartTime",
            "EndTime",
            "Period",
            "Statistics",
            "ExtendedStatistics",
            "Unit",
        ),
        "ListMetrics": {
            **_names("Namespace", "MetricName", "Dimensions", "NextToken", "RecentlyActive"),
            "IncludeLinkedAccounts": Only((False,)),
        },
        "PutMetricData": {
            **_names("Namespace", "MetricData"),
            # It is about entities, which are refused.
            "StrictEntityValidation": Only((False, True)),
        },
        "PutMetricAlarm": {
            **_names(
                "AlarmName",
                "AlarmDescription",
                "ActionsEnabled",
                "AlarmActions",
                "MetricName",
                "Namespace",
                "Statistic",
                "ExtendedStatistic",
                "Dimensions",
                "Period",
                "Unit",
                "EvaluationPeriods",
                "DatapointsToAlarm",
                "Threshold",
                "TreatMissingData",
                "EvaluateLowSampleCountPercentile",
                "Tags",
            ),
            "Metrics": {
                **_names("Id", "MetricStat", "Expression", "Label", "ReturnData", "Period"),
                "AccountId": Only((ACCOUNT_ID,)),
            },
            "ComparisonOperator": Only(
                (
                    "GreaterThanOrEqualToThreshold",
                    "GreaterThanThreshold",
                    "LessThanThreshold",
                    "LessThanOrEqualToThreshold",
                )
            ),
        },
        "DescribeAlarms": _names(
            "AlarmNames",
            "AlarmNamePrefix",
            "AlarmTypes",
            "StateValue",
            "ActionPrefix",
            "MaxRecords",
            "NextToken",
        ),
        "DescribeAlarmsForMetric": _names(
            "MetricName",
            "Namespace",
            "Statistic",
            "ExtendedStatistic",
            "Dimensions",
            "Period",
            "Unit",
        ),
        "DescribeAlarmHistory": _names(
            "AlarmName",
            "AlarmTypes",
            "HistoryItemType",
            "StartDate",
            "EndDate",
            "MaxRecords",
            "NextToken",
            "ScanBy",
        ),
        "SetAlarmState": _names("AlarmName", "StateValue", "StateReason", "StateReasonData"),
        "DeleteAlarms": _names("AlarmNames"),
        "EnableAlarmActions": _names("AlarmNames"),
        "DisableAlarmActions": _names("AlarmNames"),
    },
}


def check(operation: OperationModel, parsed: Mapping[str, Any]) -> None:
    """Raise a refusal that names everything in a request which is not offered here."""
    if operation.input is None:
        return
    honoured = HONOURED[operation.model.name][operation.name]
    found = list(_refusals(operation.input, parsed, honoured, ""))
    if found:
        message = f"Windtunnel's local cloud does not offer {', '.join(found)}."
        raise FaultError(invalid(operation.model.name, message))


def _refusals(
    shape: Shape, value: Mapping[str, Any], honoured: Honoured, prefix: str
) -> Iterator[str]:
    for key, part in value.items():
        member = shape.members_by_key[key]
        name = prefix + member.name
        rule = honoured.get(member.name)
        if rule is None:
            # An empty list or map asks for nothing.
            if part not in ([], {}):
                yield name
        elif isinstance(rule, Only):
            if part not in rule.values:
                yield f"{name} {printed(part)}"
        elif isinstance(rule, Mapping):
            inner = member.shape
            if inner.kind == "list":
                for index, element in enumerate(part, 1):
                    yield from _refusals(
                        inner.member.shape, element, rule, f"{name}.member.{index}."
                    )
            else:
                yield from _refusals(inner, part, rule, f"{name}.")
