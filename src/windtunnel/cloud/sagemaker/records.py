"""What is remembered of models, endpoint configs and endpoints.

Records are values: a change makes a new one. A model and a config keep the request that made them,
as it came, because that is what describing them answers. An endpoint keeps a snapshot of what it
runs: deleting its config or model is allowed and changes nothing for it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from windtunnel.cloud.sagemaker.lifecycle import Status
from windtunnel.core import limits

Document = dict[str, Any]
Tags = Mapping[str, str]


@dataclass(frozen=True)
class Model:
    """One CreateModel."""

    name: str
    arn: str
    created_s: float
    request: Document
    tags: Tags = field(default_factory=dict)

    def to_document(self) -> Document:
        """Return this as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Document) -> "Model":
        """Return what `to_document` wrote."""
        return cls(**document)


@dataclass(frozen=True)
class EndpointConfig:
    """One CreateEndpointConfig."""

    name: str
    arn: str
    created_s: float
    request: Document
    tags: Tags = field(default_factory=dict)

    @property
    def variants(self) -> list[Document]:
        """The production variants as they were asked for."""
        found: list[Document] = self.request["production_variants"]
        return found

    def to_document(self) -> Document:
        """Return this as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Document) -> "EndpointConfig":
        """Return what `to_document` wrote."""
        return cls(**document)


@dataclass(frozen=True)
class Variant:
    """One production variant of an endpoint, with what its instances need to run."""

    name: str
    model_name: str
    image: str
    environment: Mapping[str, str]
    model_data_url: str | None
    instance_type: str
    instance_count: int
    weight: float
    startup_timeout_s: float = limits.STARTUP_TIMEOUT_S
    routing_config: Document | None = None

    @classmethod
    def of(cls, variant: Document, model: Model) -> "Variant":
        """Return the snapshot of a variant's request and its model's."""
        container = model.request["primary_container"]
        return cls(
            name=variant["variant_name"],
            model_name=model.name,
            image=container["image"],
            environment=dict(container.get("environment") or {}),
            model_data_url=container.get("model_data_url"),
            instance_type=variant["instance_type"],
            instance_count=variant["initial_instance_count"],
            weight=variant["initial_variant_weight"],
            startup_timeout_s=float(
                variant.get("container_startup_health_check_timeout_in_seconds")
                or limits.STARTUP_TIMEOUT_S
            ),
            routing_config=variant.get("routing_config"),
        )


@dataclass(frozen=True)
class Endpoint:
    """One endpoint, in the state that was last committed."""

    name: str
    arn: str
    config_name: str
    created_s: float
    modified_s: float
    status: Status
    variants: tuple[Variant, ...]
    failure_reason: str | None = None
    tags: Tags = field(default_factory=dict)

    def to_document(self) -> Document:
        """Return this as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Document) -> "Endpoint":
        """Return what `to_document` wrote."""
        variants = tuple(Variant(**each) for each in document["variants"])
        return cls(**{**document, "status": Status(document["status"]), "variants": variants})


def tags_of(request: Document) -> dict[str, str]:
    """Return the tags of a request by their key."""
    return {tag["key"]: tag["value"] for tag in request.get("tags") or ()}
