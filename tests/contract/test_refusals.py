"""What is wrong with a request, through boto3: AWS's kind of error, in its words."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.contract.samples import ARN, CONFIG_VARIANT, IMAGE, NOW

pytestmark = pytest.mark.slow


def _job(**more: Any) -> dict[str, Any]:
    request = {
        "CompilationJobName": "refused",
        "RoleArn": "arn:aws:iam::000000000000:role/WindtunnelLocalRole",
        "InputConfig": {"S3Uri": "s3://bucket/model.tar.gz", "Framework": "TENSORFLOW"},
        "OutputConfig": {"S3OutputLocation": "s3://bucket/out", "TargetDevice": "ml_c5"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 900},
    }
    return {**request, **more}


_KEY_ID = {
    "S3OutputLocation": "s3://bucket/out",
    "TargetDevice": "ml_c5",
    "KmsKeyId": "alias/mine",
}
_JETSON = {"S3OutputLocation": "s3://bucket/out", "TargetDevice": "jetson_nano"}
_TOASTER = {"S3OutputLocation": "s3://bucket/out", "TargetDevice": "toaster"}
_PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/m/1"


_INVALID: list[tuple[str, str, dict[str, Any], str, str]] = [
    (
        "sagemaker",
        "describe_endpoint",
        {"EndpointName": "under_score"},
        "ValidationException",
        "1 validation error detected: Value 'under_score' at 'endpointName' failed to satisfy",
    ),
    (
        "sagemaker",
        "create_model",
        {"ModelName": "m", "PrimaryContainer": {"Image": "nginx"}},
        "ValidationException",
        "does not run in this local cloud",
    ),
    (
        "sagemaker",
        "create_model",
        {
            "ModelName": "m",
            "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "s3://bucket/missing.tar.gz"},
        },
        "ValidationException",
        "Could not find model data at s3://bucket/missing.tar.gz.",
    ),
    (
        "sagemaker",
        "create_model",
        {"ModelName": "m", "PrimaryContainer": {"Image": IMAGE}, "ExecutionRoleArn": "x" * 20},
        "ValidationException",
        "at 'executionRoleArn' failed to satisfy constraint",
    ),
    (
        "sagemaker",
        "create_endpoint_config",
        {
            "EndpointConfigName": "c",
            "ProductionVariants": [
                {
                    "VariantName": "v",
                    "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
                }
            ],
        },
        "ValidationException",
        "does not offer ProductionVariants.member.1.ServerlessConfig.",
    ),
    (
        "sagemaker",
        "create_endpoint",
        {"EndpointName": "e", "EndpointConfigName": "none"},
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}:endpoint-config/none".',
    ),
    (
        "sagemaker",
        "create_endpoint_config",
        {
            "EndpointConfigName": "c",
            "ProductionVariants": [{**CONFIG_VARIANT, "ModelName": "m"}],
            "ShadowProductionVariants": [{**CONFIG_VARIANT, "ModelName": "m"}],
        },
        "ValidationException",
        "does not offer ShadowProductionVariants.",
    ),
    (
        "sagemaker",
        "create_endpoint_config",
        {
            "EndpointConfigName": "c",
            "ProductionVariants": [{**CONFIG_VARIANT, "ModelName": "m"}],
            "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/o"}},
        },
        "ValidationException",
        "does not offer AsyncInferenceConfig.",
    ),
    (
        "sagemaker",
        "create_endpoint_config",
        {
            "EndpointConfigName": "c",
            "ProductionVariants": [
                {
                    **CONFIG_VARIANT,
                    "ModelName": "m",
                    "RoutingConfig": {"RoutingStrategy": "KV_AWARE"},
                    "ManagedInstanceScaling": {"Status": "ENABLED"},
                }
            ],
        },
        "ValidationException",
        "does not offer ProductionVariants.member.1.ManagedInstanceScaling, "
        "ProductionVariants.member.1.RoutingConfig.RoutingStrategy 'KV_AWARE'.",
    ),
    (
        "sagemaker",
        "create_model",
        {
            "ModelName": "m",
            "PrimaryContainer": {"Image": IMAGE},
            "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        },
        "ValidationException",
        "does not offer VpcConfig.",
    ),
    (
        "sagemaker",
        "create_model",
        {
            "ModelName": "m",
            "PrimaryContainer": {
                "Image": IMAGE,
                "ModelDataSource": {
                    "S3DataSource": {
                        "S3Uri": "s3://bucket/missing/",
                        "S3DataType": "S3Prefix",
                        "CompressionType": "None",
                    }
                },
            },
        },
        "ValidationException",
        "Could not find model data at s3://bucket/missing/.",
    ),
    (
        "sagemaker",
        "update_endpoint",
        {"EndpointName": "none", "EndpointConfigName": "none"},
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}:endpoint-config/none".',
    ),
    (
        "sagemaker",
        "update_endpoint",
        {
            "EndpointName": "e",
            "EndpointConfigName": "c",
            "DeploymentConfig": {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {"Type": "CANARY", "WaitIntervalInSeconds": 1}
                }
            },
        },
        "ValidationException",
        "does not offer DeploymentConfig.",
    ),
    (
        "sagemaker",
        "update_endpoint",
        {
            "EndpointName": "e",
            "EndpointConfigName": "c",
            "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DataCaptureConfig"}],
        },
        "ValidationException",
        "ExcludeRetainedVariantProperties.member.1.VariantPropertyType 'DataCaptureConfig'",
    ),
    (
        "sagemaker",
        "update_endpoint_weights_and_capacities",
        {
            "EndpointName": "none",
            "DesiredWeightsAndCapacities": [{"VariantName": "v", "DesiredWeight": 1.0}],
        },
        "ValidationException",
        f'Could not find endpoint "{ARN}:endpoint/none".',
    ),
    (
        "sagemaker",
        "update_endpoint_weights_and_capacities",
        {
            "EndpointName": "e",
            "DesiredWeightsAndCapacities": [
                {"VariantName": "v", "ServerlessUpdateConfig": {"MaxConcurrency": 1}}
            ],
        },
        "ValidationException",
        "does not offer DesiredWeightsAndCapacities.member.1.ServerlessUpdateConfig.",
    ),
    (
        "sagemaker",
        "create_inference_component",
        {
            "InferenceComponentName": "i",
            "EndpointName": "e",
            "VariantName": "v",
            "Specification": {"ModelName": "m"},
        },
        "UnsupportedOperationException",
        "does not offer CreateInferenceComponent",
    ),
    (
        "sagemaker",
        "list_endpoints",
        {"NextToken": "made-up"},
        "ValidationException",
        "NextToken",
    ),
    (
        "sagemaker",
        "create_training_job",
        {
            "TrainingJobName": "t",
            "RoleArn": "arn:aws:iam::000000000000:role/x",
            "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
        "UnsupportedOperationException",
        "does not offer CreateTrainingJob",
    ),
    (
        "sts",
        "get_access_key_info",
        {"AccessKeyId": "AKIA" * 5},
        "UnsupportedOperationException",
        "GetAccessKeyInfo",
    ),
    *(
        ("sagemaker", "create_compilation_job", request, "ValidationException", words)
        for request, words in [
            (_job(CompilationJobName="a_b"), "Value 'a_b' at 'compilationJobName' failed"),
            (_job(OutputConfig=_TOASTER), "Member must satisfy enum value set: [lambda, ml_m4"),
            (_job(OutputConfig=_JETSON), "does not compile for TargetDevice jetson_nano"),
            (_job(OutputConfig=_KEY_ID), "does not offer OutputConfig.KmsKeyId."),
            (_job(VpcConfig={"SecurityGroupIds": ["s"], "Subnets": ["s"]}), "offer VpcConfig."),
            (_job(ModelPackageVersionArn=_PACKAGE), "does not offer ModelPackageVersionArn."),
            (_job(StoppingCondition={"MaxWaitTimeInSeconds": 9}), "MaxWaitTimeInSeconds."),
        ]
    ),
    *(
        (
            "sagemaker",
            operation,
            {"CompilationJobName": "none"},
            "ResourceNotFound",
            f'Could not find compilation job "{ARN}:compilation-job/none".',
        )
        for operation in (
            "describe_compilation_job",
            "stop_compilation_job",
            "delete_compilation_job",
        )
    ),
    (
        "cloudwatch",
        "get_metric_statistics",
        {
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocations",
            "StartTime": NOW,
            "EndTime": NOW,
            "Period": 60,
            "Statistics": ["Sum"],
        },
        "InvalidParameterValue",
        "The parameter StartTime must not equal parameter EndTime.",
    ),
    (
        "cloudwatch",
        "get_metric_statistics",
        {
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocations",
            "StartTime": NOW - timedelta(days=1),
            "EndTime": NOW,
            "Period": 1,
            "Statistics": ["Sum"],
        },
        "InvalidParameterCombination",
        "which exceeds the limit of 1440.",
    ),
    (
        "cloudwatch",
        "delete_insight_rules",
        {"RuleNames": ["a"]},
        "UnsupportedOperationException",
        "does not offer DeleteInsightRules",
    ),
]


@pytest.mark.parametrize(("service", "operation", "request_", "code", "words"), _INVALID)
def test_what_is_wrong_gets_awss_kind_of_error(
    contract: Any, service: str, operation: str, request_: dict[str, Any], code: str, words: str
) -> None:
    """`except ClientError` with AWS's codes is how scripts tell mistakes apart."""
    client = contract.client(service)
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**request_)
    response = caught.value.response

    assert response["Error"]["Code"] == code
    assert words in response["Error"]["Message"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["ResponseMetadata"]["RequestId"]


def test_a_jobs_name_that_is_taken_is_in_use(sagemaker: Any) -> None:
    """`except client.exceptions.ResourceInUse` is how scripts choose another name."""
    request = _job(
        CompilationJobName="taken-held",
        # Families that AWS has added since botocore's enumeration ended are taken.
        OutputConfig={"S3OutputLocation": "s3://bucket/out", "TargetDevice": "ml_c7i"},
    )
    sagemaker.create_compilation_job(**request)
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="Job name must be unique"):
        sagemaker.create_compilation_job(**request)


def test_declared_errors_are_boto3s_own_exceptions(cloudwatch: Any) -> None:
    """`except client.exceptions.InvalidParameterValueException` works as on AWS."""
    with pytest.raises(cloudwatch.exceptions.InvalidParameterValueException):
        cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            StartTime=NOW,
            EndTime=NOW,
            Period=60,
            Statistics=["Sum"],
        )
