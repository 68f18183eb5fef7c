"""Whether an endpoint stayed, while it was measured, what it was when it was described.

Somebody may delete it, update it or scale it in the middle of a run. What was measured is kept;
that it is of two endpoints rather than of one is said.
"""

from dataclasses import dataclass

from botocore.exceptions import ClientError

from windtunnel.core.errors import WindtunnelError
from windtunnel.lab import refusals
from windtunnel.lab.endpoint import Endpoint
from windtunnel.lab.target import Target


@dataclass(frozen=True)
class Sight:
    """An endpoint at one moment."""

    status: str
    config_name: str
    # By variant.
    instance_counts: dict[str, int]


def warnings(target: Target, before: Endpoint) -> list[str]:
    """Return how an endpoint is other than it was before the run, for its summary."""
    try:
        now = _look(target, before.name)
    except WindtunnelError as error:
        what = "whether the endpoint is still what it was before the run"
        return [f"{what} could not be asked: {str(error).rstrip('.')}"]
    return changes(before, now)


def _look(target: Target, name: str) -> Sight | None:
    with refusals.explained(f"endpoint {name}"):
        try:
            answer = target.sagemaker_briefly().describe_endpoint(EndpointName=name)
        except ClientError as error:
            if refusals.is_missing(error):
                return None
            raise
    return Sight(
        status=answer["EndpointStatus"],
        config_name=answer["EndpointConfigName"],
        instance_counts={
            variant["VariantName"]: variant.get("CurrentInstanceCount", 0)
            for variant in answer.get("ProductionVariants", [])
        },
    )


def changes(before: Endpoint, now: Sight | None) -> list[str]:
    """Return what changed, one sentence each; `now` is None where there is no endpoint any more."""
    if now is None:
        return [f"endpoint {before.name} was gone after the run: it was deleted while it ran"]
    found = []
    if now.status != before.status:
        found.append(
            f"endpoint {before.name} was {now.status} after the run, and {before.status} before: "
            "what was measured is of an endpoint that changed"
        )
    if now.config_name != before.config_name:
        found.append(
            f"endpoint {before.name} ran {before.config_name} before the run and "
            f"{now.config_name} after it: it was updated, and the numbers are of both"
        )
        return found
    for variant in before.variants:
        count = now.instance_counts.get(variant.name, 0)
        if count != variant.instance_count:
            found.append(
                f"variant {variant.name} had {_instances(variant.instance_count)} before the run "
                f"and {count} after it: the numbers average over different fleets"
            )
    return found


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"
