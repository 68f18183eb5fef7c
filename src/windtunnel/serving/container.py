"""One container: what the SageMaker TensorFlow Serving image is.

Read the settings, find the models and the script, start a process for each model server and for
each of the script's workers, say where they listen, keep them there. The process that runs this
imports engines but never runs one: it forks, also later, when it replaces one that crashed.
"""

import functools
import gc
import logging
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from windtunnel.core.processor import core_count
from windtunnel.serving import front
from windtunnel.serving.children import Reports
from windtunnel.serving.compiled import describe, is_compiled, read_manifest
from windtunnel.serving.errors import ArchiveError
from windtunnel.serving.gpus import choose_share, count_gpus
from windtunnel.serving.leader import Leader, Listener, Role
from windtunnel.serving.meters import FILE_NAME, Meter, MeterPlan
from windtunnel.serving.models import Model, Models, choose_models, list_files
from windtunnel.serving.modelserver import process
from windtunnel.serving.modelserver.process import ServerPlan
from windtunnel.serving.ports import HOST, ServerPorts, claim_ports
from windtunnel.serving.scripts import fresh, worker
from windtunnel.serving.scripts.archive import CODE, INFERENCE, LIBRARY, Script, choose_script
from windtunnel.serving.scripts.packages import install_packages, module_names
from windtunnel.serving.scripts.whereabouts import names_model_dir, tell_model_dir
from windtunnel.serving.scripts.worker import WorkerPlan
from windtunnel.serving.settings import Settings, parse_settings
from windtunnel.serving.tfs.front import TfsFrontHandler
from windtunnel.serving.tfs.plans import choose_ports, find_program, make_plans, rest_addresses
from windtunnel.serving.tfs.server import run_tfs

logger = logging.getLogger(__name__)

# Who ends first: a script in hand still asks the models, a front still waits for both.
_RANK_WORKER = 1
_RANK_FRONT = 2
_NUMBER_FRONT = -1


@dataclass(frozen=True, slots=True)
class Order:
    """What one container shall be."""

    model_dir: Path
    environment: Mapping[str, str]
    # Where the model servers' Unix sockets go.
    socket_dir: Path
    # Where what scripts require is kept from one start to the next.
    cache_dir: Path
    # A bound TCP socket to answer on, for a container that runs alone.
    port: socket.socket | None = None
    # Where all model servers serve gRPC besides; the kernel shares out connections over them.
    grpc_port: int | None = None
    grpc_host: str = "127.0.0.1"
    # Where a script lies for archives that bring none: with many models, /opt/ml/models.
    shared_dir: Path | None = None
    # What it is called among many; the original serves each of many models by that name.
    name: str | None = None


@dataclass(frozen=True, slots=True)
class _Setup:
    """An order, and what became clear of it."""

    order: Order
    settings: Settings
    models: Models
    script: Script | None
    # The folder above the script's `code`.
    script_dir: Path
    # Of the model servers that a script calls; none without one.
    ports: tuple[ServerPorts, ...]
    # What requirements.txt brought.
    packages: Path | None
    # Where all of its processes count.
    meters: MeterPlan


def run_container(order: Order, listener: Listener, lifeline: int | None) -> int:
    """Serve until SIGTERM; return the exit status. Raises ServingError for what cannot start."""
    setup = _set_up(order)
    _tell(setup)
    if setup.script is not None and setup.script.is_to_be_installed:
        setup = replace(setup, packages=install_packages(setup.script_dir, order.cache_dir))
    if setup.script is not None or not setup.settings.is_tfs:
        import_engines(for_scripts=setup.script is not None, for_compiled=_has_compiled(setup))
    leader = Leader(setup.settings.wait_time_s, listener, lifeline)
    entrances = _server_roles(setup)
    for role in entrances:
        leader.add(role)
    if setup.script is not None:
        run = _choose_worker(setup)
        count = setup.settings.workers.count
        entrances = [_worker_role(index, setup, run) for index in range(count)]
        # A script may call the models while it is imported.
        if leader.wait_available():
            for role in entrances:
                leader.add(role)
    addresses, front_role = _choose_front(setup, entrances)
    if front_role is not None and leader.wait_available():
        leader.add(front_role)
    if leader.wait_available():
        listener.send("listening", addresses=addresses)
    return leader.run()


