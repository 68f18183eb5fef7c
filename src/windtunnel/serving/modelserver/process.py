"""The life of one model server: load, listen, serve, drain.

It listens only once its models are loaded, so that a balancer never sends to one that cannot
answer: until then, and while a dead one is replaced, connections to it are refused.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from windtunnel.core import limits
from windtunnel.core.allocator import keep_freed_memory
from windtunnel.core.processor import core_count
from windtunnel.http.server import serve
from windtunnel.serving import tfs_api
from windtunnel.serving.children import Reports
from windtunnel.serving.compiled import is_compiled
from windtunnel.serving.engines.engine import Engine
from windtunnel.serving.engines.engine import Threads as EngineThreads
from windtunnel.serving.errors import ServingError
from windtunnel.serving.gpus import WHOLE, GpuShare
from windtunnel.serving.meters import Meter, MeterPlan
from windtunnel.serving.models import Models
from windtunnel.serving.modelserver.batch_queues import BatchRules
from windtunnel.serving.modelserver.batching import Batcher, BatchingEngine
from windtunnel.serving.modelserver.handler import ModelHandler
from windtunnel.serving.modelserver.served import ServedModels
from windtunnel.serving.modelserver.threads import Threads
from windtunnel.serving.settings import Batching

if TYPE_CHECKING:
    from windtunnel.serving.modelserver.grpc_server import GrpcServer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What one model server shall serve, and where."""

    models: Models
    directory: Path
    engine_threads: EngineThreads
    # A Unix socket's path, or a socket that is bound already.
    listen: str | socket.socket
    logs_requests: bool
    # Where it counts.
    meters: MeterPlan
    # Where TensorFlow Serving's gRPC API is served besides: HOST:PORT each.
    grpc_addresses: Sequence[str] = ()
    batching: Batching | None = None
    gpu: GpuShare = WHOLE


def run_model_server(plan: ServerPlan, reports: Reports, lifeline: int) -> int:
    """Serve until SIGTERM; return the exit status. Runs in a process of its own."""
    # Only the leader decides when a group of processes ends; a terminal's Ctrl-C reaches all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    meter = plan.meters.open()
    try:
        models = _load(plan, meter)
    except ServingError as error:
        reports.send("failed", reason=str(error))
        return 1
    # What was loaded stays; collections that went through it again would stop every thread.
    gc.collect()
    gc.freeze()
    if isinstance(plan.listen, str):
        # A predecessor that was killed has left its socket.
        Path(plan.listen).unlink(missing_ok=True)
    try:
        grpc_server = _start_grpc(plan, models, meter)
    except ServingError as error:
        reports.send("failed", reason=str(error))
        return 1
    return uvloop.run(_serve(plan, models, meter, grpc_server, reports, lifeline))


def _load(plan: ServerPlan, meter: Meter) -> ServedModels:
    load = _choose_engine(plan)
    if plan.batching is None:
        return ServedModels(plan.models, plan.directory, load)
    batcher = Batcher(
        _batch_rules(plan.batching), logs_batches=plan.logs_requests, on_batch=meter.note_batch
    )

    def load_batching(directory: Path) -> BatchingEngine:
        return BatchingEngine(load(directory), batcher, f"{directory.parent.name}/{directory.name}")

    return ServedModels(plan.models, plan.directory, load_batching)


def _choose_engine(plan: ServerPlan) -> Callable[[Path], Engine]:
    """Return what loads a folder: TensorFlow, or what it was compiled for."""
    if plan.gpu.number is not None:
        # Read when an engine looks for GPUs, which it has not yet.
        os.environ["CUDA_VISIBLE_DEVICES"] = str(plan.gpu.number)
    from windtunnel.serving.engines import tensorflow

    # Costs nothing before the first model.
    runtime = tensorflow.Runtime(plan.engine_threads, plan.gpu.fraction)
    _log_gpu(plan.gpu, has_gpu=tensorflow.has_gpu)

    def load(directory: Path) -> Engine:
        if not is_compiled(directory):
            return runtime.load(directory)
        from windtunnel.serving.engines.compiled import load_compiled

        return load_compiled(directory, plan.engine_threads)

    return load


def _log_gpu(share: GpuShare, has_gpu: Callable[[], bool]) -> None:
    if share.fraction is None:
        return
    if has_gpu():
        logger.info("of the GPU's memory this model server has %g", share.fraction)
    else:
        logger.warning(
            "SAGEMAKER_TFS_FRACTIONAL_GPU_MEM_MARGIN has no effect: this TensorFlow uses no GPU."
        )


def _batch_rules(batching: Batching) -> BatchRules:
    """Return the rules of batching on this machine, and say them in the log."""
    cores = core_count()
    rules = BatchRules(
        max_batch_size=batching.max_batch_size,
        batch_timeout_s=batching.batch_timeout_s,
        # Each of them runs what at least one waiting thread has brought.
        num_batch_threads=min(
            batching.num_batch_threads or cores, limits.BATCHING_THREAD_COUNT_MAX
        ),
        max_enqueued_batches=batching.max_enqueued_batches or cores,
    )
    logger.info(
        "batching: up to %d rows, %g ms, %d batch threads, %d batches enqueued",
        rules.max_batch_size,
        rules.batch_timeout_s * 1000,
        rules.num_batch_threads,
        rules.max_enqueued_batches,
    )
    return rules


def _start_grpc(plan: ServerPlan, models: ServedModels, meter: Meter) -> "GrpcServer | None":
    if not plan.grpc_addresses:
        return None
    tfs_api.offer()
    # Imported here, behind the last fork: gRPC starts threads.
    from windtunnel.serving.modelserver.grpc_server import GrpcServer

    return GrpcServer(
        models,
        meter,
        plan.grpc_addresses,
        thread_count=_thread_count(is_batching=plan.batching is not None),
        logs_requests=plan.logs_requests,
    )


async def _serve(
    plan: ServerPlan,
    models: ServedModels,
    meter: Meter,
    grpc_server: "GrpcServer | None",
    reports: Reports,
    lifeline: int,
) -> int:
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, end.set)
    # Nothing is ever written to it: readable means that the leader is gone, however it went.
    loop.add_reader(lifeline, os._exit, 1)
    threads = Threads(_thread_count(is_batching=plan.batching is not None))
    threads.on_change = meter.note_queue
    handler = ModelHandler(models, threads, meter, logs_requests=plan.logs_requests)
    if isinstance(plan.listen, str):
        server = await serve(handler, path=plan.listen)
    else:
        server = await serve(handler, sock=plan.listen)
    reports.send("available")
    await end.wait()
    handler.is_draining = True
    logger.info("draining, %d requests in hand", threads.task_count)
    # Both at once: there is one grace for all.
    stopped = None if grpc_server is None else grpc_server.stop(limits.STOP_GRACE_S)
    is_drained = await server.drain(limits.STOP_GRACE_S)
    if grpc_server is not None and stopped is not None:
        await asyncio.to_thread(stopped.wait, limits.STOP_GRACE_S)
        await asyncio.sleep(grpc_server.linger_s(time.monotonic()))
    threads.close()
    if not is_drained:
        logger.warning("stopped with requests unanswered after %g s", limits.STOP_GRACE_S)
    return 0


def _thread_count(*, is_batching: bool) -> int:
    if is_batching:
        wanted = limits.BATCHING_THREADS_PER_CORE * core_count()
        return min(wanted, limits.BATCHING_THREAD_COUNT_MAX)
    wanted = limits.MODEL_SERVER_THREADS_PER_CORE * core_count()
    return min(wanted, limits.MODEL_SERVER_THREAD_COUNT_MAX)
