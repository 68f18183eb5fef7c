"""The U-Net behind FastAPI as an expert writes it: orjson both ways, a raw Response, threads."""

import os
import sys

import numpy as np
import orjson
import tensorflow as tf
import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

app = FastAPI()
model = tf.saved_model.load(os.environ["MODEL_DIR"])
predict = model.signatures["serving_default"]


def answer(body: bytes) -> bytes:
    """Decode, infer and encode in one thread; TensorFlow frees the GIL while it computes."""
    inputs = np.array(orjson.loads(body), dtype=np.float32)
    outputs = next(iter(predict(inputs=tf.constant(inputs)).values())).numpy()
    return orjson.dumps({"predictions": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)


@app.get("/ping")
async def ping() -> Response:
    """Say that the server is up."""
    return Response(b"")


@app.post("/invocations")
async def invocations(request: Request) -> Response:
    """Answer the prediction for a bare nested list."""
    body = await request.body()
    return Response(await run_in_threadpool(answer, body), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        loop="uvloop",
        http="httptools",
    )
