"""The U-Net behind FastAPI as most people write it: parsed body, numpy, TensorFlow, `tolist`."""

import os
import sys
from typing import Any

import numpy as np
import tensorflow as tf
import uvicorn
from fastapi import FastAPI, Request

app = FastAPI()
model = tf.saved_model.load(os.environ["MODEL_DIR"])
predict = model.signatures["serving_default"]


@app.get("/ping")
async def ping() -> dict[str, str]:
    """Say that the server is up."""
    return {"status": "ok"}


@app.post("/invocations")
async def invocations(request: Request) -> dict[str, Any]:
    """Answer the prediction for a bare nested list."""
    data = await request.json()
    inputs = np.array(data, dtype=np.float32)
    outputs = predict(inputs=tf.constant(inputs))
    return {"predictions": next(iter(outputs.values())).numpy().tolist()}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
