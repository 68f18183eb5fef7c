"""What DescribeEndpoint says of an endpoint: its record, and how far its instances have come.

Pure. Sources: botocore's pages on DescribeEndpoint, ProductionVariantSummary and
PendingDeploymentSummary.
"""

from typing import Any, Protocol

from windtunnel.cloud.sagemaker.lifecycle import Status
from windtunnel.cloud.sagemaker.records import Change, Document, Endpoint, Variant


class Counts(Protocol):
    """Who knows how many instances answer now."""

    def healthy_count(self, variant_name: str) -> int:
        """Return how many instances of a variant take requests."""
        ...

    def newcomer_count(self, variant_name: str) -> int:
        """Return how many instances of a deployment's variant are up and take none yet."""
        ...


def described(endpoint: Endpoint, counts: Counts | None) -> Document:
    """Return an endpoint's description; without counts, of a moment when nothing runs."""
    change = endpoint.change
    answer: dict[str, Any] = {
        "endpoint_name": endpoint.name,
        "endpoint_arn": endpoint.arn,
        "endpoint_config_name": endpoint.config_name,
        "production_variants": [_serving(endpoint, each, counts) for each in endpoint.variants],
        "endpoint_status": endpoint.status,
        "failure_reason": endpoint.failure_reason,
        "creation_time": endpoint.created_s,
        "last_modified_time": endpoint.modified_s,
    }
    # "This field is only returned when the endpoint is creating or updating with a new endpoint
    # configuration" (DescribeEndpoint, `PendingDeploymentSummary`).
    if endpoint.status is Status.CREATING:
        answer["pending_deployment_summary"] = {
            "endpoint_config_name": endpoint.config_name,
            "production_variants": [
                _pending(each, _healthy(each, counts), endpoint.created_s)
                for each in endpoint.variants
            ],
            "start_time": endpoint.created_s,
        }
    elif change is not None and change.kind == "deployment":
        answer["pending_deployment_summary"] = {
            "endpoint_config_name": change.config_name,
            "production_variants": [
                _pending(
                    each,
                    0 if counts is None else counts.newcomer_count(each.name),
                    change.started_s,
                )
                for each in change.variants
            ],
            "start_time": change.started_s,
        }
    return answer


def _serving(endpoint: Endpoint, variant: Variant, counts: Counts | None) -> Document:
    desired = _desired(endpoint.change, variant)
    summary: Document = {
        "variant_name": variant.name,
        "deployed_images": _images(variant, endpoint.created_s),
        "current_weight": variant.weight,
        "desired_weight": desired.weight,
        "current_instance_count": _healthy(variant, counts),
        "desired_instance_count": desired.instance_count,
        "routing_config": variant.routing_config,
    }
    status = _variant_status(endpoint)
    if status is not None:
        summary["variant_status"] = [{"status": status, "start_time": endpoint.modified_s}]
    return summary


def _pending(variant: Variant, instance_count: int, started_s: float) -> Document:
    return {
        "variant_name": variant.name,
        "deployed_images": _images(variant, started_s),
        "instance_type": variant.instance_type,
        "current_weight": variant.weight,
        "desired_weight": variant.weight,
        "current_instance_count": instance_count,
        "desired_instance_count": variant.instance_count,
        "variant_status": [{"status": "Creating", "start_time": started_s}],
    }


def _desired(change: Change | None, variant: Variant) -> Variant:
    """Return the variant as a change of capacity wants it, else as it is."""
    if change is None or change.kind != "capacity":
        return variant
    return next(each for each in change.variants if each.name == variant.name)


def _variant_status(endpoint: Endpoint) -> str | None:
    """Return what a variant that serves is going through, None when nothing."""
    if endpoint.status in (Status.CREATING, Status.DELETING):
        return str(endpoint.status)
    return None if endpoint.change is None else "Updating"


def _healthy(variant: Variant, counts: Counts | None) -> int:
    return 0 if counts is None else counts.healthy_count(variant.name)


def _images(variant: Variant, resolved_s: float) -> list[Document]:
    return [
        {
            "specified_image": variant.image,
            "resolved_image": variant.image,
            "resolution_time": resolved_s,
        }
    ]
