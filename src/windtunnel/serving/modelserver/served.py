"""The models that one process has loaded, and which of them a request is for.

What a client names is a model, and perhaps a version or a label; what it gets is a `Servable`, or
TensorFlow Serving's words for what is not there. REST (`rest.py`) and gRPC (`grpc_service.py`) ask
the same questions here.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from windtunnel.serving.engines.engine import Engine
from windtunnel.serving.errors import RequestError
from windtunnel.serving.meters import MeteredEngine
from windtunnel.serving.models import Models
from windtunnel.serving.modelserver.routes import Target
from windtunnel.serving.tensors import Signature

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Servable:
    """One version of a model, loaded."""

    name: str
    version: int
    engine: Engine

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """The ways to call it."""
        return self.engine.signatures


class ServedModels:
    """All models of a container, loaded."""

    def __init__(self, models: Models, directory: Path, load: Callable[[Path], Engine]) -> None:
        """Load and warm up every version of every model, or raise LoadError."""
        self._default = models.default
        self._other_name = models.other_name
        # Versions in ascending order.
        self._models: dict[str, dict[int, Servable]] = {}
        for model in models.by_name.values():
            self._models[model.name] = {
                version: _load(model.name, version, directory / path, load)
                for version, path in sorted(model.versions.items())
            }

    def name_of(self, target: Target) -> str:
        """Return the name of the model that a request is for, whether it is here or not."""
        if target.model is None or target.model == self._other_name:
            return self._default
        return target.model

    def find(self, target: Target) -> Servable:
        """Return what a request is for, or raise RequestError."""
        name = self.name_of(target)
        _refuse_label(target)
        versions = self._models.get(name)
        if target.version is None:
            if versions is None:
                raise RequestError(f"Servable not found for request: Latest({name})", 404)
            return versions[max(versions)]
        if versions is None or target.version not in versions:
            raise RequestError(
                f"Servable not found for request: Specific({name}, {target.version})", 404
            )
        return versions[target.version]

    def find_versions(self, target: Target) -> list[int]:
        """Return the versions of a model, the latest first, or the one that was named."""
        name = self.name_of(target)
        # TensorFlow Serving looks at no label here, and would tell of all versions.
        _refuse_label(target)
        versions = self._models.get(name)
        if target.version is None:
            if versions is None:
                raise RequestError(f"Could not find any versions of model {name}", 404)
            return sorted(versions, reverse=True)
        if versions is None or target.version not in versions:
            raise RequestError(f"Could not find version {target.version} of model {name}", 404)
        return [target.version]


def _refuse_label(target: Target) -> None:
    # Labels come with a configuration file, which the container does not write.
    if target.label is not None:
        raise RequestError(f"Unrecognized servable version label: {target.label}")


def _load(name: str, version: int, directory: Path, load: Callable[[Path], Engine]) -> Servable:
    started_s = time.monotonic()
    engine = load(directory)
    loaded_s = time.monotonic()
    engine.warm_up()
    logger.info(
        "loaded %s version %d in %.2f s, warmed it up in %.2f s",
        name,
        version,
        loaded_s - started_s,
        time.monotonic() - loaded_s,
    )
    return Servable(name, version, MeteredEngine(engine, name))
