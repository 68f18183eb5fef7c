"""SageMaker's operations, each on what it makes for itself."""

import time
from collections.abc import Callable
from typing import Any

from tests.contract.samples import ARN, CONFIG_VARIANT, IMAGE, Cases


def create_model(client: Any, name: str, **environment: str) -> Any:
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


def create_config(client: Any, name: str, **environment: str) -> Any:
    create_model(client, name, **environment)
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


def create_endpoint(client: Any, name: str, **environment: str) -> Any:
    create_config(client, name, **environment)
    return client.create_endpoint(EndpointName=name, EndpointConfigName=name)


def wait(client: Any, waiter: str, name: str) -> None:
    client.get_waiter(waiter).wait(
        EndpointName=name, WaiterConfig={"Delay": 0.01, "MaxAttempts": 1000}
    )


def _endpoint_then(operation: str) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        create_endpoint(client, name)
        wait(client, "endpoint_in_service", name)
        return getattr(client, operation)(EndpointName=name)

    return call


def _updated(client: Any, name: str) -> Any:
    create_endpoint(client, name)
    wait(client, "endpoint_in_service", name)
    create_config(client, f"{name}-new")
    return client.update_endpoint(
        EndpointName=name,
        EndpointConfigName=f"{name}-new",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )


def _rescaled(client: Any, name: str) -> Any:
    create_endpoint(client, name)
    wait(client, "endpoint_in_service", name)
    return client.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredWeight": 0.5, "DesiredInstanceCount": 3}
        ],
    )


def _config_then(operation: str, member: str) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        create_config(client, name)
        return getattr(client, operation)(**{member: name})

    return call


def _list(operation: str) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        create_endpoint(client, name)
        return getattr(client, operation)(NameContains=name, SortBy="Name", MaxResults=1)

    return call


def create_job(client: Any, name: str) -> Any:
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


def await_job(client: Any, name: str, *statuses: str) -> Any:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        answer = client.describe_compilation_job(CompilationJobName=name)
        if answer["CompilationJobStatus"] in statuses:
            return answer
    raise AssertionError(f"{name} is {answer['CompilationJobStatus']}")


def _job_described(client: Any, name: str) -> Any:
    create_job(client, name)
    return await_job(client, name, "COMPLETED")


def _jobs_listed(client: Any, name: str) -> Any:
    create_job(client, name)
    return client.list_compilation_jobs(NameContains=name, SortBy="Name", MaxResults=1)


def _job_stopped(client: Any, name: str) -> Any:
    create_job(client, f"{name}-held")
    return client.stop_compilation_job(CompilationJobName=f"{name}-held")


def _job_deleted(client: Any, name: str) -> Any:
    create_job(client, name)
    await_job(client, name, "COMPLETED")
    return client.delete_compilation_job(CompilationJobName=name)


def _tagged_then(operation: str, **more: Any) -> Callable[[Any, str], Any]:
    def call(client: Any, name: str) -> Any:
        create_model(client, name)
        return getattr(client, operation)(ResourceArn=f"{ARN}:model/{name}", **more)

    return call


CASES: Cases = {
    ("sagemaker", "CreateModel"): create_model,
    ("sagemaker", "DescribeModel"): _config_then("describe_model", "ModelName"),
    ("sagemaker", "ListModels"): _list("list_models"),
    ("sagemaker", "DeleteModel"): _config_then("delete_model", "ModelName"),
    ("sagemaker", "CreateEndpointConfig"): create_config,
    ("sagemaker", "DescribeEndpointConfig"): _config_then(
        "describe_endpoint_config", "EndpointConfigName"
    ),
    ("sagemaker", "ListEndpointConfigs"): _list("list_endpoint_configs"),
    ("sagemaker", "DeleteEndpointConfig"): _config_then(
        "delete_endpoint_config", "EndpointConfigName"
    ),
    ("sagemaker", "CreateEndpoint"): create_endpoint,
    ("sagemaker", "DescribeEndpoint"): _endpoint_then("describe_endpoint"),
    ("sagemaker", "ListEndpoints"): _list("list_endpoints"),
    ("sagemaker", "UpdateEndpoint"): _updated,
    ("sagemaker", "UpdateEndpointWeightsAndCapacities"): _rescaled,
    ("sagemaker", "DeleteEndpoint"): _endpoint_then("delete_endpoint"),
    ("sagemaker", "CreateCompilationJob"): create_job,
    ("sagemaker", "DescribeCompilationJob"): _job_described,
    ("sagemaker", "ListCompilationJobs"): _jobs_listed,
    ("sagemaker", "StopCompilationJob"): _job_stopped,
    ("sagemaker", "DeleteCompilationJob"): _job_deleted,
    ("sagemaker", "AddTags"): _tagged_then("add_tags", Tags=[{"Key": "a", "Value": "b"}]),
    ("sagemaker", "ListTags"): _tagged_then("list_tags"),
    ("sagemaker", "DeleteTags"): _tagged_then("delete_tags", TagKeys=["made-by"]),
}
