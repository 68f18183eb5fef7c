"""A SavedModel behind Ray Serve: `server.py PORT documented|expert`.

As its tutorial for TensorFlow has it: `await request.json()`, numpy, a dictionary of lists. The
expert has the raw body read by `served_model`, in a thread, and answers a raw response.
"""

import asyncio
import signal
import sys
from typing import Any

import numpy as np
import ray
from ray import serve
from served_model import ServedModel, answer
from starlette.requests import Request
from starlette.responses import Response


@serve.deployment
class Documented:
    """A model."""

    def __init__(self) -> None:
        self.model = ServedModel()

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Answer one request."""
        inputs = np.array((await request.json())["instances"], dtype=np.float32)
        return {"predictions": self.model.predict(inputs).tolist()}


@serve.deployment(max_ongoing_requests=16)
class Expert:
    """The same, by an expert."""

    def __init__(self) -> None:
        self.model = ServedModel()

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        body = await request.body()
        answered = await asyncio.to_thread(answer, self.model, body)
        return Response(answered, media_type="application/json")


if __name__ == "__main__":
    port, kind = int(sys.argv[1]), sys.argv[2]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run((Documented if kind == "documented" else Expert).bind(), route_prefix="/")
    signal.sigwait({signal.SIGTERM})
    serve.shutdown()
    ray.shutdown()
