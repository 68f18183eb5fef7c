"""A SavedModel behind BentoML: `bentoml serve service:Documented`, or `:Expert`.

As its documentation has it: a service class whose API takes and gives `numpy.ndarray`. The expert
has an ASGI application in the service, whose raw body is read by `served_model` in a thread.
"""

import bentoml
import numpy as np
from served_model import ServedModel, answer
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@bentoml.service
class Documented:
    """A model."""

    def __init__(self) -> None:
        self.model = ServedModel()

    @bentoml.api
    def predict(self, instances: np.ndarray) -> np.ndarray:
        """Answer one request."""
        return self.model.predict(instances.astype(np.float32))


_models: list[ServedModel] = []


async def _raw(request: Request) -> Response:
    answered = await run_in_threadpool(answer, _models[0], await request.body())
    return Response(answered, media_type="application/json")


@bentoml.service(threads=4)
@bentoml.asgi_app(Starlette(routes=[Route("/raw", _raw, methods=["POST"])]))
class Expert:
    """The same, by an expert."""

    def __init__(self) -> None:
        _models.append(ServedModel())
