"""What botocore's service models say about AWS's operations, in the form the gateway works with.

Answers: which members a request or an answer has, of which kind, under which name on the wire and
under which name inside this project. The same file of botocore's that clients are made from is
read here, so that both sides of a call agree.

Rules: read-only once loaded; only botocore's own data is read, never a user's `~/.aws/models`;
operations and shapes are put together when first asked for (SageMaker has 400 operations, a cloud
uses a dozen).
"""

import sys
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any, cast

from botocore import xform_name
from botocore.loaders import Loader

_SCALARS = frozenset(
    ("string", "integer", "long", "float", "double", "boolean", "timestamp", "blob", "character")
)


class Shape:
    """One shape of a service model: a structure, a list, a map or a scalar, and its bounds."""

    def __init__(self, model: "ServiceModel", name: str, raw: Mapping[str, Any]) -> None:
        self._model = model
        self._raw = raw
        self.name = name
        self.kind = sys.intern(str(raw["type"]))
        self.min: float | None = raw.get("min")
        self.max: float | None = raw.get("max")
        self.pattern: str | None = raw.get("pattern")
        self.enum: tuple[str, ...] | None = tuple(raw["enum"]) if "enum" in raw else None
        self.timestamp_format: str | None = raw.get("timestampFormat")

    @property
    def is_scalar(self) -> bool:
        """Whether values have no parts."""
        return self.kind in _SCALARS

    @cached_property
    def members(self) -> "tuple[Member, ...]":
        """The members of a structure, in the model's order."""
        required = frozenset(self._raw.get("required", ()))
        return tuple(
            Member(self._model, name, reference, is_required=name in required)
            for name, reference in self._raw.get("members", {}).items()
        )

    @cached_property
    def members_by_key(self) -> "Mapping[str, Member]":
        """The members of a structure by the names used inside this project."""
        return {member.key: member for member in self.members}

    @cached_property
    def member(self) -> "Member":
        """What a list is made of."""
        return Member(self._model, "member", self._raw["member"])

    @cached_property
    def map_key(self) -> "Member":
        """What the keys of a map are."""
        return Member(self._model, "key", self._raw["key"])

    @cached_property
    def map_value(self) -> "Member":
        """What the values of a map are."""
        return Member(self._model, "value", self._raw["value"])


class Member:
    """A named place in a structure, list or map, and the shape of what belongs there."""

    def __init__(
        self,
        model: "ServiceModel",
        name: str,
        reference: Mapping[str, Any],
        *,
        is_required: bool = False,
    ) -> None:
        self._model = model
        self._shape_name: str = reference["shape"]
        # AWS's name, the project's own, the one on the wire, the one in validation errors.
        self.name = name
        self.key = key_of(name)
        self.wire = str(reference.get("locationName", name))
        self.label = name[:1].lower() + name[1:]
        self.location: str | None = reference.get("location")
        self.timestamp_format: str | None = reference.get("timestampFormat")
        self.is_required = is_required

    @cached_property
    def shape(self) -> Shape:
        """The shape of what belongs here; shapes may hold themselves."""
        return self._model.shape(self._shape_name)


class OperationModel:
    """One operation: its shapes, and where it lies for REST."""

    def __init__(self, model: "ServiceModel", name: str, raw: Mapping[str, Any]) -> None:
        self.model = model
        self.name = name
        self.method: str = raw["http"]["method"]
        self.request_uri: str = raw["http"]["requestUri"]
        self._raw = raw

    @cached_property
    def input(self) -> Shape | None:
        """The shape of the request, None when there is nothing to say."""
        return self.model.shape(self._raw["input"]["shape"]) if "input" in self._raw else None

    @cached_property
    def output(self) -> Shape | None:
        """The shape of the answer, None when there is nothing to say."""
        return self.model.shape(self._raw["output"]["shape"]) if "output" in self._raw else None

    @property
    def result_wrapper(self) -> str | None:
        """The element around the answer, in the query protocol."""
        wrapper = self._raw.get("output", {}).get("resultWrapper")
        return None if wrapper is None else str(wrapper)

    @cached_property
    def errors(self) -> frozenset[str]:
        """The names of the errors that the operation declares."""
        return frozenset(error["shape"] for error in self._raw.get("errors", ()))


class ErrorModel:
    """One declared error: its shape's name, its code on the wire, its status, whose fault it is."""

    def __init__(self, name: str, raw: Mapping[str, Any]) -> None:
        facts = raw.get("error", {})
        self.name = name
        self.code: str = facts.get("code", name)
        self.is_fault = bool(raw.get("fault"))
        self.status: int = facts.get("httpStatusCode", 500 if self.is_fault else 400)


class ServiceModel:
    """One AWS service, as botocore describes it."""

    def __init__(self, name: str, raw: Mapping[str, Any]) -> None:
        metadata = raw["metadata"]
        self.name = name
        self.protocols: tuple[str, ...] = tuple(metadata["protocols"])
        self.api_version: str = metadata["apiVersion"]
        self.json_version: str = metadata.get("jsonVersion", "1.1")
        self.target_prefix: str | None = metadata.get("targetPrefix")
        self.xml_namespace: str | None = metadata.get("xmlNamespace")
        self.is_query_compatible = "awsQueryCompatible" in metadata
        self._operations: Mapping[str, Mapping[str, Any]] = raw["operations"]
        self._raw_shapes: Mapping[str, Mapping[str, Any]] = raw["shapes"]
        self._shapes: dict[str, Shape] = {}
        self._made: dict[str, OperationModel] = {}

    @property
    def operation_names(self) -> frozenset[str]:
        """Every operation that AWS has."""
        return frozenset(self._operations)

    def operation(self, name: str) -> OperationModel:
        """Return one operation; KeyError when AWS has none of that name."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = OperationModel(self, name, self._operations[name])
        return made

    def shape(self, name: str) -> Shape:
        """Return one shape."""
        made = self._shapes.get(name)
        if made is None:
            made = self._shapes[name] = Shape(self, name, self._raw_shapes[name])
        return made

    @property
    def shape_names(self) -> frozenset[str]:
        """Every shape of the model."""
        return frozenset(self._raw_shapes)

    @cached_property
    def errors_by_code(self) -> Mapping[str, ErrorModel]:
        """The service's declared errors, by their code and by their shape's name."""
        found: dict[str, ErrorModel] = {}
        for name, raw in self._raw_shapes.items():
            if raw.get("exception"):
                error = ErrorModel(name, raw)
                found[error.name] = error
                found[error.code] = error
        return found


@cache
def load_service(name: str) -> ServiceModel:
    """Return botocore's model of a service, by botocore's name of it."""
    loader = Loader(
        extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False
    )
    raw = cast("dict[str, Any]", loader.load_service_model(name, "service-2"))
    # Two thirds of a model's memory is prose.
    for shape in raw["shapes"].values():
        shape.pop("documentation", None)
        for reference in shape.get("members", {}).values():
            reference.pop("documentation", None)
    for operation in raw["operations"].values():
        operation.pop("documentation", None)
    return ServiceModel(name, raw)


@cache
def key_of(name: str) -> str:
    """Return the project's name for AWS's: `EndpointName` is `endpoint_name`, as in botocore."""
    return str(xform_name(name))


def path_of_labels(parts: tuple[str | int, ...]) -> str:
    """Return the way to a value as AWS's errors write it: `tags.1.member.key`."""
    return ".".join(f"{part}.member" if isinstance(part, int) else part for part in parts)
