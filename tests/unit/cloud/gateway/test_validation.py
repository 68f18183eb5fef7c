"""Requests against the bounds of AWS's models."""

from typing import Any

import pytest

from windtunnel.cloud.gateway import validation
from windtunnel.cloud.gateway.answers import Fault, FaultError
from windtunnel.cloud.gateway.shapes import load_service

_NAME_PATTERN = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"


def _refusal(operation: str, parsed: dict[str, Any], service: str = "sagemaker") -> Fault:
    with pytest.raises(FaultError) as caught:
        validation.check(load_service(service).operation(operation), parsed)
    return caught.value.fault


def test_a_request_within_its_model_passes() -> None:
    """Validation must not stand in the way of what AWS takes."""
    parsed = {
        "endpoint_config_name": "config-1",
        "production_variants": [
            {
                "variant_name": "AllTraffic",
                "model_name": "model-1",
                "initial_instance_count": 1,
                "instance_type": "ml.c5.xlarge",
                "initial_variant_weight": 1.0,
            }
        ],
        "tags": [{"key": "team é", "value": "a:b/c=d+e@f"}],
    }
    validation.check(load_service("sagemaker").operation("CreateEndpointConfig"), parsed)


def test_a_name_with_an_underscore_is_refused_in_awss_words() -> None:
    """The most common mistake must read as it does on AWS, so that a search finds its cure."""
    fault = _refusal("DescribeEndpoint", {"endpoint_name": "my_endpoint"})

    assert fault.code == "ValidationException"
    assert fault.status == 400
    assert fault.message == (
        "1 validation error detected: Value 'my_endpoint' at 'endpointName' failed to satisfy "
        f"constraint: Member must satisfy regular expression pattern: {_NAME_PATTERN}"
    )


def test_everything_wrong_is_said_at_once_length_before_pattern() -> None:
    """A user mends all mistakes in one go."""
    fault = _refusal("CreateEndpoint", {"endpoint_name": "a_" * 40})
    value = "a_" * 40

    assert fault.message == (
        f"3 validation errors detected: Value '{value}' at 'endpointName' failed to satisfy "
        "constraint: Member must have length less than or equal to 63; "
        f"Value '{value}' at 'endpointName' failed to satisfy constraint: Member must satisfy "
        f"regular expression pattern: {_NAME_PATTERN}; "
        "Value null at 'endpointConfigName' failed to satisfy constraint: Member must not be null"
    )


def test_a_mistake_deep_inside_is_found_where_it_is() -> None:
    """With ten variants, the message must name the one."""
    variant = {"variant_name": "a", "instance_type": "ml.nonsense", "initial_instance_count": 0}
    parsed = {
        "endpoint_config_name": "c",
        "production_variants": [{"variant_name": "fine"}, variant, {"model_name": "m"}],
    }
    message = _refusal("CreateEndpointConfig", parsed).message or ""

    assert message.startswith("3 validation errors detected: ")
    assert "Value '0' at 'productionVariants.2.member.initialInstanceCount' failed" in message
    assert "Member must have value greater than or equal to 1" in message
    assert "Value 'ml.nonsense' at 'productionVariants.2.member.instanceType' failed" in message
    assert "Member must satisfy enum value set: [ml.t2.medium, " in message
    assert "Value null at 'productionVariants.3.member.variantName' failed" in message


def test_a_structure_is_quoted_in_awss_names() -> None:
    """The names in a message are those that a user wrote, not ours."""
    variants = [{"variant_name": f"v{number}", "model_name": "m"} for number in range(11)]
    parsed = {"endpoint_config_name": "c", "production_variants": variants}
    message = _refusal("CreateEndpointConfig", parsed).message or ""

    assert "Value '[{variantName=v0, modelName=m}, " in message
    assert "at 'productionVariants' failed" in message


