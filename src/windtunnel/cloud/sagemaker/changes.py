"""What an endpoint's variants become when a change is asked for.

Pure: the variants that serve and what was asked in, the variants that shall serve out.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.sagemaker import wording
from windtunnel.cloud.sagemaker.errors import LimitExceededError
from windtunnel.cloud.sagemaker.records import Document, Endpoint, Variant
from windtunnel.core import limits

Variants = tuple[Variant, ...]


def retaining(serving: Variants, wanted: Variants, excluded: Collection[str]) -> Variants:
    """Return the variants of a new config with the counts and weights that serve now.

    `excluded` are the `VariantPropertyType`s that the new config decides all the same. A variant
    that is new has nothing to retain.
    """
    old = {each.name: each for each in serving}

    def retain(variant: Variant) -> Variant:
        before = old.get(variant.name)
        if before is None:
            return variant
        return replace(
            variant,
            instance_count=variant.instance_count
            if "DesiredInstanceCount" in excluded
            else before.instance_count,
            weight=variant.weight if "DesiredWeight" in excluded else before.weight,
        )

    return tuple(map(retain, wanted))


def rescaled(endpoint: Endpoint, desired: Sequence[Document]) -> Variants:
    """Return an endpoint's variants with the weights and instance counts that are desired."""
    by_name = {each["variant_name"]: each for each in desired}
    if len(by_name) < len(desired):
        raise InvalidError("DesiredWeightsAndCapacities names a variant more than once.")
    unknown = by_name.keys() - {each.name for each in endpoint.variants}
    if unknown:
        known = ", ".join(each.name for each in endpoint.variants)
        raise InvalidError(
            f'Endpoint "{endpoint.arn}" has no variant {", ".join(sorted(unknown))}: its variants '
            f"are {known}."
        )
    for name, each in by_name.items():
        if each.get("desired_instance_count") == 0:
            raise InvalidError(
                f"DesiredInstanceCount of variant {name} must be at least 1: a real-time variant "
                "without inference components cannot scale to zero."
            )

    def rescale(variant: Variant) -> Variant:
        each = by_name.get(variant.name, {})
        return replace(
            variant,
            weight=each.get("desired_weight", variant.weight),
            instance_count=each.get("desired_instance_count", variant.instance_count),
        )

    return tuple(map(rescale, endpoint.variants))


def check_instance_types(serving: Variants, wanted: Variants, scaled: Collection[str]) -> None:
    """Refuse other instance types for variants that are scalable targets.

    SageMaker's guide, "Update endpoints that use auto scaling": "the call fails".
    """
    types = {each.name: each.instance_type for each in serving if each.name in scaled}
    changed = [
        each.name
        for each in wanted
        if types.get(each.name, each.instance_type) != each.instance_type
    ]
    if changed:
        raise wording.scaled_type_changed(changed)


def check_instance_count(variants: Variants) -> None:
    """Refuse more instances than this cloud runs for one endpoint."""
    count = sum(variant.instance_count for variant in variants)
    if count > limits.ENDPOINT_INSTANCE_COUNT_MAX:
        raise LimitExceededError(
            f"An endpoint of this local cloud runs up to {limits.ENDPOINT_INSTANCE_COUNT_MAX} "
            f"instances: {count} were asked for."
        )
