"""Options that belong together, as one value: a dataclass whose fields are options.

Typer reads a command's options from its signature, one parameter each. A command that takes a group
declares the dataclass as one parameter; on the command line it is still the options, one by one.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_type_hints


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command for Typer in whose signature each group stands as its fields."""
    words = inspect.signature(command, eval_str=True).parameters
    groups: dict[str, type[Any]] = {
        name: word.annotation
        for name, word in words.items()
        if isinstance(word.annotation, type) and is_dataclass(word.annotation)
    }

    @functools.wraps(command)
    def expanded(**given: Any) -> None:  # noqa: ANN401 - whatever Typer made of each option
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    options = [
        option
        for name, word in words.items()
        for option in (_options_of(groups[name]) if name in groups else [word])
    ]
    # Python wants parameters without a default first; on the command line order means nothing.
    options.sort(key=lambda option: option.default is not inspect.Parameter.empty)
    expanded.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in options]
    )
    expanded.__annotations__ = {option.name: option.annotation for option in options}
    return expanded


def _options_of(group: type[Any]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=hints[field.name],
        )


def _default(field: "Field[Any]") -> Any:  # noqa: ANN401 - the field's own
    return inspect.Parameter.empty if field.default is MISSING else field.default
