"""The life of one script worker: import the script, listen, serve, drain.

A fork of the container's leader, like a model server: TensorFlow is imported already, and what a
script imports besides stays its own. Its socket is the leader's: what comes while a worker is
replaced waits there for the next one.

Rule: everything that a script writes goes to the container's log, and nothing of the container's
that a script could close, leave or wait for is shared with it.
"""

import asyncio
import contextlib
import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from windtunnel.core import limits
from windtunnel.core.allocator import keep_freed_memory
from windtunnel.http.server import serve
from windtunnel.serving import tfs_api
from windtunnel.serving.children import Reports
from windtunnel.serving.errors import ServingError
from windtunnel.serving.logs import configure_logs, share_logs
from windtunnel.serving.meters import Meter, MeterPlan
from windtunnel.serving.modelserver.threads import Threads
from windtunnel.serving.scripts.allowance import limit_memory
from windtunnel.serving.scripts.archive import CODE, LIBRARY, Script
from windtunnel.serving.scripts.calls import ScriptService, Surroundings
from windtunnel.serving.scripts.channels import LazyChannel
from windtunnel.serving.scripts.exits import guard_exit
from windtunnel.serving.scripts.handlers import Handler, load_handler
from windtunnel.serving.scripts.whereabouts import MODEL_DIR_VARIABLE
from windtunnel.serving.settings import WorkerSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What one script worker shall run, and where."""

    settings: WorkerSettings
    script: Script
    # Where the archive was unpacked, and what its requirements.txt brought.
    directory: Path
    packages: Path | None
    # Of the models: the same place, unless the script is one for many archives.
    model_dir: Path
    # Where a script's relative paths lead.
    work_dir: Path
    default_model: str
    # What the container is called among many.
    model_name: str | None
    grpc_ports: Sequence[int]
    rest_ports: Sequence[int]
    # Bound already.
    listen: socket.socket
    logs_requests: bool
    # Where it counts.
    meters: MeterPlan


def run_worker(plan: WorkerPlan, reports: Reports, lifeline: int) -> int:
    """Serve until SIGTERM, or until this worker must be replaced; return the exit status."""
    # Only the leader decides when a group of processes ends; a terminal's Ctrl-C reaches all.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()
    _furnish(plan)
    meter = plan.meters.open()
    limit_memory()
    try:
        handle = load_handler(plan.directory, plan.script)
    except ServingError as error:
        reports.send("failed", reason=str(error))
        return 1
    guard_exit()
    gc.collect()
    gc.freeze()
    return uvloop.run(_serve(plan, handle, meter, reports, lifeline))


def _furnish(plan: WorkerPlan) -> None:
    """Make this process what a script expects, and what it can do no harm in."""
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    # A container's stdout says that it is ready, and nothing else.
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        # Whatever a script prints, printing is not what fails.
        stream.reconfigure(  # type: ignore[union-attr]
            encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
    configure_logs()
    share_logs()
    logging.getLogger("windtunnel.serving.scripts").setLevel(plan.settings.log_level.upper())
    # Where a crash of native code stood is said in the log.
    faulthandler.enable(all_threads=False)
    os.chdir(plan.work_dir)
    # The archive's folder is shared by every instance that serves it, and nobody's to write to.
    sys.dont_write_bytecode = True
    paths = [str(plan.directory / CODE)]
    if plan.script.has_library:
        paths.append(str(plan.directory / LIBRARY))
    if plan.packages is not None:
        paths.append(str(plan.packages))
    sys.path[:0] = paths
    tfs_api.offer()
    _set_environment(plan)
    # What a script starts finds its modules, too, and reaches the model servers without a proxy.
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    for name in ("no_proxy", "NO_PROXY"):
        others = os.environ.get(name, "")
        os.environ[name] = ",".join(filter(None, ("localhost", "127.0.0.1", others)))


def _set_environment(plan: WorkerPlan) -> None:
    """Set what the original's serve.py sets for its Python service, and where the archive is."""
    os.environ["TFS_GRPC_PORTS"] = ",".join(map(str, plan.grpc_ports))
    os.environ["TFS_REST_PORTS"] = ",".join(map(str, plan.rest_ports))
    os.environ["TFS_DEFAULT_MODEL_NAME"] = plan.default_model
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ[MODEL_DIR_VARIABLE] = str(plan.model_dir)


async def _serve(
    plan: WorkerPlan, handle: Handler, meter: Meter, reports: Reports, lifeline: int
) -> int:
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, end.set)
    # Nothing is ever written to it: readable means that the leader is gone, however it went.
    loop.add_reader(lifeline, os._exit, 1)
    threads = Threads(plan.settings.thread_count, "script")
    threads.on_change = meter.note_queue
    surroundings = Surroundings(
        plan.settings,
        plan.directory,
        plan.default_model,
        plan.model_name,
        plan.rest_ports,
        [(port, LazyChannel(port)) for port in plan.grpc_ports],
        logs_requests=plan.logs_requests or plan.settings.log_level == "debug",
    )

    def retire() -> None:
        server.stop_listening()
        end.set()

    service = ScriptService(handle, threads, surroundings, meter, retire)
    server = await serve(service, sock=plan.listen)
    watching = asyncio.create_task(_watch(plan.settings.timeout_s))
    reports.send("available")
    await end.wait()
    is_replaced = service.is_draining
    service.is_draining = True
    if is_replaced:
        reports.send("retired")
    logger.info("draining, %d requests in hand", threads.task_count)
    grace_s = limits.STOP_GRACE_S
    if is_replaced:
        # At the end of the first all are answered in the script's place.
        grace_s = limits.SCRIPT_RETIRE_GRACE_S + limits.CLOSE_GRACE_S
    if not await server.drain(grace_s):
        logger.warning("stopped with requests unanswered after %g s", grace_s)
    service.close()
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    threads.close()
    return 1 if is_replaced else 0


async def _watch(timeout_s: float) -> None:
    """Set a watchdog again and again, which ends this process when the loop no longer runs.

    A native function that does not let go of the interpreter's lock stops the loop, too. Then the
    watchdog, which needs no lock, writes where every thread is and ends the worker.
    """
    if not timeout_s:
        return
    try:
        while True:
            faulthandler.dump_traceback_later(
                timeout_s + limits.SCRIPT_WATCHDOG_MARGIN_S, exit=True
            )
            await asyncio.sleep(1.0)
    finally:
        faulthandler.cancel_dump_traceback_later()
