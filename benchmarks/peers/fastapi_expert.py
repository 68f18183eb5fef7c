"""The U-Net behind FastAPI as an expert writes it: fast JSON, raw bodies, threads."""

import sys

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from benchmarks.peers.served_model import ServedModel, answer

app = FastAPI()
model = ServedModel()


@app.get("/ping")
async def ping() -> Response:
    """Say that the server is up."""
    return Response(b"")


@app.post("/invocations")
async def invocations(request: Request) -> Response:
    """Answer the prediction for a bare nested list."""
    body = await request.body()
    return Response(await run_in_threadpool(answer, model, body), media_type="application/json")


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