def _set_up(order: Order) -> _Setup:
    files = list_files(order.model_dir)
    script, script_dir = _find_script(files, order)
    settings = parse_settings(
        order.environment,
        is_on_port=order.port is not None,
        has_script=script is not None,
        gpu_count=count_gpus(),
    )
    models = replace(choose_models(files, settings.default_model), other_name=order.name)
    ports: Sequence[ServerPorts] = ()
    if settings.is_tfs:
        _refuse_compiled(models, order.model_dir)
        find_program(order.environment)
        ports = choose_ports(settings)
    elif script is not None:
        ports = claim_ports(settings.port_range, settings.server_count)
    meters = _plan_meters(order, settings, models, has_script=script is not None)
    meters.create()
    return _Setup(
        order, settings, models, script, script_dir, tuple(ports), packages=None, meters=meters
    )


def _plan_meters(
    order: Order, settings: Settings, models: Models, *, has_script: bool
) -> MeterPlan:
    processes = ["model_server"] * settings.server_count
    processes += ["script_worker"] * settings.workers.count if has_script else []
    return MeterPlan(str(order.socket_dir / FILE_NAME), [*models.by_name], [*processes, "front"])


def _meters(setup: _Setup, number: int) -> MeterPlan:
    """Return the plan of one process's row; the front's is the last."""
    return replace(setup.meters, index=number % len(setup.meters.processes))


def _find_script(files: list[PurePosixPath], order: Order) -> tuple[Script | None, Path]:
    """Return the archive's own script, or else the one for all, and where it lies."""
    script = choose_script(files)
    if script is not None or order.shared_dir is None or not (order.shared_dir / CODE).is_dir():
        return script, order.model_dir
    below = (CODE / path for path in list_files(order.shared_dir / CODE))
    return choose_script(below), order.shared_dir


def _server_roles(setup: _Setup) -> list[Role]:
    count = setup.settings.server_count
    if not setup.settings.is_tfs:
        return [_server_role(number, setup) for number in range(count)]
    plans = make_plans(
        setup.settings,
        setup.models,
        setup.order.model_dir,
        setup.order.socket_dir,
        setup.ports,
        setup.order.environment,
        setup.meters,
        setup.order.grpc_port,
    )
    return [
        Role(f"model server {number}", functools.partial(run_tfs, plan), number)
        for number, plan in enumerate(plans)
    ]


def _server_role(number: int, setup: _Setup) -> Role:
    settings = setup.settings
    ports = setup.ports[number] if setup.ports else None
    listen = ports.rest if ports else _entrance(number, settings.server_count, setup.order)
    plan = ServerPlan(
        models=setup.models,
        directory=setup.order.model_dir,
        engine_threads=settings.threads,
        listen=listen,
        logs_requests=settings.logs_requests,
        meters=_meters(setup, number),
        grpc_addresses=_grpc_addresses(setup.order, ports),
        batching=settings.batching,
        gpu=choose_share(number, count_gpus(), settings.gpu_fraction),
    )
    return Role(
        name=f"model server {number}",
        number=number,
        run=functools.partial(process.run_model_server, plan),
        keep=_descriptors(listen),
    )


def _grpc_addresses(order: Order, ports: ServerPorts | None) -> list[str]:
    """Return where one model server serves gRPC: the port for all, and a script's own."""
    addresses = []
    if order.grpc_port is not None:
        host = f"[{order.grpc_host}]" if ":" in order.grpc_host else order.grpc_host
        addresses.append(f"{host}:{order.grpc_port}")
    if ports is not None:
        # This process holds the number; the server binds it besides, and so does its successor.
        addresses.append(f"{HOST}:{ports.grpc_port}")
    return addresses


