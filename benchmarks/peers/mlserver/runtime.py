"""A SavedModel behind MLServer: `mlserver start` with a model of `runtime.Documented` or `.Expert`.

As its documentation has it: a custom runtime that decodes and encodes with `NumpyCodec`. The expert
has a custom handler beside it, whose raw body is read by `served_model` in a thread of the main
process, where no queue to a worker is in between.
"""

import asyncio

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.handlers import custom_handler
from mlserver.types import InferenceRequest, InferenceResponse
from served_model import ServedModel, answer
from starlette.requests import Request
from starlette.responses import Response


class Documented(MLModel):
    """A model."""

    async def load(self) -> bool:
        """Load it."""
        self.served = ServedModel()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request."""
        inputs = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        shape = (-1, *self.served.source_shape)
        outputs = self.served.predict(inputs.reshape(shape).astype(np.float32))
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output(self.served.target, outputs)],
        )


class Expert(Documented):
    """The same, by an expert."""

    @custom_handler(rest_path="/raw")
    async def raw(self, request: Request) -> Response:
        """Answer one request."""
        body = await request.body()
        answered = await asyncio.to_thread(answer, self.served, body)
        return Response(answered, media_type="application/json")
