"""What is remembered of models, endpoint configs and endpoints.

Records are values: a change makes a new one. A model and a config keep the request that made them,
as it came, because that is what describing them answers. An endpoint keeps a snapshot of what it
runs: deleting its config or model is allowed and changes nothing for it. What it is changing to
stands beside that until the change is done or given up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from windtunnel.cloud.fleet.model_data import Form
from windtunnel.cloud.sagemaker.lifecycle import Event, Status, next_status
from windtunnel.cloud.store.record import Record
from windtunnel.core import limits

Document = dict[str, Any]
Tags = Mapping[str, str]


@dataclass(frozen=True)
class Model(Record):
    """One CreateModel."""

    name: str
    arn: str
    created_s: float
    request: Document
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True)
class EndpointConfig(Record):
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
    model_data_form: Form = "archive"
    download_timeout_s: float = limits.MODEL_DATA_TIMEOUT_S
    # Whether requests name their models, below the URL, and whether those stay loaded.
    is_multi_model: bool = False
    is_model_cached: bool = True

    @classmethod
    def of(cls, variant: Document, model: Model) -> "Variant":
        """Return the snapshot of a variant's request and its model's."""
        container = model.request["primary_container"]
        url, form = model_data_of(container)
        return cls(
            name=variant["variant_name"],
            model_name=model.name,
            image=container["image"],
            environment=dict(container.get("environment") or {}),
            model_data_url=url,
            instance_type=variant["instance_type"],
            instance_count=variant["initial_instance_count"],
            weight=variant["initial_variant_weight"],
            startup_timeout_s=float(
                variant.get("container_startup_health_check_timeout_in_seconds")
                or limits.STARTUP_TIMEOUT_S
            ),
            routing_config=variant.get("routing_config"),
            model_data_form=form,
            download_timeout_s=float(
                variant.get("model_data_download_timeout_in_seconds") or limits.MODEL_DATA_TIMEOUT_S
            ),
            is_multi_model=is_multi_model(container),
            is_model_cached=(container.get("multi_model_config") or {}).get("model_cache_setting")
            != "Disabled",
        )

    @property
    def is_random(self) -> bool:
        """Whether its instances take requests at random; else the least busy one does."""
        return (self.routing_config or {}).get("routing_strategy") == "RANDOM"


@dataclass(frozen=True)
class Change:
    """What an endpoint is changing to.

    A "deployment" starts a fleet of its own beside the old one; a "capacity" change starts and
    ends single instances and moves weights.
    """

    kind: Literal["deployment", "capacity"]
    config_name: str
    variants: tuple[Variant, ...]
    started_s: float

    @classmethod
    def from_document(cls, document: Document) -> "Change":
        """Return what `Endpoint.to_document` wrote of it."""
        return cls(**{**document, "variants": _variants(document)})


@dataclass(frozen=True)
class Endpoint(Record):
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
    change: Change | None = None

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """Return what `to_document` wrote."""
        change = document.get("change")
        return cls(
            **{
                **document,
                "status": Status(document["status"]),
                "variants": _variants(document),
                "change": None if change is None else Change.from_document(change),
            }
        )

    def after(
        self,
        event: Event,
        now_s: float,
        *,
        failure_reason: str | None = None,
        change: Change | None = None,
    ) -> "Endpoint | None":
        """Return what an event makes of it, None when it is gone.

        `change` is what an UPDATE_REQUESTED asks for; `failure_reason` says why something failed,
        and stays until a change succeeds.
        """
        status = next_status(self.status, event)
        if status is None:
            return None
        changed = replace(
            self,
            status=status,
            modified_s=now_s,
            failure_reason=failure_reason or self.failure_reason,
        )
        if event is Event.UPDATE_REQUESTED:
            return replace(changed, change=change)
        if event is Event.UPDATED:
            assert self.change is not None
            return replace(
                changed,
                config_name=self.change.config_name,
                variants=self.change.variants,
                change=None,
                failure_reason=None,
            )
        if event in (Event.UPDATE_FAILED, Event.ROLLED_BACK, Event.START_FAILED):
            return replace(changed, change=None)
        return changed


def is_multi_model(container: Document) -> bool:
    """Say whether a container is given its models one by one."""
    return bool(container.get("mode") == "MultiModel")


def model_data_of(container: Document) -> tuple[str | None, Form]:
    """Return where a container's model data lies and in which form, as its request says it."""
    source = (container.get("model_data_source") or {}).get("s3_data_source")
    if source is None:
        return container.get("model_data_url"), "archive"
    form: Form = "archive"
    if source["compression_type"] == "None":
        form = "prefix" if source["s3_data_type"] == "S3Prefix" else "object"
    return source["s3_uri"], form


def _variants(document: Document) -> tuple[Variant, ...]:
    return tuple(Variant(**each) for each in document["variants"])


def tags_of(request: Document) -> dict[str, str]:
    """Return the tags of a request by their key."""
    return {tag["key"]: tag["value"] for tag in request.get("tags") or ()}
