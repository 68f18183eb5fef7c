"""Whether a request keeps the bounds of its model: what clients do not check, and AWS does.

`violations` says everything that is wrong; `check` raises it in AWS's words, all at once:

    2 validation errors detected: Value 'a_b' at 'endpointName' failed to satisfy constraint:
    Member must satisfy regular expression pattern: …; Value null at … Member must not be null

Works on requests as the protocols parsed them: kinds are right already. What AWS checks beyond its
own models is a named list, `TRUTHS`, and so are the values that are taken beside an enumeration,
`ALSO_TAKEN`; what this cloud does not offer is `coverage.py`'s.

Wording: as public threads show it (amazon-sagemaker-examples#2236 for lists, #1525 and
sagemaker-ml-workflow-with-apache-airflow#3 for length before pattern; JuliaCloud/AWSSDK.jl#2 for
CloudWatch's "The parameter Namespace is required.").
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from windtunnel.aws import neo
from windtunnel.cloud.gateway.answers import Fault, FaultError, invalid
from windtunnel.cloud.gateway.patterns import compile_pattern
from windtunnel.cloud.gateway.shapes import Member, OperationModel, Shape, path_of_labels
from windtunnel.core import limits

Path = tuple[str | int, ...]

NOT_NULL = "Member must not be null"


@dataclass(frozen=True)
class Violation:
    """One broken constraint: the value as AWS prints it, where it is, and what it had to be."""

    path: Path
    value: str
    constraint: str

    def __str__(self) -> str:
        return (
            f"Value {self.value} at '{path_of_labels(self.path)}' failed to satisfy constraint: "
            f"{self.constraint}"
        )


def check(operation: OperationModel, parsed: Mapping[str, Any]) -> None:
    """Raise AWS's refusal of a request that breaks its model, or a truth outside of it."""
    if operation.input is None:
        return
    found = list(violations(operation.input, parsed))
    if found:
        raise FaultError(_fault(operation, found))
    truth = TRUTHS.get((operation.model.name, operation.name))
    message = truth(parsed) if truth is not None else None
    if message is not None:
        raise FaultError(invalid(operation.model.name, message))


def _fault(operation: OperationModel, found: list[Violation]) -> Fault:
    service = operation.model.name
    if service == "cloudwatch":
        missing = [each for each in found if each.constraint == NOT_NULL]
        if missing:
            lines = [f"The parameter {_capitalised(each.path)} is required." for each in missing]
            return Fault("MissingParameter", "\n".join(lines))
        return Fault("ValidationError", _sentence(found))
    return invalid(service, _sentence(found))


def _capitalised(path: Path) -> str:
    """Return a path as CloudWatch writes it: `Dimensions.member.1.Name`."""
    return ".".join(
        f"member.{part}" if isinstance(part, int) else part[:1].upper() + part[1:] for part in path
    )


def _sentence(found: list[Violation]) -> str:
    count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: "
    return count + "; ".join(str(each) for each in found)


def violations(shape: Shape, value: Any, path: Path = ()) -> Iterator[Violation]:  # noqa: ANN401
    """Yield every constraint of a shape that a value breaks, and its parts break."""
    match shape.kind:
        case "structure":
            for member in shape.members:
                yield from _member_violations(member, value.get(member.key), path)
        case "list":
            yield from _own_violations(shape, value, path)
            yield from _list_violations(shape, value, path)
        case "map":
            yield from _own_violations(shape, value, path)
            yield from _map_violations(shape, value, path)
        case _:
            yield from _own_violations(shape, value, path)


def _member_violations(member: Member, value: Any, path: Path) -> Iterator[Violation]:  # noqa: ANN401
    where = (*path, member.label)
    if value is not None:
        yield from violations(member.shape, value, where)
    elif member.is_required:
        yield Violation(where, "null", NOT_NULL)


def _own_violations(shape: Shape, value: Any, path: Path) -> Iterator[Violation]:  # noqa: ANN401
    for constraint, is_kept in _constraints(shape):
        if not is_kept(value):
            yield Violation(path, printed(value, shape), constraint)


def _list_violations(shape: Shape, value: list[Any], path: Path) -> Iterator[Violation]:
    element = shape.member.shape
    if not element.is_scalar:
        for index, part in enumerate(value, 1):
            if part is None:
                yield Violation((*path, index), "null", NOT_NULL)
            else:
                yield from violations(element, part, (*path, index))
        return
    # AWS names the whole list, and everything that its elements had to be.
    constraints = _constraints(element)
    if not all(_keeps(constraints, part) for part in value):
        yield Violation(path, printed(value), _bracketed("Member must satisfy", constraints))


def _map_violations(shape: Shape, value: dict[str, Any], path: Path) -> Iterator[Violation]:
    constraints = _constraints(shape.map_key.shape)
    if not all(_keeps(constraints, key) for key in value):
        yield Violation(path, printed(value), _bracketed("Map keys must satisfy", constraints))
    element = shape.map_value.shape
    if not element.is_scalar:
        for key, part in value.items():
            if part is None:
                yield Violation((*path, key), "null", NOT_NULL)
            else:
                yield from violations(element, part, (*path, key))
        return
    constraints = _constraints(element)
    if not all(_keeps(constraints, part) for part in value.values()):
        yield Violation(path, printed(value), _bracketed("Map value must satisfy", constraints))