WorkerRun = Callable[[WorkerPlan, Reports, int], int]


def _choose_worker(setup: _Setup) -> WorkerRun:
    """Return how workers begin: as forks, unless they are to have other modules than these."""
    folders = [setup.packages, setup.script_dir / LIBRARY]
    brought = set().union(*(module_names(folder) for folder in folders if folder is not None))
    doubled = sorted(brought & {name.partition(".")[0] for name in sys.modules})
    if not doubled:
        return worker.run_worker
    logger.warning(
        "the script brings its own %s, so that its workers are no forks: each takes longer to"
        " start, and shares no memory",
        ", ".join(doubled),
    )
    return fresh.run_fresh_worker


def _worker_role(index: int, setup: _Setup, run: WorkerRun) -> Role:
    assert setup.script is not None
    number = setup.settings.server_count + index
    plan = WorkerPlan(
        settings=setup.settings.workers,
        script=setup.script,
        directory=setup.script_dir.resolve(),
        packages=setup.packages,
        model_dir=setup.order.model_dir.resolve(),
        work_dir=setup.order.socket_dir,
        default_model=setup.models.default,
        model_name=setup.order.name,
        grpc_ports=[ports.grpc_port for ports in setup.ports],
        rest_ports=[ports.rest_port for ports in setup.ports],
        # The worker's successors take it over.
        listen=_bind_path(_socket_path(number, setup.order)),
        logs_requests=setup.settings.logs_requests,
        meters=_meters(setup, number),
    )
    return Role(
        name=f"script worker {index}",
        number=number,
        run=functools.partial(run, plan),
        keep=_descriptors(plan.listen),
        rank=_RANK_WORKER,
    )


def _bind_path(path: str) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(path)
    return bound


def _entrance(number: int, count: int, order: Order) -> str | socket.socket:
    """Return where one of `count` model servers takes the requests of clients."""
    # A single one answers on the port itself: nothing stands between it and its clients.
    return order.port if order.port is not None and count == 1 else _socket_path(number, order)


def _socket_path(number: int, order: Order) -> str:
    return str(order.socket_dir / f"{number}.sock")


def _descriptors(*held: object) -> tuple[int, ...]:
    return tuple(each.fileno() for each in held if isinstance(each, socket.socket))


def _choose_front(setup: _Setup, entrances: Sequence[Role]) -> tuple[list[str], Role | None]:
    """Return where the container answers, and the front, where one is needed."""
    order = setup.order
    if setup.settings.is_tfs and setup.script is None:
        # Whoever speaks SageMaker's contract speaks to this one.
        return [f"unix:{_socket_path(_NUMBER_FRONT, order)}"], _tfs_front_role(setup)
    addresses = [f"unix:{_socket_path(role.number, order)}" for role in entrances]
    # A script may crash its worker natively; then somebody must be there to say so.
    is_needed = len(entrances) > 1 or setup.script is not None
    if order.port is None or not is_needed:
        return addresses, None
    make = functools.partial(front.FrontHandler, addresses)
    return addresses, _front_role(make, order.port, setup)


def _tfs_front_role(setup: _Setup) -> Role:
    addresses = rest_addresses(setup.ports)
    make = functools.partial(TfsFrontHandler, addresses, setup.models.default)
    listen = setup.order.port
    if listen is None:
        listen = _bind_path(_socket_path(_NUMBER_FRONT, setup.order))
    return _front_role(make, listen, setup)


def _front_role(
    make: Callable[[Meter], front.FrontHandler], listen: socket.socket, setup: _Setup
) -> Role:
    return Role(
        name="front",
        number=_NUMBER_FRONT,
        run=functools.partial(front.run_front, make, listen, _meters(setup, _NUMBER_FRONT)),
        keep=(listen.fileno(),),
        rank=_RANK_FRONT,
    )


