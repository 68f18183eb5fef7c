"""What an endpoint is, as its API describes it: what a result must say it was measured on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from windtunnel.core.errors import NotReadyError
from windtunnel.lab import refusals
from windtunnel.lab.target import Target

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


@dataclass(frozen=True)
class Variant:
    """One production variant: which container on how many of what."""

    name: str
    instance_type: str
    instance_count: int
    model_name: str
    image: str
    model_data_url: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Endpoint:
    """One endpoint and its variants."""

    name: str
    arn: str
    status: str
    config_name: str
    variants: tuple[Variant, ...]

    def to_json(self) -> dict[str, Any]:
        """Return this as a run directory keeps it."""
        return asdict(self)


def describe(target: Target, name: str) -> Endpoint:
    """Return an endpoint's facts, or say that there is none."""
    client = target.sagemaker()
    with refusals.explained(f"endpoint {name}"):
        try:
            answer = client.describe_endpoint(EndpointName=name)
        except ClientError as error:
            if refusals.is_missing(error):
                raise NotReadyError(
                    f"There is no endpoint {name} in {target.name}: `windtunnel deploy` makes one."
                ) from error
            raise
        config_name = answer["EndpointConfigName"]
        config = client.describe_endpoint_config(EndpointConfigName=config_name)
        counts = {
            variant["VariantName"]: variant.get("CurrentInstanceCount", 0)
            for variant in answer.get("ProductionVariants", [])
        }
        variants = tuple(
            _variant(client, wanted, counts) for wanted in config["ProductionVariants"]
        )
    return Endpoint(
        name=name,
        arn=answer["EndpointArn"],
        status=answer["EndpointStatus"],
        config_name=config_name,
        variants=variants,
    )


def _variant(
    client: "SageMakerClient", wanted: Mapping[str, Any], counts: Mapping[str, int]
) -> Variant:
    name = wanted["VariantName"]
    model_name = wanted.get("ModelName", "")
    container: Mapping[str, Any] = {}
    if model_name:
        try:
            container = client.describe_model(ModelName=model_name).get("PrimaryContainer", {})
        except ClientError as error:
            # A model may be deleted under its endpoint; it still serves, and we know less of it.
            if not refusals.is_missing(error):
                raise
    return Variant(
        name=name,
        instance_type=wanted.get("InstanceType", "serverless"),
        instance_count=counts.get(name, 0),
        model_name=model_name,
        image=container.get("Image", ""),
        model_data_url=container.get("ModelDataUrl", ""),
        environment=dict(container.get("Environment", {})),
    )


def require_in_service(endpoint: Endpoint) -> None:
    """Refuse an endpoint that cannot answer, or answers while it changes."""
    if endpoint.status != "InService":
        raise NotReadyError(
            f"Endpoint {endpoint.name} is {endpoint.status}, not InService: "
            "wait until it is, or look at why it is not."
        )