def _bracketed(lead: str, constraints: "list[Constraint]") -> str:
    texts = [text for text, _ in constraints] or [NOT_NULL]
    return f"{lead} constraint: [{', '.join(texts)}]"


def _keeps(constraints: "list[Constraint]", value: Any) -> bool:  # noqa: ANN401 - any scalar
    return value is not None and all(is_kept(value) for _, is_kept in constraints)


# By the shape's name. AWS stopped adding to Neo's targets at c6g and g4dn.
ALSO_TAKEN: Mapping[str, tuple[str, ...]] = {"TargetDevice": neo.NEWER_TARGETS}

Constraint = tuple[str, Callable[[Any], bool]]


@cache
def _constraints(shape: Shape) -> list[Constraint]:
    """Return what a shape asks of a value itself, in the order in which AWS says it."""
    found: list[Constraint] = []
    if shape.enum is not None:
        allowed = dict.fromkeys((*shape.enum, *ALSO_TAKEN.get(shape.name, ())))
        found.append(
            (
                f"Member must satisfy enum value set: [{', '.join(allowed)}]",
                lambda value: value in allowed,
            )
        )
    found += _bounds(shape)
    if shape.pattern is not None:
        pattern = compile_pattern(shape.pattern)
        # What is far too long is refused for that alone: a pattern's cost must stay small.
        length_max = limits.PATTERN_CHARACTERS_MAX
        if pattern is not None:
            found.append(
                (
                    f"Member must satisfy regular expression pattern: {shape.pattern}",
                    lambda value: len(value) > length_max or pattern.fullmatch(value) is not None,
                )
            )
    return found


def _bounds(shape: Shape) -> list[Constraint]:
    least, most = shape.min, shape.max
    is_number = shape.kind in ("integer", "long", "float", "double")
    measure: Callable[[Any], float] = float if is_number else len
    what = "value" if is_number else "length"
    found: list[Constraint] = []
    if most is not None:
        found.append(
            (
                f"Member must have {what} less than or equal to {most}",
                lambda value: measure(value) <= most,
            )
        )
    if least is not None:
        found.append(
            (
                f"Member must have {what} greater than or equal to {least}",
                lambda value: measure(value) >= least,
            )
        )
    return found


def printed(value: Any, shape: Shape | None = None) -> str:  # noqa: ANN401 - any value
    """Return a value as Java prints it, in quotes; a very long one is cut."""
    text = _java(value, shape)
    if len(text) > limits.PRINTED_VALUE_CHARACTERS_MAX:
        text = text[: limits.PRINTED_VALUE_CHARACTERS_MAX] + "…"
    return f"'{text}'"


def _java(value: Any, shape: Shape | None) -> str:  # noqa: ANN401 - any value
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            element = shape.member.shape if shape is not None else None
            return f"[{', '.join(_java(part, element) for part in value)}]"
        case dict():
            return "{" + ", ".join(_java_pairs(value, shape)) + "}"
        case None:
            return "null"
        case bytes():
            return f"{len(value)} bytes"
        case _:
            return str(value)


def _java_pairs(value: dict[str, Any], shape: Shape | None) -> Iterator[str]:
    for key, part in value.items():
        if shape is not None and shape.kind == "structure":
            member = shape.members_by_key[key]
            yield f"{member.label}={_java(part, member.shape)}"
        else:
            element = shape.map_value.shape if shape is not None else None
            yield f"{key}={_java(part, element)}"


# --- What AWS asks beyond its models ------------------------------------------------------------


def _environment_size(parsed: Mapping[str, Any]) -> str | None:
    """Keep the environment under 32 KB in all (botocore's page on ContainerDefinition)."""
    environment: dict[str, str] = (parsed.get("primary_container") or {}).get("environment") or {}
    size = sum(len(key.encode()) + len(value.encode()) for key, value in environment.items())
    if size <= limits.MODEL_ENVIRONMENT_BYTES_MAX:
        return None
    return (
        f"The environment of the primary container has {size} bytes: all keys and values together "
        f"may have {limits.MODEL_ENVIRONMENT_BYTES_MAX}."
    )


def _unique_tags(parsed: Mapping[str, Any]) -> str | None:
    """Keep tag keys apart, and out of AWS's own (botocore's page on AddTags; AWS, "Tagging")."""
    keys = [tag["key"] for tag in parsed.get("tags") or ()]
    if len(set(keys)) < len(keys):
        return "Tag keys must be unique per resource."
    if any(key.lower().startswith("aws:") for key in keys):
        return "aws: prefixed tag key names are not allowed for external use."
    return None


def _model_truths(parsed: Mapping[str, Any]) -> str | None:
    return _environment_size(parsed) or _unique_tags(parsed)


TRUTHS: Mapping[tuple[str, str], Callable[[Mapping[str, Any]], str | None]] = {
    ("sagemaker", "CreateModel"): _model_truths,
    ("sagemaker", "CreateEndpointConfig"): _unique_tags,
    ("sagemaker", "CreateEndpoint"): _unique_tags,
    ("sagemaker", "CreateCompilationJob"): _unique_tags,
    ("sagemaker", "AddTags"): _unique_tags,
}
