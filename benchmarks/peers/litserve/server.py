"""A SavedModel behind LitServe: `server.py PORT documented|expert`.

As its documentation has it: the hooks of a `LitAPI`, a dictionary in and out. The expert has the
raw body carried to a worker, read there by `served_model`, and a raw response carried back, by its
fast queue, with a worker for each core.
"""

import sys
from typing import Annotated, Any

import litserve as ls
import numpy as np
from fastapi import Depends, Request, Response
from served_model import ServedModel, decode, encode


class Documented(ls.LitAPI):
    """A model."""

    def setup(self, device: str) -> None:
        """Load it."""
        del device
        self.model = ServedModel()

    def decode_request(self, request: Request) -> np.ndarray:
        """Return an array of what the client sent."""
        return np.array(request["instances"], dtype=np.float32)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Infer."""
        return self.model.predict(x)

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        """Return what the client gets."""
        return {"predictions": output.tolist()}


async def _body(request: Request) -> bytes:
    return await request.body()


class Expert(Documented):
    """The same, by an expert."""

    def decode_request(self, request: Annotated[bytes, Depends(_body)]) -> np.ndarray:
        """Return an array of the body's numbers."""
        return decode(request)

    def encode_response(self, output: np.ndarray) -> Response:
        """Return the answer as it is sent."""
        return Response(encode(output), media_type="application/json")


if __name__ == "__main__":
    if sys.argv[2] == "documented":
        server = ls.LitServer(Documented(), accelerator="cpu")
    else:
        server = ls.LitServer(Expert(), accelerator="cpu", workers_per_device=2, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
