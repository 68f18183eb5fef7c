"""The models that one process has loaded, and the answers they give.

`predict` does everything between the bytes of a request and the bytes of its answer: it is called
on one thread, once, and nothing of it is handed to another process or thread on the way.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from windtunnel.serving.codecs.answers import encode_answer
from windtunnel.serving.codecs.invocations import decode_invocation
from windtunnel.serving.codecs.predict import decode_predict
from windtunnel.serving.engines.engine import Engine
from windtunnel.serving.errors import RequestError
from windtunnel.serving.models import Models
from windtunnel.serving.modelserver.routes import Predict, Target

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Model:
    latest: int
    engines: Mapping[int, Engine]


class ServedModels:
    """All models of a container, loaded."""

    def __init__(self, models: Models, directory: Path, load: Callable[[Path], Engine]) -> None:
        """Load and warm up every version of every model, or raise LoadError."""
        self._default = models.default
        self._models: dict[str, _Model] = {}
        for model in models.by_name.values():
            engines = {}
            for version, path in sorted(model.versions.items()):
                started_s = time.monotonic()
                engine = load(directory / path)
                loaded_s = time.monotonic()
                engine.warm_up()
                engines[version] = engine
                logger.info(
                    "loaded %s version %d in %.2f s, warmed it up in %.2f s",
                    model.name,
                    version,
                    loaded_s - started_s,
                    time.monotonic() - loaded_s,
                )
            self._models[model.name] = _Model(model.latest, engines)

    def predict(self, route: Predict, body: bytes, content_type: bytes | None) -> list[bytes]:
        """Return the text of the answer to one predict request, or raise RequestError."""
        engine = self._engine(route.target)
        if not body:
            raise RequestError("JSON Parse error: The document is empty")
        if route.is_invocation:
            request = decode_invocation(body, content_type, engine.signatures)
        else:
            request = decode_predict(body, engine.signatures)
        outputs = engine.run(request.signature, request.inputs)
        return encode_answer(outputs, is_row=request.is_row)

    def render_status(self, target: Target) -> bytes:
        """Return the states of a model's versions as TensorFlow Serving writes them."""
        name = self._default if target.model is None else target.model
        model = self._models.get(name)
        if model is None:
            raise RequestError(f"Could not find any versions of model {name}", 404)
        versions = sorted(model.engines, reverse=True)
        if target.version is not None:
            if target.version not in model.engines:
                raise RequestError(f"Could not find version {target.version} of model {name}", 404)
            versions = [target.version]
        states = [
            {
                "version": str(version),
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
            for version in versions
        ]
        return json.dumps({"model_version_status": states}, indent=1).encode() + b"\n"

    def _engine(self, target: Target) -> Engine:
        name = self._default if target.model is None else target.model
        model = self._models.get(name)
        if model is None:
            which = "Latest" if target.version is None else "Specific"
            detail = name if target.version is None else f"{name}, {target.version}"
            raise RequestError(f"Servable not found for request: {which}({detail})", 404)
        version = model.latest if target.version is None else target.version
        engine = model.engines.get(version)
        if engine is None:
            raise RequestError(f"Servable not found for request: Specific({name}, {version})", 404)
        return engine