@pytest.mark.parametrize(
    ("operation", "parsed", "expected"),
    [
        (
            "CreateEndpointConfig",
            {"endpoint_config_name": "c", "production_variants": []},
            (
                "Value '[]' at 'productionVariants' failed to satisfy constraint: "
                "Member must have length greater than or equal to 1"
            ),
        ),
        (
            "ListEndpoints",
            {"max_results": 101},
            (
                "Value '101' at 'maxResults' failed to satisfy constraint: "
                "Member must have value less than or equal to 100"
            ),
        ),
        (
            "ListEndpoints",
            {"sort_by": "Colour"},
            (
                "Value 'Colour' at 'sortBy' failed to satisfy constraint: "
                "Member must satisfy enum value set: [Name, CreationTime, Status]"
            ),
        ),
        (
            "DeleteTags",
            {"resource_arn": "arn:aws:sagemaker:r:000000000000:model/m", "tag_keys": ["ok", "a|b"]},
            (
                "Value '[ok, a|b]' at 'tagKeys' failed to satisfy constraint: Member must satisfy "
                "constraint: [Member must have length less than or equal to 128, Member must have "
                "length greater than or equal to 1, Member must satisfy regular expression "
                "pattern: ([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)]"
            ),
        ),
        (
            "CreateModel",
            {"model_name": "m", "primary_container": {"environment": {"A": "x" * 1025}}},
            (
                "at 'primaryContainer.environment' failed to satisfy constraint: Map value must "
                "satisfy constraint: [Member must have length less than or equal to 1024"
            ),
        ),
        (
            "CreateModel",
            {"model_name": "m", "primary_container": {"environment": {"1A": "x"}}},
            (
                "Value '{1A=x}' at 'primaryContainer.environment' failed to satisfy constraint: "
                "Map keys must satisfy constraint: ["
            ),
        ),
        (
            "CreateModel",
            {"model_name": "m", "primary_container": {"environment": {"A": None}}},
            "Value '{A=null}' at 'primaryContainer.environment' failed",
        ),
        (
            "AddTags",
            {"resource_arn": "arn:aws:sagemaker:r:000000000000:model/m", "tags": [None]},
            "Value null at 'tags.1.member' failed to satisfy constraint: Member must not be null",
        ),
    ],
)
def test_each_kind_of_constraint_is_checked(
    operation: str, parsed: dict[str, Any], expected: str
) -> None:
    """A client checks hardly any of these; AWS checks all."""
    assert expected in (_refusal(operation, parsed).message or "")


def test_cloudwatch_says_what_is_missing_in_its_own_way() -> None:
    """CloudWatch's clients look for MissingParameter."""
    parsed = {"namespace": "AWS/SageMaker", "dimensions": [{"name": "EndpointName"}]}
    fault = _refusal("GetMetricStatistics", parsed, "cloudwatch")

    assert fault.code == "MissingParameter"
    assert (fault.message or "").splitlines() == [
        "The parameter MetricName is required.",
        "The parameter Dimensions.member.1.Value is required.",
        "The parameter StartTime is required.",
        "The parameter EndTime is required.",
        "The parameter Period is required.",
    ]


def test_cloudwatch_calls_a_broken_bound_a_validation_error() -> None:
    """As github.com/ansible/ansible/issues/29694 shows it answer a period that is too short."""
    parsed = {
        "namespace": "AWS/SageMaker",
        "metric_name": "Invocations",
        "start_time": 0.0,
        "end_time": 1.0,
        "period": 0,
    }
    fault = _refusal("GetMetricStatistics", parsed, "cloudwatch")

    assert fault.code == "ValidationError"
    assert fault.message == (
        "1 validation error detected: Value '0' at 'period' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1"
    )


@pytest.mark.parametrize(
    ("operation", "parsed", "expected"),
    [
        (
            "CreateModel",
            {
                "model_name": "m",
                "primary_container": {"environment": {f"K{i}": "x" * 1000 for i in range(40)}},
            },
            "may have 32768",
        ),
        (
            "CreateEndpoint",
            {
                "endpoint_name": "e",
                "endpoint_config_name": "c",
                "tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}],
            },
            "Tag keys must be unique per resource.",
        ),
        (
            "AddTags",
            {
                "resource_arn": "arn:aws:sagemaker:r:000000000000:model/m",
                "tags": [{"key": "AWS:owner", "value": "1"}],
            },
            "aws: prefixed tag key names are not allowed for external use.",
        ),
    ],
)
def test_truths_outside_the_model_are_kept_too(
    operation: str, parsed: dict[str, Any], expected: str
) -> None:
    """What AWS's prose forbids must not pass here and fail there."""
    fault = _refusal(operation, parsed)

    assert fault.code == "ValidationException"
    assert expected in (fault.message or "")


def test_a_huge_value_costs_little_and_is_not_repeated_whole() -> None:
    """A megabyte in a name must not come back as a megabyte of error, or burn the loop."""
    fault = _refusal("DescribeEndpoint", {"endpoint_name": "a-" * 500_000})

    assert "Member must have length less than or equal to 63" in (fault.message or "")
    assert len(fault.message or "") < 10_000
