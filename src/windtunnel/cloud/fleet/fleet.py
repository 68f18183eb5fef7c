"""The instances of a cloud: started, kept healthy, ended.

`start` goes provisioning, model data, memory, cores, container, health, in this order, and leaves
nothing behind when any of it fails or the caller gives up. What happens to an instance afterwards
is its attendant's business (`attendant.py`); the caller hears of it through `on_change`.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from windtunnel.cloud.errors import InvalidError
from windtunnel.cloud.fleet import (
    command_container,
    images,
    logs,
    memory,
    model_cache,
    tensorflow_container,
)
from windtunnel.cloud.fleet.attendant import Attendant
from windtunnel.cloud.fleet.command_container import CommandOrder
from windtunnel.cloud.fleet.container import Container
from windtunnel.cloud.fleet.cores import Cores, machine_cores
from windtunnel.cloud.fleet.downloads import Downloads, ModelData
from windtunnel.cloud.fleet.environment import base_environment
from windtunnel.cloud.fleet.images import ImageKind
from windtunnel.cloud.fleet.instance import Instance, InstanceSpec, Stage, StartFailedError
from windtunnel.cloud.fleet.logs import Log
from windtunnel.cloud.fleet.memory import Demand, Ledger
from windtunnel.cloud.fleet.model_data import Form, ModelDataError
from windtunnel.cloud.fleet.ports import Blocks, block_count
from windtunnel.cloud.fleet.zygote import PROGRAM as ZYGOTE_PROGRAM
from windtunnel.cloud.fleet.zygote import Order, Zygote
from windtunnel.core import free_memory, limits
from windtunnel.core.clock import Clock
from windtunnel.core.home import Home
from windtunnel.core.supervision import Supervisor

__all__ = ["Fleet", "Instance", "InstanceSpec", "StartFailedError"]

logger = logging.getLogger(__name__)

# Where an archive for SageMaker's TensorFlow image has its script.
_SCRIPT_FOLDER = "code"
# What tells a container that it is to be given its models one by one.
_MULTI_MODEL = {"SAGEMAKER_MULTI_MODEL": "true"}
_MODELS_SUFFIX = ".models"


@dataclass(frozen=True)
class FleetStatistics:
    """The fleet at one moment."""

    instance_count: int
    healthy_count: int
    core_load: dict[int, int]
    promised_bytes: int


@dataclass(frozen=True)
class _Member:
    attendant: Attendant
    task: "asyncio.Task[None]"
    log: Log

    async def wait_healthy(self) -> None:
        """Return when the instance is healthy for the first time; raise when it never will be."""
        first_health = self.attendant.first_health
        await asyncio.wait({self.task, first_health}, return_when=asyncio.FIRST_COMPLETED)
        if first_health.done():
            first_health.result()
        elif self.task.cancelled():
            raise StartFailedError("The cloud is ending.", "admission")
        else:
            error = self.task.exception()
            raise StartFailedError(f"Nobody looks after the instance: {error!r}.") from error


class Fleet:
    """Starts and ends instances."""

    def __init__(
        self,
        home: Home,
        supervisor: Supervisor,
        s3_socket_path: Path,
        socket_dir: Path,
        clock: Clock,
        *,
        nice: int = limits.INSTANCE_NICENESS,
        zygote_program: Sequence[str] = ZYGOTE_PROGRAM,
        provision_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._home = home
        self._supervisor = supervisor
        self._socket_dir = socket_dir
        self._clock = clock
        self._nice = nice
        # How long to stand in for the minutes in which AWS finds a machine, one instance a call.
        self._provision_s = provision_s
        self._log_folder = home.logs / "endpoints"
        self._cores = Cores(machine_cores())
        self._ledger = Ledger()
        # They begin at a place of the home's own, so that two clouds rarely meet.
        self._ports = Blocks(int(home.id, 16) % block_count())
        self._downloads = Downloads(supervisor, s3_socket_path, home.models)
        self._zygote = Zygote(
            supervisor, home.logs / "zygote.log", home.cache / "keras", zygote_program
        )
        self._members: dict[Instance, _Member] = {}
        # Instances that are being ended, and the tasks that do it.
        self._disposals: dict[asyncio.Task[None], _Member] = {}
        self._tidying: asyncio.Task[None] | None = None
        self._tending: asyncio.Task[None] | None = None
        self._is_closing = False

    def open(self) -> None:
        """Begin to warm the zygote and to tidy the home; return at once."""
        self._zygote.open()
        self._tidying = asyncio.create_task(asyncio.to_thread(self._tidy))
        self._tending = asyncio.create_task(self._tend_logs())

    async def start(self, spec: InstanceSpec, on_change: Callable[[Instance], None]) -> Instance:
        """Return a new instance once it is healthy, or raise `StartFailedError`.

        From then on `on_change` is called, on the loop, whenever its health or its addresses
        change. Cancelling this, like a failure, leaves nothing of it running.
        """
        instance = Instance(spec, self._log_folder)
        try:
            kind = images.check_container(spec.image, spec.environment)
            if (provision_s := self._provision_s()) > 0:
                await asyncio.sleep(provision_s)
            data = await self._model_data(spec, kind)
            self._admit(instance, kind, data)
            await self._attend(instance, kind, data, on_change).wait_healthy()
            return instance
        except ModelDataError as error:
            stage: Stage = "extraction" if error.is_unusable else "download"
            raise StartFailedError(error.reason, stage) from error
        except (InvalidError, OSError) as error:
            raise StartFailedError(str(error), "admission") from error
        except BaseException:
            await self._dispose(instance, limits.CLOSE_GRACE_S)
            raise
        finally:
            self._ledger.settle(instance.id)

    async def stop(self, instance: Instance) -> None:
        """End an instance: SIGTERM, SageMaker's grace, SIGKILL to all of its processes."""
        await self._dispose(instance, limits.STOP_GRACE_S)

    async def close(self) -> None:
        """End everything within a few seconds; starts that are under way fail."""
        self._is_closing = True
        for instance in list(self._members):
            self._begin_end(instance, limits.CLOSE_GRACE_S)
        if self._disposals:
            await asyncio.wait(self._disposals, timeout=limits.CLOSE_GRACE_S)
        # What was being stopped with SageMaker's longer grace is not given the rest of it.
        for member in self._disposals.values():
            member.task.cancel()
        if self._disposals:
            await asyncio.wait(self._disposals)
        await self._downloads.close()
        await self._zygote.close()
        background = {task for task in (self._tending, self._tidying) if task is not None}
        for task in background:
            task.cancel()
        if background:
            await asyncio.wait(background)

    def healthy_instances(self) -> list[Instance]:
        """Return the instances that answer now."""
        return [instance for instance in self._members if instance.is_healthy]

    def instances(self) -> list[Instance]:
        """Return all instances, those too that do not answer."""
        return list(self._members)

    def statistics(self) -> FleetStatistics:
        """Return how many instances there are, how many are healthy, and what they hold."""
        return FleetStatistics(
            instance_count=len(self._members),
            healthy_count=sum(instance.is_healthy for instance in self._members),
            core_load=self._cores.load,
            promised_bytes=self._ledger.promised_bytes,
        )

    async def fetch(self, url: str, timeout_s: float, form: Form = "archive") -> ModelData:
        """Return the model data of one URL for whoever needs it without starting an instance."""
        await self._wait_tidy()
        return await self._downloads.get(url, form, timeout_s)

    async def _wait_tidy(self) -> None:
        if self._tidying is not None:
            # It removes folders that nobody uses yet.
            await asyncio.wait({self._tidying})

    async def _model_data(self, spec: InstanceSpec, kind: ImageKind) -> ModelData | None:
        if spec.is_multi_model:
            return None
        if spec.model_data_url is None:
            if kind == "tensorflow":
                raise StartFailedError(
                    "The model has no ModelDataUrl: there is no archive to serve.", "admission"
                )
            return None
        await self._wait_tidy()
        return await self._downloads.get(
            spec.model_data_url, spec.model_data_form, spec.download_timeout_s
        )

    def _admit(self, instance: Instance, kind: ImageKind, data: ModelData | None) -> None:
        if self._is_closing:
            raise StartFailedError("The cloud is ending.", "admission")
        demand = Demand(
            kind,
            instance.spec.environment,
            0 if data is None else data.unpacked_bytes,
            has_script=data is not None and (data.directory / _SCRIPT_FOLDER).is_dir(),
        )
        free_bytes = free_memory.available_bytes() - self._ledger.promised_bytes
        if reason := memory.refusal(demand, free_bytes):
            raise StartFailedError(reason, "admission")
        self._ledger.promise(instance.id, demand.size_bytes)

    def _attend(
        self,
        instance: Instance,
        kind: ImageKind,
        data: ModelData | None,
        on_change: Callable[[Instance], None],
    ) -> _Member:
        log = Log(instance.log_path)
        work_dir = self._socket_dir / instance.id
        instance.cpus = self._cores.assign(instance.spec.instance_type)
        instance.model_bytes = 0 if data is None else data.unpacked_bytes

        async def launch(number: int) -> Container:
            if kind == "command":
                work_dir.mkdir(mode=0o700, exist_ok=True)
                directory = work_dir if data is None else data.directory
                return await self._launch_command(instance, directory, log)
            order = Order(
                id=f"{instance.id}.{number}",
                model_dir=self._no_models(instance) if data is None else data.directory,
                environment={**base_environment(), **_environment(instance.spec)},
                socket_dir=work_dir,
                cache_dir=self._home.cache,
                cpus=instance.cpus,
                # The zygote sets it, and only a privileged one could set it lower than its own.
                nice=min(19, os.getpriority(os.PRIO_PROCESS, 0) + self._nice),
            )
            return await tensorflow_container.launch(self._zygote, order, log.descriptor)

        attendant = Attendant(instance, launch, log, self._clock, on_change)
        member = _Member(attendant, asyncio.create_task(attendant.run()), log)
        self._members[instance] = member
        return member

    def _no_models(self, instance: Instance) -> Path:
        """Return the folder that stands for /opt/ml/models, in which nothing lies."""
        directory = self._socket_dir / f"{instance.id}{_MODELS_SUFFIX}"
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory

    async def _launch_command(self, instance: Instance, directory: Path, log: Log) -> Container:
        order = CommandOrder(
            words=images.split_command(instance.spec.environment),
            environment=_environment(instance.spec),
            directory=directory,
            cpus=instance.cpus,
            nice=self._nice,
            ports=self._ports,
        )
        return await command_container.launch(self._supervisor, order, log.descriptor)

    async def _dispose(self, instance: Instance, grace_s: float) -> None:
        """End an instance, completely even when the caller is cancelled meanwhile."""
        if instance in self._members:
            await asyncio.shield(self._begin_end(instance, grace_s))

    def _begin_end(self, instance: Instance, grace_s: float) -> "asyncio.Task[None]":
        member = self._members.pop(instance)
        member.attendant.stop_grace_s = grace_s
        member.task.cancel()
        ending = asyncio.create_task(self._end(instance, member))
        self._disposals[ending] = member
        ending.add_done_callback(self._disposals.pop)
        return ending

    async def _end(self, instance: Instance, member: _Member) -> None:
        await asyncio.wait({member.task})
        if not member.task.cancelled() and (error := member.task.exception()) is not None:
            logger.error("the attendant of %s failed", instance.id, exc_info=error)
        self._cores.release(instance.cpus)
        await asyncio.to_thread(self._put_away, member.log)
        for name in (instance.id, f"{instance.id}{_MODELS_SUFFIX}"):
            shutil.rmtree(self._socket_dir / name, ignore_errors=True)

    def _put_away(self, log: Log) -> None:
        log.finish(self._clock.now_s())
        logs.prune(self._log_folder, limits.INSTANCE_LOG_COUNT_MAX)

    def _tidy(self) -> None:
        """Bound what earlier starts of this home left; runs before any instance is there."""
        try:
            self._log_folder.mkdir(parents=True, exist_ok=True)
            logs.prune(self._log_folder, limits.INSTANCE_LOG_COUNT_MAX)
            logs.remove_empty_folders(self._log_folder)
            logs.settle(self._log_folder)
            model_cache.prune(self._home.models, limits.MODEL_CACHE_BYTES_MAX)
        except OSError:
            # An untidy home serves all the same.
            logger.exception("the home %s could not be tidied", self._home.path)

    async def _tend_logs(self) -> None:
        while True:
            await asyncio.sleep(limits.INSTANCE_LOG_CHECK_INTERVAL_S)
            open_logs = [member.log for member in self._members.values()]
            # In a thread, which lets the loop run: a rotation copies.
            await asyncio.to_thread(logs.tend, open_logs, self._clock.now_s())
            await asyncio.to_thread(logs.rotate_if_full, self._zygote.log)


def _environment(spec: InstanceSpec) -> dict[str, str]:
    """Return what a container is told: its model's variables, and what the platform adds."""
    return {**spec.environment, **(_MULTI_MODEL if spec.is_multi_model else {})}
