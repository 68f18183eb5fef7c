"""Locust's LoadTestShape classes: found in a file, checked, and followed.

A shape says at any moment how many users there should be, and how many of them are started or
stopped a second; when it has nothing to say any more, the run is over. Following one is a thin loop
here rather than Locust's own, because users of `windtunnel load` finish their request before they
go, and because every load process must be told the same number.
"""

import ast
import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windtunnel.core.errors import UsageError
from windtunnel.lab.load.closed_schedule import Shape

if TYPE_CHECKING:
    from locust import LoadTestShape
    from locust.runners import Runner

# Locust asks as often.
_PERIOD_S = 1.0


def find(word: str) -> Shape:
    """Return the shape that `FILE` or `FILE:CLASS` names; the file is read, not run."""
    path, _, name = word.partition(":")
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"The shape {path} cannot be read: {error.strerror}.") from error
    try:
        tree = ast.parse(source, path)
        compile(tree, path, "exec")
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"The shape {path} is not Python: {error}.") from error
    if not name and not _may_have_shape(tree):
        raise UsageError(f"The shape {path} has no class that is a LoadTestShape of Locust.")
    return Shape(str(Path(path).absolute()), name, hashlib.sha256(source).hexdigest())


def load(shape: Shape) -> "LoadTestShape":
    """Return an instance of a shape; runs its file, in a process that has imported Locust."""
    from locust import LoadTestShape

    path = Path(shape.path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != shape.sha256:
        raise UsageError(f"The shape {path} changed since it was checked.")
    spec = importlib.util.spec_from_file_location("windtunnel_shape", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # As Locust does: what lies beside the file can be imported.
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    found = {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, LoadTestShape)
        and value is not LoadTestShape
        and not getattr(value, "abstract", False)
    }
    if shape.name:
        if shape.name not in found:
            raise UsageError(f"{path} has no LoadTestShape named {shape.name}.")
        return found[shape.name]()
    own = [value for value in found.values() if value.__module__ == module.__name__]
    if len(own) != 1:
        raise UsageError(_choice(path, [value.__name__ for value in own]))
    return own[0]()


def _may_have_shape(tree: ast.Module) -> bool:
    """Say whether a file has a class whose parents could make it a shape; it is not run."""
    parents = [
        ast.unparse(base).rpartition(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    ]
    # Others may come from a file beside this one; of Locust's users, none is a shape.
    return any(parent != "object" and not parent.endswith("User") for parent in parents)


def _choice(path: Path, names: Sequence[str]) -> str:
    if not names:
        return f"{path} has no class of its own that is a LoadTestShape of Locust."
    return f"{path} has several shapes, {', '.join(names)}: name one, as in {path.name}:{names[0]}."


def fault(error: BaseException, shape: Shape) -> str:
    """Return what a shape's own code did wrong, and where."""
    if isinstance(error, UsageError):
        return str(error)
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == shape.path
    ]
    where = f"line {lines[-1]} of {shape.path}" if lines else shape.label
    return f"{where} raised {type(error).__name__}: {error}"


def follow(
    shape: "LoadTestShape", runner: "Runner", sleep: Callable[[float], Any]
) -> Iterator[int]:
    """Yield how many users there should be, second by second, until the shape ends the run."""
    shape.runner = runner
    shape.reset_time()  # type: ignore[no-untyped-call]
    now = 0.0
    while (wanted := shape.tick()) is not None:
        target, rate = float(wanted[0]), float(wanted[1])
        step = min(abs(target - now), rate * _PERIOD_S)
        now += step if target > now else -step
        yield int(now)
        sleep(_PERIOD_S)
