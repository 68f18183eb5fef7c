"""A container that is any command: `local/command` with WINDTUNNEL_COMMAND.

It runs under a keeper, with the model's folder as its directory, a port to serve on and a range of
ports of its own. Nothing is known of it but that contract: it is up when /ping answers.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from windtunnel.cloud.fleet import ports
from windtunnel.cloud.fleet.container import Container, LaunchError
from windtunnel.cloud.fleet.environment import base_environment
from windtunnel.cloud.fleet.ports import Blocks
from windtunnel.cloud.fleet.zygote import describe_status
from windtunnel.core.supervision import Supervisor


@dataclass(frozen=True)
class CommandOrder:
    """What to run, and how."""

    words: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    cpus: Sequence[int]
    nice: int
    ports: Blocks


class CommandContainer(Container):
    """A keeper, its command and their ports."""

    is_foreign: ClassVar[bool] = True

    def __init__(
        self,
        supervisor: Supervisor,
        process: asyncio.subprocess.Process,
        block: ports.PortBlock,
    ) -> None:
        super().__init__(process.pid)
        self._supervisor = supervisor
        self._process = process
        self._block = block
        self.addresses = (f"tcp:127.0.0.1:{block.bind_port}",)
        self._waiting = asyncio.create_task(self._wait_end())

    async def stop(self, grace_s: float) -> None:
        """End the command and everything it started; free its ports."""
        try:
            await self._supervisor.stop(self._process, grace_s)
        finally:
            self._waiting.cancel()
            await asyncio.wait({self._waiting})
            self._block.release()

    async def _wait_end(self) -> None:
        self.end = describe_status(_undo_shell(await self._process.wait()))
        self.changed()


async def launch(
    supervisor: Supervisor, order: CommandOrder, log_descriptor: int
) -> CommandContainer:
    """Start a command; raise `LaunchError` when no ports are left for it."""
    try:
        block = order.ports.claim()
    except ports.NoPortsError as error:
        raise LaunchError(str(error)) from error
    try:
        process = await supervisor.start_command(
            order.words,
            environment={
                **base_environment(),
                **order.environment,
                "SAGEMAKER_BIND_TO_PORT": str(block.bind_port),
                "SAGEMAKER_SAFE_PORT_RANGE": block.safe_range,
            },
            output=log_descriptor,
            directory=order.directory,
            cpus=order.cpus,
            nice=order.nice,
        )
    except BaseException as error:
        block.release()
        if isinstance(error, OSError):
            raise LaunchError(f"the command could not be started ({error})") from error
        raise
    return CommandContainer(supervisor, process, block)


def _undo_shell(status: int) -> int:
    """Return -N for a keeper's exit status of 128 + N: its command was killed by signal N."""
    return 128 - status if status > 128 else status  # noqa: PLR2004 - the shells' convention