def import_engines(*, for_scripts: bool, for_compiled: bool) -> None:
    """Import what takes seconds, once for all forks; a zygote has done it long before."""
    from windtunnel.serving.engines import tensorflow  # noqa: F401 - for the forks

    if for_compiled:
        from windtunnel.serving import openvino_library  # noqa: F401 - for the forks
    if for_scripts:
        import requests  # noqa: F401 - for the forks

    # What is here now stays, and no collection in a fork looks at it again: that would take half a
    # second and copy most of the pages that it shares.
    gc.collect()
    gc.freeze()


def _tell(setup: _Setup) -> None:
    """Say in the log what was found and what it will be run with."""
    settings, script = setup.settings, setup.script
    served_by = "TensorFlow Serving itself" if settings.is_tfs else "Windtunnel's model server"
    logger.info("%s, with the contract of SageMaker's TensorFlow Serving", served_by)
    for model in setup.models.by_name.values():
        logger.info(
            "found model %s, version %s%s",
            model.name,
            ", ".join(map(str, sorted(model.versions))),
            " (the default model)" if model.name == setup.models.default else "",
        )
    cores = core_count()
    for model in setup.models.by_name.values():
        _tell_compiled(model, setup, cores)
    logger.info(
        "model servers: %d; cores: %d; intra-op threads: %s; inter-op threads: %s",
        settings.server_count,
        cores,
        settings.threads.intra_op or f"{cores} (the engine chooses)",
        settings.threads.inter_op or f"{cores} (the engine chooses)",
    )
    if script is not None:
        workers = settings.workers
        logger.info(
            "script workers: %d; class: %s; requests of one at once: %d%s; time-out: %g s",
            workers.count,
            workers.kind,
            workers.thread_count,
            " (threads stand in for greenlets)" if workers.kind == "gevent" else "",
            workers.timeout_s,
        )
        for number, ports in enumerate(setup.ports):
            logger.info(
                "model server %d: REST port %d, gRPC port %d",
                number,
                ports.rest_port,
                ports.grpc_port,
            )
        if script.has_inference and names_model_dir(setup.script_dir / INFERENCE):
            hint = tell_model_dir(setup.order.model_dir)
            logger.warning("%s names a path that is not here. %s.", INFERENCE, hint)
    for notice in (*settings.notices, *(script.notices if script is not None else ())):
        logger.warning("%s", notice)


def _compiled_versions(model: Model, directory: Path) -> dict[int, Path]:
    """Return where the compiled versions of a model lie."""
    folders = {version: directory / path for version, path in sorted(model.versions.items())}
    return {version: folder for version, folder in folders.items() if is_compiled(folder)}


def _has_compiled(setup: _Setup) -> bool:
    models = setup.models.by_name.values()
    return any(_compiled_versions(model, setup.order.model_dir) for model in models)


def _refuse_compiled(models: Models, directory: Path) -> None:
    for model in models.by_name.values():
        for version in _compiled_versions(model, directory):
            raise ArchiveError(
                f"The model {model.name}, version {version}, is compiled, and TensorFlow"
                " Serving's binary cannot run it: leave out --model-server tfs."
            )


def _tell_compiled(model: Model, setup: _Setup, cores: int) -> None:
    """Say how the compiled versions of a model are run, and which variables mean nothing then."""
    threads = setup.settings.threads
    manifests = {
        version: read_manifest(folder)
        for version, folder in _compiled_versions(model, setup.order.model_dir).items()
    }
    for version, manifest in manifests.items():
        said = describe(manifest, threads.intra_op, cores)
        logger.info("model %s, version %d, is %s", model.name, version, said)
    if len(manifests) == len(model.versions) and threads.inter_op:
        logger.warning(
            "SAGEMAKER_TFS_INTER_OP_PARALLELISM=%d has no effect: the model %s is compiled, and"
            " its engine runs one operation after the other.",
            threads.inter_op,
            model.name,
        )
