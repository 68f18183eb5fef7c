"""What is not offered is refused by name."""

from collections.abc import Iterator
from typing import Any

import pytest

from windtunnel.cloud.gateway import coverage
from windtunnel.cloud.gateway.answers import FaultError
from windtunnel.cloud.gateway.coverage import HONOURED, Honoured, Only, Whole
from windtunnel.cloud.gateway.shapes import Shape, load_service


def _refusal(operation: str, parsed: dict[str, Any], service: str = "sagemaker") -> str:
    with pytest.raises(FaultError) as caught:
        coverage.check(load_service(service).operation(operation), parsed)
    assert caught.value.fault.status == 400
    return caught.value.fault.message or ""


@pytest.mark.parametrize(
    ("operation", "parsed", "named"),
    [
        ("CreateModel", {"vpc_config": {"subnets": ["s"]}}, "VpcConfig"),
        ("CreateModel", {"containers": [{"image": "i"}]}, "Containers"),
        ("CreateModel", {"enable_network_isolation": True}, "EnableNetworkIsolation 'true'"),
        (
            "CreateModel",
            {"primary_container": {"model_package_name": "p"}},
            "PrimaryContainer.ModelPackageName",
        ),
        (
            "CreateModel",
            {
                "primary_container": {
                    "model_data_source": {"s3_data_source": {"manifest_s3_uri": "s3://b/m"}}
                }
            },
            "PrimaryContainer.ModelDataSource.S3DataSource.ManifestS3Uri",
        ),
        ("CreateEndpointConfig", {"data_capture_config": {"a": 1}}, "DataCaptureConfig"),
        ("CreateEndpointConfig", {"async_inference_config": {"a": 1}}, "AsyncInferenceConfig"),
        ("CreateEndpointConfig", {"shadow_production_variants": [1]}, "ShadowProductionVariants"),
        ("CreateEndpointConfig", {"explainer_config": {"a": 1}}, "ExplainerConfig"),
        ("CreateEndpointConfig", {"kms_key_id": "k"}, "KmsKeyId"),
        (
            "CreateEndpointConfig",
            {"production_variants": [{}, {"serverless_config": {"max_concurrency": 1}}]},
            "ProductionVariants.member.2.ServerlessConfig",
        ),
        (
            "CreateEndpointConfig",
            {"production_variants": [{"routing_config": {"routing_strategy": "KV_AWARE"}}]},
            "ProductionVariants.member.1.RoutingConfig.RoutingStrategy 'KV_AWARE'",
        ),
        ("CreateEndpoint", {"deployment_config": {"a": 1}}, "DeploymentConfig"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(
    operation: str, parsed: dict[str, Any], named: str
) -> None:
    """Nothing is worse than a setting that is taken and does nothing."""
    assert _refusal(operation, parsed) == f"Windtunnel's local cloud does not offer {named}."


def test_what_cloudwatch_has_beyond_this_cloud_is_refused_by_name() -> None:
    """Entities that are dropped silently would be missed only much later."""
    entities = {"namespace": "Own", "entity_metric_data": [{"metric_data": []}]}
    of_another = {"metric_data_queries": [{"id": "m1", "account_id": "123456789012"}]}

    assert "EntityMetricData" in _refusal("PutMetricData", entities, "cloudwatch")
    assert "MetricDataQueries.member.1.AccountId '123456789012'" in _refusal(
        "GetMetricData", of_another, "cloudwatch"
    )


def test_all_that_is_not_offered_is_named_at_once() -> None:
    """A user learns in one go what to leave out."""
    message = _refusal("CreateEndpointConfig", {"kms_key_id": "k", "vpc_config": {"a": 1}})

    assert message == "Windtunnel's local cloud does not offer KmsKeyId, VpcConfig."


def test_values_that_change_nothing_pass() -> None:
    """SDKs spell out defaults; those must not break a deployment."""
    model = load_service("sagemaker")
    coverage.check(
        model.operation("CreateModel"),
        {
            "enable_network_isolation": False,
            "containers": [],
            "primary_container": {
                "mode": "SingleModel",
                "image_config": {"repository_access_mode": "Platform"},
                "container_hostname": "any",
            },
        },
    )
    coverage.check(
        model.operation("CreateEndpointConfig"),
        {"production_variants": [{"enable_ssm_access": False, "volume_size_in_gb": 30}]},
    )


def _unknown_names(shape: Shape, honoured: Honoured) -> Iterator[str]:
    members = {member.name: member for member in shape.members}
    for name, rule in honoured.items():
        if name not in members:
            yield f"{shape.name}.{name}"
            continue
        inner = members[name].shape
        if isinstance(rule, Only):
            if inner.enum is not None:
                yield from (str(value) for value in rule.values if value not in inner.enum)
        elif not isinstance(rule, Whole):
            yield from _unknown_names(inner.member.shape if inner.kind == "list" else inner, rule)


def test_the_table_holds_names_that_aws_has() -> None:
    """A misspelt name in the table would refuse what is offered."""
    unknown = [
        name
        for service, operations in HONOURED.items()
        for operation, honoured in operations.items()
        for name in _unknown_names(
            load_service(service).operation(operation).input or pytest.fail(operation), honoured
        )
    ]
    assert unknown == []
